"""Flagger and Spinnaker, asked as they ask."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from sloctl.canary.server.auth import AuthorizedCaller, Role, Tokens, token_digest
from tests.canary.server.conftest import Hook, MakeHook, has_shape
from tests.canary.source.test_look import SPEC
from tests.canary.stub import matrix

FIXED = SPEC.replace("canary:", "canary:\n  arms: {canary: 'role=\"7ddf8\"', baseline: 'role=\"5c577\"'}")
HOOKS = ("rollout", "rollback", "confirm-promotion")
PAYLOADS: dict[str, dict[str, Any]] = {
    "1.0": {"name": "pay", "namespace": "shop", "phase": "Progressing"},
    "1.20": {"name": "pay", "namespace": "shop", "phase": "Progressing", "checksum": "85d557f47b", "metadata": {}},
    "1.40": {
        "name": "pay",
        "namespace": "shop",
        "phase": "Progressing",
        "checksum": "85d557f47b",
        "buildId": "17",
        "type": "rollout",
        "failedChecks": 0,
        "canaryWeight": 5,
        "iterations": 0,
        "remainingTime": 300000000000,
        "metadata": {},
    },
}
"""What `CallWebhook` of Flagger sends, by release: fields were added and will be."""
MEANT = {"canary": "7ddf8", "stable": "5c577"}


def says_yes(response: httpx.Response) -> bool:
    """How Flagger reads an answer: by its status alone."""
    return response.status_code <= 202


def ask(hook: Hook, name: str, payload: dict[str, Any], **metadata: str) -> httpx.Response:
    return hook.client.post(f"/v1/flagger/{name}", json={**payload, "metadata": {**MEANT, **metadata}})


def answers_to(hook: Hook, payload: dict[str, Any]) -> dict[str, bool]:
    return {name: says_yes(ask(hook, name, payload)) for name in HOOKS}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_each_hook_of_flagger_reads_the_verdict_in_its_own_way(hook: Hook, payload: dict[str, Any]) -> None:
    """A check passes, a rollback is not signalled, a promotion is confirmed; and so on for the other verdicts."""
    assert answers_to(hook, payload) == {"rollout": True, "rollback": False, "confirm-promotion": True}
    has_shape("Answer", ask(hook, "rollout", payload).json())
    hook.stub.body = lambda _: (200, matrix())
    assert answers_to(hook, payload) == {"rollout": True, "rollback": False, "confirm-promotion": False}
    hook.stub.body = hook.stub.healthy
    hook.stub.fails = lambda query: "7ddf8" in query
    assert answers_to(hook, payload) == {"rollout": False, "rollback": True, "confirm-promotion": False}


def test_no_error_makes_flagger_roll_back_or_promote(hook: Hook) -> None:
    payload = PAYLOADS["1.40"]
    broken = [
        ask(hook, name, {**payload, **change}, **metadata)
        for name in ("rollback", "confirm-promotion")
        for change, metadata in (({"name": "unknown"}, {}), ({}, {"step": "9"}), ({}, {"canary": "5c577"}))
    ]
    hook.webhook.draining = True
    broken += [ask(hook, name, payload) for name in ("rollback", "confirm-promotion")]
    assert not any(map(says_yes, broken))
    assert ask(hook, "event", payload).status_code == 404


def test_the_step_is_the_one_whose_weight_flagger_has_reached(hook: Hook) -> None:
    def step(weight: int, **metadata: str) -> int:
        found: int = ask(hook, "rollout", {**PAYLOADS["1.40"], "canaryWeight": weight}, **metadata).json()["step"]
        return found

    assert (step(5), step(30), step(100), step(5, step="1")) == (0, 0, 1, 1)


def test_flagger_s_own_labels_and_checksum_name_the_release(hook_of: MakeHook) -> None:
    hook = hook_of(FIXED)
    answer = hook.client.post("/v1/flagger/rollout", json={**PAYLOADS["1.40"], "metadata": {"service": "pay"}}).json()
    assert (answer["canary"], answer["stable"], answer["revision"]) == ("85d557f47b", "primary", "85d557f47b")


@pytest.mark.parametrize("fails", [False, True])
def test_flagger_s_payload_at_the_usual_address_is_a_rollout_hook(hook: Hook, fails: bool) -> None:
    hook.stub.fails = lambda query: fails and "7ddf8" in query
    payload = {**PAYLOADS["1.40"], "metadata": MEANT}
    assert says_yes(hook.client.post("/v1/canary/evaluate", json=payload)) is not fails


def test_a_token_may_come_in_the_url_as_flagger_can_send_no_header(hook_of: MakeHook) -> None:
    hook = hook_of(tokens=Tokens(((token_digest("secret"), AuthorizedCaller("flagger", Role.EVALUATE)),)))
    url, body = "/v1/flagger/rollout", {**PAYLOADS["1.40"], "metadata": MEANT}
    assert hook.client.post(url, json=body, auth=("flagger", "secret")).status_code == 200
    assert hook.client.post(url, json=body, auth=("flagger", "other")).status_code == 401
    for encoded in ("%%%", base64.b64encode(b"secret").decode(), base64.b64encode(b"\xff:\xff").decode()):
        headers = {"Authorization": f"Basic {encoded}"}
        assert hook.client.post(url, json=body, headers=headers).status_code == 401


def test_spinnaker_polls_a_url_for_a_status(hook: Hook) -> None:
    def status() -> str:
        query = {"service": "pay", "canary": "7ddf8", "stable": "5c577", "revision": "3", "step": "0"}
        answer = hook.client.get("/v1/canary/evaluate", params=query)
        has_shape("Answer", answer.json())
        return str(answer.json()["status"])

    assert status() == "SUCCEEDED"
    hook.stub.body = lambda _: (200, matrix())
    assert status() == "RUNNING"
    hook.stub.body = hook.stub.healthy
    hook.stub.fails = lambda query: "7ddf8" in query
    assert status() == "TERMINAL"
    assert hook.client.get("/v1/canary/evaluate", params={"service": "pay"}).status_code == 422
