"""Each form in which logs and spans come out of what people run gives the same journey."""

import base64
import gzip
import io
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloctl.instrumentation.formats import records
from sloctl.instrumentation.search import follow
from sloctl.instrumentation.telemetry import LogRecord, seconds
from sloctl.instrumentation.trace import Journey, journey

ID = "0af7651916cd43dd8448eb211c80319c"
EDGE, CALL, ORDERS = "00000000000000e1", "00000000000000c1", "b7ad6b7169203331"
NANO = 1767225600_000_000_000  # 2026-01-01T00:00:00Z
ISO = "2026-01-01T00:00:00.500Z"
LINE = {"timestamp": ISO, "severity": "ERROR", "message": "boom", "service.name": "orders", "request.id": ID,
        "trace_id": ID, "span_id": ORDERS}  # fmt: skip
TEXT = json.dumps(LINE)


def compact(value: Any) -> str:
    return json.dumps(value)


def indented(value: Any) -> str:
    return json.dumps(value, indent=4)


def found_in(*files: str | bytes) -> Journey:
    opened = [io.BytesIO(file.encode() if isinstance(file, str) else file) for file in files]
    telemetry = follow(ID, opened)
    assert telemetry.unreadable == 0
    return journey(ID, telemetry)


LOGS: dict[str, str | bytes] = {
    "own": TEXT,
    "byte order mark and CRLF": b"\xef\xbb\xbf" + TEXT.encode() + b"\r\n",
    "UTF-16": (TEXT + "\n").encode("utf-16"),
    "UTF-16 big endian": b"\xfe\xff" + (TEXT + "\n").encode("utf-16-be"),
    "gzip": gzip.compress(TEXT.encode()),
    "gzip of UTF-16": gzip.compress(TEXT.encode("utf-16")),
    "array on one line": compact([LINE]),
    "array, one a line": "[\n" + TEXT + ",\n" + compact({**LINE, "request.id": "another-id"}) + "\n]\n",
    "indented object": indented(LINE),
    "indented array": indented([LINE]),
    "kubectl logs --prefix": "[pod/orders-7d9f8-abcde/orders] " + compact({**LINE, "service.name": None}),
    "Compose": "orders-1  | " + compact({**LINE, "service.name": None}),
    "CRI": f"{ISO} stdout F {TEXT}",
    "Docker": compact({"log": TEXT + "\n", "stream": "stdout", "time": ISO}),
    "Fluent Bit": compact({"log": f"ERROR request_id={ID} boom\n", "time": ISO,
                           "kubernetes": {"container_name": "orders"}}),
    "Loki, logcli": compact({"labels": {"service_name": "orders"}, "line": TEXT, "timestamp": ISO}),
    "Loki, logcli, text": compact({"labels": {"app": "orders"}, "line": f"ERROR boom {ID}", "timestamp": ISO}),
    "Loki, API": compact({"status": "success", "data": {"resultType": "streams", "result": [
        {"stream": {"app": "orders"}, "values": [[str(NANO), TEXT], [str(NANO), "ERROR unrelated"]]}]}}),
    "CloudWatch, filter-log-events": indented({"events": [
        {"logStreamName": "s", "timestamp": NANO // 1_000_000, "message": TEXT, "eventId": "1"}]}),
    "CloudWatch, tail": f"{ISO} 2026/01/01/[$LATEST]abc {TEXT}",
    "CloudWatch, Insights": indented({"results": [[{"field": "@timestamp", "value": "2026-01-01 00:00:00.500"},
                                                   {"field": "@message", "value": TEXT}]], "statistics": {}}),
    "Elasticsearch": compact({"took": 1, "hits": {"hits": [{"_index": "i", "_source": LINE}]}}),
    "Elasticsearch, hit": compact({"_index": "i", "_id": "1", "_source": LINE}),
    "ECS": compact({"@timestamp": ISO, "log.level": "error", "message": "boom", "service": {"name": "orders"},
                    "trace": {"id": ID}, "span": {"id": ORDERS}, "http": {"request": {"id": ID}}}),
    "structlog": compact({"event": "boom", "level": "error", "timestamp": ISO, "request_id": ID, "service": "orders"}),
    "pino": compact({"level": 50, "time": NANO // 1_000_000, "msg": "boom", "name": "orders", "requestId": ID}),
    "bunyan": compact({"level": 60, "time": ISO, "msg": "boom", "name": "orders", "req_id": 1, "request_id": ID}),
    "zap": compact({"level": "fatal", "ts": NANO / 1e9, "msg": "boom", "service": "orders", "correlation_id": ID}),
    "Java": compact({"@timestamp": ISO, "level": "SEVERE", "message": "boom", "app": "orders",
                     "mdc": {"request_id": ID}}),
    "OTLP": compact({"resourceLogs": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "orders"}}]},
        "scopeLogs": [{"logRecords": [{
            "timeUnixNano": str(NANO), "severityNumber": 17, "body": {"stringValue": "boom"}, "traceId": ID,
            "spanId": ORDERS, "attributes": [{"key": "request.id", "value": {"stringValue": ID}}]}]}]}]}),
    "a text": f"2026-01-01 00:00:00,500 ERROR [orders] request_id={ID} boom",
    "cut off": TEXT[:-20],
}  # fmt: skip


