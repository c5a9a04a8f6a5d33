"""The span of a request, where nobody but us sees it begin.

OpenTelemetry's `start_span` asks a sampler, copies and checks each attribute, and tells every processor. With a ratio
that was decided before (see `sampling`) and no processor of the application there is nothing to ask and nobody to tell:
the same span is put together directly. Whatever the application does with it is done by the SDK's own code.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from time import time_ns
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, SpanLimits, SpanProcessor
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

_UNSET: Final = Status(StatusCode.UNSET)
_PLAIN: Final = frozenset({str, bool, int, float})


class Origin:
    """What all request spans of a runtime have in common."""

    __slots__ = ("limits", "processors", "resource", "scope")

    def __init__(self, resource: Resource, processors: Sequence[SpanProcessor], scope: str) -> None:
        self.resource = resource
        self.processors = processors
        self.scope = InstrumentationScope(scope)
        self.limits = SpanLimits()


class RequestSpan(Span):
    """A recorded SERVER span."""

    def __init__(
        self,
        origin: Origin,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        attributes: dict[str, Any],
        links: Sequence[Link] | None,
    ) -> None:
        # Not the SDK's own: what it prepares for any span costs more than all the rest here.
        self._origin = origin
        self._name = name
        self._context = context
        self.trace_id = context.trace_id
        self._parent = parent
        self._kind = SpanKind.SERVER
        self._resource = origin.resource
        self._instrumentation_scope = origin.scope
        self._instrumentation_info = None
        self._limits = origin.limits
        self._lock = threading.Lock()
        self._given = attributes
        self._attributes = attributes
        self._events = ()
        self._links = self._new_links(links) if links else ()
        self._status = _UNSET
        self._record_exception = self._set_status_on_exception = True
        self._end_time = None
        self._start_time = time_ns()

    def set_attribute(self, key: str, value: Any) -> None:
        """As the SDK does, which a plain value of ours need not go through."""
        given, limits = self._given, self._limits
        if self._end_time is not None:
            return
        plain = type(value) in _PLAIN and limits.max_span_attribute_length is None
        if plain and (key in given or limits.max_span_attributes is None or len(given) < limits.max_span_attributes):
            given[key] = value
            return
        checked = BoundedAttributes(
            limits.max_span_attributes, given, immutable=False, max_value_len=limits.max_span_attribute_length
        )
        checked[key] = value
        given.clear()
        given.update(checked)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set each of them."""
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def _add_event(self, event: Any) -> None:
        if not self._events:
            self._events = BoundedList(self._limits.max_events)
        super()._add_event(event)

    def _add_link(self, link: Link) -> None:
        if not self._links:
            self._links = self._new_links(())
        super()._add_link(link)

    def end(self, end_time: int | None = None) -> None:
        """Hand it to the exporters, once."""
        if self._end_time is not None:
            return
        self._end_time = time_ns() if end_time is None else end_time
        for processor in self._origin.processors:
            processor.on_end(self)
