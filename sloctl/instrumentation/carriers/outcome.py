"""What came of putting the context into a message; every attempt is counted, none raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sloctl.instrumentation import guard
from sloctl.instrumentation.context import current
from sloctl.instrumentation.counters import CARRIED
from sloctl.instrumentation.propagation import outgoing_fields
from sloctl.instrumentation.runtime import configured

NO_CONTEXT: Final = "no context"
ERROR: Final = "error"
FULL: Final = "attributes full"
TOO_LARGE: Final = "too large"
NOT_AN_OBJECT: Final = "payload is no JSON object"

Fields = dict[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a message carries the context now.

    Attributes:
        transport: `sqs`, `kafka`, ...
        skipped: why the message went on as it was, or None when it carries the context.
        note: something worth knowing of a message that carries it, such as `AWSTraceHeader`.
    """

    transport: str
    skipped: str | None = None
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the message carries the context."""
        return self.skipped is None


@dataclass(frozen=True, slots=True)
class Incoming:
    """What a message says of the request that it belongs to, as it came; `consume` checks every value.

    Attributes:
        transport: what carried it.
        fields: header names and values.
        batch: whether it is one of several that are handled together, or else rather linked to its sender's trace than
            a part of it.
        last_writer: the fields are those of whoever wrote the removed item last, not of who removed it.
        destination: the queue, topic, stream or table that it was sent to, where the message says so.
        message_id: what the broker calls it, where the message says so.
    """

    transport: str
    fields: Mapping[str, str] = field(default_factory=dict)
    batch: bool = False
    last_writer: bool = False
    destination: str | None = None
    message_id: str | None = None


class Skip(Exception):  # noqa: N818 - not an error: the message goes on as it was
    """The context cannot be put into this message."""


def injected(transport: str, put: Callable[[Fields], str | None]) -> Outcome:
    """Put the current context into a message.

    Args:
        transport: for the count.
        put: changes the message as its last step; raises `Skip` with a reason; returns a note or None.
    """
    try:
        outcome = Outcome(transport, note=put(_outgoing()) or "")
    except Skip as skip:
        outcome = Outcome(transport, str(skip))
    except Exception as error:  # noqa: BLE001 - our failure never stops a message
        guard.failed(f"{transport} inject", error)
        outcome = Outcome(transport, ERROR)
    CARRIED.labels(transport, "inject", outcome.skipped or outcome.note or "ok").inc()
    return outcome


def _outgoing() -> Fields:
    context = current()
    if context is None:
        raise Skip(NO_CONTEXT)
    runtime = configured()
    return outgoing_fields(context, runtime.baggage if runtime else frozenset(), internal=True)


def extracted(transport: str, read: Callable[[], Incoming | None]) -> Incoming:
    """What a message carries; a malformed one carries nothing.

    Args:
        transport: for the count, and of a message that carries nothing.
        read: returns what was found, or None.
    """
    try:
        found = read()
    except Exception as error:  # noqa: BLE001 - a malformed message is handled like one without context
        guard.failed(f"{transport} extract", error)
        found, outcome = None, ERROR
    else:
        outcome = "none" if found is None or not found.fields else "ok"
    incoming = Incoming(transport) if found is None else found
    CARRIED.labels(transport, "extract", outcome).inc()
    return incoming
