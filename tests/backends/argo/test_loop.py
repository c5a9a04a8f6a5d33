"""What the templates make Argo do, whatever the webhook answers: by a model of its measurement loop."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloctl.backends.argo.templates import guard
from tests.backends.argo.model import Answer, Ask, Phase, Run, rollout_after, whole
from tests.canary.server.conftest import Hook, MakeHook, hook_of
from tests.canary.stub import matrix

__all__ = ["hook_of"]

ARGUMENTS = {"canary": "7ddf8", "stable": "5c577", "revision": "3", "dry_run": "false"}
HOUR = 3600.0
GATE, GUARD = "tracking-api-canary-step-0", "tracking-api-canary-guard"


def says(verdict: str) -> Answer:
    return 200, json.dumps({"verdict": verdict, "argo": {"verdict": verdict, "reason": "", "look": 1}})


def always(answer: Answer) -> Ask:
    return lambda _, __: answer


@pytest.fixture(params=[True, False], ids=["Argo 1.8", "an Argo without consecutiveSuccessLimit"])
def knows(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def run(templates: Mapping[str, Any], name: str, ask: Ask, *, knows: bool = True) -> Run:
    return Run(templates[name], ARGUMENTS, ask, knows)


def test_promote_goes_on_at_once(templates: dict[str, Any]) -> None:
    assert run(templates, GATE, always(says("promote"))).until(HOUR) == (Phase.SUCCESSFUL, 0.0)


def test_rollback_aborts_at_once(templates: dict[str, Any], knows: bool) -> None:
    for name in (GATE, GUARD):
        phase, when = run(templates, name, always(says("rollback")), knows=knows).until(HOUR)
        assert (rollout_after(phase), when) == ("aborted", 0.0)


def test_never_decided_pauses_after_the_deadline(templates: dict[str, Any], knows: bool) -> None:
    phase, when = run(templates, GATE, always(says("continue")), knows=knows).until(HOUR)
    assert rollout_after(phase) == "paused"
    assert 20 * 60 < when < 23 * 60, "the step's deadline is 20 minutes"


def test_undecided_for_long_and_then_promoted(templates: dict[str, Any]) -> None:
    ask: Ask = lambda _, now: says("promote" if now >= 15 * 60 else "continue")  # noqa: E731
    assert run(templates, GATE, ask).until(HOUR) == (Phase.SUCCESSFUL, 15 * 60)


NO_JSON = {"a page": "<html>log in</html>", "nothing": "", "words": "promote"}


@pytest.mark.parametrize("body", list(NO_JSON.values()), ids=list(NO_JSON))
def test_an_answer_that_is_no_json_promotes_nothing(templates: dict[str, Any], body: str, knows: bool) -> None:
    """Argo up to 1.9.1 takes it for a success; what Prometheus has seen of the verdict does not agree."""
    for seen in (None, 0.0):
        phase, when = whole(templates[GATE], ARGUMENTS, always((200, body)), lambda _: seen, HOUR, knows=knows)  # noqa: B023
        assert rollout_after(phase) == "paused"
        assert when > 20 * 60
    phase, _ = whole(templates[GATE], ARGUMENTS, always((200, body)), lambda now: -1.0 if now > 60 else None, HOUR)
    assert rollout_after(phase) == "aborted"


def test_a_gate_goes_on_when_prometheus_has_seen_the_verdict(templates: dict[str, Any]) -> None:
    def seen(now: float) -> float | None:
        return 1.0 if now >= 60 else None

    assert whole(templates[GATE], ARGUMENTS, always(says("promote")), seen, HOUR) == (Phase.SUCCESSFUL, 60.0)


def test_the_gate_asks_for_what_the_server_shows(hook_of: MakeHook) -> None:
    from sloctl.backends.argo.templates import gate

    hook = hook_of()
    one = hook.webhook.configuration.current.services[0]
    through(hook)(Run(gate(one.platform, one.service, 0), ARGUMENTS, through(hook)).body, 0.0)
    query = gate(one.platform, one.service, 0)["spec"]["metrics"][1]["provider"]["prometheus"]["query"]
    for name, value in ARGUMENTS.items():
        query = query.replace(f"{{{{args.{name}}}}}", value)
    labels = dict(re.findall(r'(\w+)="([^"]*)"', query))
    assert query.startswith("max(sloctl_canary_verdict{")
    assert hook.registry.get_sample_value("sloctl_canary_verdict", labels) == 1


@pytest.mark.parametrize(
    "silence", [None, (503, '{"error": "shutting_down"}'), (429, "{}"), (502, "<html>bad gateway</html>")]
)
def test_two_minutes_without_the_server_neither_promote_nor_abort(
    templates: dict[str, Any], silence: Answer, knows: bool
) -> None:
    def ask(_: Mapping[str, Any], now: float) -> Answer:
        return silence if 60 <= now < 180 else says("continue")

    for name in (GATE, GUARD):
        one = run(templates, name, ask, knows=knows)
        assert one.until(10 * 60)[0] is Phase.RUNNING
        assert one.counts[str(Phase.ERROR)] >= 5


@pytest.mark.parametrize(("answer", "seconds"), [(None, 280), ((502, "<html>bad gateway</html>"), 140)])
def test_five_minutes_of_a_server_that_hangs_abort_and_half_of_that_of_one_that_is_away(
    templates: dict[str, Any], answer: Answer, seconds: float
) -> None:
    phase, when = run(templates, GATE, always(answer)).until(HOUR)
    assert rollout_after(phase) == "aborted"
    assert seconds <= when < seconds + 30


def test_the_guard_never_ends_by_itself(templates: dict[str, Any]) -> None:
    for verdict in ("promote", "continue"):
        assert run(templates, GUARD, always(says(verdict))).until(24 * HOUR)[0] is Phase.RUNNING


@given(st.lists(st.sampled_from(["continue", "rollback", "error", "text"]), max_size=80))
def test_without_promote_nothing_goes_on(answers: list[str]) -> None:
    """Whatever else the webhook says in whatever order, no gate is passed, in any version of Argo."""
    said = {"error": (503, "{}"), "text": (200, '"promote"')}

    def ask(_: Mapping[str, Any], now: float) -> Answer:
        word = answers[min(int(now // 10), len(answers) - 1)] if answers else "continue"
        return said.get(word) or says(word)

    for knows_ in (True, False):
        phase, _ = Run(SMALL, ARGUMENTS, ask, knows_).until(HOUR)
        assert rollout_after(phase) in {"aborted", "paused", "waits"}


SMALL: dict[str, Any] = {
    "spec": {
        "metrics": [
            {
                "interval": "30s",
                "count": 12,
                "successCondition": 'result.verdict == "promote"',
                "failureCondition": 'result.verdict == "rollback"',
                "consecutiveSuccessLimit": 1,
                "failureLimit": 0,
                "inconclusiveLimit": 11,
                "consecutiveErrorLimit": 14,
                "provider": {"web": {"jsonBody": {}, "jsonPath": "{$.argo}"}},
            }
        ]
    }
}


def test_the_small_gate_above_has_the_form_of_the_generated_ones(templates: dict[str, Any]) -> None:
    for name, template in templates.items():
        if name.endswith("guard"):
            continue
        made, small = template["spec"]["metrics"][0], SMALL["spec"]["metrics"][0]
        assert made["inconclusiveLimit"] == made["count"] - 1
        for key in small.keys() - {"count", "inconclusiveLimit", "provider"}:
            assert made[key] == small[key], key


def through(hook: Hook) -> Ask:
    """The real webhook, asked as Argo asks."""

    def ask(body: Mapping[str, Any], _: float) -> Answer:
        response = hook.client.post("/v1/canary/evaluate", json=body)
        return response.status_code, response.text

    return ask


def test_the_real_webhook_understands_what_argo_sends(hook_of: MakeHook) -> None:
    from sloctl.backends.argo.templates import gate

    hook = hook_of()
    one = hook.webhook.configuration.current.services[0]
    template = gate(one.platform, one.service, 0)
    assert Run(template, ARGUMENTS, through(hook)).until(HOUR) == (Phase.SUCCESSFUL, 0.0)
    hook.stub.body = lambda _: (200, matrix())
    undecided = Run(template, {**ARGUMENTS, "revision": "4"}, through(hook))
    assert rollout_after(undecided.until(HOUR)[0]) == "paused"
    assert all(len(json.dumps(kept)) < 400 for kept in undecided.kept), "Argo keeps these in its objects"


def test_the_real_webhook_aborts_by_gate_and_guard(hook_of: MakeHook) -> None:
    from sloctl.backends.argo.templates import gate

    hook = hook_of()
    one = hook.webhook.configuration.current.services[0]
    hook.stub.fails = lambda query: "7ddf8" in query
    for template in (gate(one.platform, one.service, 0), guard(one.platform, one.service)):
        phase, when = Run(template, ARGUMENTS, through(hook)).until(HOUR)
        assert (rollout_after(phase), when) == ("aborted", 0.0)
