"""Amazon Kinesis has no headers: `_ctx` in JSON objects, and around anything else an envelope if you ask for it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from sloctl.instrumentation.carriers.encoding import KIB, add_to_payload, check_size, name_in_arn, open_payload, size
from sloctl.instrumentation.carriers.outcome import Fields, Incoming, Outcome, extracted, injected

LIMITS: Final = (1024 * KIB, 10 * 1024 * KIB)  # of a record: by default, and where a stream allows more
FIREHOSE_LIMITS: Final = (1000 * KIB,)


def inject(record: MutableMapping[str, Any], *, envelope: bool = False, transport: str = "kinesis") -> Outcome:
    """Add the context to a record: the arguments of `put_record`, or one of `put_records`.

    Args:
        record: its `Data` is text or bytes.
        envelope: wrap data that is no JSON object; every consumer must then read it with `payload`.
        transport: `kinesis`, or `firehose`, whose records have the same form.
    """

    def put(fields: Fields) -> None:
        data = record["Data"]
        result = add_to_payload(data, fields, envelope=envelope)
        limits = FIREHOSE_LIMITS if transport == "firehose" else LIMITS
        check_size(size(data), size(result) - size(data), *limits)
        record["Data"] = result

    return injected(transport, put)


def extract(record: Mapping[str, Any]) -> Incoming:
    """What a record says, from `get_records` or as a record of a Lambda event."""

    def read() -> Incoming:
        fields = open_payload(_data(record))[1]
        return Incoming("kinesis", fields, destination=name_in_arn(record.get("eventSourceARN")))

    return extracted("kinesis", read)


def payload(record: Mapping[str, Any]) -> bytes | str:
    """The data as its producer gave it, out of its envelope if it is in one."""
    return open_payload(_data(record))[0]


def _data(record: Mapping[str, Any]) -> bytes | str:
    """Of a Lambda event it is Base64."""
    inner = record.get("kinesis")
    if isinstance(inner, Mapping):
        return base64.b64decode(inner.get("data", ""))
    data: bytes | str = record["Data"]
    return data
