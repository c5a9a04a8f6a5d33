"""A selector that matches nothing whatever the data.

Matchers of one selector must all hold. `code="a", code="b"` asks one label for two values, so that the SLI counts
nothing, for ever and in silence. For one of several values write a regular expression: `code=~"a|b"`.

Only what can be proven is reported: equal values, and regular expressions of plain characters, `.` and `|`.
"""

from __future__ import annotations

from typing import Final

from sloctl.checks.selectors import place_of, selectors_by_key
from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.model.selector import MatchOperator, Selector
from sloctl.promql.matching import contradiction
from sloctl.promql.selectors import matchers_text

CODE: Final = "SLO111"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """Every selector of an SLI can match something."""
    for slo in catalogue.slos:
        reported = False
        for key, selector in selectors_by_key(slo.indicator):
            again = reported and f"sli.{key.partition('.')[0]}.bad_if" in slo.places  # what it narrows is wrong already
            label = None if again else contradiction(selector.matchers)
            if label is not None:
                reported = True
                _report(slo, key, selector, label, found)


def _report(slo: Slo, key: str, selector: Selector, label: str, found: Diagnostics) -> None:
    impossible = matchers_text(selector.on((label,)))
    place = place_of(slo, key)
    message = f"no series of {selector.metric} can match `{impossible}`"
    values = [matcher.value for matcher in selector.on((label,)) if matcher.operator is MatchOperator.EQUAL]
    either = f', or write `{label}=~"{"|".join(values)}"` for either value' if len(values) > 1 else ""
    found.error(CODE, place, message, f"keep one of the matchers{either}")
