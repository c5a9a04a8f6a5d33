"""What is counted: from text to selectors and expressions, with the platform's matchers on each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeVar, assert_never

from sloctl.diagnostics import Diagnostics, Place, Related
from sloctl.errors import PromqlError
from sloctl.language import indicators
from sloctl.language.quantities import WrittenBound, WrittenCounts, WrittenRate
from sloctl.language.tree import Key
from sloctl.model import indicator as meant
from sloctl.model.quantities import Duration, Rate, number
from sloctl.model.selector import Expression, Matcher, MatchOperator, Selector, Selectors
from sloctl.promql.expressions import parse_expression
from sloctl.promql.selectors import parse_matchers, parse_selector
from sloctl.resolve import codes
from sloctl.resolve.layers import Layer

T = TypeVar("T")
_SELECTOR_HELP: Final = 'write the metric and its matchers only, such as http_requests_total{job="checkout"}'
_SUFFIXES: Final = ("_bucket", "_count", "_sum")


@dataclass(frozen=True, slots=True)
class Reading:
    """What is needed to read the PromQL of one SLO, and where it stands.

    Attributes:
        layer: the mapping that holds the keys.
        matchers: label and value of what is added to every selector, with the place that says so.
        by: labels that no matcher may fix, and that expressions are grouped by.
        buckets: known bounds of histograms.
    """

    layer: Layer
    found: Diagnostics
    matchers: Mapping[str, tuple[str, Place]]
    by: tuple[str, ...]
    buckets: Mapping[str, tuple[Decimal, ...]]

    def indicator(self, written: indicators.Sli) -> meant.Indicator | None:
        """The SLI, or None with the reasons in `found`."""
        before = len(self.found.found)
        made = self._made(written.indicator)
        return made if len(self.found.found) == before or not _has_errors(self.found, before) else None

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
                    gauge = self._selector(written.gauge, "sli", "probe", "gauge")
                    return meant.Probe(gauge, meant.Across(written.across or "each"))
                case indicators.Freshness():
                    return self._freshness(written)
                case indicators.Throughput():
                    return self._throughput(written)
                case indicators.Saturation():
                    used = self._selectors(written.used, "sli", "saturation", "used")
                    capacity = self._selectors(written.capacity, "sli", "saturation", "capacity")
                    return meant.Saturation(used, capacity, written.at_most)
                case indicators.Threshold():
                    return self._threshold(written)
                case _:
                    assert_never(written)
        except _RefusedError:
            return None

    def expression(self, text: str, *keys: Key, windowed: bool = False) -> Expression | None:
        """PromQL of the user's, narrowed by the platform's matchers; with `windowed` it holds `$window`."""
        matchers = [Matcher(label, MatchOperator.EQUAL, value) for label, (value, _) in self.matchers.items()]
        try:
            return self._parsed(lambda one: parse_expression(one, matchers, windowed=windowed), text, *keys)
        except _RefusedError:
            return None

    def selector(self, text: str, *keys: Key) -> Selector | None:
        """A selector of the user's, narrowed by the platform's matchers."""
        try:
            return self._selector(text, *keys)
        except _RefusedError:
            return None

    def _ratio(self, ratio: indicators.Ratio) -> meant.Ratio:
        sides = {side: getattr(ratio, side) for side in ("total", "bad", "good")}
        read = {
            side: None if texts is None else self._selectors(texts, "sli", "ratio", side)
            for side, texts in sides.items()
        }
        if ratio.bad_if is not None:
            narrower = self._matchers(ratio.bad_if, "sli", "ratio", "bad_if")
            read["bad"] = tuple(selector.narrowed(*narrower) for selector in read["total"] or ())
        return meant.Ratio(read["total"], read["bad"], read["good"], _counts(ratio.counts))

    def _latency(self, latency: indicators.Latency) -> meant.Latency:
        histogram = self._selectors(latency.histogram, "sli", "latency", "histogram")
        bad_if = () if latency.bad_if is None else self._matchers(latency.bad_if, "sli", "latency", "bad_if")
        if not histogram:
            raise _RefusedError
        for selector in histogram:
            self._check_base_name(selector)
        unit = self._unit(latency, histogram)
        at_most = _in_unit(latency.at_most, unit)
        if not latency.native:
            self._check_bound(histogram, at_most, latency.at_most)
        return meant.Latency(histogram, at_most, unit, bad_if, bool(latency.native))

    def _check_base_name(self, selector: Selector) -> None:
        keys = ("sli", "latency", "histogram")
        base = _base_name(selector.metric)
        if base != selector.metric:
            self._error(
                codes.UNIT, f"`{selector.metric}` is a part of a histogram", f"write its base name, `{base}`", *keys
            )
        if any(matcher.label == "le" for matcher in selector.matchers):
            self._error(
                codes.UNIT, "a histogram's selector has no `le`", "remove it; `at_most` says which bucket", *keys
            )

    def _unit(self, latency: indicators.Latency, histogram: Selectors) -> meant.Unit:
        if latency.unit is not None:
            return meant.Unit(latency.unit)
        names = [_base_name(selector.metric) for selector in histogram]
        if all(name.endswith("_milliseconds") for name in names):
            return meant.Unit.MILLISECONDS
        if all(name.endswith("_seconds") for name in names):
            return meant.Unit.SECONDS
        if latency.at_most.unit == "duration":
            message = f"nothing tells the unit of the bounds of `{names[0]}`"
            self._error(codes.UNIT, message, "add `unit: s` or `unit: ms`", "sli", "latency", "at_most")
        return meant.Unit.NONE

    def _check_bound(self, histogram: Selectors, at_most: Decimal, written: WrittenBound) -> None:
        for selector in histogram:
            bounds = self.buckets.get(selector.metric)
            if bounds is not None and at_most not in bounds:
                near = [*[bound for bound in bounds if bound < at_most][-1:], *[b for b in bounds if b > at_most][:1]]
                shown = [_as_written(bound, at_most, written) for bound in near]
                help_ = f"write one of its bounds, such as {' or '.join(shown)}"
                message = f"{_as_written(at_most, at_most, written)} is no bucket of `{selector.metric}`"
                self._error(codes.UNIT, message, help_, "sli", "latency", "at_most")

    def _query(self, query: indicators.Query) -> meant.Query:
        texts = {key: getattr(query, key) for key in ("total", "bad", "good", "bad_ratio")}
        wanted = {key: text for key, text in texts.items() if text is not None}
        read = {key: self._grouped(text, "sli", "query", key) for key, text in wanted.items()}
        known = {key: expression for key, expression in read.items() if expression is not None}
        if len(known) < len(wanted):
            raise _RefusedError
        return meant.Query(**known)

    def _grouped(self, text: str, *keys: Key) -> Expression | None:
        expression = self.expression(text, *keys, windowed=True)
        if expression is None:
            return None
        labels = expression.grouping
        if labels is not None and labels != tuple(sorted(self.by)):
            wanted = f"`by ({', '.join(self.by)})`" if self.by else "no `by`, as the SLO has none"
            message = f"this is grouped by {', '.join(f'`{label}`' for label in labels) or 'nothing'}"
            self._error(codes.SPLIT_LABEL, message, f"group it with {wanted}", *keys)
        return expression

    def _freshness(self, freshness: indicators.Freshness) -> meant.Freshness:
        sides = {key: getattr(freshness, key) for key in ("timestamp", "age")}
        read = {
            key: None if text is None else self._selector(text, "sli", "freshness", key) for key, text in sides.items()
        }
        across = meant.Across(freshness.across or "each")
        return meant.Freshness(Duration(freshness.max_age), read["timestamp"], read["age"], across)

    def _throughput(self, throughput: indicators.Throughput) -> meant.Throughput:
        counter = self._selectors(throughput.counter, "sli", "throughput", "counter")
        return meant.Throughput(
            counter,
            _rate(throughput.at_least),
            _rate(throughput.at_most),
            _counts(throughput.counts),
            meant.Across(throughput.across or "sum"),
        )

    def _threshold(self, threshold: indicators.Threshold) -> meant.Threshold:
        value = self._expression(threshold.value, "sli", "threshold", "value")
        low, high = (None if bound is None else plain(bound) for bound in (threshold.at_least, threshold.at_most))
        return meant.Threshold(value, low, high, meant.Across(threshold.across or "each"))

    def _selectors(self, texts: tuple[str, ...], *keys: Key) -> Selectors:
        """Every selector of a list that can be read; the SLI is refused as a whole, with all of its problems."""
        alone = len(texts) == 1
        read = [self.selector(text, *keys, *(() if alone else (index,))) for index, text in enumerate(texts)]
        return tuple(selector for selector in read if selector is not None)

    def _selector(self, text: str, *keys: Key) -> Selector:
        selector = self._parsed(parse_selector, text, *keys)
        self._split_is_free(selector.matchers, *keys)
        return selector.narrowed(*self._added(selector, *keys))

    def _matchers(self, text: str, *keys: Key) -> tuple[Matcher, ...]:
        try:
            matchers = self._parsed(parse_matchers, text, *keys)
        except _RefusedError:
            return ()
        self._split_is_free(matchers, *keys)
        return matchers

    def _expression(self, text: str, *keys: Key) -> Expression:
        expression = self.expression(text, *keys)
        if expression is None:
            raise _RefusedError
        return expression

    def _parsed(self, parse: Callable[[str], T], text: str, *keys: Key) -> T:
        try:
            return parse(text)
        except PromqlError as error:
            self._error(codes.PROMQL, str(error), error.help or _SELECTOR_HELP, *keys)
            raise _RefusedError from None

    def _added(self, selector: Selector, *keys: Key) -> list[Matcher]:
        """The platform's matchers that the selector does not have."""
        added = []
        for label, (value, place) in self.matchers.items():
            matcher = Matcher(label, MatchOperator.EQUAL, value)
            same = [one for one in selector.matchers if one.label == label]
            if any(one != matcher for one in same):
                message = f"this selector already matches `{label}`, which `matchers` sets to {value!r}"
                help_ = "remove it from the selector, or from `matchers`"
                self._error(codes.MATCHER_CONFLICT, message, help_, *keys, related=(Related(place, "set here"),))
            elif not same:
                added.append(matcher)
        return added

    def _split_is_free(self, matchers: tuple[Matcher, ...], *keys: Key) -> None:
        """A matcher that pins a label of `by` to one value makes splitting by it pointless."""
        for matcher in matchers:
            if matcher.label in self.by and matcher.operator is MatchOperator.EQUAL:
                message = f"`by` splits by `{matcher.label}`, but this selector fixes it to {matcher.value!r}"
                help_ = "remove the label from `by` or the matcher from the selector"
                self._error(codes.SPLIT_LABEL, message, help_, *keys)

    def _error(self, code: str, message: str, help_: str, *keys: Key, related: tuple[Related, ...] = ()) -> None:
        self.found.error(code, self.layer.place(*keys), message, help_, *related, *self.layer.related)