@pytest.mark.parametrize("form", list(LOGS))
def test_a_failing_log_line(form: str) -> None:
    found = found_in(LOGS[form])
    assert found.lines == 1
    assert found.culprit is not None
    if form not in ("a text", "cut off"):
        assert found.culprit.service == "orders"
    assert abs(found.culprit.evidence[0].time - NANO / 1e9) <= 0.5
    assert "boom" in found.culprit.evidence[0].text


@pytest.mark.parametrize("severity", ["error", "ERR", "CRITICAL", "Fatal", "panic", "emerg", 50, 60, "50"])
def test_severities_that_fail(severity: Any) -> None:
    (record,) = records(compact({**LINE, "severity": severity}))
    assert isinstance(record, LogRecord)
    assert record.failing


@pytest.mark.parametrize("severity", ["info", "WARNING", "warn", 40, 30, "", "noticed an error"])
def test_severities_that_do_not(severity: Any) -> None:
    (record,) = records(compact({**LINE, "severity": severity}))
    assert isinstance(record, LogRecord)
    assert not record.failing


@pytest.mark.parametrize(
    "moment", [NANO, NANO / 1e9, NANO // 1000, NANO // 1_000_000, str(NANO), "1767225600", "2026-01-01T00:00:00Z",
               "2026-01-01 00:00:00,000", "2026-01-01T01:00:00.000000000+01:00", "2026-01-01T00:00:00"]
)  # fmt: skip
def test_times(moment: Any) -> None:
    assert seconds(moment) == NANO / 1e9


def otlp(key: str, **parts: Any) -> dict[str, Any]:
    attributes = [{"key": name, "value": {"stringValue": value}} for name, value in parts.pop("attributes", {}).items()]
    return {"traceId": ID, "spanId": key, "name": key, "startTimeUnixNano": str(NANO),
            "endTimeUnixNano": str(NANO + 10**9), "attributes": attributes, **parts}  # fmt: skip


def by_service(edge: list[Any], orders: list[Any]) -> list[Any]:
    def resource(service: str) -> dict[str, Any]:
        return {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}

    return [
        {"resource": resource(service), "scopeSpans": [{"spans": spans}]}
        for service, spans in (("edge", edge), ("orders", orders))
    ]


OTLP = by_service(
    [otlp(EDGE, kind=2), otlp(CALL, kind=3, parentSpanId=EDGE, status={"code": 2})],
    [otlp(ORDERS, kind=2, parentSpanId=CALL, status={"code": 2, "message": "boom"}, attributes={"request.id": ID})],
)


def base64_of(value: str) -> str:
    return base64.b64encode(bytes.fromhex(value)).decode()


def with_base64(spans: Any) -> Any:
    """As Protobuf's JSON has IDs: Tempo's first API."""
    if isinstance(spans, list):
        return [with_base64(member) for member in spans]
    if isinstance(spans, dict):
        ids = ("traceId", "spanId", "parentSpanId")
        return {key: base64_of(value) if key in ids else with_base64(value) for key, value in spans.items()}
    return spans


def jaeger(key: str, parent: str | None = None, process: str = "p1", **tags: Any) -> dict[str, Any]:
    """Jaeger leaves leading zeros out."""
    references = [{"refType": "CHILD_OF", "traceID": ID.lstrip("0"), "spanID": parent.lstrip("0")}] if parent else []
    return {"traceID": ID.lstrip("0"), "spanID": key.lstrip("0"), "operationName": key, "references": references,
            "startTime": NANO // 1000, "duration": 1_000_000, "processID": process,
            "tags": [{"key": name.replace("_", "."), "value": value} for name, value in tags.items()]}  # fmt: skip


