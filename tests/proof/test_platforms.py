"""Tables of calendar periods, against time zones walked day by day, and a budget that begins anew."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sloctl.backends.prometheus.backend import platform_groups
from sloctl.model.periods import period_starts
from sloctl.model.window import Calendar, CalendarWindow
from sloctl.proof.platforms import calendar_proofs
from sloctl.proof.proof import rules_of
from sloctl.proof.slos import slo_proofs
from tests.proof.conftest import FINFLOW, RATIO, Prove, Written

ZONES = ["Asia/Kolkata", "Europe/London", "America/New_York", "Australia/Lord_Howe", "UTC"]


def periods(calendar: str, zone: str) -> list[int]:
    """Starts of periods, found by walking through the days of the local calendar."""
    local, found = ZoneInfo(zone), list[int]()
    day, end = date(2024, 12, 30), date(2036, 1, 8)
    while day < end:
        first = day.weekday() == 0 if calendar == "week" else day.day == 1
        if first:
            found.append(int(datetime(day.year, day.month, day.day, tzinfo=local).timestamp()))
        day += timedelta(days=1)
    return found


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("calendar", ["week", "month"])
def test_periods_begin_where_the_local_date_says(calendar: str, zone: str) -> None:
    starts = period_starts(CalendarWindow(Calendar(calendar), zone))
    assert set(starts) <= set(periods(calendar, zone))
    lengths = {after - before for before, after in pairwise(starts)}
    assert len(starts) == (574 + 1 if calendar == "week" else 133)
    if calendar == "week":
        changes = {"Europe/London": 3600, "America/New_York": 3600, "Australia/Lord_Howe": 1800}.get(zone, 0)
        assert lengths == {604_800 - changes, 604_800, 604_800 + changes}


def shared(written: Written, calendar: str, zone: str) -> tuple[Any, list[dict[str, Any]]]:
    platform, _ = written(RATIO, FINFLOW, f"    window: {{calendar: {calendar}, time_zone: {zone}}}\n")
    return platform, [rule for group in platform_groups(platform) for rule in group.value()["rules"]]


@pytest.mark.server
@pytest.mark.parametrize(("calendar", "zone"), [("quarter", "Europe/London"), ("month", "Asia/Kolkata")])
def test_a_table_is_proven_at_its_boundaries(written: Written, prove: Prove, calendar: str, zone: str) -> None:
    platform, rules = shared(written, calendar, zone)
    (outcome,) = prove(list(calendar_proofs(platform, rules)))
    assert outcome.failures == ()
    assert len(outcome.proof.cases[0].values) == 8


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("1774998000", "1774998001", "expected 1774998000 at 1774998000, seen 1767225600"),
        ("time() >= bool 1774998000", "time() > bool 1774998000", "is no sum of steps"),
    ],
)
def test_an_edited_table_is_named_with_the_boundary(written: Written, old: str, new: str, says: str) -> None:
    platform, rules = shared(written, "quarter", "Europe/London")
    edited = [rule | {"expr": rule["expr"].replace(old, new)} for rule in rules]
    assert edited != rules
    (proof,) = calendar_proofs(platform, edited)
    assert proof.refuted.startswith("slo:period_start:timestamp_seconds of the calendar quarter_Europe_London ")
    assert says in proof.refuted


def test_a_table_that_is_gone_is_named(written: Written) -> None:
    platform, rules = shared(written, "quarter", "Europe/London")
    (proof,) = calendar_proofs(platform, [rule for rule in rules if "period_end" not in str(rule.get("record"))])
    assert "no slo:period_end:timestamp_seconds of the calendar quarter_Europe_London" in proof.refuted


@pytest.mark.server
def test_a_budget_begins_anew_with_its_period_at_a_boundary_that_is_no_whole_day(
    written: Written, prove: Prove
) -> None:
    platform, slo = written(RATIO, FINFLOW, "    window: {calendar: month, time_zone: Asia/Kolkata}\n")
    (proof,) = (proof for proof in slo_proofs(rules_of(platform, slo)) if proof.part == "rollover")
    (outcome,) = prove([proof])
    assert outcome.failures == ()
