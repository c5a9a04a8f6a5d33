"""What Argo is answered."""

from __future__ import annotations

import bz2
import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest

from sloctl.canary.audit.chain import Kind, Subject
from sloctl.canary.recording import replayed, service_from
from sloctl.canary.server import answers
from sloctl.canary.server.auth import AuthorizedCaller, Role, Tokens, token_digest
from sloctl.canary.server.breaker import Breaker
from sloctl.canary.server.queries import PrometheusClock
from sloctl.cli import main
from tests.canary.server.conftest import ASKED, Hook, MakeHook, has_shape
from tests.canary.source.test_look import ODD, SPEC
from tests.canary.stub import NOW, Answer, matrix


def test_a_healthy_canary_is_promoted(hook: Hook) -> None:
    answer = hook.evaluate()
    assert (answer["verdict"], answer["reason"]) == ("promote", "healthy")
    assert answer["argo"] == {
        "verdict": "promote",
        "reason": answer["sentence"],
        "look": answer["look"],
        "decision_id": answer["decision_id"][:12],
        "evidence": answer["evidence"],
    }
    assert answer["window"]["end"].endswith("Z")
    assert re.fullmatch("sha256:[0-9a-f]{64}", answer["config_digest"])


def test_a_bad_canary_is_rolled_back_and_stays_so(hook: Hook) -> None:
    hook.stub.fails = lambda query: "7ddf8" in query
    first = hook.evaluate()
    assert (first["verdict"], first["reason"]) == ("rollback", "harm")
    hook.stub.fails = lambda _: False
    assert hook.evaluate()["decision_id"] == first["decision_id"]
    assert hook.said(canary="aaaaa") != "rollback/harm", "another version is judged by its own samples"


def test_a_new_revision_of_the_same_version_is_judged_anew(hook: Hook) -> None:
    hook.stub.fails = lambda query: "7ddf8" in query
    assert hook.said() == "rollback/harm"
    hook.stub.fails = lambda _: False
    assert hook.said(revision="4") == "continue/no_data", "its samples until now are the earlier one's"


def test_an_earlier_attempt_is_not_this_one_though_its_pods_never_left(hook_of: MakeHook) -> None:
    """The version was judged as another revision, or was the stable one, and there was no silence in between."""
    clock = [NOW]
    hook = hook_of(clock=lambda: clock[0])
    hook.stub.fails = lambda query: '"7ddf8"' in query
    assert hook.said() == "rollback/harm"
    clock[0] = hook.stub.now = NOW + 60
    hook.stub.fails = lambda _: False
    hook.webhook.evaluation.shared.clock = PrometheusClock()
    assert hook.said(revision="4") == "continue/no_data", "it begins now"
    assert hook.said(canary="5c577", stable="7ddf8", revision="5") == "continue/no_data"


@pytest.mark.parametrize("body", [lambda _: (200, matrix()), lambda _: (500, "boom")], ids=["no samples", "no source"])
def test_without_any_sample_the_first_decision_is_the_start(hook_of: MakeHook, body: Callable[[str], Answer]) -> None:
    clock = [NOW]
    hook = hook_of(SPEC.replace("canary:\n", "canary:\n  when_missing: rollback\n"), clock=lambda: clock[0])
    hook.stub.body = body
    assert hook.said().startswith("continue/")
    for later, verdict in ((1190, "continue"), (1200, "rollback")):
        clock[0] = hook.stub.now = NOW + later
        hook.webhook.evaluation.shared.clock = PrometheusClock()
        hook.webhook.evaluation.shared.breaker = Breaker()
        assert hook.evaluate()["verdict"] == verdict


def test_the_same_question_has_one_decision(hook: Hook) -> None:
    ids = {hook.evaluate()["decision_id"] for _ in range(5)}
    assert len(ids) == 1
    assert len(hook.store.decisions(Subject("", "pay"))) == 1


def test_a_changed_decision_is_another_one(hook: Hook) -> None:
    first = hook.evaluate()
    hook.stub.body = lambda _: (500, "boom")
    second = hook.evaluate()
    assert second["reason"] == "source_unavailable"
    assert second["decision_id"] != first["decision_id"]
    assert [decision.reason for decision in hook.store.decisions(Subject("", "pay"))] == [
        "source_unavailable",
        "healthy",
    ]


