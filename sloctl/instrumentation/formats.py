"""The forms in which logs and spans come out of what people run, read as the records of `telemetry`.

A form is recognised by its keys. What stands before a line's JSON (`kubectl logs --prefix`, Compose, CRI) is skipped,
and names the service of lines that do not.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sloctl.instrumentation.telemetry import REQUEST_ID, SERVICE, LogRecord, SpanKey, SpanRecord, requests_named

Found = Iterator[SpanRecord | LogRecord | None]
UNREADABLE: Final = (
    ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, OverflowError
)  # fmt: skip
Json = Mapping[str, Any]
_OTLP_KINDS: Final = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_OTLP_ERROR: Final = (2, "STATUS_CODE_ERROR")
_FAILING: Final = frozenset(
    ("ERROR", "ERR", "CRITICAL", "CRIT", "FATAL", "SEVERE", "PANIC", "ALERT", "EMERG", "EMERGENCY")
)  # fmt: skip
_FAILING_NUMBER: Final = 50  # of pino and bunyan
_OTLP_FAILING_NUMBER: Final = 17
_DEEPEST: Final = 6
# `[pod/orders-7d9f/orders] `, `orders-1  | `, `2026-01-01T00:00:00Z stdout F `
_BEFORE: Final = re.compile(r"\[pod/[^/\]]*/(?P<pod>[^\]/]+)\]|(?P<compose>[\w.-]+?)(?:-\d+)?\s*\|")

# Where loggers put things, in the order of trust; nested objects are joined by dots.
_TIMES: Final = ("timestamp", "@timestamp", "time", "ts", "datetime", "date", "asctime", "eventTime", "Timestamp")
_SEVERITIES: Final = (
    "severity", "severityText", "severity_text", "level", "levelname", "log.level", "loglevel", "lvl", "Level",
)  # fmt: skip
_MESSAGES: Final = ("message", "msg", "event", "Message", "body", "text", "@message", "log")
_SERVICES: Final = (
    SERVICE, "service", "service_name", "serviceName", "dd.service", "app", "application", "container_name",
    "kubernetes.container_name", "container", "container.name", "job", "name",
)  # fmt: skip
_REQUESTS: Final = (
    REQUEST_ID, "request_id", "requestId", "requestID", "correlation_id", "correlationId", "correlation.id",
    "x-request-id", "http.request.id",
)  # fmt: skip
_TRACES: Final = ("trace_id", "traceId", "traceID", "trace.id", "TraceId", "otelTraceID")
_SPANS: Final = ("span_id", "spanId", "spanID", "span.id", "SpanId", "otelSpanID")
_AROUND: Final = ("", "attributes.", "labels.", "fields.", "extra.", "record.extra.", "context.", "mdc.", "contextMap.",
                  "resource.")  # fmt: skip
ENTRIES: Final = {
    "http.server.request": "SERVER", "websocket.connection": "SERVER", "messaging.process": "CONSUMER",
    "faas.invocation": "SERVER", "rpc.server.call": "SERVER",
}  # fmt: skip


def records(text: str | bytes, service: str = "?") -> Found:
    """The records of a line or of a JSON document; None for each part that is none.

    Args:
        text: as it was read.
        service: who wrote it, where it does not say so itself.
    """
    return _safe(_line, text, service)


def _line(text: str | bytes, service: str) -> Found:
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    try:
        found, before = _json(text)
    except UNREADABLE:  # a text, or JSON that was cut off: its time and ID may be read all the same
        found, before = _guessed(text), text
    return _read(found, _named_before(before) or service, None, 0)


def _safe(read: Callable[..., Found], *arguments: Any) -> Found:
    """What a reader finds; None where it fails, so that one bad part costs none of the others."""
    try:
        yield from read(*arguments)
    except UNREADABLE:
        yield None


def _json(text: str) -> tuple[Any, str]:
    """The JSON in a text, and what stands before it."""
    text = text.lstrip("\ufeff \t\r\n")
    decode = json.JSONDecoder().raw_decode
    if text[:1] in ("{", "["):
        try:
            return decode(text)[0], ""
        except ValueError:
            if text[:1] == "{":
                raise
    start = text.index("{")
    return decode(text, start)[0], text[:start]


def _named_before(text: str) -> str | None:
    match = _BEFORE.search(text)
    return None if match is None else match["pod"] or match["compose"]


def _read(found: Any, service: str, moment: object, depth: int) -> Found:
    """Whatever the JSON is, down to the records in it.

    Args:
        found: the JSON.
        service: who wrote it, if it does not say so.
        moment: when it was written, if it does not say so.
        depth: how many envelopes are around it.
    """
    if depth > _DEEPEST:
        raise ValueError("envelopes in envelopes")
    if isinstance(found, list):
        for member in found:
            yield from _safe(_read, member, service, moment, depth + 1)
        return
    for is_form, read in _FORMS:
        if is_form(found):
            yield from read(found, service, depth)
            return
    yield from _log(found, service, moment)


def _text(text: Any, service: str, moment: object, depth: int) -> Found:
    """A line inside of an envelope: JSON again, or a text whose envelope says the rest."""
    try:
        found, _ = _json(text)
    except ValueError:
        found = _guessed(str(text))
    yield from _read(found, service, moment, depth + 1)


_WORD: Final = re.compile(r"\b(DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL|SEVERE|PANIC)\b")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?")
_ID: Final = re.compile(r"(?:request|correlation)[._-]?id[\"']?[=: ]+[\"']?([A-Za-z0-9._-]{8,128})", re.IGNORECASE)


def _guessed(text: str) -> dict[str, str]:
    """What a text without fields tells all the same."""
    word, moment, request = _WORD.search(text), _MOMENT.search(text), _ID.search(text)
    guessed = {"message": text.strip(), "severity": word[1] if word else "INFO"}
    if moment is not None:
        guessed["timestamp"] = moment[0]
    return guessed if request is None else {**guessed, REQUEST_ID: request[1]}


# --- log lines ---


def _log(found: Json, service: str, moment: object) -> Found:
    flat = dict(_flat(found))
    when = _first(flat, _TIMES)
    severity, failing = _severity(flat)
    message = _first(flat, _MESSAGES)
    if (when is None and moment is None) or (message is None and severity == "?"):
        raise ValueError("no log line")
    request = _first(flat, _REQUESTS)
    request_id = None if request is None else str(request)
    trace_id, span_id = _first(flat, _TRACES), _first(flat, _SPANS)
    entry = _entry(flat, service, failing)
    if entry is not None:
        yield entry
    yield LogRecord(
        time=seconds(moment if when is None else when),
        severity=severity,
        message="" if message is None else str(message),
        service=str(_first(flat, _SERVICES) or service),
        request_id=request_id,
        span=_key(trace_id, span_id) if trace_id and span_id else None,
        failing=failing and entry is None,
        named=requests_named(flat, request_id),
    )


def _flat(found: Json, before: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    for name, value in found.items():
        if isinstance(value, Mapping) and depth < _DEEPEST:
            yield from _flat(value, f"{before}{name}.", depth + 1)
        else:
            yield f"{before}{name}", value


def _first(flat: Json, names: Iterable[str]) -> Any:
    """The value of the first name that there is, also within the objects where loggers put their fields."""
    for name in names:
        for around in _AROUND:
            if (value := flat.get(around + name)) is not None and not isinstance(value, (list, Mapping)):
                return value
    return None


def _severity(flat: Json) -> tuple[str, bool]:
    """The severity as it is written, and whether it says that something failed."""
    found = _first(flat, _SEVERITIES)
    if isinstance(found, (int, float)) or (isinstance(found, str) and found.isdigit()):
        return str(found), float(found) >= _FAILING_NUMBER
    text = "?" if found is None else str(found).upper()
    return text, text in _FAILING


def _entry(flat: Json, service: str, failing: bool) -> SpanRecord | None:  # noqa: FBT001 - by its one caller
    """The entry line of a request or message is as good as its span; see docs/instrumentation.md."""
    kind = ENTRIES.get(str(flat.get("event.name")))
    if kind is None or not (flat.get("trace_id") and flat.get("span_id")):
        return None
    key = _key(flat["trace_id"], flat["span_id"])
    end, parent = seconds(flat["timestamp"]), flat.get("parent_span_id")
    error = flat.get("exception.type") or flat.get("error.type")
    message = ": ".join(str(part) for part in (error, flat.get("exception.message")) if part)
    return SpanRecord(
        key=key,
        parent=_key(key[0], parent) if parent else None,
        links=tuple(_key(link["trace_id"], link["span_id"]) for link in flat.get("links") or ()),
        service=str(flat.get(SERVICE, service)),
        name=str(flat.get("span.name") or flat.get("message") or kind),
        kind=kind,
        start=end - float(flat.get("duration") or 0),
        end=end,
        failed=failing,
        message=message,
        attributes=flat,
        is_line=True,
    )


def seconds(moment: Any) -> float:
    """Unix seconds of ISO 8601 text, or of a number of seconds, milli-, micro- or nanoseconds.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(moment, str) and not re.fullmatch(r"\d+(\.\d+)?", moment):
        text = re.sub(r"(\.\d{6})\d+", r"\1", moment.strip().replace(",", "."))
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    number = float(moment)
    while number > 1e11:  # the year 5138 in seconds
        number /= 1000
    return number


