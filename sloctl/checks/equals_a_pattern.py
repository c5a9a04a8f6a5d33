"""A pattern that is compared with `=`.

`code="5.."` selects the one series whose code is the text `5..`, which no series has: nothing is ever bad, and the SLO
reads 100 % for ever. A regular expression is written with `=~`, and one that must not match with `!~`.
"""

from __future__ import annotations

import re
from typing import Final

from sloctl.checks.selectors import place_of, selectors_by_key
from sloctl.diagnostics import Diagnostics, Place
from sloctl.model.catalogue import Catalogue
from sloctl.model.selector import Matcher, MatchOperator

CODE: Final = "SLO116"
_PATTERN: Final = re.compile(r"\.[*+]|\||\\[dw]|\[[^]]+\]|^\d(\.\.|xx|\*)$", re.IGNORECASE)
_STATUSES: Final = re.compile(r"^(\d)(?:xx|\*)$", re.IGNORECASE)
_MEANT: Final = {MatchOperator.EQUAL: "=~", MatchOperator.NOT_EQUAL: "!~"}


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """No text that looks like a pattern is compared with `=` or `!=`."""
    for slo in catalogue.slos:
        written = dict[Matcher, Place]()
        for key, selector in selectors_by_key(slo.indicator):
            for matcher in selector.matchers:
                if matcher.operator in _MEANT and _PATTERN.search(matcher.value):
                    written.setdefault(matcher, place_of(slo, key))
        for matcher, place in written.items():
            compared = f'{matcher.label}{matcher.operator.value}"{matcher.value}"'
            pattern = _STATUSES.sub(r"\1..", matcher.value)
            meant = f'{matcher.label}{_MEANT[matcher.operator]}"{pattern}"'
            found.warning(CODE, place, f"`{compared}` compares with a text, not with a pattern", f"write `{meant}`")
