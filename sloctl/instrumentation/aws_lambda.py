"""AWS Lambda: the context of whatever woke the function, one for each record of a batch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, Literal, TypeAlias, overload

from sloctl.instrumentation import guard
from sloctl.instrumentation.carriers import dynamodb, eventbridge, http, kinesis, sns, sqs
from sloctl.instrumentation.carriers.outcome import Incoming
from sloctl.instrumentation.consuming import consume
from sloctl.instrumentation.context import RequestContext, valid_id
from sloctl.instrumentation.propagation import REQUEST_ID, TRACEPARENT
from sloctl.instrumentation.runtime import Runtime, default_runtime

Event: TypeAlias = dict[str, Any]
Handler: TypeAlias = Callable[[Event, Any], Any]
SOURCES: Final[Mapping[str, Callable[[Mapping[str, Any]], Incoming]]] = {
    "aws:sqs": sqs.extract,
    "aws:sns": sns.extract,
    "aws:kinesis": kinesis.extract,
    "aws:dynamodb": dynamodb.extract,
}
FLUSH_MILLISECONDS: Final = 1000


@overload
def lambda_handler(handler: Handler) -> Handler: ...
@overload
def lambda_handler(
    *,
    runtime: Runtime | None = None,
    trust: Literal["edge", "internal"] = "edge",
    report_failures: bool = False,
) -> Callable[[Handler], Handler]: ...
def lambda_handler(
    handler: Handler | None = None,
    *,
    runtime: Runtime | None = None,
    trust: Literal["edge", "internal"] = "edge",
    report_failures: bool = False,
) -> Any:
    """Run a Lambda function in the context that its event carries.

    Events of API Gateway, function URLs, load balancers and EventBridge are handed over as they are. An event with
    `Records` (SQS, SNS, Kinesis, DynamoDB streams) is handed over record by record, each as an event of the same
    form with that one record, each in its own context.

    Args:
        handler: the function.
        runtime: what `configure` returned; without it, what was configured last.
        trust: of HTTP events only; see `instrument_app`.
        report_failures: return `batchItemFailures` instead of failing the whole batch. The event source mapping
            must have `ReportBatchItemFailures`. Ordered sources (streams, FIFO queues) stop at the first failure.
    """
    if handler is None:
        return lambda function: _wrapped(function, runtime, trust, report_failures=report_failures)
    return _wrapped(handler, runtime, trust, report_failures=report_failures)


def _wrapped(handler: Handler, runtime: Runtime | None, trust: str, *, report_failures: bool) -> Handler:
    @functools.wraps(handler)
    def wrapper(event: Any, context: Any) -> Any:
        chosen = runtime or default_runtime()
        name = str(getattr(context, "function_name", None) or getattr(handler, "__name__", "handler"))
        try:
            if _has_records(event):
                return _each_record(handler, event, context, name, chosen, report_failures=report_failures)
            return _once(handler, event, context, name, chosen, trust)
        finally:
            _flush(chosen)

    return wrapper


def _has_records(event: Any) -> bool:
    records = event.get("Records") if isinstance(event, Mapping) else None
    return isinstance(records, list) and all(isinstance(record, Mapping) for record in records)


def _flush(runtime: Runtime) -> None:
    """The process is frozen after the handler returns."""
    try:
        runtime.provider.force_flush(FLUSH_MILLISECONDS)
    except Exception as error:  # noqa: BLE001 - our failure never fails an invocation
        guard.failed("lambda flush", error)


def _once(handler: Handler, event: Any, context: Any, name: str, runtime: Runtime, trust: str) -> Any:
    headers = event.get("headers") if isinstance(event, Mapping) else None
    if isinstance(headers, Mapping):
        incoming = http.extract(headers)
        if trust == "edge":
            client_id = incoming.fields.get(REQUEST_ID)
            incoming = replace(incoming, fields={key: v for key, v in incoming.fields.items() if key == TRACEPARENT})
            return _http(handler, event, context, name, runtime, incoming, client_id=client_id, relation="link")
        return _http(handler, event, context, name, runtime, incoming, client_id=None, relation="parent")
    incoming = eventbridge.extract(event) if isinstance(event, Mapping) else Incoming("lambda")
    with consume(incoming, name=name, runtime=runtime):
        return handler(event, context)


def _http(
    handler: Handler,
    event: Any,
    context: Any,
    name: str,
    runtime: Runtime,
    incoming: Incoming,
    *,
    client_id: str | None,
    relation: Literal["link", "parent"],
) -> Any:
    with consume(incoming, name=name, relation=relation, runtime=runtime) as request:
        request.origin = "internal" if relation == "parent" else "edge"
        request.client_request_id = valid_id(client_id)
        return _with_header(handler(event, context), request)


def _with_header(answer: Any, request: RequestContext) -> Any:
    """The answer with the request ID as header, where it is an HTTP answer."""
    if not (isinstance(answer, dict) and "statusCode" in answer):
        return answer
    headers = {key: value for key, value in (answer.get("headers") or {}).items() if key.lower() != REQUEST_ID}
    return {**answer, "headers": {**headers, REQUEST_ID: request.request_id}}


def _each_record(
    handler: Handler, event: Event, context: Any, name: str, runtime: Runtime, *, report_failures: bool
) -> Any:
    records = event["Records"]
    failures: list[dict[str, str]] = []
    answer: Any = None
    for position, record in enumerate(records):
        incoming = replace(_incoming(record), batch=len(records) > 1)
        try:
            with consume(incoming, name=name, runtime=runtime):
                answer = handler({**event, "Records": [record]}, context)
        except Exception:
            if not report_failures:
                raise
            guard.LOG.exception("record %d of %d failed and is reported", position + 1, len(records))
            failures += _failed(records[position:] if _is_ordered(record) else [record])
            if _is_ordered(record):
                break
        else:
            failures += _reported(answer)
    return {"batchItemFailures": failures} if report_failures or failures else answer


def _incoming(record: Mapping[str, Any]) -> Incoming:
    source = record.get("eventSource") or record.get("EventSource")
    extract = SOURCES.get(str(source))
    return extract(record) if extract is not None else Incoming("lambda")


def _is_ordered(record: Mapping[str, Any]) -> bool:
    queue = record.get("eventSource") == "aws:sqs"
    return not queue or str(record.get("eventSourceARN", "")).endswith(".fifo")


def _failed(records: list[Any]) -> list[dict[str, str]]:
    return [{"itemIdentifier": _identifier(record)} for record in records]


def _identifier(record: Mapping[str, Any]) -> str:
    inner = record.get("kinesis") or record.get("dynamodb") or {}
    return str(record.get("messageId") or inner.get("sequenceNumber") or inner.get("SequenceNumber") or "")


def _reported(answer: Any) -> list[dict[str, str]]:
    """What the handler itself reported of its one record."""
    found = answer.get("batchItemFailures") if isinstance(answer, Mapping) else None
    return list(found) if isinstance(found, list) else []