# --- spans and ids ---


def _key(trace_id: object, span_id: object) -> SpanKey:
    return _hex(trace_id, 32), _hex(span_id, 16)


def _hex(value: object, digits: int) -> str:
    """An ID in lower hex digits; Jaeger leaves leading zeros out, and Protobuf's JSON has Base64."""
    text = str(value).removeprefix("0x")
    if len(text) <= digits and re.fullmatch(r"[0-9a-fA-F]+", text):
        return text.lower().zfill(digits)
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.lower()
    return raw.hex().zfill(digits) if len(raw) * 2 == digits else text.lower()


def _sdk(found: Json, service: str, _depth: int) -> Found:
    """OpenTelemetry's Python SDK: `ReadableSpan.to_json`, the ConsoleSpanExporter."""
    key = _sdk_key(found["context"])
    parent = found.get("parent_id")
    status = found.get("status") or {}
    resource = (found.get("resource") or {}).get("attributes") or {}
    yield SpanRecord(
        key=key,
        parent=None if parent is None else _key(key[0], parent),
        links=tuple(_sdk_key(link["context"]) for link in found.get("links") or ()),
        service=str(resource.get(SERVICE, service)),
        name=str(found["name"]),
        kind=str(found.get("kind", "")).removeprefix("SpanKind."),
        start=seconds(found["start_time"]),
        end=seconds(found["end_time"]),
        failed=status.get("status_code") == "ERROR",
        message=str(status.get("description") or ""),
        attributes=dict(found.get("attributes") or {}),
    )


