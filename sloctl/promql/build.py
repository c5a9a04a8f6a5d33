"""Pieces of generated PromQL. Every name and value in them was printed by `sloctl.promql.selectors`.

A generated expression is text that only these functions and the templates of a backend compose; text of a
specification never becomes part of one unless it was parsed and printed again.
"""

from __future__ import annotations

from sloctl.model.quantities import Duration
from sloctl.model.selector import Selector
from sloctl.promql.selectors import quote, selector_text


def over_time(function: str, selector: Selector, range_: Duration, offset: Duration | None = None) -> str:
    """A function over a range of raw samples, such as `last_over_time(m[1m] offset 15s)`."""
    return f"{function}_over_time({selector_text(selector, range_, offset)})"


def matching_on(labels: tuple[str, ...]) -> str:
    """`on (a, b)`."""
    return f"on ({', '.join(labels)})"


def renamed(inner: str, new: str, old: str) -> str:
    """The same series with the value of label `old` copied to label `new`."""
    return f"label_replace(\n{indent(inner)},\n  {quote(new)}, {quote('$1')}, {quote(old)}, {quote('(.*)')}\n)"


def indent(text: str) -> str:
    """Every line two spaces further right."""
    return "\n".join(f"  {line}" for line in text.splitlines())
