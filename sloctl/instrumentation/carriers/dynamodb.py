"""Amazon DynamoDB: the map `_ctx` of an item, which its stream then shows.

A stream record of a removal has no new image: its context is the one of whoever wrote the item last, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from sloctl.instrumentation.carriers.encoding import KEY, KIB, check_size, known, name_in_arn, size
from sloctl.instrumentation.carriers.outcome import Fields, Incoming, Outcome, Skip, extracted, injected

LIMIT: Final = 400 * KIB
NAME: Final = "#sloctl_ctx"
VALUE: Final = ":sloctl_ctx"
_SET: Final = re.compile(r"(?<![#:.\w])SET\s+", re.IGNORECASE)
_TYPES: Final = frozenset({"S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL"})


def inject(item: MutableMapping[str, Any]) -> Outcome:
    """Add the map `_ctx` to an item of `put_item`, in the form that its other values have."""

    def put(fields: Fields) -> None:
        value = _value(fields, typed=_is_typed(item.values()))
        check_size(size({key: value for key, value in item.items() if key != KEY}), size({KEY: value}), LIMIT)
        item[KEY] = value

    return injected("dynamodb", put)


def inject_update(update: MutableMapping[str, Any]) -> Outcome:
    """Let an `update_item` set `_ctx` too; its expression and maps are replaced by copies.

    An update without `UpdateExpression` (the old `AttributeUpdates`) is left alone.
    """

    def put(fields: Fields) -> None:
        expression = update.get("UpdateExpression")
        if not isinstance(expression, str):
            raise Skip("no update expression")
        values = dict(update.get("ExpressionAttributeValues") or {})
        names = dict(update.get("ExpressionAttributeNames") or {})
        if KEY in names.values() and NAME not in names:
            raise Skip("the update writes _ctx itself")
        typed = _is_typed((update.get("Key") or {}).values())
        if VALUE not in values:
            update["UpdateExpression"] = _with_assignment(expression)
        update["ExpressionAttributeNames"] = names | {NAME: KEY}
        update["ExpressionAttributeValues"] = values | {VALUE: _value(fields, typed=typed)}

    return injected("dynamodb", put)


def extract(record: Mapping[str, Any]) -> Incoming:
    """What a stream record says; of a removal, what the last writer said (`last_writer`)."""

    def read() -> Incoming:
        change = record["dynamodb"]
        removed = record.get("eventName") == "REMOVE"
        image = change.get("OldImage" if removed else "NewImage") or {}
        table = name_in_arn(record.get("eventSourceARN"))
        return Incoming("dynamodb", _fields(image.get(KEY)), last_writer=removed, destination=table)

    return extracted("dynamodb", read)


def extract_item(item: Mapping[str, Any]) -> Incoming:
    """What an item says: the context of whoever wrote it last."""
    return extracted("dynamodb", lambda: Incoming("dynamodb", _fields(item.get(KEY)), last_writer=True))


def _is_typed(values: Any) -> bool:
    """Whether values are the service's own form, such as `{"S": "text"}`; a table resource has plain ones.

    All must be: a plain map may look like the service's form, but the key of an item is never a map.
    """
    values = list(values)
    return bool(values) and all(
        isinstance(value, Mapping) and len(value) == 1 and _TYPES.issuperset(value) for value in values
    )


def _value(fields: Fields, *, typed: bool) -> dict[str, Any]:
    if not typed:
        return dict(fields)
    return {"M": {key: {"S": value} for key, value in fields.items()}}


def _fields(value: object) -> Fields:
    if isinstance(value, Mapping) and isinstance(inner := value.get("M"), Mapping):
        value = {key: field.get("S") for key, field in inner.items() if isinstance(field, Mapping)}
    return known(value)


def _with_assignment(expression: str) -> str:
    assignment = f"{NAME} = {VALUE}"
    if _SET.search(expression):
        return _SET.sub(lambda match: f"{match[0]}{assignment}, ", expression, count=1)
    return f"{expression} SET {assignment}"
