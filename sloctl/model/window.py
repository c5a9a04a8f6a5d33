"""The period over which an objective holds: the last so many days, or a calendar period in a named zone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from sloctl.model.quantities import DAY, Duration


class Calendar(Enum):
    """Calendar periods; each begins at midnight of its first day, weeks on Monday."""

    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


_LONGEST: Final = {Calendar.WEEK: 7, Calendar.MONTH: 31, Calendar.QUARTER: 92, Calendar.YEAR: 366}
_TYPICAL: Final = {Calendar.WEEK: 7, Calendar.MONTH: 30, Calendar.QUARTER: 91, Calendar.YEAR: 365}


@dataclass(frozen=True, slots=True)
class RollingWindow:
    """The last `length`, at least a day."""

    length: Duration

    def __post_init__(self) -> None:
        if self.length < DAY:
            raise ValueError("a window is at least one day long")

    @property
    def longest(self) -> Duration:
        """As long as ever."""
        return self.length

    def __str__(self) -> str:
        return str(self.length)


@dataclass(frozen=True, slots=True)
class CalendarWindow:
    """The calendar period that is running in `time_zone`, an IANA name."""

    calendar: Calendar
    time_zone: str

    @property
    def length(self) -> Duration:
        """A typical period; burn rates depend on the objective only, so nothing is decided by it."""
        return DAY * _TYPICAL[self.calendar]

    @property
    def longest(self) -> Duration:
        """The longest period, with an hour for the autumn change to winter time."""
        return DAY * _LONGEST[self.calendar] + Duration.of(hours=1)

    def __str__(self) -> str:
        return f"{self.calendar.value} ({self.time_zone})"


Window: TypeAlias = RollingWindow | CalendarWindow


def parse_window(text: str) -> Window:
    """A window from its text, such as `30d` or `month (Asia/Kolkata)`.

    Raises:
        ValueError: it is none.
    """
    word, _, zone = text.partition(" ")
    return CalendarWindow(Calendar(word), zone.strip("()")) if zone else RollingWindow(Duration.parse(text))
