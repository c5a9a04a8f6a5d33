"""A tier that is eaten by its `for`, against a minute-by-minute simulation of outages."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloctl.checks.eaten_by_for import CODE
from tests.checks.specifications import findings, slo, specification

WINDOW = 30 * 24 * 60


def fires_at(outage: int, limit: Fraction, over: int, also_over: int | None, wait: int) -> int | None:
    """The minute in which an alert fires on a total outage of so many minutes; None when it never does."""
    since = None
    for minute in range(1, outage + over + wait + 2):
        bad = [
            Fraction(max(0, min(minute, outage) - max(0, minute - length)), length)
            for length in (over, also_over or over)
        ]
        if min(bad) <= limit:
            since = None
        else:
            since = minute if since is None else since
            if minute - since >= wait:
                return minute
    return None


def found(objective: str, tier: str) -> str:
    text = specification(slo(f"[{{severity: P1, {tier}}}]", objective=objective))
    return "\n".join(f"{finding.message}\n{finding.help}" for finding in findings(text, CODE))


@pytest.mark.property
@settings(max_examples=60)
@given(data=st.data())
def test_what_it_says_of_outages_is_what_happens(data: st.DataObject) -> None:
    over = data.draw(st.integers(2, 90), "over")
    also_over = data.draw(st.none() | st.integers(1, over - 1), "also_over")
    wait = data.draw(st.integers(1, 60), "for")
    objective = data.draw(st.sampled_from(["99%", "99.9%", "99.95%", "99.99%"]), "objective")
    budget = 1 - Fraction(Decimal(objective[:-1])) / 100
    burn = data.draw(st.integers(1, min(20, int(1 / budget) - 1)), "burn")
    short = "" if also_over is None else f", also_over: {also_over}m"

    said = found(objective, f"burn: {burn}, over: {over}m{short}, for: {wait}m")

    limit, gone = burn * budget, budget * WINDOW
    first = fires_at(WINDOW, limit, over, also_over, wait)
    assert first is not None
    assert ("when the budget is gone" in said) is (first - wait < gone <= first)
    if "fires after" in said:
        assert minutes(re.findall(r"fires after (\w+)", said)[0]) == first
    if "hides outages" in said:
        missed = minutes(re.findall(r"a total one of (\w+) tells", said)[0])
        assert fires_at(missed, limit, over, also_over, wait) is None
        assert fires_at(missed + 1, limit, over, also_over, wait) is not None
        assert missed > limit * over
    if better := re.findall(r"write `for: (\w+)`", said):
        assert found(objective, f"burn: {burn}, over: {over}m{short}, for: {better[0]}") == ""
    assert found(objective, f"burn: {burn}, over: {over}m{short}") == ""


def minutes(written: str) -> int:
    hours, rest = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?", written).groups()  # type: ignore[union-attr]
    return int(hours or 0) * 60 + int(rest or 0)


def test_a_violation_that_lasts_two_minutes_may_be_asked_for() -> None:
    assert found("99.97%", "burn: 1, over: 1m, for: 2m") == ""