def _sdk_key(context: Json) -> SpanKey:
    return _key(context["trace_id"], context["span_id"])


def _otlp_spans(found: Json, service: str, _depth: int) -> Found:
    """OTLP in JSON: the Collector's file exporter, Tempo (whose first version says `batches`)."""
    for of_resource in found.get("resourceSpans") or found["batches"]:
        resource = _otlp_attributes(of_resource.get("resource") or {})
        named = str(resource.get(SERVICE, service))
        for of_scope in of_resource.get("scopeSpans") or of_resource.get("instrumentationLibrarySpans") or ():
            for span in of_scope.get("spans") or ():
                yield from _safe(_otlp_span, span, named)


def _otlp_span(span: Json, service: str) -> Found:
    trace_id, parent = span["traceId"], span.get("parentSpanId")
    status = span.get("status") or {}
    kind = span.get("kind", 0)
    yield SpanRecord(
        key=_key(trace_id, span["spanId"]),
        parent=_key(trace_id, parent) if parent else None,
        links=tuple(_key(link["traceId"], link["spanId"]) for link in span.get("links") or ()),
        service=service,
        name=str(span["name"]),
        kind=_OTLP_KINDS[kind] if isinstance(kind, int) else str(kind).removeprefix("SPAN_KIND_"),
        start=int(span["startTimeUnixNano"]) / 1e9,
        end=int(span["endTimeUnixNano"]) / 1e9,
        failed=status.get("code") in _OTLP_ERROR,
        message=str(status.get("message") or ""),
        attributes=_otlp_attributes(span),
    )