class _RefusedError(Exception):
    """The reason is in the diagnostics already."""


def plain(bound: WrittenBound) -> Decimal:
    """A bound as a number: percentages as ratios, durations in seconds."""
    return bound.value / 1000 if bound.unit == "duration" else bound.value


def _base_name(metric: str) -> str:
    """The name of a histogram without the suffix of one of its parts."""
    suffix = next((suffix for suffix in _SUFFIXES if metric.endswith(suffix)), "")
    return metric.removesuffix(suffix)


def _as_written(bound: Decimal, at_most: Decimal, written: WrittenBound) -> str:
    """A bound in the words of the specification: `250ms` where a duration is written."""
    if written.unit != "duration":
        return number(bound)
    return str(Duration(int(bound * (written.value / at_most))))


def _in_unit(bound: WrittenBound, unit: meant.Unit) -> Decimal:
    if bound.unit != "duration":
        return bound.value
    return bound.value if unit is meant.Unit.MILLISECONDS else bound.value / 1000


def _rate(written: WrittenRate | None) -> Rate | None:
    return None if written is None else Rate(written.events, Duration(written.per_milliseconds))


def _counts(written: WrittenCounts | None) -> meant.Counts:
    match written:
        case None | WrittenCounts("counter"):
            return meant.RunningTotal()
        case WrittenCounts("per_second"):
            return meant.PerSecond()
        case WrittenCounts(_, milliseconds):
            return meant.Every(Duration(milliseconds))


def _has_errors(found: Diagnostics, since: int) -> bool:
    return any(one.severity.word == "error" for one in found.found[since:])
