"""The selectors of an SLI with the keys that hold them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from sloctl.diagnostics import Place
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import Indicator, Latency
from sloctl.model.selector import Expression, Selector


def place_of(slo: Slo, key: str) -> Place:
    """Where a key of `selectors_by_key` was written; what `bad_if` narrows is in force as `bad`."""
    return slo.places.get(f"sli.{key}") or slo.places.get(f"sli.{key}_if") or slo.at("sli")


def selectors_by_key(indicator: Indicator) -> Iterator[tuple[str, Selector]]:
    """Each selector with the key that holds it."""
    for field in fields(indicator):
        for selector in _read(getattr(indicator, field.name)):
            yield f"{indicator.key}.{field.name}", selector
    if isinstance(indicator, Latency):
        yield from (("latency.bad_if", selector.narrowed(*indicator.bad_if)) for selector in indicator.histogram)


def _read(value: object) -> Iterator[Selector]:
    match value:
        case Selector():
            yield value
        case Expression():
            yield from value.selectors
        case tuple():
            yield from (part for part in value if isinstance(part, Selector))