def _otlp_attributes(of: Json) -> dict[str, Any]:
    return {pair["key"]: _otlp_value(pair.get("value")) for pair in of.get("attributes") or ()}


def _otlp_value(value: Any) -> Any:
    return next(iter(value.values()), None) if isinstance(value, Mapping) else value


def _otlp_logs(found: Json, service: str, _depth: int) -> Found:
    for of_resource in found["resourceLogs"]:
        resource = _otlp_attributes(of_resource.get("resource") or {})
        for of_scope in of_resource.get("scopeLogs") or ():
            for line in of_scope.get("logRecords") or ():
                yield from _safe(_otlp_log, line, resource, service)


def _otlp_log(line: Json, resource: Json, service: str) -> Found:
    number = line.get("severityNumber")
    failing = number >= _OTLP_FAILING_NUMBER if isinstance(number, int) else "ERROR" in str(number)
    told = {
        "timestamp": int(line.get("timeUnixNano") or line["observedTimeUnixNano"]) / 1e9,
        "severity": line.get("severityText") or ("ERROR" if failing else "INFO"),
        "message": _otlp_value(line.get("body")) or "",
        "trace_id": line.get("traceId"),
        "span_id": line.get("spanId"),
    }
    return _log({**resource, **_otlp_attributes(line), **told}, service, None)


def _tempo(found: Json, service: str, depth: int) -> Found:
    yield from _read(found["trace"], service, None, depth + 1)


def _jaeger(found: Json, service: str, depth: int) -> Found:
    """Jaeger's API: `data` is a list of traces."""
    for trace in found["data"]:
        yield from _safe(_jaeger_trace, trace, service, depth)


def _jaeger_trace(trace: Json, service: str, _depth: int) -> Found:
    for span in trace["spans"]:
        process = span.get("process") or (trace.get("processes") or {}).get(span.get("processID")) or {}
        yield from _safe(_jaeger_span, span, str(process.get("serviceName", service)))


def _jaeger_span(span: Json, service: str) -> Found:
    tags = {tag["key"]: tag.get("value") for tag in span.get("tags") or ()}
    origins = [
        (reference.get("refType"), _key(reference["traceID"], reference["spanID"]))
        for reference in span.get("references") or ()
    ]
    parents = [key for kind, key in origins if kind == "CHILD_OF"]
    start = span["startTime"] / 1e6
    yield SpanRecord(
        key=_key(span["traceID"], span["spanID"]),
        parent=parents[0] if parents else None,
        links=tuple(key for _, key in origins if key not in parents[:1]),
        service=service,
        name=str(span["operationName"]),
        kind=str(tags.get("span.kind", "")).upper(),
        start=start,
        end=start + span["duration"] / 1e6,
        failed=tags.get("error") in (True, "true") or tags.get("otel.status_code") == "ERROR",
        message=str(tags.get("otel.status_description") or ""),
        attributes=tags,
    )


def _zipkin(span: Json, service: str, _depth: int) -> Found:
    trace_id, tags = span["traceId"], dict(span.get("tags") or {})
    key, parent = _key(trace_id, span["id"]), span.get("parentId")
    origin = _key(trace_id, parent) if parent else None
    if span.get("shared"):  # both sides of a call have one ID
        key, origin = (key[0], f"{key[1]}.server"), key
    start = span.get("timestamp", 0) / 1e6
    yield SpanRecord(
        key=key,
        parent=origin,
        links=(),
        service=str((span.get("localEndpoint") or {}).get("serviceName") or service),
        name=str(span.get("name", "")),
        kind=str(span.get("kind", "INTERNAL")),
        start=start,
        end=start + span.get("duration", 0) / 1e6,
        failed="error" in tags,
        message=str(tags.get("error", "")),
        attributes=tags,
    )


