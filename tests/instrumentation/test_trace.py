"""`sloctl trace`: the hops of a request in causal order, and the one that failed first."""

import json
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from sloctl.cli import cli, main
from sloctl.cli.trace import _report
from sloctl.instrumentation.telemetry import Telemetry
from sloctl.instrumentation.trace import journey

ID = "request-0001"


def span(
    number: int,
    service: str,
    kind: str,
    at: float,
    parent: int | None = None,
    *,
    links: tuple[int, ...] = (),
    failed: bool = False,
    request_id: str | None = ID,
    trace: int = 1,
    **attributes: Any,
) -> str:
    """A line of OpenTelemetry's SDK: a span of 0.1 s that starts at so many seconds."""

    def key(of: int, of_trace: int = trace) -> dict[str, str]:
        return {"trace_id": f"0x{of_trace:032x}", "span_id": f"0x{of:016x}"}

    return json.dumps(
        {
            "name": f"{service} {kind}",
            "context": key(number),
            "kind": f"SpanKind.{kind}",
            "parent_id": None if parent is None else f"0x{parent:016x}",
            "start_time": f"2026-01-01T00:00:{at:09.6f}Z",
            "end_time": f"2026-01-01T00:00:{at + 0.1:09.6f}Z",
            "status": {"status_code": "ERROR", "description": f"{service} broke"} if failed else {},
            "attributes": {**({"request.id": request_id} if request_id else {}), **attributes},
            "links": [{"context": key(of, trace + 1 - 1)} for of in links],
            "resource": {"attributes": {"service.name": service}},
        }
    )


def log(service: str, severity: str, message: str, at: float, number: int | None = None, **more: Any) -> str:
    where = {} if number is None else {"trace_id": f"{1:032x}", "span_id": f"{number:016x}"}
    time = f"2026-01-01T00:00:{at:09.6f}+00:00"
    fields = {"timestamp": time, "severity": severity, "message": message, "service.name": service, "request.id": ID}
    return json.dumps({**fields, **where, **more})


def read(*lines: str) -> Telemetry:
    telemetry = Telemetry()
    telemetry.read(lines)
    return telemetry


def services(*lines: str) -> list[str]:
    return [hop.service for hop in journey(ID, read(*lines)).hops]


def culprit(*lines: str) -> str | None:
    found = journey(ID, read(*lines)).culprit
    return None if found is None else found.service


def test_hops_follow_parents_and_links_not_clocks() -> None:
    assert services(
        span(3, "worker", "CONSUMER", 1.0, links=(2,), trace=1),
        span(2, "orders", "SERVER", 2.0, parent=1),
        span(1, "edge", "SERVER", 3.0),
    ) == ["edge", "orders", "worker"]


def test_spans_inside_of_a_service_are_one_hop() -> None:
    found = journey(
        ID,
        read(
            span(1, "edge", "SERVER", 0),
            span(2, "edge", "INTERNAL", 0, parent=1),
            span(3, "edge", "CLIENT", 0, parent=2),
            span(4, "orders", "SERVER", 0.01, parent=3),
        ),
    )
    assert [hop.service for hop in found.hops] == ["edge", "orders"]
    assert found.hops[1].cause is found.hops[0]


def test_a_span_of_a_foreign_library_without_the_id_is_joined_by_its_parent_only() -> None:
    assert services(
        span(1, "edge", "SERVER", 0),
        span(2, "legacy", "SERVER", 0.01, parent=1, request_id=None),
        span(3, "stranger", "SERVER", 0.02, parent=1, request_id="another-request"),
        span(4, "elsewhere", "SERVER", 0.03, request_id=None, trace=9),
    ) == ["edge", "legacy"]


def test_the_hop_that_set_the_bad_value_comes_before_the_one_that_stumbled() -> None:
    assert (
        culprit(
            span(1, "edge", "SERVER", 0),
            span(2, "orders", "SERVER", 0.01, parent=1),
            log("orders", "ERROR", "weight is missing", 0.02, 2),
            span(3, "gateway", "CONSUMER", 5, parent=2, failed=True),
        )
        == "orders"
    )


