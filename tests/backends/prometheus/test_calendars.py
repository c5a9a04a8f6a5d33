"""The expressions of calendars, at every boundary of every zone."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate, pairwise

import pytest

from sloctl.backends.prometheus.calendars import weeks
from sloctl.model.periods import period_starts, zone_names
from sloctl.model.window import Calendar, CalendarWindow

STEP = re.compile(r"([+-]) (\d+) \* \(time\(\) >= bool (\d+)\)")
WEEK = re.compile(
    r"(\d+) \+ 604800 \* floor\(vector\(\n  \(time\(\) - (\d+) - \(\n(.*?)\n  \)\) / 604800\n\)\) \+ \(\n(.*)\n\)",
    re.DOTALL,
)


def steps(text: str) -> Callable[[int], int]:
    """A sum of steps, which begins with a plain number, as a function of time."""
    found = sorted((int(since), int(sign + by)) for sign, by, since in STEP.findall(text))
    moments = [since for since, _ in found]
    sums = list(accumulate((by for _, by in found), initial=int(text.split("\n", maxsplit=1)[0])))
    return lambda moment: sums[bisect_right(moments, moment)]


def read(expression: str) -> Callable[[int], int]:
    """What PromQL makes of the expression for a week, as a function of time."""
    found = WEEK.fullmatch(expression)
    assert found is not None
    first, begin, gone, late = int(found[1]), int(found[2]), steps(found[3]), steps(found[4])
    return lambda moment: first + 604800 * ((moment - begin - gone(moment)) // 604800) + late(moment)


@pytest.mark.parametrize("letter", sorted({name[:2] for name in zone_names()}))
def test_every_week_of_every_zone_begins_and_ends_when_its_clocks_say_so(letter: str) -> None:
    seen = set[tuple[int, ...]]()
    for name in sorted(zone_names()):
        starts = period_starts(CalendarWindow(Calendar.WEEK, name)) if name.startswith(letter) else ()
        if not starts or starts in seen:
            continue
        seen.add(starts)
        begin, end = read(weeks(starts[:-1], starts[:-1])), read(weeks(starts[:-1], starts[1:]))
        for before, after in pairwise(starts):
            for moment in (before, before + 3600, before + 302_400, after - 3601, after - 1):
                assert (begin(moment), end(moment)) == (before, after), (name, moment)


def test_a_zone_that_never_changes_its_clocks_needs_no_steps() -> None:
    starts = period_starts(CalendarWindow(Calendar.WEEK, "Asia/Kolkata"))
    assert weeks(starts[:-1], starts[:-1]).count("bool") == 0


def test_a_zone_that_changes_them_twice_a_year_needs_two_steps_a_change() -> None:
    starts = period_starts(CalendarWindow(Calendar.WEEK, "Europe/Berlin"))
    assert weeks(starts[:-1], starts[:-1]).count("bool") == 2 * 2 * 11
