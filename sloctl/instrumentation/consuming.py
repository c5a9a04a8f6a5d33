"""Handle a message in the context that it carries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final, Literal, TypeAlias

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    set_span_in_context,
    use_span,
)

from sloctl.instrumentation import entries, guard
from sloctl.instrumentation.carriers.outcome import Incoming
from sloctl.instrumentation.context import RequestContext, entered, valid_id
from sloctl.instrumentation.durations import ERROR_TYPE, FUNCTIONS, HTTP, MESSAGES, RPC_SERVER, Measure
from sloctl.instrumentation.propagation import Remote, read_fields
from sloctl.instrumentation.runtime import Runtime, default_runtime
from sloctl.instrumentation.stamps import stamp_exception

Relation: TypeAlias = Literal["auto", "link", "parent"]
# Semantic conventions for messaging, `messaging.system`; the others have no official value and keep their names.
SYSTEMS: Final = {"sqs": "aws_sqs", "sns": "aws.sns", "eventbridge": "aws.eventbridge", "kinesis": "aws.kinesis"}
LAST_WRITER: Final = "request.id.of_last_writer"
CLIENT_ID: Final = "client.request_id"
_EVENTS: Final = {
    MESSAGES: entries.MESSAGE, HTTP: entries.REQUEST, FUNCTIONS: entries.INVOCATION, RPC_SERVER: entries.RPC
}  # fmt: skip


@dataclass(slots=True)
class Work:
    """One piece of work that came from outside: a message, several at once, a call of a function.

    Attributes:
        name: of its span.
        origin: as `RequestContext.origin`.
        transport: of its entry line, where it is not the origin.
        parent: the span that it continues.
        links: the spans that it follows from without continuing them.
        client_id: the request ID that an untrusted caller sent.
        attributes: of its span; what is added while it runs counts for the measure too.
        measure: what its duration is recorded as.
    """

    name: str
    kind: SpanKind
    origin: str
    request_id: str | None = None
    tenant_id: str | None = None
    parent: SpanContext | None = None
    links: tuple[SpanContext, ...] = ()
    baggage: dict[str, str] = field(default_factory=dict)
    client_id: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    measure: Measure = MESSAGES
    transport: str = ""

    def came_from(self, remote: Remote, *, edge: bool) -> None:
        """A call of somebody: at an edge anybody may call, and what they say is only noted."""
        if edge:
            self.client_id = remote.request_id
            self.links = () if remote.span is None else (remote.span,)
        else:
            self.request_id, self.tenant_id, self.parent = remote.request_id, remote.tenant_id, remote.span
            self.baggage = dict(remote.baggage)


@contextmanager
def consume(
    incoming: Incoming | Sequence[Incoming],
    *,
    name: str | None = None,
    relation: Relation = "auto",
    destination: str | None = None,
    runtime: Runtime | None = None,
) -> Iterator[RequestContext]:
    """Handle one message: its request ID is current within the block, and a CONSUMER span is open.

    An exception is recorded on the span and goes on. Works in `async` functions too. The duration is counted in
    `messaging_process_duration_seconds`, with the exception's type as `error_type`.

    Args:
        incoming: what a carrier's `extract` returned; or several, which are handled at once: the request ID is theirs
            when they all have the same one.
        name: of the span; what is done with the message. `process <destination>` without.
        relation: `parent` continues the sender's trace, `link` begins a new one that points to it; `auto` links
            messages of a batch and continues a single one. The request ID is kept in each case.
        destination: the queue, topic or stream, where the message does not say it itself.
        runtime: what `configure` returned; without it, what was configured last.

    Raises:
        RuntimeError: nothing was configured.
        ValueError: an unknown relation, or no message.
    """
    if relation not in ("auto", "link", "parent"):
        raise ValueError(f'relation is "auto", "link" or "parent", not {relation!r}')
    messages = [incoming] if isinstance(incoming, Incoming) else list(incoming)
    if not messages:
        raise ValueError("consume needs a message, or several that are handled at once")
    runtime = runtime or default_runtime()
    with handled(work_of(messages, name, relation, destination, runtime), runtime) as context:
        yield context


def work_of(
    messages: Sequence[Incoming], name: str | None, relation: Relation, destination: str | None, runtime: Runtime
) -> Work:
    """The work that messages are; see `consume`."""
    first = messages[0]
    remotes = [remote_of(message, runtime) for message in messages]
    senders = tuple(remote.span for remote in remotes if remote.span is not None)
    linked = len(messages) > 1 or relation == "link" or (relation == "auto" and first.batch)
    destination = destination or first.destination
    attributes: dict[str, Any] = {
        "messaging.system": SYSTEMS.get(first.transport, first.transport),
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
    }
    if destination is not None:
        attributes["messaging.destination.name"] = destination
    if len(messages) > 1:
        attributes["messaging.batch.message_count"] = len(messages)
    elif first.message_id is not None:
        attributes["messaging.message.id"] = first.message_id
    if any(message.last_writer for message in messages):
        attributes[LAST_WRITER] = True
    return Work(
        name or f"process {destination or first.transport}",
        SpanKind.CONSUMER,
        first.transport,
        request_id=_common([remote.request_id for remote in remotes]),
        tenant_id=_common([remote.tenant_id for remote in remotes]),
        parent=None if linked or not senders else senders[0],
        links=senders if linked else (),
        baggage=dict(remotes[0].baggage) if len(remotes) == 1 else {},
        attributes=attributes,
    )


def _common(values: list[str | None]) -> str | None:
    return values[0] if len(set(values)) == 1 else None


def remote_of(incoming: Incoming, runtime: Runtime) -> Remote:
    """What a message says of where it comes from."""
    try:
        return read_fields(incoming.fields, runtime.baggage)
    except Exception as error:  # noqa: BLE001 - a malformed message is handled like one without context
        guard.failed("message fields", error)
        return Remote()


@contextmanager
def handled(work: Work, runtime: Runtime) -> Iterator[RequestContext]:
    """Do a piece of work in its context and span; its duration and outcome are recorded at its end."""
    started = perf_counter()
    span = _started(work, runtime)
    context = _context(work, span, runtime)
    over = _begun(work, runtime)
    failed_with: Exception | None = None
    with entered(context), use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield context
        except BaseException as error:
            context.failure = context.failure or type(error).__qualname__
            if isinstance(error, Exception):
                failed_with = error
                stamp_exception(error)
                span.record_exception(error)
                span.set_status(StatusCode.ERROR, f"{type(error).__name__}: {error}")
            raise
        finally:
            _over(work, context, span, runtime, perf_counter() - started, failed_with)
            over()


def _begun(work: Work, runtime: Runtime) -> Callable[[], None]:
    """One more in progress; what is returned makes it one less."""
    try:
        if work.measure is MESSAGES:
            attributes = work.attributes
            return runtime.durations.begun(attributes["messaging.system"], attributes.get("messaging.destination.name"))
    except Exception as error:  # noqa: BLE001 - our failure never fails the work
        guard.failed("in progress", error)
    return _nothing


def _nothing() -> None:
    """There is no gauge for this work."""


def _over(
    work: Work, context: RequestContext, span: Span, runtime: Runtime, seconds: float, error: Exception | None
) -> None:
    try:
        if context.failure is not None:
            work.attributes[ERROR_TYPE] = context.failure
        span.set_attributes(work.attributes)
        runtime.durations.observe(work.measure, work.attributes, seconds)
        status = work.attributes.get("http.response.status_code")
        entries.write(
            _EVENTS[work.measure],
            context,
            span.get_span_context(),
            name=work.name,
            transport=work.transport or work.origin,
            outcome=str(status or ("ok" if context.failure is None else "failed")),
            duration=seconds,
            attributes=work.attributes,
            parent=work.parent,
            links=work.links,
            error=error,
            error_type=context.failure,
        )
    except Exception as own:  # noqa: BLE001 - our failure never fails the work
        guard.failed("end of work", own)


def _started(work: Work, runtime: Runtime) -> Span:
    around = Context()
    if work.parent is not None:
        around = set_span_in_context(NonRecordingSpan(work.parent), around)
    links = [Link(sender) for sender in work.links]
    return runtime.tracer.start_span(work.name, around, work.kind, work.attributes, links)


def _context(work: Work, span: Span, runtime: Runtime) -> RequestContext:
    context = RequestContext(
        request_id=work.request_id or f"{span.get_span_context().trace_id:032x}",
        tenant_id=work.tenant_id,
        origin=work.origin,
        client_request_id=valid_id(work.client_id),
        links=work.links,
        baggage=work.baggage,
        span=span if span.is_recording() else None,
        tenant_attribute=runtime.tenant_attribute,
    )
    span.set_attribute(runtime.request_attribute, context.request_id)
    if context.tenant_id is not None:
        span.set_attribute(runtime.tenant_attribute, context.tenant_id)
    if context.client_request_id is not None:
        span.set_attribute(CLIENT_ID, context.client_request_id)
    return context
