"""AWS SDK for Python: the context goes into what is sent, by botocore's own events; nothing is patched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from functools import partial
from typing import Any, Final

from sloctl.instrumentation import guard
from sloctl.instrumentation.carriers import dynamodb, eventbridge, kinesis, sns, sqs
from sloctl.instrumentation.carriers.encoding import KEY, size
from sloctl.instrumentation.carriers.outcome import Skip, injected

Params = MutableMapping[str, Any]
SERVICES: Final = ("sqs", "sns", "events", "kinesis", "dynamodb")
_NAMES: Final = {"eventbridge": "events"}  # botocore's service ids, where boto3's clients have other names
# What makes a call repeatable: then its parameters must stay the same.
_TOKENS: Final = {"dynamodb.TransactWriteItems": "ClientRequestToken"}
_REPEATABLE: Final = "sloctl_repeatable"


def install(session: Any, services: Iterable[str] = SERVICES, *, kinesis_envelope: bool = False) -> None:
    """Let all clients that this session makes from now on send the context along.

    Args:
        session: a `boto3.Session` or a botocore session.
        services: which of `sqs`, `sns`, `events`, `kinesis`, `dynamodb`.
        kinesis_envelope: wrap Kinesis data that is no JSON object; see `carriers.kinesis`.

    Raises:
        TypeError: it is no session.
        ValueError: an unknown service.
    """
    services = tuple(services)
    if unknown := set(services) - set(SERVICES):
        raise ValueError(f"unknown services {sorted(unknown)}; there are {', '.join(SERVICES)}")
    handlers = _HANDLERS | {
        "kinesis.PutRecord": partial(kinesis.inject, envelope=kinesis_envelope),
        "kinesis.PutRecords": _each_record(kinesis_envelope),
    }
    emitter = _emitter(session)
    emitter.register_first("provide-client-params", _note_token, unique_id="sloctl-token")
    # Last, and at the root of the events, whose handlers run after all others: a table resource has turned its
    # values into the service's form before.
    for service in services:
        emitter.register_last("before-parameter-build", _guarded(service, handlers), unique_id=f"sloctl-{service}")


def _name(model: Any) -> str:
    """An operation as `_HANDLERS` names it: `sqs.SendMessage`."""
    service = model.service_model.service_id.hyphenize()
    return f"{_NAMES.get(service, service)}.{model.name}"


def _note_token(params: Any, model: Any, context: Any = None, **_more: object) -> None:
    """Remember that the caller gave an idempotency token; later botocore makes one up for those that did not."""
    if isinstance(context, dict) and isinstance(params, dict) and _TOKENS.get(_name(model)) in params:
        context[_REPEATABLE] = True


def _emitter(session: Any) -> Any:
    emitter = getattr(session, "events", None)
    if emitter is None and hasattr(session, "get_component"):
        emitter = session.get_component("event_emitter")
    if not hasattr(emitter, "register_last"):
        raise TypeError(f"{type(session).__name__} is no boto3 or botocore session; install(boto3.Session())")
    return emitter


def _guarded(service: str, handlers: Mapping[str, Callable[[Params], object]]) -> Callable[..., None]:
    def handler(params: Any, model: Any, context: Any = None, **_more: object) -> None:
        operation = _name(model)
        handle = handlers.get(operation)
        if handle is None or not operation.startswith(f"{service}.") or not isinstance(params, dict):
            return
        try:
            if (reason := _objection(context)) is not None:
                injected(service, partial(_skip, reason))
            else:
                handle(params)
        except Exception as error:  # noqa: BLE001 - our failure never stops a call
            guard.failed(f"boto {operation}", error)

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


def _receive(params: Params) -> None:
    """SQS hands out only what is asked for."""
    names = list(params.get("MessageAttributeNames") or ())
    if not {"All", ".*", KEY} & set(names):
        params["MessageAttributeNames"] = [*names, KEY]
    asked = [name for key in ("AttributeNames", "MessageSystemAttributeNames") for name in params.get(key) or ()]
    if not {"All", sqs.TRACE_HEADER} & set(asked):
        key = "AttributeNames" if params.get("AttributeNames") else "MessageSystemAttributeNames"
        params[key] = [*(params.get(key) or ()), sqs.TRACE_HEADER]


def _each_record(envelope: bool) -> Callable[[Params], None]:  # noqa: FBT001 - by its one caller
    def handle(params: Params) -> None:
        for record in _copied(params, "Records"):
            kinesis.inject(record, envelope=envelope)

    return handle


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


_HANDLERS: Final[dict[str, Callable[[Params], object]]] = {
    "sqs.SendMessage": sqs.inject,
    "sqs.SendMessageBatch": _batch("Entries", sqs.inject, size),
    "sqs.ReceiveMessage": _receive,
    "sns.Publish": sns.inject,
    "sns.PublishBatch": _batch("PublishBatchRequestEntries", sns.inject, size),
    "events.PutEvents": _batch("Entries", eventbridge.inject, eventbridge.entry_size),
    "dynamodb.PutItem": _put_item,
    "dynamodb.UpdateItem": dynamodb.inject_update,
    "dynamodb.BatchWriteItem": _batch_write,
    "dynamodb.TransactWriteItems": _transact_write,
}
