"""Durations, ratios and rates as types: exact, and printed as Prometheus writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Context, Decimal
from functools import lru_cache
from typing import Final

_UNITS: Final = (
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
)
_WRITTEN: Final = re.compile("".join(f"(?:([0-9]+){unit})?" for unit, _ in _UNITS))


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time in whole milliseconds, Prometheus' own resolution. A day has 24 hours."""

    milliseconds: int

    def __post_init__(self) -> None:
        if self.milliseconds < 0:
            raise ValueError("a duration is not negative")

    @classmethod
    def of(cls, *, days: int = 0, hours: int = 0, minutes: int = 0, seconds: int = 0) -> Duration:
        """A duration from the units that people say."""
        return cls((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000)

    @classmethod
    def parse(cls, text: str) -> Duration:
        """A duration as Prometheus writes it, such as `1h30m`.

        Raises:
            ValueError: it is none.
        """
        match = _WRITTEN.fullmatch(text)
        if match is None or not match[0]:
            raise ValueError(f"{text!r} is no duration")
        return cls(sum(int(count) * length for count, (_, length) in zip(match.groups("0"), _UNITS, strict=True)))

    @property
    def seconds(self) -> Decimal:
        """The same length in seconds, exact."""
        return Decimal(self.milliseconds) / 1000

    def __str__(self) -> str:
        """As Prometheus writes it, without weeks: `1h30m`, `4m59s`, `30d`."""
        return _written(self.milliseconds)

    def __mul__(self, factor: int) -> Duration:
        return Duration(self.milliseconds * factor)

    def __floordiv__(self, divisor: int) -> Duration:
        return Duration(self.milliseconds // divisor)

    def __mod__(self, other: Duration) -> Duration:
        return Duration(self.milliseconds % other.milliseconds)

    def __truediv__(self, other: Duration) -> Decimal:
        """How many times `other` fits in."""
        return Decimal(self.milliseconds) / Decimal(other.milliseconds)

    def __add__(self, other: Duration) -> Duration:
        return Duration(self.milliseconds + other.milliseconds)

    def __sub__(self, other: Duration) -> Duration:
        return Duration(self.milliseconds - other.milliseconds)

    def __bool__(self) -> bool:
        return self.milliseconds > 0


@lru_cache(maxsize=1024)
def _written(milliseconds: int) -> str:
    """A duration in units; few different ones are written many times."""
    rest, text = milliseconds, ""
    for unit, length in _UNITS:
        count, rest = divmod(rest, length)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


ZERO: Final = Duration(0)
SECOND: Final = Duration.of(seconds=1)
MINUTE: Final = Duration.of(minutes=1)
HOUR: Final = Duration.of(hours=1)
DAY: Final = Duration.of(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Objective:
    """The share of good events that is promised, between 0 and 1, both excluded."""

    ratio: Decimal
    error_budget: Decimal = field(init=False, repr=False, compare=False)
    """The share of events that may be bad: 1 - objective."""

    def __post_init__(self) -> None:
        if not 0 < self.ratio < 1:
            raise ValueError("an objective lies between 0 % and 100 %")
        object.__setattr__(self, "error_budget", 1 - self.ratio)

    def __str__(self) -> str:
        return percent(self.ratio)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many events in so long a time, kept as written because `800K/min` is no exact number a second."""

    events: Decimal
    per: Duration

    def during(self, length: Duration) -> Decimal:
        """Events expected within `length`."""
        return self.events * length.milliseconds / self.per.milliseconds

    def __str__(self) -> str:
        per = {1000: "s", 60_000: "min", 3_600_000: "h", 86_400_000: "d"}[self.per.milliseconds]
        return f"{number(self.events)}/{per}"


_WIDE: Final = Context(prec=60)


@lru_cache(maxsize=1024)
def number(value: Decimal) -> str:
    """A decimal number without exponent and without trailing zeros: `0.0144`, `1000`, `0`.

    A quotient that does not end is cut at 28 significant digits, far beyond what Prometheus can hold.
    """
    text = f"{value.normalize(_WIDE):f}"
    return "0" if text in {"-0", "0"} else text


def percent(ratio: Decimal) -> str:
    """A ratio as people write it: `99.95%`."""
    return f"{number(ratio.scaleb(2, _WIDE))}%"