def zipkin(key: str, service: str, kind: str, parent: str | None = None, **tags: str) -> dict[str, Any]:
    return {"traceId": ID, "id": key, "parentId": parent, "name": key, "kind": kind, "timestamp": NANO // 1000,
            "duration": 1_000_000, "localEndpoint": {"serviceName": service}, "tags": tags}  # fmt: skip


def sdk(key: str, service: str, kind: str, parent: str | None = None, error: str | None = None) -> dict[str, Any]:
    return {"name": key, "context": {"trace_id": f"0x{ID}", "span_id": f"0x{key}"}, "kind": f"SpanKind.{kind}",
            "parent_id": f"0x{parent}" if parent else None, "start_time": ISO, "end_time": ISO,
            "status": {"status_code": "ERROR", "description": error} if error else {"status_code": "UNSET"},
            "attributes": {}, "links": [], "resource": {"attributes": {"service.name": service}}}  # fmt: skip


SDK = [
    sdk(EDGE, "edge", "SERVER"),
    sdk(CALL, "edge", "CLIENT", EDGE),
    sdk(ORDERS, "orders", "SERVER", CALL, "boom"),
]
SPANS: dict[str, str] = {
    "OTLP, a line": compact({"resourceSpans": OTLP}),
    "OTLP, indented": indented({"resourceSpans": OTLP}),
    "Tempo, API 2": compact({"trace": {"resourceSpans": with_base64(OTLP)}}),
    "Tempo, API 1": compact({"batches": with_base64(OTLP)}),
    "Tempo, API 1, indented": indented({"batches": with_base64(OTLP)}),
    "Jaeger": compact({"data": [{"traceID": ID.lstrip("0"), "processes": {"p1": {"serviceName": "edge"},
                                                                          "p2": {"serviceName": "orders"}}, "spans": [
        jaeger(EDGE, span_kind="server"), jaeger(CALL, EDGE, span_kind="client"),
        jaeger(ORDERS, CALL, "p2", span_kind="server", error=True, otel_status__description="boom")]}], "total": 0}),
    "Zipkin": compact([zipkin(EDGE, "edge", "SERVER"), zipkin(CALL, "edge", "CLIENT", EDGE),
                       zipkin(ORDERS, "orders", "SERVER", CALL, error="boom")]),
    "Zipkin, shared": compact([zipkin(EDGE, "edge", "SERVER"), zipkin(CALL, "edge", "CLIENT", EDGE),
                               {**zipkin(CALL, "orders", "SERVER", EDGE, error="boom"), "shared": True}]),
    "SDK, lines": "\n".join(map(compact, SDK)),
    "SDK, console": "\n".join(map(indented, SDK)),
}  # fmt: skip


@pytest.mark.parametrize("form", list(SPANS))
def test_spans_of_a_call_that_failed(form: str) -> None:
    found = found_in(SPANS[form])
    assert [(hop.service, hop.transport) for hop in found.hops] == [("edge", "http"), ("orders", "http")]
    assert found.hops[1].cause is found.hops[0]
    assert found.culprit is found.hops[1]


def test_one_bad_part_costs_none_of_the_others() -> None:
    spans = by_service([{"traceId": ID, "name": 7}, otlp(EDGE, kind=2)], [])
    telemetry = follow(ID, [io.BytesIO(compact({"resourceSpans": spans}).encode())])
    assert (len(telemetry.spans), telemetry.unreadable) == (1, 1)


def test_a_compressed_file_that_was_cut_off_is_read_as_far_as_it_goes() -> None:
    lines = "\n".join(compact({**LINE, "number": number}) for number in range(20_000)).encode()
    telemetry = follow(ID, [io.BytesIO(gzip.compress(lines)[:-1000])])
    assert telemetry.unreadable >= 1
    assert 10_000 < len(telemetry.logs) < 20_000


