"""The decision to record a request, made before a span is built: most requests then never build one.

OpenTelemetry's `start_span` costs the same whether it ends in a recorded span or not. With `sample_ratio` the
decision is a comparison of the trace-id (as `TraceIdRatioBased` makes it), so it can be made first. A recorded span
still comes from `start_span`, with the trace-id that was drawn, and its sampler comes to the same decision.
"""

from __future__ import annotations

import os
import random
from contextvars import ContextVar
from typing import Final, final

from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    Tracer,
    get_current_span,
    set_span_in_context,
)

from sloctl.instrumentation.request_spans import Origin, RequestSpan

_NOT_SAMPLED: Final = TraceFlags(TraceFlags.DEFAULT)
_RANDOM: Final = 2  # W3C Trace Context, level 2: the trace-id is random
_RANDOM_NOT_SAMPLED: Final = TraceFlags(_RANDOM)
_RANDOM_SAMPLED: Final = TraceFlags(_RANDOM | TraceFlags.SAMPLED)
_drawn: Final[ContextVar[int | None]] = ContextVar("sloctl_drawn_trace_id", default=None)
# Ids, no secrets. Not the module's own generator, which applications seed; and a forked worker starts anew.
_random: Final = random.Random()  # noqa: S311
_bits: Final = _random.getrandbits
os.register_at_fork(after_in_child=_random.seed)


class DrawnIds(RandomIdGenerator):
    """Random ids, and the trace-id that was drawn before the decision."""

    def generate_trace_id(self) -> int:
        """A trace-id that is not zero."""
        return _drawn.get() or super().generate_trace_id()


class EntrySpans:
    """Starts the span of a request.

    Args:
        tracer: of the runtime.
        sample_ratio: the share of new traces that is recorded, or None where only the tracer's sampler knows.
        origin: makes recorded spans directly, where a ratio decides and nobody else sees a span begin.
    """

    def __init__(self, tracer: Tracer, sample_ratio: float | None, origin: Origin | None = None) -> None:
        self._tracer = tracer
        self._origin = origin
        self._bound = None if sample_ratio is None else TraceIdRatioBased.get_bound_for_rate(sample_ratio)

    def decided(self, parent: SpanContext | None, watched: bool) -> NotRecorded | int | None:  # noqa: FBT001 - hot
        """A span that is not recorded; or the trace-id to record; or None when `start` finds out.

        Args:
            parent: the span of a trusted caller.
            watched: whether it may be recorded at all.
        """
        if not watched:
            return NotRecorded(new_trace_id() if parent is None else parent.trace_id, parent)
        if self._bound is None:
            return None
        if parent is not None:
            return None if parent.trace_flags & 1 else NotRecorded(parent.trace_id, parent)
        trace_id = _bits(128) or 1
        return trace_id if trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < self._bound else NotRecorded(trace_id, None)

    def start(
        self,
        name: str,
        parent: SpanContext | None,
        attributes: dict[str, str],
        links: list[Link] | None,
        trace_id: int | None,
    ) -> Span:
        """A SERVER span that the sampler decides on; a new trace gets this trace-id."""
        if self._origin is not None:
            return RequestSpan(self._origin, name, _recorded(trace_id, parent), parent, attributes, links)
        around = Context() if parent is None else set_span_in_context(NonRecordingSpan(parent), Context())
        token = _drawn.set(trace_id)
        try:
            return self._tracer.start_span(name, around, SpanKind.SERVER, attributes, links)
        finally:
            _drawn.reset(token)


class SpansOfOthers:
    """Another instrumentation has made the span of the request; it is the current one."""

    def decided(self, _parent: SpanContext | None, _watched: bool) -> None:  # noqa: FBT001 - as of `EntrySpans`
        """It decided too."""

    def start(self, *_: object) -> Span:
        """Its span."""
        return get_current_span()


def random_span_id() -> int:
    """A span-id that is not zero."""
    return _bits(64) or 1


def _recorded(trace_id: int | None, parent: SpanContext | None) -> SpanContext:
    if parent is None:
        return SpanContext(trace_id or new_trace_id(), random_span_id(), False, _RANDOM_SAMPLED)  # noqa: FBT003
    flags = TraceFlags(TraceFlags.SAMPLED | (parent.trace_flags & _RANDOM))
    return SpanContext(parent.trace_id, random_span_id(), False, flags, parent.trace_state)  # noqa: FBT003


def new_trace_id() -> int:
    """A trace-id that is not zero."""
    return _bits(128) or 1


@final
class NotRecorded(NonRecordingSpan):
    """A span of a trace that nobody records; its context is made when somebody asks, which most requests never do."""

    def __init__(self, trace_id: int, parent: SpanContext | None) -> None:
        # Not the one of NonRecordingSpan, which wants the context now.
        self.trace_id = trace_id
        self._parent = parent
        self._made: SpanContext | None = None

    def get_span_context(self) -> SpanContext:
        """The same at each call."""
        if self._made is None:
            parent = self._parent
            state = None if parent is None else parent.trace_state
            flags = _RANDOM_NOT_SAMPLED if parent is None or parent.trace_flags & _RANDOM else _NOT_SAMPLED
            self._made = SpanContext(self.trace_id, random_span_id(), False, flags, state)  # noqa: FBT003
        return self._made
