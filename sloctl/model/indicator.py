"""Service level indicators: what is counted, one class a kind; each says its key in the language and what it reads."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import ClassVar, NamedTuple, TypeAlias

from sloctl.model.quantities import Duration, Rate, number
from sloctl.model.selector import Expression, Matcher, MatchOperator, Selector, Selectors


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
    MICROSECONDS = "us"
    NANOSECONDS = "ns"
    NONE = "none"

    @property
    def a_second(self) -> int:
        """How many of it are a second; 1 for numbers without a unit."""
        return {"ms": 10**3, "us": 10**6, "ns": 10**9}.get(self.value, 1)


class Reads(NamedTuple):
    """The raw series that an indicator reads.

    Attributes:
        required: groups of selectors; nothing can be measured while a group has no series at all. Empty where the
            user's own PromQL reads them.
        optional: selectors that need not match, such as those of errors that never happened.
        buckets: the bucket of a bound, required as well; where it alone is missing, the bound is wrong.
        counters: whether their samples are running totals.
    """

    required: tuple[Selectors, ...] = ()
    optional: Selectors = ()
    buckets: Selectors = ()
    counters: bool = False

    @property
    def groups(self) -> tuple[Selectors, ...]:
        """All that is required."""
        return (*self.required, self.buckets) if self.buckets else self.required

    @property
    def selectors(self) -> Selectors:
        """Everything but buckets, each selector once."""
        return tuple(dict.fromkeys(selector for group in (*self.required, self.optional) for selector in group))


@dataclass(frozen=True, slots=True)
class Ratio:
    """Bad events divided by all events; exactly two of the three are given and the third follows.

    `bad_if` of the specification is resolved to `bad`: the same series as `total`, narrowed.
    """

    key: ClassVar[str] = "ratio"
    total: Selectors | None = None
    bad: Selectors | None = None
    good: Selectors | None = None
    counts: Counts = RunningTotal()

    def __post_init__(self) -> None:
        if sum(side is not None for side in (self.total, self.bad, self.good)) != 2:
            raise ValueError("a ratio has exactly two of total, bad and good")

    def reads(self) -> Reads:
        """Its total, or both of its sides; of two sides the bad one may have no series yet."""
        bad, good = self.bad or (), self.good or ()
        counters = isinstance(self.counts, RunningTotal)
        if self.total is None:
            return Reads(((*bad, *good),), bad, counters=counters)
        others = tuple(selector for selector in (*bad, *good) if selector not in self.total)
        return Reads((self.total,), others, counters=counters)


@dataclass(frozen=True, slots=True)
class Latency:
    """Observations of a histogram at or below a bound are good.

    `histogram` is the base name without `_bucket`; `at_most` is in the histogram's own `unit`.
    """

    key: ClassVar[str] = "latency"
    histogram: Selectors
    at_most: Decimal
    unit: Unit
    bad_if: tuple[Matcher, ...] = ()
    native: bool = False

    def reads(self) -> Reads:
        """The histogram itself when it is native, else its count and the bucket of the bound."""
        if self.native:
            return Reads((self.histogram,), counters=True)
        counts = tuple(selector.named(f"{selector.metric}_count") for selector in self.histogram)
        le = Matcher("le", *_le(self.at_most))
        buckets = tuple(selector.named(f"{selector.metric}_bucket").narrowed(le) for selector in self.histogram)
        return Reads((counts,), buckets=buckets, counters=True)


def _le(bound: Decimal) -> tuple[MatchOperator, str]:
    pattern = le_pattern(bound)
    plain = bound != bound.to_integral_value() and bound >= Decimal("0.0001")
    return (MatchOperator.EQUAL, number(bound)) if plain else (MatchOperator.REGEX, pattern)


def le_pattern(bound: Decimal) -> str:
    """A regular expression of the forms that a bound has as a label.

    A whole one is `1` in the text format and `1.0` from Prometheus 3 on; large and small ones have exponents.
    """
    text = number(bound)
    if bound == bound.to_integral_value():
        forms = [rf"{text}(\.0)?"]
        if bound >= 10**6:
            digits, exponent = f"{bound.normalize():e}".split("e")
            forms.append(rf"{digits}e\+0?{int(exponent)}".replace(".", r"\."))
        return "|".join(forms)
    if bound < Decimal("0.0001"):
        digits, exponent = f"{bound.normalize():e}".split("e")
        return f"{text}|{digits}e-0?{abs(int(exponent))}".replace(".", r"\.")
    return text.replace(".", r"\.")


@dataclass(frozen=True, slots=True)
class Query:
    """Events counted by PromQL with `$window`: `total` with `bad` or `good`, or `bad_ratio` alone."""

    key: ClassVar[str] = "query"
    total: Expression | None = None
    bad: Expression | None = None
    good: Expression | None = None
    bad_ratio: Expression | None = None

    def __post_init__(self) -> None:
        alone = self.bad_ratio is not None
        pair = self.total is not None and (self.bad is None) != (self.good is None)
        if alone == pair:
            raise ValueError("a query has total with bad or good, or bad_ratio alone")

    def reads(self) -> Reads:
        """What its expressions read is the user's to know."""
        return Reads()


