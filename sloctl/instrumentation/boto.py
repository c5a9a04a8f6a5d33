"""AWS SDK for Python: the context goes into what is sent, by botocore's own events; nothing is patched."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sloctl.instrumentation.extra import needed_by

with needed_by("sloctl.instrumentation.boto"):
    from opentelemetry.trace import SpanKind

    from sloctl.instrumentation import guard
    from sloctl.instrumentation.carriers import dynamodb, eventbridge, kinesis, s3, sns, sqs
    from sloctl.instrumentation.carriers.encoding import KEY, KIB, add_to_payload, check_size, name_in_arn, size
    from sloctl.instrumentation.carriers.outcome import Fields, Skip, injected
    from sloctl.instrumentation.producing import Sending
    from sloctl.instrumentation.propagation import FIELDS

Params = MutableMapping[str, Any]
SERVICES: Final = (
    "sqs", "sns", "events", "kinesis", "firehose", "dynamodb", "iot-data", "stepfunctions", "lambda"
)  # fmt: skip
OPTIONAL: Final = ("s3",)
# botocore's service ids, where boto3's clients have other names.
_NAMES: Final = {"eventbridge": "events", "iot-data-plane": "iot-data", "sfn": "stepfunctions"}
_REPEATABLE: Final = "sloctl_repeatable"
_SENDING: Final = "sloctl_sending"
_PARTLY: Final = ("Failed", "FailedEntryCount", "FailedRecordCount", "FailedPutCount")
IOT_LIMIT: Final = 8 * KIB  # of user properties, encoded
STATE_LIMITS: Final = (256 * KIB, 1024 * KIB)  # of what a state machine or a function gets: before, and now
CLIENT_CONTEXT_LIMIT: Final = 3583  # encoded
METADATA_LIMIT: Final = 2 * KIB  # of an object


def install(session: Any, services: Iterable[str] = SERVICES, *, kinesis_envelope: bool = False) -> None:
    """Let all clients that this session makes from now on send the context along.

    Sending a message is measured, and within a recorded request it is a PRODUCER span; see `produce`.

    Args:
        session: a `boto3.Session` or a botocore session.
        services: which of `SERVICES`; `s3`, which puts the context into the metadata of objects, is asked for by name.
        kinesis_envelope: wrap data of Kinesis and Firehose that is no JSON object; see `carriers.kinesis`.

    Raises:
        TypeError: it is no session.
        ValueError: an unknown service.
    """
    services = tuple(services)
    there_are = (*SERVICES, *OPTIONAL)
    if unknown := set(services) - set(there_are):
        raise ValueError(f"unknown services {sorted(unknown)}; there are {', '.join(there_are)}")
    operations = _operations(envelope=kinesis_envelope)
    emitter = _emitter(session)
    emitter.register_first("provide-client-params", _note_token, unique_id="sloctl-token")
    # Last, and at the root of the events, whose handlers run after all others: a table resource has turned its
    # values into the service's form before.
    for service in services:
        emitter.register_last("before-parameter-build", _handler(service, operations), unique_id=f"sloctl-{service}")
    emitter.register("after-call", _answered, unique_id="sloctl-answer")
    emitter.register("after-call-error", _raised, unique_id="sloctl-error")


def _emitter(session: Any) -> Any:
    emitter = getattr(session, "events", None)
    if emitter is None and hasattr(session, "get_component"):
        emitter = session.get_component("event_emitter")
    if not hasattr(emitter, "register_last"):
        raise TypeError(f"{type(session).__name__} is no boto3 or botocore session; install(boto3.Session())")
    return emitter


@dataclass(frozen=True, slots=True)
class Operation:
    """What is done with a call.

    Attributes:
        put: adds the context to its parameters.
        transport: what is sent by it; None where nothing is sent to anybody.
        destination: the parameter that names where to, in an ARN or URL or as it is; below a list, its first entry's.
    """

    put: Callable[[Params], object]
    transport: str | None = None
    destination: tuple[str, ...] = ()


def _name(model: Any) -> str:
    """An operation as `_operations` names it: `sqs.SendMessage`."""
    service = model.service_model.service_id.hyphenize()
    return f"{_NAMES.get(service, service)}.{model.name}"


def _note_token(params: Any, model: Any, context: Any = None, **_more: object) -> None:
    """Remember that the caller gave an idempotency token; later botocore makes one up for those that did not."""
    if isinstance(context, dict) and isinstance(params, dict) and _TOKENS.get(_name(model)) in params:
        context[_REPEATABLE] = True


def _handler(service: str, operations: Mapping[str, Operation]) -> Callable[..., None]:
    def handler(params: Any, model: Any, context: Any = None, **_more: object) -> None:
        name = _name(model)
        operation = operations.get(name)
        if operation is None or not name.startswith(f"{service}.") or not isinstance(params, dict):
            return
        try:
            if (reason := _objection(context)) is not None:
                injected(service, partial(_skip, reason))
            elif operation.transport is not None and isinstance(context, dict):
                context[_SENDING] = sending = _sending(operation, params)
                with sending.current():
                    operation.put(params)
            else:
                operation.put(params)
        except Exception as error:  # noqa: BLE001 - our failure never stops a call
            guard.failed(f"boto {name}", error)

    return handler


def _objection(context: Any) -> str | None:
    """Why a call stays as it is, or None.

    A repeated call with the same idempotency token must have the same parameters, or AWS refuses it; the context of
    a redelivered message holds another span. What is signed beforehand is sent by somebody else.
    """
    if not isinstance(context, dict):
        return None
    if context.get(_REPEATABLE):
        return "idempotency token"
    return "presigned" if context.get("is_presign_request") else None


def _skip(reason: str, _fields: object) -> str:
    raise Skip(reason)


def _sending(operation: Operation, params: Params) -> Sending:
    found: Any = params
    for name in operation.destination:
        found = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(found, (list, tuple)):
            found = found[0] if found else None
    given = found if isinstance(found, str) else ""
    name = name_in_arn(given) or (given.rpartition("/")[2] if "://" in given else given.partition(":")[0])
    waits = operation.transport == "lambda" and params.get("InvocationType", "RequestResponse") == "RequestResponse"
    kind, word = (SpanKind.CLIENT, "invoke") if waits else (SpanKind.PRODUCER, "send")
    return Sending(str(operation.transport), name or None, kind=kind, operation=word)


def _answered(http_response: Any, parsed: Any, context: Any = None, **_more: object) -> None:
    sending = context.pop(_SENDING, None) if isinstance(context, dict) else None
    if sending is not None:
        sending.over(_failure(http_response.status_code, parsed if isinstance(parsed, Mapping) else {}))


def _failure(status: int, answer: Mapping[str, Any]) -> str | None:
    """Why a send failed, or None. Batches are answered with 200 although some of their entries failed."""
    if status >= 300:
        return str((answer.get("Error") or {}).get("Code") or status)
    partly = any(answer.get(name) for name in _PARTLY)
    return answer.get("FunctionError") or ("partial" if partly else None)


def _raised(exception: Any, context: Any = None, **_more: object) -> None:
    sending = context.pop(_SENDING, None) if isinstance(context, dict) else None
    if sending is not None:
        sending.over(type(exception).__qualname__)


def _copied(params: Params, name: str) -> list[Any]:
    """The entries of a batch as copies in a new list: the ones that are there belong to the caller."""
    entries = params.get(name)
    if not isinstance(entries, (list, tuple)):
        return []
    copies = [dict(entry) if isinstance(entry, Mapping) else entry for entry in entries]
    params[name] = copies
    return [entry for entry in copies if isinstance(entry, dict)]


def _batch(name: str, inject: Callable[..., object], measure: Callable[[Any], int]) -> Callable[[Params], None]:
    """A handler for entries that share one limit of size."""

    def handle(params: Params) -> None:
        entries = _copied(params, name)
        total = sum(map(measure, entries))
        for entry in entries:
            before = measure(entry)
            inject(entry, beside=total - before)
            total += measure(entry) - before

    return handle


def _each(name: str, inject: Callable[..., object]) -> Callable[[Params], None]:
    """A handler for entries with a limit of their own; also where the one entry is no list."""

    def handle(params: Params) -> None:
        if isinstance(one := params.get(name), Mapping):
            params[name] = copy = dict(one)
            inject(copy)
        for entry in _copied(params, name):
            inject(entry)

    return handle


def _receive(params: Params) -> None:
    """SQS hands out only what is asked for."""
    names = list(params.get("MessageAttributeNames") or ())
    if not {"All", ".*", KEY} & set(names):
        params["MessageAttributeNames"] = [*names, KEY]
    asked = [name for key in ("AttributeNames", "MessageSystemAttributeNames") for name in params.get(key) or ()]
    if not {"All", sqs.TRACE_HEADER} & set(asked):
        key = "AttributeNames" if params.get("AttributeNames") else "MessageSystemAttributeNames"
        params[key] = [*(params.get(key) or ()), sqs.TRACE_HEADER]


def _put_item(params: Params) -> None:
    if isinstance(item := params.get("Item"), Mapping):
        params["Item"] = copy = dict(item)
        dynamodb.inject(copy)


def _batch_write(params: Params) -> None:
    tables = params.get("RequestItems")
    if isinstance(tables, Mapping):
        params["RequestItems"] = {
            table: [_written(request) for request in requests] for table, requests in tables.items()
        }


def _written(request: Mapping[str, Any]) -> dict[str, Any]:
    copy = dict(request)
    if "PutRequest" in copy:
        copy["PutRequest"] = put = dict(copy["PutRequest"])
        _put_item(put)
    return copy


def _transact_write(params: Params) -> None:
    for action in _copied(params, "TransactItems"):
        if "Put" in action:
            action["Put"] = put = dict(action["Put"])
            _put_item(put)
        if "Update" in action:
            action["Update"] = update = dict(action["Update"])
            dynamodb.inject_update(update)


def _iot_publish(params: Params) -> None:
    """The user properties of MQTT 5, a list of objects."""

    def put(fields: Fields) -> None:
        given = params.get("userProperties") or []
        if not isinstance(given, list):
            raise Skip("user properties are no list")
        others = [pair for pair in given if not (isinstance(pair, Mapping) and {*map(str.lower, pair)} & {*FIELDS})]
        together = [*others, *({name: value} for name, value in fields.items())]
        check_size(size(given) * 4 // 3, (size(together) - size(given)) * 4 // 3, IOT_LIMIT)
        params["userProperties"] = together

    injected("iot-data", put)


def _json_member(name: str, transport: str, *limits: int) -> Callable[[Params], None]:
    """A handler that adds `_ctx` to a parameter that is a JSON object."""

    def handle(params: Params) -> None:
        def put(fields: Fields) -> None:
            data = params.get(name) or "{}"
            if not isinstance(data, (str, bytes, bytearray)):
                raise Skip("payload is a stream")
            result = add_to_payload(data if isinstance(data, str) else bytes(data), fields, envelope=False)
            check_size(size(data), size(result) - size(data), *limits)
            params[name] = result

        injected(transport, put)

    return handle


def _invoke(params: Params) -> None:
    """What waits for an answer has a client context beside its payload; what does not, has only the payload."""
    kind = params.get("InvocationType", "RequestResponse")
    if kind == "Event":
        _json_member("Payload", "lambda", *STATE_LIMITS)(params)
    elif kind == "RequestResponse":
        injected("lambda", partial(_put_client_context, params))


def _put_client_context(params: Params, fields: Fields) -> None:
    given = params.get("ClientContext")
    context = json.loads(base64.b64decode(given)) if given else {}
    if not isinstance(context, dict) or not isinstance(context.get("custom") or {}, dict):
        raise Skip("client context is no JSON object")
    whole = {**context, "custom": {**(context.get("custom") or {}), **fields}}
    result = base64.b64encode(json.dumps(whole).encode()).decode("ascii")
    check_size(len(given or ""), len(result) - len(given or ""), CLIENT_CONTEXT_LIMIT)
    params["ClientContext"] = result


def _metadata(params: Params) -> None:
    """The metadata of an object; names and values count for its limit."""
    metadata = {str(name): str(value) for name, value in (params.get("Metadata") or {}).items()}
    outcome = s3.inject(copy := dict(metadata))
    if outcome.ok and sum(len(name) + len(value) for name, value in copy.items()) <= METADATA_LIMIT:
        params["Metadata"] = copy


# With which parameter a call may be repeated: then its others must stay the same.
_TOKENS: Final = {
    "dynamodb.TransactWriteItems": "ClientRequestToken",
    "stepfunctions.StartExecution": "name",
    "lambda.Invoke": "DurableExecutionName",
}


def _operations(*, envelope: bool) -> dict[str, Operation]:
    record = partial(kinesis.inject, envelope=envelope)
    delivered = partial(kinesis.inject, envelope=envelope, transport="firehose")
    entries = _batch("Entries", sqs.inject, size)
    started = _json_member("input", "stepfunctions", *STATE_LIMITS)
    return {
        "sqs.SendMessage": Operation(sqs.inject, "sqs", ("QueueUrl",)),
        "sqs.SendMessageBatch": Operation(entries, "sqs", ("QueueUrl",)),
        "sqs.ReceiveMessage": Operation(_receive),
        "sns.Publish": Operation(sns.inject, "sns", ("TopicArn",)),
        "sns.PublishBatch": Operation(_batch("PublishBatchRequestEntries", sns.inject, size), "sns", ("TopicArn",)),
        "events.PutEvents": Operation(
            _batch("Entries", eventbridge.inject, eventbridge.entry_size), "eventbridge", ("Entries", "EventBusName")
        ),
        "kinesis.PutRecord": Operation(record, "kinesis", ("StreamName",)),
        "kinesis.PutRecords": Operation(_each("Records", record), "kinesis", ("StreamName",)),
        "firehose.PutRecord": Operation(_each("Record", delivered), "firehose", ("DeliveryStreamName",)),
        "firehose.PutRecordBatch": Operation(_each("Records", delivered), "firehose", ("DeliveryStreamName",)),
        "iot-data.Publish": Operation(_iot_publish, "mqtt", ("topic",)),
        "stepfunctions.StartExecution": Operation(started, "stepfunctions", ("stateMachineArn",)),
        "stepfunctions.StartSyncExecution": Operation(started, "stepfunctions", ("stateMachineArn",)),
        "lambda.Invoke": Operation(_invoke, "lambda", ("FunctionName",)),
        "dynamodb.PutItem": Operation(_put_item),
        "dynamodb.UpdateItem": Operation(dynamodb.inject_update),
        "dynamodb.BatchWriteItem": Operation(_batch_write),
        "dynamodb.TransactWriteItems": Operation(_transact_write),
        "s3.PutObject": Operation(_metadata),
        "s3.CreateMultipartUpload": Operation(_metadata),
    }
