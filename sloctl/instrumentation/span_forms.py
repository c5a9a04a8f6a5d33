"""Spans as OpenTelemetry's SDK, OTLP, Jaeger and Zipkin write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sloctl.instrumentation.telemetry import SERVICE, Found, SpanKey, SpanRecord, safely, seconds, span_key

Json = Mapping[str, Any]
_OTLP_KINDS: Final = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_OTLP_ERROR: Final = (2, "STATUS_CODE_ERROR")


def sdk(found: Json, service: str, _depth: int) -> Found:
    """OpenTelemetry's Python SDK: `ReadableSpan.to_json`, the ConsoleSpanExporter."""
    key = _sdk_key(found["context"])
    parent = found.get("parent_id")
    status = found.get("status") or {}
    resource = (found.get("resource") or {}).get("attributes") or {}
    yield SpanRecord(
        key=key,
        parent=None if parent is None else span_key(key[0], parent),
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
    return span_key(context["trace_id"], context["span_id"])


def otlp_spans(found: Json, service: str, _depth: int) -> Found:
    """OTLP in JSON: the Collector's file exporter, Tempo (whose first version says `batches`)."""
    for of_resource in found.get("resourceSpans") or found["batches"]:
        resource = otlp_attributes(of_resource.get("resource") or {})
        named = str(resource.get(SERVICE, service))
        for of_scope in of_resource.get("scopeSpans") or of_resource.get("instrumentationLibrarySpans") or ():
            for span in of_scope.get("spans") or ():
                yield from safely(_otlp_span, span, named)


def _otlp_span(span: Json, service: str) -> Found:
    trace_id, parent = span["traceId"], span.get("parentSpanId")
    status = span.get("status") or {}
    kind = span.get("kind", 0)
    yield SpanRecord(
        key=span_key(trace_id, span["spanId"]),
        parent=span_key(trace_id, parent) if parent else None,
        links=tuple(span_key(link["traceId"], link["spanId"]) for link in span.get("links") or ()),
        service=service,
        name=str(span["name"]),
        kind=_OTLP_KINDS[kind] if isinstance(kind, int) else str(kind).removeprefix("SPAN_KIND_"),
        start=int(span["startTimeUnixNano"]) / 1e9,
        end=int(span["endTimeUnixNano"]) / 1e9,
        failed=status.get("code") in _OTLP_ERROR,
        message=str(status.get("message") or ""),
        attributes=otlp_attributes(span),
    )


def otlp_attributes(of: Json) -> dict[str, Any]:
    return {pair["key"]: otlp_value(pair.get("value")) for pair in of.get("attributes") or ()}


def otlp_value(value: Any) -> Any:
    return next(iter(value.values()), None) if isinstance(value, Mapping) else value


def jaeger(found: Json, service: str, depth: int) -> Found:
    """Jaeger's API: `data` is a list of traces."""
    for trace in found["data"]:
        yield from safely(jaeger_trace, trace, service, depth)


def jaeger_trace(trace: Json, service: str, _depth: int) -> Found:
    for span in trace["spans"]:
        process = span.get("process") or (trace.get("processes") or {}).get(span.get("processID")) or {}
        yield from safely(_jaeger_span, span, str(process.get("serviceName", service)))


def _jaeger_span(span: Json, service: str) -> Found:
    tags = {tag["key"]: tag.get("value") for tag in span.get("tags") or ()}
    origins = [
        (reference.get("refType"), span_key(reference["traceID"], reference["spanID"]))
        for reference in span.get("references") or ()
    ]
    parents = [key for kind, key in origins if kind == "CHILD_OF"]
    start = span["startTime"] / 1e6
    yield SpanRecord(
        key=span_key(span["traceID"], span["spanID"]),
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


def zipkin(span: Json, service: str, _depth: int) -> Found:
    trace_id, tags = span["traceId"], dict(span.get("tags") or {})
    key, parent = span_key(trace_id, span["id"]), span.get("parentId")
    origin = span_key(trace_id, parent) if parent else None
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