@pytest.mark.parametrize("name", list(ODD))
def test_an_odd_answer_of_prometheus_has_a_reason(hook: Hook, name: str) -> None:
    hook.stub.body, (_, expected) = ODD[name]
    assert hook.said() == expected
    assert hook.store.decisions(Subject("", "pay"))[0].reason == expected.partition("/")[2], "it is recorded"


def test_a_slow_prometheus_is_not_waited_for(hook_of: MakeHook) -> None:
    hook = hook_of(look_seconds=0.3)
    hook.stub.delay = 0.2
    answer = hook.evaluate()
    assert (answer["reason"], answer["sentence"]) == ("source_unavailable", "source: Prometheus did not answer in time")


def test_nothing_of_the_configuration_is_told(hook: Hook) -> None:
    address = str(hook.webhook.configuration.current.prometheus.url)
    for body, _ in ODD.values():
        hook.stub.body = body
        text = str(hook.evaluate())
        assert address not in text
        assert "127.0.0.1" not in text
        assert "requests_total" not in text


def test_a_decision_can_be_made_again_from_its_counts(hook: Hook) -> None:
    hook.evaluate()
    hook.stub.body = ODD["partial"][0]
    hook.evaluate()
    hook.stub.body = ODD["no data"][0]
    hook.evaluate()
    for decision in hook.store.decisions(Subject("", "pay")):
        configuration = hook.store.find(Kind.CONFIGURATION, decision.config)[0]
        made = replayed(decision.evidence, service_from(configuration.evidence))
        assert made.then == made.now
        assert made.then["reason"] == decision.reason


@pytest.mark.parametrize("kind", ["vector", "matrix"])
def test_a_prometheus_without_a_clock_keeps_no_place(hook: Hook, kind: str) -> None:
    """Sixty-four of them would be all places there are."""
    healthy = hook.stub.scalar
    hook.stub.scalar = lambda: (200, json.dumps({"status": "success", "data": {"resultType": kind, "result": []}}))
    assert hook.said() == "continue/source_unavailable"
    assert hook.webhook.in_flight == 0
    hook.stub.scalar = healthy
    assert hook.said() == "promote/healthy"


