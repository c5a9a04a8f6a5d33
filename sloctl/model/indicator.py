"""Service level indicators: what is counted, one class a kind."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import TypeAlias

from sloctl.model.quantities import Duration, Rate
from sloctl.model.selector import Expression, Matcher, Selector, Selectors


@dataclass(frozen=True, slots=True)
class RunningTotal:
    """A sample holds all events so far (a Prometheus counter)."""


@dataclass(frozen=True, slots=True)
class PerSecond:
    """A sample holds events a second, such as a recording rule."""


@dataclass(frozen=True, slots=True)
class Every:
    """A sample holds the events of the last `length`, such as CloudWatch or a delta export."""

    length: Duration


Counts: TypeAlias = RunningTotal | PerSecond | Every


class Across(Enum):
    """How the series of a slice become events."""

    EACH = "each"
    ANY = "any"
    MOST = "most"
    ALL = "all"
    SUM = "sum"


class Unit(Enum):
    """The unit of histogram bounds."""

    SECONDS = "s"
    MILLISECONDS = "ms"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Ratio:
    """Bad events divided by all events; exactly two of the three are given and the third follows.

    `bad_if` of the specification is resolved to `bad`: the same series as `total`, narrowed.
    """

    total: Selectors | None = None
    bad: Selectors | None = None
    good: Selectors | None = None
    counts: Counts = RunningTotal()

    def __post_init__(self) -> None:
        if sum(side is not None for side in (self.total, self.bad, self.good)) != 2:
            raise ValueError("a ratio has exactly two of total, bad and good")


@dataclass(frozen=True, slots=True)
class Latency:
    """Observations of a histogram at or below a bound are good.

    `histogram` is the base name without `_bucket`; `at_most` is in the histogram's own `unit`.
    """

    histogram: Selectors
    at_most: Decimal
    unit: Unit
    bad_if: tuple[Matcher, ...] = ()
    native: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """Events counted by PromQL with `$window`: `total` with `bad` or `good`, or `bad_ratio` alone."""

    total: Expression | None = None
    bad: Expression | None = None
    good: Expression | None = None
    bad_ratio: Expression | None = None

    def __post_init__(self) -> None:
        alone = self.bad_ratio is not None
        pair = self.total is not None and (self.bad is None) != (self.good is None)
        if alone == pair:
            raise ValueError("a query has total with bad or good, or bad_ratio alone")


@dataclass(frozen=True, slots=True)
class Probe:
    """A gauge between 0 (failed) and 1 (well)."""

    gauge: Selector
    across: Across = Across.EACH


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old the newest thing may be, from its Unix timestamp or its age in seconds."""

    max_age: Duration
    timestamp: Selector | None = None
    age: Selector | None = None
    across: Across = Across.EACH

    def __post_init__(self) -> None:
        if (self.timestamp is None) == (self.age is None):
            raise ValueError("freshness has a timestamp or an age")


@dataclass(frozen=True, slots=True)
class Throughput:
    """Events a slice must reach or must not pass."""

    counter: Selectors
    at_least: Rate | None = None
    at_most: Rate | None = None
    counts: Counts = RunningTotal()
    across: Across = Across.SUM

    def __post_init__(self) -> None:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a throughput has a bound")


@dataclass(frozen=True, slots=True)
class Saturation:
    """Gauges of use divided by gauges of capacity; a slice above `at_most` (a ratio) is bad."""

    used: Selectors
    capacity: Selectors
    at_most: Decimal


@dataclass(frozen=True, slots=True)
class Threshold:
    """Gauges from PromQL that must lie within bounds."""

    value: Expression
    at_least: Decimal | None = None
    at_most: Decimal | None = None
    across: Across = Across.EACH

    def __post_init__(self) -> None:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a threshold has a bound")


EventIndicator: TypeAlias = Ratio | Latency | Query
SliceIndicator: TypeAlias = Probe | Freshness | Throughput | Saturation | Threshold
Indicator: TypeAlias = EventIndicator | SliceIndicator


def counts_events(indicator: Indicator) -> bool:
    """Whether the indicator counts events; the others, and a bare ratio over time, judge every slice."""
    if isinstance(indicator, Query):
        return indicator.bad_ratio is None
    return isinstance(indicator, Ratio | Latency)