@dataclass(frozen=True, slots=True)
class Probe:
    """A gauge between 0 (failed) and 1 (well)."""

    key: ClassVar[str] = "probe"
    gauge: Selector
    across: Across = Across.EACH

    def reads(self) -> Reads:
        """Its gauge."""
        return Reads(((self.gauge,),))


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old the newest thing may be, from its Unix timestamp or its age in seconds."""

    key: ClassVar[str] = "freshness"
    max_age: Duration
    timestamp: Selector | None = None
    age: Selector | None = None
    across: Across = Across.EACH

    def __post_init__(self) -> None:
        if (self.timestamp is None) == (self.age is None):
            raise ValueError("freshness has a timestamp or an age")

    def reads(self) -> Reads:
        """That of the two which is given."""
        return Reads((tuple(selector for selector in (self.timestamp, self.age) if selector is not None),))


@dataclass(frozen=True, slots=True)
class Throughput:
    """Events a slice must reach or must not pass."""

    key: ClassVar[str] = "throughput"
    counter: Selectors
    at_least: Rate | None = None
    at_most: Rate | None = None
    counts: Counts = RunningTotal()
    across: Across = Across.SUM

    def __post_init__(self) -> None:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a throughput has a bound")

    def reads(self) -> Reads:
        """What it counts."""
        return Reads((self.counter,), counters=isinstance(self.counts, RunningTotal))


@dataclass(frozen=True, slots=True)
class Saturation:
    """Gauges of use divided by gauges of capacity; a slice above `at_most` (a ratio) is bad."""

    key: ClassVar[str] = "saturation"
    used: Selectors
    capacity: Selectors
    at_most: Decimal

    def reads(self) -> Reads:
        """Both, each by itself."""
        return Reads((self.used, self.capacity))


@dataclass(frozen=True, slots=True)
class Threshold:
    """Gauges from PromQL that must lie within bounds."""

    key: ClassVar[str] = "threshold"
    value: Expression
    at_least: Decimal | None = None
    at_most: Decimal | None = None
    across: Across = Across.EACH

    def __post_init__(self) -> None:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a threshold has a bound")

    def reads(self) -> Reads:
        """What its expression reads is the user's to know."""
        return Reads()


EventIndicator: TypeAlias = Ratio | Latency | Query
SliceIndicator: TypeAlias = Probe | Freshness | Throughput | Saturation | Threshold
Indicator: TypeAlias = EventIndicator | SliceIndicator
JudgeableIndicator: TypeAlias = Ratio | Latency | Probe
"""What a canary can compare: each series belongs to one of the two versions."""
WholeIndicator: TypeAlias = Threshold | Query
"""What a canary can hold to an absolute limit only: what it reads is of both versions."""


def counts_events(indicator: Indicator) -> bool:
    """Whether the indicator counts events; the others, and a bare ratio over time, judge every slice."""
    if isinstance(indicator, Query):
        return indicator.bad_ratio is None
    return isinstance(indicator, EventIndicator)


def judgeable(indicator: Indicator) -> JudgeableIndicator:
    """An indicator that a canary was allowed to judge when its specification was resolved."""
    assert isinstance(indicator, JudgeableIndicator)
    return indicator
