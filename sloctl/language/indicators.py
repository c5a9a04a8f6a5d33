"""The SLI kinds as written."""

from typing import Annotated, Self, TypeAlias

from pydantic import ConfigDict, model_validator

from sloctl.language import values as v
from sloctl.language.fields import Maybe, Written, apart, exactly_one, optional, required, written
from sloctl.language.refusals import refusal
from sloctl.model import indicator

Across: TypeAlias = Annotated[indicator.Across, v.Words(("each", "any", "most", "all"))]


class Ratio(Written):
    """Bad events divided by all events, from counters."""

    total: Maybe[v.Selectors] = optional("All events.")
    bad: Maybe[v.Selectors] = optional("The bad events, when they are another metric than `total`.")
    good: Maybe[v.Selectors] = optional("The good events.")
    bad_if: Maybe[v.Matchers] = optional("Matchers that make an event of `total` a bad one.")
    counts: v.Counts = optional(
        "What a sample holds: a running total, a rate, or the events of a time.", indicator.RunningTotal()
    )

    @model_validator(mode="after")
    def _one_pair(self) -> Self:
        present = tuple(written(self, "total", "bad", "good", "bad_if"))
        if present not in _RATIO_PAIRS:
            message = "a ratio has exactly one of these pairs: " + _PAIRS
            extra = present[2:3] or present[:1]
            raise refusal("SLO032", message, _ratio_help(present), at=extra)
        return self


_PAIRS = "`total` + `bad_if`, `total` + `bad`, `total` + `good`, `bad` + `good`"
_RATIO_PAIRS = (("total", "bad_if"), ("total", "bad"), ("total", "good"), ("bad", "good"))


def _ratio_help(present: tuple[str, ...]) -> str:
    match present:
        case ("total",):
            return "say which events are bad: `bad_if: 'code=~\"5..\"'`"
        case ("bad" | "good",):
            return "add `total`"
        case ("bad_if",) | ("bad" | "good", "bad_if"):
            return "add `total`, whose events `bad_if` narrows"
        case ():
            return "write `total` and `bad_if`"
        case _:
            return "keep one pair"


class Latency(Written):
    """Observations of a histogram; those at or below a bound are good."""

    histogram: v.Selectors = required("Base name of the histogram, without `_bucket`, `_count` or `_sum`.")
    at_most: v.LatencyBound = required("Good events lie at or below this duration or number.")
    unit: Maybe[v.Word[indicator.Unit]] = optional(
        "Unit of the histogram's bounds.", otherwise="what the histogram's name ends with"
    )
    bad_if: Maybe[v.Matchers] = optional("Matchers that make an event bad however fast it was.")
    native: v.Boolean = optional("Whether it is a native histogram.", default=False)


class Query(Written):
    """Events counted by PromQL that contains `$window`."""

    total: Maybe[v.WindowedPromQL] = optional("All events within `$window`.")
    bad: Maybe[v.WindowedPromQL] = optional("The bad events within `$window`.")
    good: Maybe[v.WindowedPromQL] = optional("The good events within `$window`.")
    bad_ratio: Maybe[v.WindowedPromQL] = optional("The share of bad events within `$window`; it is averaged over time.")

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        apart(self, "SLO032", "bad_ratio", "total", "bad", "good")
        if self.bad_ratio is not None:
            return self
        if self.total is None:
            raise refusal("SLO032", "`total` is missing", "write `total` with `bad` or `good`, or `bad_ratio` alone")
        exactly_one(self, "SLO032", "`bad` or `good`", "bad", "good")
        return self


class Probe(Written):
    """A gauge between 0 and 1."""

    gauge: v.SelectorText = required("Selector of the gauge, 1 when well and 0 when not.")
    across: Across = optional("How the series of a slice become events.", indicator.Across.EACH)


class Freshness(Written):
    """How old the newest thing may be."""

    timestamp: Maybe[v.SelectorText] = optional("Selector of a gauge that holds Unix seconds.")
    age: Maybe[v.SelectorText] = optional("Selector of a gauge that holds an age in seconds.")
    max_age: v.PositiveDuration = required("The oldest that is still good.")
    across: Across = optional("How the series of a slice become events.", indicator.Across.EACH)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        exactly_one(self, "SLO032", "`timestamp` or `age`", "timestamp", "age")
        return self


class Throughput(Written):
    """A rate that must be reached, or must not be passed, in every slice."""

    counter: v.Selectors = required("The events that are counted.")
    at_least: Maybe[v.Rate] = optional("A slice is good at or above this rate.")
    at_most: Maybe[v.Rate] = optional("A slice is good at or below this rate.")
    counts: v.Counts = optional(
        "What a sample holds: a running total, a rate, or the events of a time.", indicator.RunningTotal()
    )
    across: Annotated[indicator.Across, v.Words(("sum", "each"))] = optional(
        "Whether all series count together, or each alone.", indicator.Across.SUM
    )

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        low, high = self.at_least, self.at_most
        if low is None and high is None:
            raise refusal("SLO033", "a throughput needs a bound", "write `at_least: 800K/min` or `at_most`")
        if low and high and low.during(high.per) >= high.events:
            raise _crossed()
        return self


class Saturation(Written):
    """How much of a capacity is used."""

    used: v.Selectors = required("Gauges of what is used.")
    capacity: v.Selectors = required("Gauges of what there is.")
    at_most: v.AboveZero = required("A slice is good at or below this share of the capacity.")


class Threshold(Written):
    """Gauges that must lie within bounds."""

    value: v.PromQL = required("PromQL that returns the gauges.")
    at_least: Maybe[v.Bound] = optional("A slice is good at or above this value.")
    at_most: Maybe[v.Bound] = optional("A slice is good at or below this value.")
    across: Across = optional("How the series of a slice become events.", indicator.Across.EACH)

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        low, high = self.at_least, self.at_most
        if low is None and high is None:
            raise refusal("SLO033", "a threshold needs a bound", "write `at_least` or `at_most`")
        if low and high and low.unit != high.unit:
            message = "`at_least` and `at_most` are written in different units"
            raise refusal("SLO033", message, "write both as numbers, percentages or durations", at=("at_most",))
        if low and high and low.value >= high.value:
            raise _crossed()
        return self


def _crossed() -> Exception:
    message = "`at_least` is not below `at_most`, so that no value is good"
    return refusal("SLO033", message, "swap or widen the bounds", at=("at_most",), related=((("at_least",), "here"),))


Indicator: TypeAlias = Ratio | Latency | Query | Probe | Freshness | Throughput | Saturation | Threshold


class Sli(Written):
    """What is counted: exactly one kind."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    ratio: Maybe[Ratio] = optional("Bad events divided by all events.")
    latency: Maybe[Latency] = optional("A histogram with a bound.")
    query: Maybe[Query] = optional("PromQL where the other kinds do not reach.")
    probe: Maybe[Probe] = optional("A gauge between 0 and 1.")
    freshness: Maybe[Freshness] = optional("How old the newest thing may be.")
    throughput: Maybe[Throughput] = optional("A rate that must be reached or must not be passed.")
    saturation: Maybe[Saturation] = optional("How much of a capacity is used.")
    threshold: Maybe[Threshold] = optional("Gauges that must lie within bounds.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        exactly_one(self, "SLO031", "the SLI kind", *type(self).model_fields)
        return self

    @property
    def kind(self) -> str:
        """The key of the one kind that is written."""
        return next(iter(self.model_fields_set))

    @property
    def indicator(self) -> Indicator:
        """The one kind that is written."""
        found: Indicator = getattr(self, self.kind)
        return found