def test_a_caller_that_only_passes_a_failure_on_is_not_the_culprit() -> None:
    lines = (
        span(1, "edge", "SERVER", 0, failed=True),
        span(2, "edge", "CLIENT", 0.01, parent=1, failed=True),
        span(3, "orders", "SERVER", 0.02, parent=2, failed=True),
    )
    assert culprit(*lines) == "orders"
    assert culprit(*lines, log("edge", "ERROR", "bad configuration", 0.001, 1)) == "edge"
    assert culprit(*lines, log("edge", "ERROR", "orders does not answer", 0.09, 1)) == "orders"


def test_warnings_are_no_failures() -> None:
    assert culprit(span(1, "edge", "SERVER", 0), log("edge", "WARNING", "slow", 0.01, 1)) is None


def test_without_recorded_spans_the_lines_make_the_hops() -> None:
    lines = (log("orders", "ERROR", "boom", 2), log("edge", "INFO", "in", 1), log("worker", "ERROR", "bang", 3))
    assert services(*lines) == ["edge", "orders", "worker"]
    assert culprit(*lines) == "orders"


def entry(
    service: str,
    at: float,
    number: int,
    parent: int | None = None,
    *,
    took: float = 0.1,
    error: str | None = None,
    kind: str = "http.server.request",
    **more: Any,
) -> str:
    """The entry line of a request that was not recorded, written when it is over."""
    severity = "ERROR" if error else "INFO"
    fields: dict[str, Any] = {
        "event.name": kind,
        "transport": "http",
        "span.name": f"POST /{service}",
        "duration": took,
    }
    failure = {"error.type": error, "exception.type": error, "exception.message": "no weight"} if error else {}
    origin = {} if parent is None else {"parent_span_id": f"{parent:016x}"}
    told = {**fields, "duration": took, **origin, **failure, **more}
    return log(service, severity, f"POST /{service}", at + took, number, **told)


@pytest.mark.parametrize("skew", [-5, 0, 5])
def test_without_recorded_spans_entry_lines_say_who_called_whom(skew: float) -> None:
    """The caller reports what its callee did, and the clocks of the two differ."""
    lines = (
        entry("edge", 10.0, 1, took=0.3, error="HTTPStatusError", **{"http.response.status_code": 500}),
        log("edge", "ERROR", "orders answered 500", 10.29, 1),
        entry("orders", 10.1 + skew, 2, 1, error="KeyError", **{"http.response.status_code": 500}),
    )
    found = journey(ID, read(*lines))
    assert [(hop.service, hop.status) for hop in found.hops] == [("edge", "500"), ("orders", "500")]
    assert found.hops[1].cause is found.hops[0]
    assert abs(found.hops[1].end - found.hops[1].start - 0.1) < 1e-6
    assert found.culprit is found.hops[1]
    assert [evidence.text for evidence in found.culprit.evidence] == ["KeyError: no weight"]


def test_a_failure_before_the_call_is_the_callers_own() -> None:
    lines = (
        entry("edge", 10.0, 1, took=0.3, error="HTTPStatusError"),
        log("edge", "ERROR", "bad configuration", 10.0001, 1),
        entry("orders", 10.1, 2, 1, error="KeyError"),
    )
    assert culprit(*lines) == "edge"


def test_entry_lines_of_messages() -> None:
    link = {"trace_id": f"{1:032x}", "span_id": f"{1:016x}"}
    consumed = entry("worker", 3.0, 2, error="KeyError", kind="messaging.process", transport="sqs", links=[link])
    found = journey(ID, read(entry("edge", 1.0, 1), consumed))
    assert [(hop.service, hop.transport, hop.status) for hop in found.hops] == [
        ("edge", "http", "ok"),
        ("worker", "sqs", "error"),
    ]
    assert found.hops[1].cause is found.hops[0]


def test_a_recorded_span_knows_more_than_its_entry_line() -> None:
    lines = (
        entry("edge", 0, 1),
        span(1, "edge", "SERVER", 0),
        span(2, "edge", "CLIENT", 0.01, parent=1),
        entry("orders", 0.02, 3, 2),
    )
    assert services(*lines) == ["edge", "orders"]


