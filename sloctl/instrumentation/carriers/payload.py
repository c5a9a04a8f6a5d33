"""The context inside a payload, for transports without headers: `_ctx` in a JSON object, or an envelope."""

from __future__ import annotations

from dataclasses import dataclass

from sloctl.instrumentation.carriers.encoding import add_to_payload, open_payload
from sloctl.instrumentation.carriers.outcome import Fields, Incoming, Outcome, extracted, injected


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload to send, and whether it carries the context."""

    data: bytes | str
    outcome: Outcome


def with_payload(transport: str, data: bytes | str, *, envelope: bool) -> Payload:
    """The payload with the context; unchanged where it cannot carry it."""
    result: list[bytes | str] = [data]

    def put(fields: Fields) -> None:
        result[0] = add_to_payload(data, fields, envelope=envelope)

    outcome = injected(transport, put)
    return Payload(result[0], outcome)


def read_payload(transport: str, data: bytes | str) -> Incoming:
    """What a payload says."""
    return extracted(transport, lambda: Incoming(transport, open_payload(data)[1]))


def payload(data: bytes | str) -> bytes | str:
    """The payload as its sender gave it, out of its envelope if it is in one."""
    return open_payload(data)[0]
