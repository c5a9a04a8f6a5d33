"""Sending messages: how long it took, what failed, and a span that the receiver continues."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import perf_counter
from typing import Any

from opentelemetry.trace import NonRecordingSpan, SpanKind, get_current_span, use_span

from sloctl.instrumentation import guard
from sloctl.instrumentation.client_spans import ClientSpan, client_span
from sloctl.instrumentation.consuming import SYSTEMS
from sloctl.instrumentation.context import current
from sloctl.instrumentation.durations import ERROR_TYPE, SENDING
from sloctl.instrumentation.runtime import Runtime, configured


@contextmanager
def produce(transport: str, destination: str | None = None, *, runtime: Runtime | None = None) -> Iterator[None]:
    """Send a message within the block: what a carrier puts into it then names the span of this.

    A recorded request has a PRODUCER span for it, so that a send that fails or is slow is seen, and `sloctl trace`
    knows when it was sent by the sender's clock. An exception goes on. The duration counts in
    `messaging_client_operation_duration_seconds`.

    Args:
        transport: as the carrier names it: `kafka`, `rabbitmq`, ...
        destination: the queue, topic or stream.
        runtime: what `configure` returned; without it, what is configured now.
    """
    sending = Sending(transport, destination, runtime)
    try:
        with sending.current():
            yield
    except BaseException as error:
        sending.over(type(error).__qualname__)
        raise
    sending.over(None)


class Sending:
    """One send that is going on.

    Args:
        transport: as the carrier names it.
        destination: the queue, topic or stream.
        runtime: what `configure` returned; without it, what is configured now.
        kind: of its span; CLIENT where an answer is waited for.
        operation: `send`, or `invoke` of a function.
    """

    __slots__ = ("_attributes", "_runtime", "_span", "_started")

    def __init__(
        self,
        transport: str,
        destination: str | None,
        runtime: Runtime | None = None,
        *,
        kind: SpanKind = SpanKind.PRODUCER,
        operation: str = "send",
    ) -> None:
        self._started = perf_counter()
        self._span: ClientSpan | None = None
        self._runtime = runtime or configured()
        self._attributes: dict[str, Any] = {"messaging.system": SYSTEMS.get(transport, transport)}
        if destination is not None:
            self._attributes["messaging.destination.name"] = destination
        try:
            self._begin(f"{operation} {destination or transport}", operation, kind)
        except Exception as error:  # noqa: BLE001 - our failure never stops a message
            guard.failed("send", error)

    def _begin(self, name: str, operation: str, kind: SpanKind) -> None:
        request, here = current(), get_current_span()
        if request is None or self._runtime is None or not here.is_recording():
            return
        about = {**self._attributes, "messaging.operation.name": operation, "messaging.operation.type": "send"}
        if kind is SpanKind.CLIENT:
            about = {"faas.invoked_name": self._attributes.get("messaging.destination.name", "")}
        self._span = client_span(name, about, here.get_span_context(), request, self._runtime, kind)

    def current(self) -> AbstractContextManager[object]:
        """The block in which carriers name this span."""
        if self._span is None:
            return nullcontext()
        return use_span(NonRecordingSpan(self._span.context), end_on_exit=False, record_exception=False)

    def over(self, failure: str | None) -> None:
        """It was sent, or failed with this error type."""
        try:
            error = {} if failure is None else {ERROR_TYPE: failure}
            if self._runtime is not None:
                self._runtime.durations.observe(SENDING, {**self._attributes, **error}, perf_counter() - self._started)
            if self._span is not None:
                self._span.end(error, failure)
        except Exception as own:  # noqa: BLE001 - our failure never stops a message
            guard.failed("send", own)
