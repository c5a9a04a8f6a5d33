"""Amazon SNS: one message attribute, a text that is no JSON, because JSON strings break filter policies."""

from __future__ import annotations

import base64
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from sloctl.instrumentation.carriers.encoding import KEY, KIB, check_size, from_text, name_in_arn, size, to_text
from sloctl.instrumentation.carriers.outcome import FULL, Fields, Incoming, Outcome, Skip, extracted, injected

MAX_ATTRIBUTES: Final = 10  # with raw delivery SQS discards a message that has more
LIMIT: Final = 256 * KIB


def inject(message: MutableMapping[str, Any], beside: int = 0) -> Outcome:
    """Add the context to a message: the arguments of `publish`, or one entry of `publish_batch`.

    Args:
        message: has `Message` and maybe `MessageAttributes`, which are replaced by a copy.
        beside: bytes of the other entries of the same call; the limit is for all together.
    """

    def put(fields: Fields) -> None:
        attributes = dict(message.get("MessageAttributes") or {})
        if KEY not in attributes and len(attributes) >= MAX_ATTRIBUTES:
            raise Skip(FULL)
        text = to_text(fields)
        before = beside + size(message.get("Message", "")) + sum(map(size, attributes))
        check_size(before, len(KEY) + len("String") + len(text), LIMIT)
        message["MessageAttributes"] = attributes | {KEY: {"DataType": "String", "StringValue": text}}

    return injected("sns", put)


def extract(notification: Mapping[str, Any]) -> Incoming:
    """What a notification says: the JSON that SNS posts or puts into SQS, or a record of a Lambda event."""
    return extracted("sns", lambda: read(notification.get("Sns") or notification))


def read(notification: Mapping[str, Any]) -> Incoming | None:
    """The fields of a notification, or None when it is none."""
    attributes = notification.get("MessageAttributes")
    if not isinstance(attributes, Mapping):
        return None
    attribute = attributes.get(KEY) or {}
    value = attribute.get("Value")
    if attribute.get("Type") == "Binary" and isinstance(value, str):
        value = base64.b64decode(value)
    found = notification.get("MessageId")
    message_id = found if isinstance(found, str) else None
    return Incoming(
        "sns", from_text(value), destination=name_in_arn(notification.get("TopicArn")), message_id=message_id
    )