# --- envelopes ---


def _labelled(labels: Json, service: str) -> str:
    """The service that labels name."""
    return str(_first(dict(_flat(labels)), _SERVICES) or service)


def _loki(found: Json, service: str, depth: int) -> Found:
    """Loki's API: streams with their labels, and pairs of nanoseconds and a line."""
    for stream in found["data"]["result"]:
        named = _labelled(stream["stream"], service)
        for moment, line, *_ in stream["values"]:
            yield from _safe(_text, line, named, moment, depth)


def _logcli(found: Json, service: str, depth: int) -> Found:
    yield from _text(found["line"], _labelled(found["labels"], service), found["timestamp"], depth)


def _docker(found: Json, service: str, depth: int) -> Found:
    """Docker's file, and what Fluent Bit makes of it."""
    yield from _text(found["log"], _labelled(found, service), found["time"], depth)


def _cloudwatch(found: Json, service: str, depth: int) -> Found:
    for event in found["events"]:
        named = str(event.get("logGroupName") or service)
        yield from _safe(_text, event["message"], named, event["timestamp"], depth)


def _insights(found: Json, service: str, depth: int) -> Found:
    """CloudWatch Logs Insights: rows of fields and values."""
    for row in found["results"]:
        fields = {pair["field"]: pair.get("value") for pair in row}
        yield from _safe(_text, fields["@message"], str(fields.get("@log", service)), fields.get("@timestamp"), depth)


def _elastic(found: Json, service: str, depth: int) -> Found:
    for hit in found["hits"]["hits"]:
        yield from _safe(_read, hit["_source"], service, None, depth + 1)


def _elastic_hit(found: Json, service: str, depth: int) -> Found:
    yield from _read(found["_source"], service, None, depth + 1)


def _list_of(name: str, *keys: str) -> Callable[[Json], bool]:
    """Whether a member is a list whose first member has these keys."""

    def is_form(found: Json) -> bool:
        listed = found.get(name)
        first = listed[0] if isinstance(listed, list) and listed else None
        return isinstance(first, Mapping) and all(key in first for key in keys)

    return is_form


def _with(*keys: str, **texts: type) -> Callable[[Json], bool]:
    """Whether it has these keys, and those with values of these types."""
    return lambda found: (
        all(key in found for key in keys) and all(isinstance(found.get(key), kind) for key, kind in texts.items())
    )


def _inside(name: str, is_form: Callable[[Json], bool]) -> Callable[[Json], bool]:
    """Whether a member is such an object."""
    return lambda found: isinstance(inner := found.get(name), Mapping) and is_form(inner)


_FORMS: Final[tuple[tuple[Callable[[Json], bool], Callable[[Json, str, int], Found]], ...]] = (
    (_list_of("resourceSpans"), _otlp_spans),
    (_list_of("batches", "resource"), _otlp_spans),
    (_list_of("resourceLogs"), _otlp_logs),
    (_inside("trace", _list_of("resourceSpans")), _tempo),
    (_with("start_time", context=dict), _sdk),
    (_list_of("spans", "traceID"), _jaeger_trace),
    (_list_of("data", "spans"), _jaeger),
    (_with("traceId", "id", localEndpoint=dict), _zipkin),
    (_inside("data", _list_of("result", "stream", "values")), _loki),
    (_with("timestamp", line=str, labels=dict), _logcli),
    (lambda found: _with("time", log=str)(found) and not {"message", "msg"} & found.keys(), _docker),
    (_list_of("events", "message", "timestamp"), _cloudwatch),
    (lambda found: isinstance(found.get("results"), list) and "statistics" in found, _insights),
    (_inside("hits", _list_of("hits", "_source")), _elastic),
    (_with(_source=dict), _elastic_hit),
)