ONE_A_LINE = [text for text in LOGS.values() if isinstance(text, str) and "\n" not in text]
TORN = [TEXT[: len(TEXT) // 3], "}", "{{{", '{"a":', "\x00\x01", "[pod/x/y] ", "null", "[]", '"text"', TEXT[20:40]]


@pytest.mark.parametrize("seed", range(5))
def test_no_line_is_lost_in_a_file_of_all_forms_and_torn_lines(seed: int) -> None:
    lines = [*ONE_A_LINE, *TORN]
    random.Random(seed).shuffle(lines)
    telemetry = follow(ID, [io.BytesIO("\n".join(lines).encode())])
    assert sum(line.request_id == ID for line in telemetry.logs) == len(ONE_A_LINE)


@pytest.mark.parametrize("around", [0, 1 << 20, (1 << 20) - 100, 3 << 20])
def test_lines_across_blocks_and_longer_than_one(around: int) -> None:
    other = compact({**LINE, "request.id": "another-request"}).replace(ID, "f" * 32)
    lines = [other] * 3000 + [compact({**LINE, "padding": "x" * around})] + [other] * 3000 + [TEXT]
    assert found_in("\n".join(lines)).lines == 2


TRACE = "1" * 32


def line(request_id: str, service: str = "orders", **more: Any) -> str:
    return compact({**LINE, "service.name": service, "request.id": request_id, "trace_id": TRACE, **more})


def test_what_has_only_the_trace_is_found_by_it() -> None:
    """A foreign library knows no request ID."""
    strange = otlp(EDGE, kind=1, parentSpanId=ORDERS, traceId=TRACE, status={"code": 2, "message": "deadlock"})
    own = otlp(ORDERS, kind=2, traceId=TRACE, attributes={"request.id": ID})
    first, second = (
        compact({"resourceSpans": by_service([], [own])}),
        compact({"resourceSpans": by_service([], [strange])}),
    )
    found = found_in(second, first)
    assert [evidence.text for evidence in found.hops[0].evidence] == ["deadlock"]


@pytest.mark.parametrize("name", ["client.request_id", "parent_request_id", "caused_by.request.id"])
def test_another_request_that_names_it_is_followed(name: str) -> None:
    job = line("job-request-1", "worker", trace_id="2" * 32, **{name: ID})
    later = line("job-request-1", "shipping", trace_id="2" * 32)
    found = found_in(line(ID), job, later)
    assert found.request_ids == (ID, "job-request-1")
    assert {hop.service for hop in found.hops} == {"orders", "worker", "shipping"}


def test_a_request_that_a_record_names_is_followed() -> None:
    found = found_in(line(ID, started_request_id="job-request-1"), line("job-request-1", "worker"))
    assert found.request_ids == (ID, "job-request-1")


def test_an_id_of_a_client_leads_to_ours_and_not_to_all_requests_of_that_client() -> None:
    same = {"client.request_id": "client-constant"}
    lines = "\n".join([line(ID, **same), line("another-request", "worker", **same)])
    assert found_in(lines).request_ids == (ID,)
    telemetry = follow("client-constant", [io.BytesIO(lines.encode())])
    assert journey("client-constant", telemetry).request_ids == (ID, "another-request")


def test_a_pipe_is_searched_too() -> None:
    from sloctl.instrumentation.search import seekable

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with seekable(Pipe(TEXT.encode())) as file:
        assert len(follow(ID, [file]).logs) == 1


def test_many_traces_of_one_job() -> None:
    """More IDs than are looked for one after the other."""
    own = [line(ID, trace_id=f"{number:032x}") for number in range(1, 41)]
    foreign = [
        compact({**LINE, "request.id": None, "trace_id": f"{number:032x}", "service.name": "db"})
        for number in range(1, 41)
    ]
    telemetry = follow(ID, [io.BytesIO("\n".join([*foreign, *own]).encode())])
    assert len(telemetry.logs) == 80


ANY = st.recursive(
    st.none() | st.text(max_size=5) | st.integers() | st.sampled_from([ID, ISO, ORDERS]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
        st.sampled_from(["resourceSpans", "scopeSpans", "spans", "batches", "resourceLogs", "scopeLogs", "logRecords",
                         "trace", "context", "start_time", "data", "result", "stream", "values", "events", "message",
                         "timestamp", "hits", "_source", "log", "time", "line", "labels", "traceID", "traceId", "id",
                         "localEndpoint", "request.id", "event.name", "trace_id", "span_id", "links", "duration"]),
        inner, max_size=4),
    max_leaves=15,
)  # fmt: skip


@pytest.mark.property
@given(st.lists(ANY.map(json.dumps) | ANY.map(indented) | st.text(), max_size=4))
def test_no_file_however_malformed_is_an_exception(texts: list[str]) -> None:
    data = "\n".join(texts).encode("utf-8", "replace")
    forms: list[Callable[[bytes], bytes]] = [bytes, gzip.compress, lambda raw: raw.decode().encode("utf-16"),
                                             lambda raw: gzip.compress(raw)[:-4]]  # fmt: skip
    for form in forms:
        journey(ID, follow(ID, [io.BytesIO(form(data))]))
