"""Amazon SQS: one message attribute, because ten are the limit; when they are used up, the X-Ray trace header."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from typing import Any, Final

from sloctl.instrumentation.carriers import eventbridge, sns
from sloctl.instrumentation.carriers.encoding import KEY, KIB, check_size, from_text, name_in_arn, parsed, size, to_text
from sloctl.instrumentation.carriers.outcome import FULL, Fields, Incoming, Outcome, Skip, extracted, injected
from sloctl.instrumentation.propagation import REQUEST_ID, TRACEPARENT

MAX_ATTRIBUTES: Final = 10
LIMITS: Final = (256 * KIB, 1024 * KIB)  # of older queues, and since 2025
TRACE_HEADER: Final = "AWSTraceHeader"
_ROOT: Final = re.compile(r"1-([0-9a-f]{8})-([0-9a-f]{24})")


def inject(message: MutableMapping[str, Any], beside: int = 0) -> Outcome:
    """Add the context to a message: the arguments of `send_message`, or one entry of `send_message_batch`.

    The caller's own attributes are not changed but replaced by a copy. A message with ten attributes gets the X-Ray
    trace header instead, which holds the ID and the trace, but neither tenant nor baggage.

    Args:
        message: has `MessageBody` and maybe `MessageAttributes`.
        beside: bytes of the other entries of the same call; the limit is for all together.
    """

    def put(fields: Fields) -> str | None:
        attributes = dict(message.get("MessageAttributes") or {})
        if KEY not in attributes and len(attributes) >= MAX_ATTRIBUTES:
            return _put_trace_header(message, fields)
        text = to_text(fields)
        check_size(beside + _size(message, attributes), len(KEY) + len("String") + len(text), *LIMITS)
        message["MessageAttributes"] = attributes | {KEY: {"DataType": "String", "StringValue": text}}
        return None

    return injected("sqs", put)


def extract(message: Mapping[str, Any]) -> Incoming:
    """What a received message says, from `receive_message` or as a record of a Lambda event.

    Looks at its attribute, then into its body, where SNS and EventBridge put theirs, and then at the trace header.
    """
    return extracted("sqs", lambda: _read(message))


def _size(message: Mapping[str, Any], attributes: Mapping[str, Any]) -> int:
    values = sum(
        size(name) + sum(size(part) for part in attribute.values() if isinstance(part, (str, bytes)))
        for name, attribute in attributes.items()
        if name != KEY
    )
    return size(message.get("MessageBody", "")) + values


def _put_trace_header(message: MutableMapping[str, Any], fields: Fields) -> str:
    system = dict(message.get("MessageSystemAttributes") or {})
    traceparent = fields.get(TRACEPARENT)
    if TRACE_HEADER in system or traceparent is None:
        raise Skip(FULL)
    _, trace_id, span_id, flags = traceparent.split("-")
    text = f"Root=1-{trace_id[:8]}-{trace_id[8:]};Parent={span_id};Sampled={int(flags, 16) & 1}"
    if fields[REQUEST_ID] != trace_id:
        text += f";{REQUEST_ID}={fields[REQUEST_ID]}"
    message["MessageSystemAttributes"] = system | {TRACE_HEADER: {"DataType": "String", "StringValue": text}}
    return TRACE_HEADER


def _read(message: Mapping[str, Any]) -> Incoming | None:
    attributes = message.get("MessageAttributes") or message.get("messageAttributes") or {}
    attribute = attributes.get(KEY) or {}
    value = attribute.get("StringValue") or attribute.get("stringValue")
    value = value or attribute.get("BinaryValue") or attribute.get("binaryValue")
    if fields := from_text(value):
        return _placed(Incoming("sqs", fields), message)
    body = parsed(message.get("Body") or message.get("body") or "")
    if body is not None:
        for read in (sns.read, eventbridge.read):
            if (found := read(body)) is not None and found.fields:
                return _placed(found, message)
    system = message.get("Attributes") or message.get("attributes") or {}
    return _placed(Incoming("sqs", _trace_header(system.get(TRACE_HEADER))), message)


def _placed(incoming: Incoming, message: Mapping[str, Any]) -> Incoming:
    """The same with the queue and the message's own ID, which `receive_message` and Lambda name differently."""
    found = message.get("messageId") or message.get("MessageId")
    return replace(
        incoming,
        destination=name_in_arn(message.get("eventSourceARN")),
        message_id=found if isinstance(found, str) else None,
    )


def _trace_header(text: object) -> Fields:
    if not isinstance(text, str) or len(text) > KIB:
        return {}
    parts = dict(part.strip().partition("=")[::2] for part in text.split(";"))
    root = _ROOT.fullmatch(parts.get("Root", ""))
    if root is None:
        return {}
    trace_id = root[1] + root[2]
    flags = "01" if parts.get("Sampled") == "1" else "00"
    fields = {REQUEST_ID: parts.get(REQUEST_ID, trace_id)}
    if "Parent" in parts:
        fields[TRACEPARENT] = f"00-{trace_id}-{parts['Parent']}-{flags}"
    return fields