def test_the_caller_that_is_missing_is_said(tmp_path: Path) -> None:
    """Log lines of a recorded request: the span of the call is not among them."""
    (tmp_path / "log").write_text(
        "\n".join([entry("edge", 0, 1, took=0.5), entry("orders", 0.1, 3, 2), entry("worker", 2.0, 5, 4)])
    )
    result = CliRunner().invoke(cli, ["trace", ID, str(tmp_path / "log")])
    assert result.stdout.splitlines()[1:] == [
        "#  from  service  transport  status  duration  what",
        "1        edge     http       ok      500.0 ms  POST /edge",
        "2  1     orders   http       ok      100.0 ms  POST /orders",
        "3        worker   http       ok      100.0 ms  POST /worker",
        "missing: what called hop 2 (orders), span 0000000000000002; by its time it is below hop 1",
        "missing: what called hop 3 (worker), span 0000000000000004",
        "nothing failed",
    ]


def test_an_expected_404_is_no_failure() -> None:
    """The conventions make it an error of the call; whether it was expected only the caller knows."""
    not_found = {"http.response.status_code": 404}
    lines = (
        span(1, "edge", "SERVER", 0),
        span(2, "edge", "CLIENT", 0.01, parent=1, failed=True, **not_found),
        span(3, "stock", "SERVER", 0.02, parent=2, **not_found),
    )
    assert culprit(*lines) is None
    assert culprit(*lines, span(4, "worker", "CONSUMER", 1, parent=1, failed=True)) == "worker"
    unexpected = span(1, "edge", "SERVER", 0, failed=True)
    assert culprit(unexpected, *lines[1:]) == "edge"


def test_siblings_are_ordered_by_the_senders_clock() -> None:
    """The clock of the second one is ten seconds behind."""
    lines = (
        span(1, "edge", "SERVER", 20),
        span(2, "edge", "CLIENT", 20.01, parent=1),
        span(3, "first", "SERVER", 20.02, parent=2, failed=True),
        span(4, "edge", "PRODUCER", 20.05, parent=1),
        span(5, "second", "CONSUMER", 10.06, parent=4, failed=True),
    )
    assert services(*lines) == ["edge", "first", "second"]
    assert culprit(*lines) == "first"


def test_the_evidence_names_the_call() -> None:
    attributes = {"url.full": "http://orders/7", "http.response.status_code": 503}
    lines = (span(1, "edge", "SERVER", 0), span(2, "edge", "CLIENT", 0.01, parent=1, failed=True, **attributes))
    found = journey(ID, read(*lines)).culprit
    assert found is not None
    assert [evidence.text for evidence in found.evidence] == ["edge CLIENT http://orders/7 answered 503"]
    sent = span(2, "edge", "PRODUCER", 0.01, parent=1, failed=True, **{"messaging.destination.name": "orders"})
    found = journey(ID, read(lines[0], sent)).culprit
    assert found is not None
    assert [evidence.text for evidence in found.evidence] == ["edge PRODUCER orders failed: edge broke"]


def test_a_function_that_is_invoked_is_no_http() -> None:
    found = journey(ID, read(span(1, "billing", "SERVER", 0, **{"faas.trigger": "other"})))
    assert found.hops[0].transport == "lambda"


def test_twenty_thousand_hops_take_seconds_not_minutes() -> None:
    """Each step is linear but for sorting; 8 000 hops once took 6 s to print."""
    lines = [span(1, "job", "SERVER", 0)]
    lines += [span(number, f"s{number % 7}", "CONSUMER", 0.01, parent=1) for number in range(2, 20_002)]
    lines += [entry("late", 0.02, number, 10**9 + number) for number in range(30_000, 32_000)]
    telemetry = read(*lines)
    started = process_time()
    assert len(list(_report(journey(ID, telemetry)))) == 22_001 + 2 + 2_000 + 1
    assert process_time() - started < 4


def test_causes_that_run_in_a_circle_are_put_somewhere() -> None:
    assert sorted(services(span(1, "a", "SERVER", 0, parent=2), span(2, "b", "SERVER", 0, parent=1))) == ["a", "b"]


def test_an_id_that_a_client_sent_leads_to_ours() -> None:
    telemetry = read(span(1, "edge", "SERVER", 0, **{"client.request_id": "ticket-4711"}))
    assert journey("ticket-4711", telemetry).request_ids == (ID,)


