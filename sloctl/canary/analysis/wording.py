"""Counts and ratios as people read them in a finding's sentence."""

from __future__ import annotations

import math

from sloctl.canary.analysis.verdict import Tally


def percent(ratio: float | None) -> str:
    """A measured ratio: three digits that count."""
    return "none" if ratio is None else f"{ratio * 100:.3g}%"


def grouped(count: float) -> str:
    """A count: `6 010`."""
    return f"{count:,.0f}".replace(",", " ")


def out_of(tally: Tally) -> str:
    """Bad events and all events: `9 of 6 010`."""
    return f"{grouped(tally.x)} of {grouped(tally.n)}"


def requests_failed(tally: Tally) -> str:
    """The error ratio: `0.15% of 6 010 requests failed`."""
    return f"{percent(tally.rate)} of {grouped(tally.n)} requests failed"


def against(baseline: Tally) -> str:
    """The baseline's error ratio, after the canary's."""
    return "and there is no baseline" if baseline.rate is None else f"{percent(baseline.rate)} of the baseline's"


def odds(evidence: float | None) -> str:
    """Evidence as the chance by which it comes about where there is nothing: `1 in 10^47`."""
    if evidence is None or evidence < 2:
        return "none"
    if evidence < 1e6:
        return f"1 in {grouped(evidence)}"
    return f"1 in 10^{math.floor(math.log10(evidence))}"
