"""Spans of outgoing calls, which nobody but us sees before they end.

A span of OpenTelemetry's SDK can be changed by anyone while it is open, and pays for that with locks and checks. The
span of a call cannot: it is made when the call is over, in one go, and handed to the exporters. Where a processor of
the application, a sampler or a provider of its own wants to see each span begin, the SDK's spans are used.
"""

from __future__ import annotations

from time import time_ns
from typing import Any, Final, Protocol

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode

from sloctl.instrumentation.context import RequestContext
from sloctl.instrumentation.runtime import TRACER, Runtime
from sloctl.instrumentation.sampling import random_span_id

_SCOPE: Final = InstrumentationScope(TRACER)
_UNSET: Final = Status(StatusCode.UNSET)


class ClientSpan(Protocol):
    """The open span of a call."""

    @property
    def context(self) -> SpanContext:
        """What the callee continues."""

    def end(self, attributes: dict[str, Any], failure: str | None) -> None:
        """The call is over; `failure` says what went wrong, an empty text that something did."""


def client_span(
    name: str,
    attributes: dict[str, Any],
    parent: SpanContext,
    request: RequestContext,
    runtime: Runtime,
    kind: SpanKind,
) -> ClientSpan:
    """Begin the span of a call, or of sending a message, below a recorded one."""
    if runtime.finished:
        return _Direct(name, attributes, parent, request, runtime, kind)
    return _OfSdk(runtime.tracer.start_span(name, None, kind, attributes))


class _OfSdk:
    __slots__ = ("_span", "context")

    def __init__(self, span: Span) -> None:
        self._span = span
        self.context = span.get_span_context()

    def end(self, attributes: dict[str, Any], failure: str | None) -> None:
        self._span.set_attributes(attributes)
        if failure is not None:
            self._span.set_status(StatusCode.ERROR, failure or None)
        self._span.end()


class _Direct:
    __slots__ = ("_attributes", "_kind", "_name", "_parent", "_runtime", "_started", "context")

    def __init__(
        self,
        name: str,
        attributes: dict[str, Any],
        parent: SpanContext,
        request: RequestContext,
        runtime: Runtime,
        kind: SpanKind,
    ) -> None:
        self._name = name
        self._kind = kind
        self._parent = parent
        self._runtime = runtime
        self._attributes = attributes
        attributes[runtime.request_attribute] = request.request_id
        if request.tenant_id is not None:
            attributes[runtime.tenant_attribute] = request.tenant_id
        self.context = SpanContext(
            parent.trace_id,
            random_span_id(),
            False,  # noqa: FBT003 - its signature
            parent.trace_flags,
            parent.trace_state,
        )
        self._started = time_ns()

    def end(self, attributes: dict[str, Any], failure: str | None) -> None:
        span = ReadableSpan(
            name=self._name,
            context=self.context,
            parent=self._parent,
            resource=self._runtime.resource,
            attributes={**self._attributes, **attributes},
            kind=self._kind,
            status=_UNSET if failure is None else Status(StatusCode.ERROR, failure or None),
            start_time=self._started,
            end_time=time_ns(),
            instrumentation_scope=_SCOPE,
        )
        for processor in self._runtime.finished:
            processor.on_end(span)
