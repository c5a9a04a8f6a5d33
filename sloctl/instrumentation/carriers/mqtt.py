"""MQTT 5: user properties. MQTT 3.1.1 has none: `_ctx` in a JSON object, or an envelope.

A broker drops the user properties on the way to a subscriber that speaks 3.1.1; where there are such, put the
context into the payload.
"""

from __future__ import annotations

from collections.abc import Iterable

from sloctl.instrumentation.carriers.encoding import known, open_payload
from sloctl.instrumentation.carriers.outcome import Fields, Incoming, Outcome, extracted, injected
from sloctl.instrumentation.carriers.payload import Payload, payload, with_payload
from sloctl.instrumentation.propagation import FIELDS

__all__ = ["Payload", "extract", "inject", "inject_payload", "payload", "user_properties"]

UserProperties = list[tuple[str, str]]


def inject(user_properties: UserProperties) -> Outcome:
    """Set our user properties in the list; older ones of the same names are removed."""

    def put(fields: Fields) -> None:
        others = [pair for pair in user_properties if pair[0].lower() not in FIELDS]
        user_properties[:] = [*others, *fields.items()]

    return injected("mqtt", put)


def user_properties(others: Iterable[tuple[str, str]] = ()) -> UserProperties:
    """User properties for a publish: these and ours."""
    result = list(others)
    inject(result)
    return result


def inject_payload(data: bytes | str, *, envelope: bool = False) -> Payload:
    """The payload with the context, for subscribers that speak MQTT 3.1.1.

    Args:
        data: a JSON object gets the member `_ctx`.
        envelope: wrap anything else; every subscriber must then read it with `payload`.
    """
    return with_payload("mqtt", data, envelope=envelope)


def extract(
    user_properties: Iterable[tuple[str, str]] | None = None, payload: bytes | str = b"", *, retained: bool = False
) -> Incoming:
    """What a message says: its user properties, and without any its payload.

    Args:
        user_properties: of MQTT 5.
        payload: of MQTT 3.1.1.
        retained: `message.retain`. Whoever subscribes later gets such a message, maybe days after it was sent: it is
            linked to the sender's trace instead of continuing it.
    """

    def read() -> Incoming:
        fields = known({name.lower(): value for name, value in user_properties or ()})
        return Incoming("mqtt", fields or open_payload(payload)[1], batch=retained)

    return extracted("mqtt", read)
