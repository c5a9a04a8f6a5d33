"""Anything that maps text to text, such as the entries of a Redis stream."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

from sloctl.instrumentation.carriers.encoding import known
from sloctl.instrumentation.carriers.outcome import Incoming, Outcome, extracted, injected


def inject(target: MutableMapping[str, str]) -> Outcome:
    """Set our fields in the mapping."""
    return injected("mapping", target.update)


def extract(source: Mapping[str, str] | Mapping[bytes, bytes]) -> Incoming:
    """What a mapping says; keys and values may be bytes, as Redis clients return them."""
    return extracted("mapping", lambda: Incoming("mapping", known({_text(k): _text(v) for k, v in source.items()})))


def _text(value: object) -> object:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
