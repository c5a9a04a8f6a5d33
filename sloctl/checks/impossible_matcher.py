"""A selector that matches nothing whatever the data.

Matchers of one selector must all hold. `code="a", code="b"` asks one label for two values, so that the SLI counts
nothing, for ever and in silence. For one of several values write a regular expression: `code=~"a|b"`.

Only what can be proven is reported: equal values, and regular expressions of plain characters, `.` and `|`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Final

from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.model.indicator import Indicator, Latency
from sloctl.model.selector import Expression, MatchOperator, Selector
from sloctl.promql.matching import contradiction
from sloctl.promql.selectors import matchers_text

CODE: Final = "SLO111"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """Every selector of an SLI can match something."""
    for slo in catalogue.slos:
        reported = False
        for key, selector in _selectors(slo.indicator):
            again = reported and f"sli.{key.partition('.')[0]}.bad_if" in slo.places  # what it narrows is wrong already
            label = None if again else contradiction(selector.matchers)
            if label is not None:
                reported = True
                _report(slo, key, selector, label, found)


def _report(slo: Slo, key: str, selector: Selector, label: str, found: Diagnostics) -> None:
    impossible = matchers_text(selector.on((label,)))
    place = slo.places.get(f"sli.{key}") or slo.places.get(f"{'sli.' + key}_if") or slo.at("sli")
    message = f"no series of {selector.metric} can match `{impossible}`"
    values = [matcher.value for matcher in selector.on((label,)) if matcher.operator is MatchOperator.EQUAL]
    either = f', or write `{label}=~"{"|".join(values)}"` for either value' if len(values) > 1 else ""
    found.error(CODE, place, message, f"keep one of the matchers{either}")


def _selectors(indicator: Indicator) -> Iterator[tuple[str, Selector]]:
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
