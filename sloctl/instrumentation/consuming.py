"""Handle a message in the context that it carries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Final, Literal, TypeAlias

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
from sloctl.instrumentation.context import RequestContext, entered
from sloctl.instrumentation.propagation import Remote, read_fields
from sloctl.instrumentation.runtime import Runtime, default_runtime
from sloctl.instrumentation.stamps import stamp_exception

Relation: TypeAlias = Literal["auto", "link", "parent"]
# Semantic conventions for messaging, `messaging.system`; the last three have no official value.
SYSTEMS: Final = {"sqs": "aws_sqs", "sns": "aws.sns", "eventbridge": "aws.eventbridge", "kinesis": "aws.kinesis"}
LAST_WRITER: Final = "request.id.of_last_writer"


@contextmanager
def consume(
    incoming: Incoming, *, name: str, relation: Relation = "auto", runtime: Runtime | None = None
) -> Iterator[RequestContext]:
    """Handle one message: its request ID is current within the block, and a CONSUMER span is open.

    An exception is recorded on the span and goes on. Works in `async` functions too.

    Args:
        incoming: what a carrier's `extract` returned.
        name: of the span; what is done with the message.
        relation: `parent` continues the sender's trace, `link` begins a new one that points to it; `auto` links a
            message of a batch and continues a single one. The request ID is kept in each case.
        runtime: what `configure` returned; without it, what was configured last.

    Raises:
        RuntimeError: nothing was configured.
        ValueError: an unknown relation.
    """
    if relation not in ("auto", "link", "parent"):
        raise ValueError(f'relation is "auto", "link" or "parent", not {relation!r}')
    runtime = runtime or default_runtime()
    remote = _remote(incoming, runtime)
    linked = relation == "link" or (relation == "auto" and incoming.batch)
    started = perf_counter()
    span = _started(incoming, name, remote.span, runtime, linked=linked)
    context = _context(incoming, remote, span, runtime, linked=linked)
    with entered(context), use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        _describe(span, context, incoming, runtime)
        failure: BaseException | None = None
        try:
            yield context
        except Exception as error:
            failure = error
            stamp_exception(error)
            span.set_attribute("error.type", type(error).__qualname__)
            span.record_exception(error)
            span.set_status(StatusCode.ERROR, f"{type(error).__name__}: {error}")
            raise
        finally:
            entries.write_message(
                context,
                span.get_span_context(),
                name=name,
                duration=perf_counter() - started,
                attributes=_attributes(incoming),
                parent=None if linked else remote.span,
                error=failure,
            )


def _remote(incoming: Incoming, runtime: Runtime) -> Remote:
    try:
        return read_fields(incoming.fields, runtime.baggage)
    except Exception as error:  # noqa: BLE001 - a malformed message is handled like one without context
        guard.failed("message fields", error)
        return Remote()


def _started(incoming: Incoming, name: str, sender: SpanContext | None, runtime: Runtime, *, linked: bool) -> Span:
    around, links = Context(), []
    if sender is not None and linked:
        links = [Link(sender)]
    elif sender is not None:
        around = set_span_in_context(NonRecordingSpan(sender), around)
    return runtime.tracer.start_span(name, around, SpanKind.CONSUMER, _attributes(incoming), links)


def _attributes(incoming: Incoming) -> dict[str, str]:
    return {
        "messaging.system": SYSTEMS.get(incoming.transport, incoming.transport),
        "messaging.operation.type": "process",
    }


def _context(incoming: Incoming, remote: Remote, span: Span, runtime: Runtime, *, linked: bool) -> RequestContext:
    return RequestContext(
        request_id=remote.request_id or f"{span.get_span_context().trace_id:032x}",
        tenant_id=remote.tenant_id,
        origin=incoming.transport,
        links=(remote.span,) if linked and remote.span is not None else (),
        baggage=remote.baggage,
        span=span if span.is_recording() else None,
        tenant_attribute=runtime.tenant_attribute,
    )


def _describe(span: Span, context: RequestContext, incoming: Incoming, runtime: Runtime) -> None:
    span.set_attribute(runtime.request_attribute, context.request_id)
    if context.tenant_id is not None:
        span.set_attribute(runtime.tenant_attribute, context.tenant_id)
    if incoming.last_writer:
        span.set_attribute(LAST_WRITER, value=True)
