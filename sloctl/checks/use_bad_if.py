"""`bad` that only narrows `total`.

`bad` is for errors that are another metric. Where they are events of `total` with further matchers, `bad_if` says
so: the selectors cannot drift apart, and a value of `by` that has no errors yet is known to have none.

    ratio: {total: 'http_requests_total{job="checkout"}', bad_if: 'code=~"5.."'}

Where `bad` is the same as `total`, every event is bad.
"""

from __future__ import annotations

from typing import Final

from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.model.indicator import Ratio
from sloctl.model.selector import Matcher, Selector
from sloctl.promql.selectors import matchers_text

CODE: Final = "SLO110"
_KEY: Final = "sli.ratio.bad"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """Where `bad` is the metric of `total`, `bad_if` says it."""
    for slo in catalogue.slos:
        if isinstance(slo.indicator, Ratio) and _KEY in slo.places:
            _check_ratio(slo, slo.indicator, found)


def _check_ratio(slo: Slo, ratio: Ratio, found: Diagnostics) -> None:
    if ratio.total is None or ratio.bad is None or len(ratio.total) != len(ratio.bad):
        return
    further = {_narrowing(total, bad) for total, bad in zip(ratio.total, ratio.bad, strict=True)}
    if further == {()}:
        message = f"every event of {slo.id} is bad: `bad` and `total` are the same"
        found.warning(CODE, slo.at(_KEY), message, "write what makes an event bad, such as `bad_if: 'code=~\"5..\"'`")
    elif len(further) == 1 and (only := further.pop()) is not None:
        message = f"`bad` of {slo.id} only narrows its `total`"
        found.note(CODE, slo.at(_KEY), message, f"write `bad_if: '{matchers_text(only)}'` instead of `bad`")


def _narrowing(total: Selector, bad: Selector) -> tuple[Matcher, ...] | None:
    """The matchers that `bad` has beyond those of `total`; None where it is no part of it."""
    if bad.metric != total.metric or not set(total.matchers) <= set(bad.matchers):
        return None
    return tuple(matcher for matcher in bad.matchers if matcher not in total.matchers)
