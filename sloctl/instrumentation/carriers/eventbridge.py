"""Amazon EventBridge has no headers: the context is the member `_ctx` of `detail`."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from sloctl.instrumentation.carriers.encoding import KEY, KIB, add_to_json, check_size, known, size
from sloctl.instrumentation.carriers.outcome import Fields, Incoming, Outcome, extracted, injected

LIMITS: Final = (256 * KIB, 1024 * KIB)  # of all entries of a call: until 2026, and since


def inject(entry: MutableMapping[str, Any], beside: int = 0) -> Outcome:
    """Add the context to one entry of `put_events`.

    Args:
        entry: its `Detail` is a JSON object; otherwise it is left alone.
        beside: bytes of the other entries of the same call; the limit is for all together.
    """

    def put(fields: Fields) -> None:
        detail = entry.get("Detail", "{}")
        result = add_to_json(detail, fields)
        check_size(beside + entry_size(entry), size(result) - size(detail), *LIMITS)
        entry["Detail"] = result

    return injected("eventbridge", put)


def entry_size(entry: Mapping[str, Any]) -> int:
    """Bytes of an entry as EventBridge counts them."""
    named = sum(size(entry[name]) for name in ("Source", "DetailType", "Detail") if name in entry)
    return named + sum(size(resource) for resource in entry.get("Resources") or ()) + (14 if "Time" in entry else 0)


def extract(event: Mapping[str, Any]) -> Incoming:
    """What an event says, as a target (Lambda, SQS) gets it."""
    return extracted("eventbridge", lambda: read(event))


def read(event: Mapping[str, Any]) -> Incoming | None:
    """The fields of an event, or None when it is none."""
    detail = event.get("detail")
    return Incoming("eventbridge", known(detail.get(KEY))) if isinstance(detail, Mapping) else None
