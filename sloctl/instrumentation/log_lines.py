"""What a log line says, whatever logger wrote it: an object of JSON, or a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from sloctl.instrumentation.telemetry import (
    REQUEST_ID,
    SERVICE,
    LogRecord,
    SpanRecord,
    requests_named,
    seconds,
    span_key,
)

Json = Mapping[str, Any]
_FAILING: Final = frozenset(
    ("ERROR", "ERR", "CRITICAL", "CRIT", "FATAL", "SEVERE", "PANIC", "ALERT", "EMERG", "EMERGENCY")
)  # fmt: skip
_FAILING_NUMBER: Final = 50  # of pino and bunyan
_DEEPEST: Final = 6

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

_WORD: Final = re.compile(r"\b(DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL|SEVERE|PANIC)\b")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?")
_ID: Final = re.compile(r"(?:request|correlation)[._-]?id[\"']?[=: ]+[\"']?([A-Za-z0-9._-]{8,128})", re.IGNORECASE)


def guessed(text: str) -> dict[str, str]:
    """What a text without fields tells all the same."""
    word, moment, request = _WORD.search(text), _MOMENT.search(text), _ID.search(text)
    found = {"message": text.strip(), "severity": word[1] if word else "INFO"}
    if moment is not None:
        found["timestamp"] = moment[0]
    return found if request is None else {**found, REQUEST_ID: request[1]}


def log_records(found: Json, service: str, moment: object) -> Iterator[SpanRecord | LogRecord]:
    """The record of a line; an entry line is as good as a span, and is one too.

    Args:
        found: the fields of the line.
        service: who wrote it, if it does not say so.
        moment: when it was written, if it does not say so.

    Raises:
        ValueError: it has no time, or neither a message nor a severity.
    """
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
        span=span_key(trace_id, span_id) if trace_id and span_id else None,
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
    key = span_key(flat["trace_id"], flat["span_id"])
    end, parent = seconds(flat["timestamp"]), flat.get("parent_span_id")
    error = flat.get("exception.type") or flat.get("error.type")
    message = ": ".join(str(part) for part in (error, flat.get("exception.message")) if part)
    return SpanRecord(
        key=key,
        parent=span_key(key[0], parent) if parent else None,
        links=tuple(span_key(link["trace_id"], link["span_id"]) for link in flat.get("links") or ()),
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


def labelled(labels: Json, service: str) -> str:
    """The service that labels name."""
    return str(_first(dict(_flat(labels)), _SERVICES) or service)
