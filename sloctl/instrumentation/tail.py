"""Keep what failed: the spans of a request that sampling left out, when the request turns out to be a failure.

Each process decides for its own part of a trace when the first span of that part, its local root, ends. Nothing is
said to others: the sampled flag that goes out stays as the sampler decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanContext, StatusCode, TraceFlags

from sloctl.instrumentation import guard

MOST_SPANS: Final = 1000  # of one local root; more are dropped, the oldest stay
MOST_OPEN: Final = 10_000  # spans of all local roots together


class RecordAll(Sampler):
    """What the other sampler drops is recorded all the same, but not sampled."""

    def __init__(self, decides: Sampler) -> None:
        self._decides = decides

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        """Called by OpenTelemetry."""
        result = self._decides.should_sample(*args, **kwargs)
        if result.decision is not Decision.DROP:
            return result
        attributes = kwargs.get("attributes", args[4] if len(args) > 4 else None)
        return SamplingResult(Decision.RECORD_ONLY, attributes, result.trace_state)

    def get_description(self) -> str:
        """For whoever looks at the provider."""
        return f"RecordAll{{{self._decides.get_description()}}}"


@dataclass(slots=True)
class _Part:
    """The spans of one local root; `keep` is None until it has ended."""

    root: int
    spans: list[ReadableSpan] = field(default_factory=list)
    keep: bool | None = None


class KeepErrors(SpanProcessor):
    """Hands the spans of failed local roots to the exporters, although they are not sampled.

    Args:
        exporters: the processors that export sampled spans; those get them without us.
    """

    def __init__(self, exporters: Sequence[SpanProcessor]) -> None:
        self._exporters = exporters
        self._parts: dict[int, _Part] = {}  # by the id of each open span

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 - the interface
        """Find the local root that the span belongs to; called by OpenTelemetry."""
        context, parent = span.get_span_context(), span.parent
        if context.trace_flags.sampled or len(self._parts) >= MOST_OPEN:
            return
        part = None if parent is None or parent.is_remote else self._parts.get(parent.span_id)
        self._parts[context.span_id] = part or _Part(context.span_id)

    def on_end(self, span: ReadableSpan) -> None:
        """Keep the span until its local root ends; called by OpenTelemetry."""
        context = span.context
        part = None if context is None else self._parts.pop(context.span_id, None)
        if part is None or context is None:
            return
        if part.keep is None and len(part.spans) < MOST_SPANS:
            part.spans.append(span)
        if context.span_id == part.root:
            part.keep = span.status.status_code is StatusCode.ERROR
            ended, part.spans = part.spans, []
            if part.keep:
                for each in ended:
                    self._export(each)
        elif part.keep:
            self._export(span)

    def _export(self, span: ReadableSpan) -> None:
        try:
            kept = _sampled(span)
            for exporter in self._exporters:
                exporter.on_end(kept)
        except Exception as error:  # noqa: BLE001 - our failure never stops a request
            guard.failed("keep errors", error)


def _sampled(span: ReadableSpan) -> ReadableSpan:
    """The same span, as exporters take it."""
    context = span.context
    assert context is not None
    flags = TraceFlags(context.trace_flags | TraceFlags.SAMPLED)
    return ReadableSpan(
        name=span.name,
        context=SpanContext(context.trace_id, context.span_id, context.is_remote, flags, context.trace_state),
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        events=span.events,
        links=span.links,
        kind=span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
