"""What is counted: from text to selectors and expressions, with the platform's matchers on each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, assert_never

from sloctl.language import indicators
from sloctl.language.quantities import WrittenBound
from sloctl.language.tree import Key
from sloctl.model import indicator as meant
from sloctl.model.quantities import Duration, number
from sloctl.model.selector import Expression, Selector, Selectors
from sloctl.promql.expressions import per_second
from sloctl.resolve import codes
from sloctl.resolve.reading import PromqlReading, PromqlRefusedError

_UNITS: Final = {
    "_milliseconds": meant.Unit.MILLISECONDS,
    "_microseconds": meant.Unit.MICROSECONDS,
    "_nanoseconds": meant.Unit.NANOSECONDS,
    "_seconds": meant.Unit.SECONDS,
}
"""By what a histogram's name ends with."""
_SUFFIXES: Final = ("_bucket", "_count", "_sum")


@dataclass(frozen=True, slots=True)
class IndicatorReading(PromqlReading):
    """What reads the SLI of one SLO.

    Attributes:
        buckets: known bounds of histograms.
    """

    buckets: Mapping[str, tuple[Decimal, ...]] = field(default_factory=dict)

    def indicator(self, written: indicators.Sli) -> meant.Indicator | None:
        """The SLI, or None with the reasons in `found`."""
        before = len(self.found.errors)
        made = self._made(written.indicator)
        return made if len(self.found.errors) == before else None

    def _made(self, written: indicators.Indicator) -> meant.Indicator | None:
        try:
            match written:
                case indicators.Ratio():
                    return self._ratio(written)
                case indicators.Latency():
                    return self._latency(written)
                case indicators.Query():
                    return self._query(written)
                case indicators.Probe():
                    gauge = self.needed_selector(written.gauge, "sli", "probe", "gauge")
                    return meant.Probe(gauge, written.across)
                case indicators.Freshness():
                    return self._freshness(written)
                case indicators.Throughput():
                    return self._throughput(written)
                case indicators.Saturation():
                    used = self.selectors(written.used, "sli", "saturation", "used")
                    capacity = self.selectors(written.capacity, "sli", "saturation", "capacity")
                    return meant.Saturation(used, capacity, written.at_most)
                case indicators.Threshold():
                    return self._threshold(written)
                case _:
                    assert_never(written)
        except PromqlRefusedError:
            return None

    def _ratio(self, ratio: indicators.Ratio) -> meant.Ratio:
        sides = {side: getattr(ratio, side) for side in ("total", "bad", "good")}
        read = {
            side: None if texts is None else self.selectors(texts, "sli", "ratio", side)
            for side, texts in sides.items()
        }
        if ratio.bad_if is not None:
            narrower = self.matchers_in(ratio.bad_if, "sli", "ratio", "bad_if")
            read["bad"] = tuple(selector.narrowed(*narrower) for selector in read["total"] or ())
        return meant.Ratio(read["total"], read["bad"], read["good"], ratio.counts)

    def _latency(self, latency: indicators.Latency) -> meant.Latency:
        histogram = self.selectors(latency.histogram, "sli", "latency", "histogram")
        bad_if = () if latency.bad_if is None else self.matchers_in(latency.bad_if, "sli", "latency", "bad_if")
        if not histogram:
            raise PromqlRefusedError
        for selector in histogram:
            self._check_base_name(selector)
        unit = self._unit(latency, histogram)
        at_most = _in_unit(latency.at_most, unit)
        if not latency.native:
            self._check_bound(histogram, at_most, latency.at_most)
        return meant.Latency(histogram, at_most, unit, bad_if, latency.native)

    def _check_base_name(self, selector: Selector) -> None:
        keys = ("sli", "latency", "histogram")
        base = _base_name(selector.metric)
        if base != selector.metric:
            self.error(
                codes.UNIT, f"`{selector.metric}` is a part of a histogram", f"write its base name, `{base}`", *keys
            )
        if any(matcher.label == "le" for matcher in selector.matchers):
            self.error(
                codes.UNIT, "a histogram's selector has no `le`", "remove it; `at_most` says which bucket", *keys
            )

    def _unit(self, latency: indicators.Latency, histogram: Selectors) -> meant.Unit:
        if latency.unit is not None:
            return latency.unit
        names = [_base_name(selector.metric) for selector in histogram]
        for suffix, unit in _UNITS.items():
            if all(name.endswith(suffix) for name in names):
                return unit
        if latency.at_most.unit == "duration":
            message = f"nothing tells the unit of the bounds of `{names[0]}`"
            help_ = "add `unit: s`, `ms`, `us` or `ns`, or write a number with `unit: none`"
            self.error(codes.UNIT, message, help_, "sli", "latency", "at_most")
        return meant.Unit.NONE

    def _check_bound(self, histogram: Selectors, at_most: Decimal, written: WrittenBound) -> None:
        for selector in histogram:
            bounds = self.buckets.get(selector.metric)
            if bounds is not None and at_most not in bounds:
                near = [*[bound for bound in bounds if bound < at_most][-1:], *[b for b in bounds if b > at_most][:1]]
                shown = [_as_written(bound, at_most, written) for bound in near]
                help_ = f"write one of its bounds, such as {' or '.join(shown)}"
                message = f"{_as_written(at_most, at_most, written)} is no bucket of `{selector.metric}`"
                self.error(codes.UNIT, message, help_, "sli", "latency", "at_most")

    def _query(self, query: indicators.Query) -> meant.Query:
        texts = {key: getattr(query, key) for key in ("total", "bad", "good", "bad_ratio")}
        wanted = {key: text for key, text in texts.items() if text is not None}
        read = {key: self._grouped(text, "sli", "query", key) for key, text in wanted.items()}
        known = {key: expression for key, expression in read.items() if expression is not None}
        if len(known) < len(wanted):
            raise PromqlRefusedError
        for key, expression in known.items():
            if key != "bad_ratio" and (function := per_second(expression)):
                message = f"`{function}` counts per second, and `{key}` is the number of events in `$window`"
                help_ = f"write `increase` instead of `{function}`"
                self.error(codes.UNIT, message, help_, "sli", "query", key)
        return meant.Query(**known)

    def _grouped(self, text: str, *keys: Key) -> Expression | None:
        expression = self.expression(text, *keys, windowed=True)
        if expression is None:
            return None
        labels = expression.grouping
        if labels is not None and labels != tuple(sorted(self.by)):
            wanted = f"`by ({', '.join(self.by)})`" if self.by else "no `by`, as the SLO has none"
            message = f"this is grouped by {', '.join(f'`{label}`' for label in labels) or 'nothing'}"
            self.error(codes.SPLIT_LABEL, message, f"group it with {wanted}", *keys)
        return expression

    def _freshness(self, freshness: indicators.Freshness) -> meant.Freshness:
        sides = {key: getattr(freshness, key) for key in ("timestamp", "age")}
        read = {
            key: None if text is None else self.needed_selector(text, "sli", "freshness", key)
            for key, text in sides.items()
        }
        across = freshness.across
        return meant.Freshness(freshness.max_age, read["timestamp"], read["age"], across)

    def _throughput(self, throughput: indicators.Throughput) -> meant.Throughput:
        counter = self.selectors(throughput.counter, "sli", "throughput", "counter")
        return meant.Throughput(
            counter,
            throughput.at_least,
            throughput.at_most,
            throughput.counts,
            throughput.across,
        )

    def _threshold(self, threshold: indicators.Threshold) -> meant.Threshold:
        value = self.expression(threshold.value, "sli", "threshold", "value")
        if value is None:
            raise PromqlRefusedError
        low, high = (None if bound is None else bound.value for bound in (threshold.at_least, threshold.at_most))
        return meant.Threshold(value, low, high, threshold.across)


def _base_name(metric: str) -> str:
    """The name of a histogram without the suffix of one of its parts."""
    suffix = next((suffix for suffix in _SUFFIXES if metric.endswith(suffix)), "")
    return metric.removesuffix(suffix)


def _as_written(bound: Decimal, at_most: Decimal, written: WrittenBound) -> str:
    """A bound in the words of the specification: `250ms` where a duration is written."""
    if written.unit != "duration":
        return number(bound)
    seconds = bound * (written.value / at_most)
    whole = seconds * 1000 == int(seconds * 1000)
    return str(Duration(int(seconds * 1000))) if whole else f"{number(seconds * 10**6)}us"


def _in_unit(bound: WrittenBound, unit: meant.Unit) -> Decimal:
    if bound.unit != "duration":
        return bound.value
    return bound.value * unit.a_second