def test_spans_of_the_collectors_file_exporter_are_read() -> None:
    def attribute(key: str, value: str) -> dict[str, Any]:
        return {"key": key, "value": {"stringValue": value}}

    one = {
        "traceId": "1" * 32,
        "spanId": "2" * 16,
        "parentSpanId": "",
        "name": "GET /",
        "kind": 2,
        "startTimeUnixNano": "1000000000",
        "endTimeUnixNano": "1500000000",
        "attributes": [attribute("request.id", ID), {"key": "http.response.status_code", "value": {"intValue": "503"}}],
        "status": {"code": 2, "message": "down"},
    }
    resource = {"attributes": [attribute("service.name", "edge")]}
    line = json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [one]}]}]})
    found = journey(ID, read(line))
    assert [(hop.service, hop.transport, hop.status, hop.failed) for hop in found.hops] == [
        ("edge", "http", "503", True)
    ]


def test_the_command_prints_the_chain_and_exits_1_when_something_failed(tmp_path: Path) -> None:
    (tmp_path / "a.log.jsonl").write_text(
        log("orders", "ERROR", "weight\n is \x1b[31mmissing", 0.02, 2) + f"\n{{no json {ID}\n"
    )
    (tmp_path / "b.log.jsonl").write_text(log("edge", "INFO", "in", 0.01, 1))
    (tmp_path / "spans.jsonl").write_text(
        "\n".join(
            [
                span(1, "edge", "SERVER", 0, **{"http.response.status_code": 200}),
                span(2, "orders", "CONSUMER", 0.01, parent=1, **{"messaging.system": "aws_sqs"}),
            ]
        )
    )
    logs = [str(tmp_path / "a.log.jsonl"), str(tmp_path / "b.log.jsonl")]
    result = CliRunner().invoke(cli, ["trace", ID, "--logs", *logs, "--spans", str(tmp_path / "spans.jsonl")])
    assert result.exit_code == 1
    assert result.stdout == (
        "request-0001: 2 hops, 2 services, 2 transports, 2 log lines, 110.0 ms\n"
        "#  from  service  transport  status       duration  what\n"
        "1        edge     http       200          100.0 ms  edge SERVER\n"
        "2  1     orders   sqs        ok (failed)  100.0 ms  orders CONSUMER\n"
        "earliest failing hop: orders (orders CONSUMER)\n"
        "  ERROR weight\\x0a is \\x1b[31mmissing\n"
    )
    assert result.stderr == "left out: 1 unreadable line\n"


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = tmp_path / "spans.jsonl"
    good.write_text(span(1, "edge", "SERVER", 0))
    assert main(["trace", ID, "--spans", str(tmp_path / "*.jsonl")]) == 0
    assert "nothing failed" in capsys.readouterr().out
    assert main(["trace", "unknown-id", str(good)]) == 4
    assert "no log line and no span has the ID unknown-id" in capsys.readouterr().out
    assert main(["trace", ID]) == 2
    assert main(["trace", ID, "--logs", str(tmp_path / "missing.jsonl")]) == 3
    assert "cannot read" in capsys.readouterr().err


@pytest.mark.property
@given(
    st.lists(
        st.text()
        | st.binary().map(lambda raw: raw.decode("latin-1"))
        | st.recursive(
            st.none() | st.text() | st.integers(),
            lambda inner: st.dictionaries(
                st.sampled_from(["context", "start_time", "resourceSpans", "timestamp", "severity", "message"]), inner
            ),
        ).map(json.dumps)
    )
)
def test_any_file_is_read_without_an_exception(lines: list[str]) -> None:
    telemetry = read(*lines)
    journey(ID, telemetry)


@pytest.mark.property
@given(st.permutations(range(6)))
def test_the_order_of_the_lines_changes_nothing(order: list[int]) -> None:
    lines = [
        span(number, f"s{number}", "SERVER", 0, parent=number - 1 or None, failed=number == 4) for number in range(1, 7)
    ]
    assert services(*(lines[index] for index in order)) == [f"s{number}" for number in range(1, 7)]
    assert culprit(*(lines[index] for index in order)) == "s4"