def test_a_place_is_free_at_the_deadline(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sloctl.canary.server.app.ANSWER_SECONDS", 0.3)
    go_on = threading.Event()
    monkeypatch.setattr("sloctl.canary.server.evaluation.judge", lambda *_, **__: go_on.wait(10) and next(iter([])))
    response = hook.client.post("/v1/canary/evaluate", json=ASKED)
    assert (response.status_code, response.json()["error"]) == (503, "too_slow")
    assert hook.webhook.in_flight == 0
    go_on.set()
    response = hook.client.post("/v1/canary/evaluate", json={**ASKED, "revision": "4"})
    assert (response.status_code, response.json()["error"]) == (503, "internal")


def test_readiness_is_told_at_the_deadline(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sloctl.canary.server.app.ANSWER_SECONDS", 0.3)
    go_on = threading.Event()
    monkeypatch.setattr(hook.store, "check_writable", lambda: go_on.wait(10))
    assert hook.client.get("/readyz").status_code == 503
    go_on.set()


def test_a_changed_count_gives_another_verdict(hook: Hook) -> None:
    hook.evaluate()
    decision = hook.store.decisions(Subject("", "pay"))[0]
    service = service_from(hook.store.find(Kind.CONFIGURATION, decision.config)[0].evidence)
    recorded = json.loads(bz2.decompress(decision.evidence))
    canary = recorded["counts"]["errors"]["canary"]
    for events in canary["events"]:
        events["low"] = {"values": [0.0] * canary["points"]}
    made = replayed(bz2.compress(json.dumps(recorded).encode()), service)
    assert made.then["verdict"] == "promote"
    assert made.now["verdict"] == "continue"


def test_a_dry_run_is_told_of_a_rollback_when_a_good_version_would_go_on(hook: Hook) -> None:
    """Argo ends a gate with the first rollback, so a bad version would be through sooner than a good one."""
    hook.stub.fails = lambda query: "7ddf8" in query
    now = NOW
    object.__setattr__(hook.webhook.evaluation, "clock", lambda: now)
    for dry in ("true", True):  # Argo sends text
        answer = hook.evaluate(dry_run=dry)
        assert (answer["verdict"], answer["argo"]["verdict"]) == ("rollback", "continue")
    assert hook.evaluate(dry_run="false")["argo"]["verdict"] == "rollback"
    now = NOW + 9 * 60
    assert hook.evaluate(dry_run=True)["argo"]["verdict"] == "rollback"
    assert hook.store.decisions(Subject("", "pay"))[0].verdict == "rollback"


def test_with_fixed_labels_a_release_begins_with_its_own_first_decision(hook_of: MakeHook) -> None:
    """The pods of the release before had the same ones."""
    fixed = "canary:\n  arms: {canary: 'role=\"7ddf8\"', baseline: 'role=\"5c577\"'}"
    hook = hook_of(SPEC.replace("canary:", fixed))
    answer = hook.evaluate()
    assert answer["window"]["start"] >= answers.moment(NOW - 20)
    assert any('role=~"7ddf8|5c577"' in query for query in hook.stub.queries)


def test_the_history_is_a_page_with_pictures(hook: Hook, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hook.evaluate()
    hook.stub.fails = lambda query: "7ddf8" in query
    hook.evaluate(revision="4", started=NOW - 500)
    file, store = tmp_path / "page.html", str(tmp_path / "audit.db")
    assert main(["canary", "history", "pay", "--store", store, "--html", str(file)]) == 0
    page = file.read_text()
    assert page.count("<svg") == 2
    [harmed, healthy] = re.split("<h2", page)[1:]
    assert "<b class=rollback>" in harmed
    assert "harm shown at" in harmed
    assert "Now: mend the version" in harmed
    assert "<b class=promote>" in healthy
    assert "harm shown at" not in healthy
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(svg)
        assert "nan" not in svg.lower().replace("canary", "")
    assert not re.search(r"(src|href)=|<script", page)
    hook.store.prune(int(NOW * 1000) + 1)
    assert main(["canary", "history", "pay", "--store", store, "--html", str(file)]) == 0
    assert file.read_text().count("were pruned") == 2


def test_every_verdict_links_to_a_picture_of_its_evidence(hook: Hook) -> None:
    answer = hook.evaluate()
    assert answer["evidence"] == answer["argo"]["evidence"] == f"/canary/decisions/{answer['decision_id'][:12]}"
    page = hook.client.get(answer["evidence"])
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.text.count("<svg") == 1
    assert "default-src 'none'" in page.headers["content-security-policy"]
    hook.evaluate(revision="4", started=NOW - 500)
    assert hook.client.get("/canary/services/pay").text.count("<svg") == 2
    assert hook.client.get("/canary/decisions/ffff").status_code == 404
    assert hook.client.get("/canary/services/<script>").status_code == 422


def test_with_a_public_address_links_are_whole_also_those_of_the_dashboard(hook_of: MakeHook) -> None:
    hook = hook_of(SPEC, public_url="https://canary.example")
    answer = hook.evaluate()
    assert answer["argo"]["evidence"].startswith("https://canary.example/canary/decisions/")
    labels = {"platform": answer["platform"], "service": "pay", "verdict": "promote", "reason": "healthy"}
    page = f"https://canary.example/canary/services/{answer['platform']}/pay"
    assert hook.metric("sloctl_canary_verdicts_total", **labels, page=page) == 1
    path = page.removeprefix("https://canary.example")
    assert hook.client.get(path).text.count("<svg") == 1


def test_a_browser_is_asked_for_the_token_before_it_sees_a_picture(hook_of: MakeHook) -> None:
    hook = hook_of(tokens=Tokens(((token_digest("secret"), AuthorizedCaller("ada", Role.EVALUATE)),)))
    refused = hook.client.get("/canary/services/pay")
    assert (refused.status_code, "Basic realm=" in refused.headers["www-authenticate"]) == (401, True)
    assert hook.client.get("/canary/services/pay", auth=("", "secret")).status_code == 200


def test_warnings_reach_argo_s_own_message(hook: Hook) -> None:
    hook.stub.fails = lambda query: "7ddf8" in query
    assert "one pod" in hook.evaluate()["argo"]["reason"]


APPROVED = SPEC.replace("canary:", "canary:\n  approval: {first_deployments: 1}")


def test_a_person_approves_the_first_deployments(hook_of: MakeHook) -> None:
    hook = hook_of(APPROVED)
    assert hook.said() == "continue/approval_pending"
    wrong = hook.client.post("/v1/canary/approvals", json={"service": "pay", "revision": "4", "by": "Ada"})
    assert (wrong.status_code, wrong.json()["error"]) == (404, "unknown")
    done = hook.client.post("/v1/canary/approvals", json={"service": "pay", "revision": "3", "by": "Ada"})
    assert done.status_code == 201
    has_shape("Recorded", done.json())
    assert hook.said() == "promote/healthy"
    assert hook.said(canary="8eeee", stable="7ddf8", revision="4") != "continue/approval_pending", "one was promoted"


def test_an_approval_is_no_evidence(hook_of: MakeHook) -> None:
    hook = hook_of(APPROVED)
    hook.evaluate()
    hook.client.post("/v1/canary/approvals", json={"service": "pay", "revision": "3", "by": "Ada"})
    hook.stub.body = ODD["no data"][0]
    assert hook.said() == "continue/no_data"


def test_decisions_can_be_read(hook: Hook) -> None:
    answer = hook.evaluate()
    hook.stub.body = ODD["500"][0]
    hook.evaluate()
    found = hook.client.get("/v1/canary/decisions", params={"service": "pay", "limit": 1}).json()
    has_shape("Decisions", found)
    assert [decision["reason"] for decision in found["decisions"]] == ["source_unavailable"]
    older = hook.client.get("/v1/canary/decisions", params={"service": "pay", "before": found["before"]}).json()
    assert [decision["id"] for decision in older["decisions"]] == [answer["decision_id"]]
    one = hook.client.get(f"/v1/canary/decisions/{answer['decision_id']}").json()
    assert one["details"]["sentence"] == answer["sentence"]
    assert hook.client.get("/v1/canary/decisions", params={"limit": "many"}).status_code == 422
    assert hook.client.get("/v1/canary/decisions/ffff").status_code == 404


GROUP = """\
apiVersion: sloctl/v1
kind: Service
service: {name}
scrape_interval: 10s
slos:
  - name: availability
    objective: 99.9%
    sli: {{ratio: {{total: 'requests_total{{job="{name}"}}', bad_if: 'code=~"5.."'}}}}
    alerts: none
canary:
  group: money
  steps: [{{weight: 5%, hold: 9m, deadline: 20m}}, {{weight: 50%, hold: 9m}}, {{weight: 100%}}]
  checks: [{{name: errors, slo: availability, error_rate: 0.5%, worse_by: 0%}}]
"""


def test_a_group_rolls_back_together(hook_of: MakeHook) -> None:
    hook = hook_of("---\n".join(GROUP.format(name=name) for name in ("pay", "book")))
    healthy = hook.stub.body
    assert hook.said() == "promote/healthy", "nothing else is being released"
    hook.stub.body = lambda query: healthy(query.replace("b00c1", "7ddf8"))
    hook.stub.fails = lambda query: "7ddf8" in query
    assert hook.said(service="book", canary="b00c1") == "rollback/harm"
    hook.stub.body, hook.stub.fails = healthy, lambda _: False
    answer = hook.evaluate()
    assert (answer["verdict"], answer["reason"]) == ("rollback", "group")
    assert "book" in answer["sentence"]


def test_a_group_goes_on_together(hook_of: MakeHook) -> None:
    hook = hook_of("---\n".join(GROUP.format(name=name) for name in ("pay", "book")))
    healthy = hook.stub.body
    hook.stub.body = ODD["no data"][0]
    assert hook.said(service="book", canary="b00c1") == "continue/no_data"
    hook.stub.body = healthy
    assert hook.said() == "continue/group"
    assert hook.said(service="book") == "promote/healthy", "pay was ready, and only waits"
    assert hook.said() == "promote/healthy"
    assert hook.said(service="book", step=1) == "continue/holding"
    assert hook.said() == "promote/healthy", "book is further already"


def test_a_later_step_begins_when_it_is_first_asked_about(hook_of: MakeHook) -> None:
    hook = hook_of(GROUP.format(name="pay"))
    assert hook.said() == "promote/healthy"
    answer = hook.evaluate(step=1)
    assert (answer["reason"], answer["step"]) == ("holding", 1), "its hold has only begun"
    assert hook.evaluate(step=None)["step"] == 1, "the background guard asks about the step that goes on"


def test_metrics_tell_what_was_said(hook: Hook) -> None:
    hook.evaluate()
    hook.stub.body = lambda _: (500, "boom")
    hook.evaluate()
    labels = {"platform": "default", "service": "pay", "page": ""}
    assert hook.metric("sloctl_canary_verdicts_total", **labels, verdict="promote", reason="healthy") == 1
    assert hook.metric("sloctl_canary_verdicts_total", **labels, verdict="continue", reason="source_unavailable") == 1
    assert hook.metric("sloctl_canary_query_duration_seconds_count", outcome="broken") == 1
    assert hook.metric("sloctl_canary_query_duration_seconds_count", outcome="ok") > 3
    assert hook.metric("sloctl_canary_audit_lag_seconds_count") == 2
    assert hook.metric("sloctl_canary_analyses_in_flight") == 0
    assert hook.metric("sloctl_canary_audit_writable") == 1


def test_prometheus_is_left_alone_after_failures(hook: Hook) -> None:
    hook.stub.body = lambda _: (500, "boom")
    for _ in range(5):
        assert hook.metric("sloctl_canary_breaker_open") == 0
        assert hook.said() == "continue/source_unavailable"
    assert hook.metric("sloctl_canary_breaker_open") == 1
    asked = len(hook.stub.queries)
    assert hook.said() == "continue/source_unavailable"
    assert len(hook.stub.queries) == asked


def test_identical_questions_are_asked_once(hook: Hook) -> None:
    """Of one release by one look, of others by one query where they ask the same."""
    hook.evaluate()
    alone = len(hook.stub.queries)
    hook.stub.queries.clear()
    hook.stub.delay = 0.05
    asked = [{"revision": str(number % 2)} for number in range(8)]
    threads = [threading.Thread(target=hook.evaluate, kwargs=more) for more in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hook.seen) == 9
    assert len({answer["decision_id"] for answer in hook.seen[1:]}) == 2
    assert len(hook.stub.queries) <= 2 * alone


TOKENS = Tokens(
    (
        (hashlib.sha256(b"old-secret").hexdigest(), AuthorizedCaller("argo", Role.EVALUATE)),
        (hashlib.sha256(b"new-secret").hexdigest(), AuthorizedCaller("argo", Role.EVALUATE)),
        (hashlib.sha256(b"release").hexdigest(), AuthorizedCaller("releases", Role.APPROVE)),
    )
)


def test_both_tokens_of_a_caller_are_valid(hook_of: MakeHook) -> None:
    hook = hook_of(tokens=TOKENS)
    for secret in ("old-secret", "new-secret", "release"):
        hook.client.headers["Authorization"] = f"Bearer {secret}"
        assert hook.said() == "promote/healthy"
    assert {decision.caller for decision in hook.store.decisions(Subject("", "pay"))} == {"argo"}


def test_nobody_else_is_answered(hook_of: MakeHook) -> None:
    hook = hook_of(tokens=TOKENS)
    for header in (None, "", "Bearer", "Bearer wrong", "Basic old-secret", "Bearer " + "x" * 5000):
        headers = {} if header is None else {"Authorization": header}
        for method, path in (
            ("POST", "/v1/canary/evaluate"),
            ("POST", "/v1/canary/approvals"),
            ("GET", "/v1/canary/decisions"),
            ("GET", "/v1/canary/decisions/ff"),
        ):
            response = hook.client.request(method, path, headers=headers, content=b"{")
            assert response.status_code == 401, header
            assert response.headers["www-authenticate"] == "Bearer"
    assert hook.stub.queries == []


def test_argo_may_not_approve_its_own_rollouts(hook_of: MakeHook) -> None:
    hook = hook_of(APPROVED, tokens=TOKENS)
    hook.client.headers["Authorization"] = "Bearer old-secret"
    hook.evaluate()
    response = hook.client.post("/v1/canary/approvals", json={"service": "pay", "revision": "3", "by": "Argo"})
    assert (response.status_code, response.json()["error"]) == (403, "forbidden")
    assert hook.said() == "continue/approval_pending"


MALFORMED: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "no JSON": (b"service=pay", 400),
    "half of it": (b'{"service": "pay', 400),
    "not UTF-8": (b'{"service": "\xff"}', 400),
    "NaN": (b'{"service": NaN}', 400),
    "twice": (b'{"service": "pay", "service": "book"}', 400),
    "deep": (b"[" * 60_000, 400),
    "a huge number": (b'{"started": ' + b"9" * 6000 + b"}", 400),
    "a list": (b"[]", 422),
    "null": (b"null", 422),
    "missing": (b'{"service": "pay"}', 422),
    "unknown key": (b'{"service":"pay","canary":"a","stable":"b","prometheus":"http://evil"}', 422),
    "quotes": (b'{"service":"pay","canary":"a\\"}","stable":"b"}', 422),
    "a newline": (b'{"service":"pay","canary":"a\\n","stable":"b"}', 422),
    "long hash": (b'{"service":"pay","canary":"' + b"a" * 64 + b'","stable":"b"}', 422),
    "infinite start": (b'{"service":"pay","canary":"a","stable":"b","started":1e999}', 422),
    "huge start": (b'{"service":"pay","canary":"a","stable":"b","started":1e300}', 400),
    "a start of long ago": (b'{"service":"pay","canary":"a","stable":"b","started":"2020-01-01T00:00:00Z"}', 400),
    "a start to come": (b'{"service":"pay","canary":"a","stable":"b","started":"1900000000"}', 400),
    "negative step": (b'{"service":"pay","canary":"a","stable":"b","step":-1}', 422),
    "step of text": (b'{"service":"pay","canary":"a","stable":"b","step":"one"}', 422),
    "step beyond the last": (b'{"service":"pay","canary":"a","stable":"b","step":7}', 400),
    "the same versions": (b'{"service":"pay","canary":"a","stable":"a"}', 400),
    "a path": (b'{"service":"../pay","canary":"a","stable":"b"}', 422),
}


def test_what_is_no_request_gets_no_verdict(hook: Hook) -> None:
    for name, (content, status) in MALFORMED.items():
        assert hook.refused(content) == (status, "malformed"), name
    assert hook.stub.queries == []
    assert hook.store.decisions(Subject("", "pay")) == []


def test_slow_and_broken_callers_are_sent_away(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sloctl.canary.server.protocol.HEADER_SECONDS", 0.5)
    monkeypatch.setattr("sloctl.canary.server.app.BODY_SECONDS", 0.5)
    address = ("127.0.0.1", hook.client.base_url.port)
    sent = {
        b"NONSENSE\r\n\r\n": b"400",
        b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 9000: b"400",
        b"POST /v1/canary/evaluate HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nab": b"408",
        b"POST /v1/canary/eval": b"408",
    }
    sockets = {data: socket.create_connection(address) for data in sent}
    for data, peer in sockets.items():
        peer.settimeout(5)
        peer.sendall(data)
    for data, peer in sockets.items():
        head, _, body = everything(peer).partition(b"\r\n\r\n")
        assert sent[data] in head.split(b"\r\n")[0], head
        assert set(json.loads(body)) == {"error", "message"}
    assert hook.said() == "promote/healthy"


def everything(one: socket.socket) -> bytes:
    pieces = []
    with one:
        while piece := one.recv(65536):
            pieces.append(piece)
            if pieces[0].startswith(b"HTTP/1.1 408") and b"}" in piece:
                break
    return b"".join(pieces)


def test_too_large_a_body_is_refused(hook: Hook) -> None:
    assert hook.refused(b" " * 70_000) == (413, "too_large")


def test_an_unknown_service_is_refused_without_naming_others(hook: Hook) -> None:
    response = hook.client.post("/v1/canary/evaluate", json={**ASKED, "service": "pai"})
    assert response.status_code == 404
    assert "pay" not in response.text


def test_other_paths_and_methods_are_refused_in_json(hook: Hook) -> None:
    assert hook.client.put("/v1/canary/evaluate").json()["error"] == "wrong_method"
    assert hook.client.get("/admin").json()["error"] == "unknown_path"


def test_more_than_64_at_once_are_sent_away(hook: Hook) -> None:
    hook.webhook.in_flight = 64
    response = hook.client.post("/v1/canary/evaluate", json=ASKED)
    assert (response.status_code, response.json()["error"]) == (429, "overloaded")
    assert int(response.headers["retry-after"]) > 0
    hook.webhook.in_flight = 0
    assert hook.said() == "promote/healthy"


def test_a_server_that_goes_away_gives_no_verdicts(hook: Hook) -> None:
    hook.webhook.draining = True
    response = hook.client.post("/v1/canary/evaluate", json=ASKED)
    assert (response.status_code, response.json()["error"]) == (503, "shutting_down")
    assert hook.client.get("/readyz").status_code == 503
    assert hook.client.get("/healthz").status_code == 200


def test_without_the_store_there_is_no_verdict(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    hook.evaluate()
    database = hook.store._database

    def full(*_: object, **__: object) -> httpx.Response:
        from sloctl.canary.audit.database import StoreError

        raise StoreError("the audit store /data/audit.db failed: database or disk is full")

    monkeypatch.setattr(database, "writing", full)
    hook.stub.body = ODD["500"][0]
    response = hook.client.post("/v1/canary/evaluate", json=ASKED)
    assert (response.status_code, response.json()["error"]) == (503, "audit_unavailable")
    assert "/data" not in response.text
    assert hook.client.get("/readyz").status_code == 503
    assert hook.metric("sloctl_canary_audit_writable") == 0
    monkeypatch.undo()


def test_a_bug_of_ours_is_no_verdict(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sloctl.canary.server.evaluation.judge", lambda *_, **__: 1 / 0)
    response = hook.client.post("/v1/canary/evaluate", json=ASKED)
    assert (response.status_code, response.json()["error"]) == (503, "internal")
    assert "Zero" not in response.text


def test_a_bad_configuration_leaves_the_last_good_one(hook: Hook) -> None:
    from sloctl.errors import SloctlError

    def broken() -> object:
        raise SloctlError("specs.yaml:3:1: nonsense")

    good = hook.webhook.configuration._load
    hook.webhook.configuration._load = broken  # type: ignore[assignment]
    assert not hook.webhook.configuration.reload()
    assert hook.metric("sloctl_canary_configuration_reload_successful") == 0
    assert hook.said() == "promote/healthy"
    hook.webhook.configuration._load = good
    digest = hook.evaluate()["config_digest"]
    hook.specs.write_text(SPEC.replace("0.5%", "0.4%"), encoding="utf-8")
    assert hook.webhook.configuration.reload()
    assert hook.evaluate()["config_digest"] != digest


def test_what_no_verdict_depends_on_does_not_change_the_digest(hook: Hook) -> None:
    digest = hook.evaluate()["config_digest"]
    hook.specs.write_text(SPEC.replace("    alerts", "    # a comment\n    description: words\n    alerts"), "utf-8")
    assert hook.webhook.configuration.reload()
    assert hook.evaluate()["config_digest"] == digest


def test_the_description_is_valid_openapi(hook: Hook) -> None:
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(hook.client.get("/openapi.json").json())


def test_labels_of_metrics_come_from_the_configuration(hook: Hook) -> None:
    for number in range(5):
        hook.client.post("/v1/canary/evaluate", json={**ASKED, "service": f"unknown-{number}"})
    text = "".join(str(metric.samples) for metric in hook.registry.collect())
    assert "unknown-" not in text


def test_an_answer_is_small_where_argo_keeps_it(hook: Hook) -> None:
    hook.stub.body = lambda _: (200, matrix(*[({"job": f"j{i}"}, [[NOW - 20, "nan"]]) for i in range(500)]))
    assert len(str(hook.evaluate()["argo"])) < 400


def test_secrets_are_kept_as_digests(tmp_path: Path) -> None:
    from sloctl.canary.server.auth import new_token, read_tokens, token_digest
    from sloctl.errors import SloctlError

    secret = new_token()
    file = tmp_path / "tokens"
    line = f"argo evaluate sha256:{token_digest(secret)}\n"
    file.write_text(f"# Argo's\n{line}{line}", encoding="utf-8")
    assert read_tokens(file).caller(f"Bearer {secret}") == AuthorizedCaller("argo", Role.EVALUATE)
    file.write_text(line * 3, encoding="utf-8")
    with pytest.raises(SloctlError, match="at most two"):
        read_tokens(file)
    for text in ("", "argo evaluate secret\n", "argo admin sha256:" + "0" * 64):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(SloctlError, match="tokens"):
            read_tokens(file)
