"""AWS Lambda: the context of whatever woke the function, one for each record of a batch."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, Literal, TypeAlias, overload

from opentelemetry.trace import SpanKind, get_current_span

from sloctl.instrumentation import guard
from sloctl.instrumentation.carriers.outcome import Incoming
from sloctl.instrumentation.consuming import Work, consume, handled, remote_of, work_of
from sloctl.instrumentation.context import RequestContext
from sloctl.instrumentation.durations import FUNCTIONS, HTTP
from sloctl.instrumentation.lambda_events import Batch, Call, Source, batch_of, call_of
from sloctl.instrumentation.propagation import REQUEST_ID
from sloctl.instrumentation.runtime import Runtime, default_runtime

Event: TypeAlias = dict[str, Any]
Handler: TypeAlias = Callable[[Event, Any], Any]
FLUSH_MILLISECONDS: Final = 1000
STATUS: Final = "http.response.status_code"


@overload
def lambda_handler(handler: Handler) -> Handler: ...
@overload
def lambda_handler(
    *,
    runtime: Runtime | None = None,
    trust: Literal["edge", "internal"] = "edge",
    report_failures: bool = False,
    records: Literal["each", "batch"] = "each",
) -> Callable[[Handler], Handler]: ...
def lambda_handler(
    handler: Handler | None = None,
    *,
    runtime: Runtime | None = None,
    trust: Literal["edge", "internal"] = "edge",
    report_failures: bool = False,
    records: Literal["each", "batch"] = "each",
) -> Any:
    """Run a Lambda function in the context that its event carries.

    Calls over HTTP (API Gateway, function URLs, load balancers, AppSync), direct invocations, tasks of Step Functions
    and events of EventBridge are handed over as they are. An event with records (SQS, SNS, Kinesis, DynamoDB streams,
    MSK and Kafka, Amazon MQ) is handed over record by record, each as an event of the same form with that one record,
    each in its own context. Those of EventBridge Pipes and Firehose, whose answer is about all records, stay whole.

    Args:
        handler: the function.
        runtime: what `configure` returned; without it, what was configured last.
        trust: of HTTP events only; see `instrument_app`.
        report_failures: return `batchItemFailures` instead of failing the whole batch, to sources that understand
            them: SQS, Kinesis, DynamoDB streams and Kafka; to others a failure is raised all the same. The event
            source mapping must have `ReportBatchItemFailures`. Ordered sources (streams, FIFO queues, partitions of
            Kafka) stop at the first failure, raised or returned as the handler's own `batchItemFailures`.
        records: `batch` hands each event over whole, in one context that links to every record's sender, and returns
            the handler's answer as it is: for functions that insert records at once, and for Powertools' batch
            processor.

    Raises:
        TypeError: the function is `async`, which Lambda does not call.
        ValueError: an unknown value of `records`, or `report_failures` where the handler reports them itself.
    """
    if records not in ("each", "batch"):
        raise ValueError(f'records is "each" or "batch", not {records!r}')
    if records == "batch" and report_failures:
        raise ValueError('with records="batch" the handler reports failures itself; leave report_failures out')

    def wrapped(function: Handler) -> Handler:
        if inspect.iscoroutinefunction(function):
            raise TypeError("Lambda calls no coroutine: wrap a function that runs it with asyncio.run")
        return _wrapped(function, runtime, trust, report_failures=report_failures, whole=records == "batch")

    return wrapped if handler is None else wrapped(handler)


def _wrapped(handler: Handler, runtime: Runtime | None, trust: str, *, report_failures: bool, whole: bool) -> Handler:
    @functools.wraps(handler)
    def wrapper(event: Any, context: Any) -> Any:
        chosen = runtime or default_runtime()
        name = str(getattr(context, "function_name", None) or getattr(handler, "__name__", "handler"))
        try:
            batch = _read(event)
            if batch is None:
                return _once(handler, event, context, name, chosen, trust)
            if whole or batch.whole:
                messages = [source.extract(record) for source, record, _ in batch.records]
                with consume(messages, name=name, runtime=chosen):
                    get_current_span().set_attributes(_invocation(context))
                    return handler(event, context)
            return _each_record(handler, batch, context, name, chosen, report_failures=report_failures)
        finally:
            _flush(chosen)

    return wrapper


def _read(event: Any) -> Batch | None:
    """The records of an event, if it has any."""
    try:
        batch = batch_of(event)
    except Exception as error:  # noqa: BLE001 - an event that we cannot read is handed over as it is
        guard.failed("lambda event", error)
        return None
    return batch if batch is not None and batch.records else None


def _flush(runtime: Runtime) -> None:
    """The process is frozen after the handler returns."""
    try:
        runtime.durations.flush(FLUSH_MILLISECONDS)
        runtime.provider.force_flush(FLUSH_MILLISECONDS)
    except Exception as error:  # noqa: BLE001 - our failure never fails an invocation
        guard.failed("lambda flush", error)


def _invocation(context: Any) -> dict[str, str]:
    """Which invocation this is (semantic conventions for FaaS and AWS Lambda)."""
    arn = getattr(context, "invoked_function_arn", None)
    attributes: dict[str, Any] = {"faas.invocation_id": getattr(context, "aws_request_id", None)}
    if isinstance(arn, str) and len(parts := arn.split(":")) > 6:
        attributes |= {
            "aws.lambda.invoked_arn": arn,
            "cloud.resource_id": ":".join(parts[:7]),
            "cloud.account.id": parts[4],
            "cloud.region": parts[3],
        }
    return {name: value for name, value in attributes.items() if isinstance(value, str) and value}


def _once(handler: Handler, event: Any, context: Any, name: str, runtime: Runtime, trust: str) -> Any:
    call = _call(event, context)
    work = _work(call, context, name, runtime, trust)
    with handled(work, runtime) as request:
        if not call.answers_http:
            return handler(event, context)
        work.attributes[STATUS] = 500  # what the caller gets if the function raises
        answer = handler(event, context)
        _note_status(answer, request, work)
        return _with_header(answer, event, request)


def _call(event: Any, context: Any) -> Call:
    try:
        return call_of(event, context)
    except Exception as error:  # noqa: BLE001 - an event that we cannot read is handed over as it is
        guard.failed("lambda event", error)
        return Call(Incoming("lambda"))


def _work(call: Call, context: Any, name: str, runtime: Runtime, trust: str) -> Work:
    """What a call is: served for whoever waits for its answer, or an event of EventBridge that is consumed."""
    if call.trigger == "pubsub":
        work = work_of([call.incoming], name, "auto", None, runtime)
        work.attributes |= _invocation(context)
        return work
    attributes = {"faas.trigger": call.trigger, **call.attributes, **_invocation(context)}
    measure = HTTP if "http.request.method" in attributes else FUNCTIONS
    work = Work(call.name or name, SpanKind.SERVER, call.incoming.transport, attributes=attributes, measure=measure)
    if call.trigger == "http":
        work.origin, work.transport = trust, call.incoming.transport
    work.came_from(remote_of(call.incoming, runtime), edge=call.trigger == "http" and trust == "edge")
    return work


def _note_status(answer: Any, request: RequestContext, work: Work) -> None:
    """An answer without a status is a body: API Gateway makes it a 200."""
    status = answer.get("statusCode", 200) if isinstance(answer, Mapping) else 200
    work.attributes[STATUS] = status if isinstance(status, int) else 200
    if work.attributes[STATUS] >= 500 and request.failure is None:
        request.fail(str(work.attributes[STATUS]))


def _with_header(answer: Any, event: Event, request: RequestContext) -> Any:
    """The answer with the request ID as header, where it is an HTTP answer.

    A load balancer that sends `multiValueHeaders` alone reads nothing else of the answer.
    """
    if not (isinstance(answer, dict) and "statusCode" in answer):
        return answer
    several = "multiValueHeaders" in event and "headers" not in event
    for key in ("headers", "multiValueHeaders"):
        if isinstance(found := answer.get(key), Mapping):
            kept = {name: value for name, value in found.items() if str(name).lower() != REQUEST_ID}
            answer = {**answer, key: kept}
    key, value = ("multiValueHeaders", [request.request_id]) if several else ("headers", request.request_id)
    return {**answer, key: {**(answer.get(key) or {}), REQUEST_ID: value}}


def _each_record(
    handler: Handler, batch: Batch, context: Any, name: str, runtime: Runtime, *, report_failures: bool
) -> Any:
    failures: list[dict[str, Any]] = []
    stopped: set[str] = set()
    answer: Any = None
    for position, (source, record, event) in enumerate(batch.records):
        group = source.group(record)
        if group in stopped:
            failures += _failed(source, record)
            continue
        incoming = replace(source.extract(record), batch=len(batch.records) > 1)
        reported: list[dict[str, Any]] = []
        try:
            with consume(incoming, name=name, runtime=runtime) as request:
                get_current_span().set_attributes(_invocation(context))
                answer = handler(event, context)
                if source.identifier is not None and (reported := _reported(answer)):
                    request.fail("reported")
        except Exception:
            if not report_failures or source.identifier is None:
                raise
            guard.LOG.exception("record %d of %d failed and is reported", position + 1, len(batch.records))
            reported = _failed(source, record)
        if reported and group is not None:
            stopped.add(group)
            reported = _failed(source, record)
        failures += reported
    can_report = any(source.identifier is not None for source, _, _ in batch.records)
    return {"batchItemFailures": failures} if failures or (report_failures and can_report) else answer


def _failed(source: Source, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [] if source.identifier is None else [{"itemIdentifier": source.identifier(record)}]


def _reported(answer: Any) -> list[dict[str, Any]]:
    """What the handler itself reported of its one record."""
    found = answer.get("batchItemFailures") if isinstance(answer, Mapping) else None
    return list(found) if isinstance(found, list) else []
