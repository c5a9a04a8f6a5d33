"""Read log lines and spans back from JSON lines, in the forms that people have.

Logs are those of `JsonFormatter`. Spans are lines of OpenTelemetry's Python SDK (`ReadableSpan.to_json`) or of the
Collector's file exporter (OTLP in JSON). A line says itself what it is. This module needs no OpenTelemetry.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

REQUEST_ID: Final = "request.id"
CLIENT_ID: Final = "client.request_id"
SERVICE: Final = "service.name"
_OTLP_KINDS: Final = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_OTLP_ERROR: Final = (2, "STATUS_CODE_ERROR")
_FAILING: Final = frozenset({"ERROR", "CRITICAL", "FATAL"})

SpanKey = tuple[str, str]  # trace-id and span-id in hex


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """A finished span; times are Unix seconds."""

    key: SpanKey
    parent: SpanKey | None
    links: tuple[SpanKey, ...]
    service: str
    name: str
    kind: str
    start: float
    end: float
    failed: bool
    message: str
    attributes: Mapping[str, Any]

    @property
    def request_id(self) -> str | None:
        """The request that it belongs to, if it says so."""
        found = self.attributes.get(REQUEST_ID)
        return found if isinstance(found, str) else None


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A log line; `span` is None outside of a span."""

    time: float
    severity: str
    message: str
    service: str
    request_id: str | None
    span: SpanKey | None

    @property
    def failing(self) -> bool:
        """Whether it says that something failed."""
        return self.severity in _FAILING


@dataclass(slots=True)
class Telemetry:
    """Everything that was read, and how many lines were neither a log line nor a span."""

    spans: list[SpanRecord] = field(default_factory=list)
    logs: list[LogRecord] = field(default_factory=list)
    unreadable: int = 0

    def read(self, lines: Iterable[str | bytes]) -> None:
        """Add the lines of a file; blank ones are skipped, unreadable ones counted."""
        for line in lines:
            if line.strip():
                self._add(line)

    def _add(self, line: str | bytes) -> None:
        try:
            found = json.loads(line)
            if "resourceSpans" in found:
                self.spans += _otlp(found)
            elif "context" in found and "start_time" in found:
                self.spans.append(_sdk(found))
            else:
                self.logs.append(_log(found))
        except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
            self.unreadable += 1


def _log(found: Mapping[str, Any]) -> LogRecord:
    trace_id, span_id = found.get("trace_id"), found.get("span_id")
    request_id = found.get(REQUEST_ID)
    return LogRecord(
        time=_seconds(found["timestamp"]),
        severity=str(found["severity"]).upper(),
        message=str(found["message"]),
        service=str(found.get(SERVICE, "?")),
        request_id=None if request_id is None else str(request_id),
        span=(str(trace_id), str(span_id)) if trace_id and span_id else None,
    )


def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _sdk(found: Mapping[str, Any]) -> SpanRecord:
    key = _sdk_key(found["context"])
    parent = found.get("parent_id")
    status = found.get("status") or {}
    resource = (found.get("resource") or {}).get("attributes") or {}
    return SpanRecord(
        key=key,
        parent=None if parent is None else (key[0], _hex(parent)),
        links=tuple(_sdk_key(link["context"]) for link in found.get("links") or ()),
        service=str(resource.get(SERVICE, "?")),
        name=str(found["name"]),
        kind=str(found.get("kind", "")).removeprefix("SpanKind."),
        start=_seconds(found["start_time"]),
        end=_seconds(found["end_time"]),
        failed=status.get("status_code") == "ERROR",
        message=str(status.get("description") or ""),
        attributes=dict(found.get("attributes") or {}),
    )


def _sdk_key(context: Mapping[str, str]) -> SpanKey:
    return _hex(context["trace_id"]), _hex(context["span_id"])


def _hex(number: str) -> str:
    return number.removeprefix("0x")


def _otlp(found: Mapping[str, Any]) -> Iterator[SpanRecord]:
    for of_resource in found["resourceSpans"]:
        resource = _otlp_attributes(of_resource.get("resource") or {})
        for of_scope in of_resource.get("scopeSpans") or ():
            for span in of_scope.get("spans") or ():
                yield _otlp_span(span, str(resource.get(SERVICE, "?")))


def _otlp_span(span: Mapping[str, Any], service: str) -> SpanRecord:
    trace_id = str(span["traceId"])
    status = span.get("status") or {}
    kind = span.get("kind", 0)
    return SpanRecord(
        key=(trace_id, str(span["spanId"])),
        parent=(trace_id, str(span["parentSpanId"])) if span.get("parentSpanId") else None,
        links=tuple((str(link["traceId"]), str(link["spanId"])) for link in span.get("links") or ()),
        service=service,
        name=str(span["name"]),
        kind=_OTLP_KINDS[kind] if isinstance(kind, int) else str(kind).removeprefix("SPAN_KIND_"),
        start=int(span["startTimeUnixNano"]) / 1e9,
        end=int(span["endTimeUnixNano"]) / 1e9,
        failed=status.get("code") in _OTLP_ERROR,
        message=str(status.get("message") or ""),
        attributes=_otlp_attributes(span),
    )


def _otlp_attributes(of: Mapping[str, Any]) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values()), None) for one in of.get("attributes") or ()}
