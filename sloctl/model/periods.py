"""When calendar periods begin, in any time zone.

Boundaries come from the `tzdata` package, never from the system, so that the same specification gives the same
rules on every machine. The table is fixed: no output depends on today's date.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

from sloctl.model.window import Calendar, CalendarWindow

FIRST_YEAR: Final = 2025
LAST_YEAR: Final = 2035
_MONTHS: Final = {Calendar.MONTH: 1, Calendar.QUARTER: 3, Calendar.YEAR: 12}


@cache
def zone(name: str) -> ZoneInfo:
    """The zone of an IANA name.

    Raises:
        ValueError: there is no such zone.
    """
    if name not in zone_names():
        raise ValueError(f"there is no time zone {name}")
    file = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    with file.open("rb") as content:
        return ZoneInfo.from_file(content, key=name)


@cache
def zone_names() -> frozenset[str]:
    """Every IANA name that is known."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


@cache
def period_starts(window: CalendarWindow) -> tuple[int, ...]:
    """Unix seconds at which the periods of a calendar begin, from 2025 to the end of the last one of 2035."""
    local = zone(window.time_zone)
    days = _weeks() if window.calendar is Calendar.WEEK else _months(_MONTHS[window.calendar])
    return tuple(int(datetime(day.year, day.month, day.day, tzinfo=local).timestamp()) for day in days)


def _months(step: int) -> list[date]:
    months = [date(year, month, 1) for year in range(FIRST_YEAR, LAST_YEAR + 1) for month in range(1, 13, step)]
    return [*months, date(LAST_YEAR + 1, 1, 1)]


def _weeks() -> list[date]:
    first = date(FIRST_YEAR, 1, 1)
    monday = first - timedelta(days=first.weekday())
    count = (date(LAST_YEAR + 1, 1, 8) - monday).days // 7
    return [monday + timedelta(weeks=week) for week in range(count)]
