"""What is counted: from text to selectors, with the platform's matchers on each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from sloctl.diagnostics import Diagnostics, Place, Related
from sloctl.errors import PromqlError
from sloctl.model.indicator import Counts, Every, Indicator, PerSecond, Ratio, RunningTotal
from sloctl.model.quantities import Duration
from sloctl.model.selector import Matcher, MatchOperator, Selector, Selectors
from sloctl.promql.selectors import parse_matchers, parse_selector
from sloctl.resolve import codes
from sloctl.resolve.layers import Layer
from sloctl.spec import indicators
from sloctl.spec.quantities import WrittenCounts
from sloctl.spec.tree import Key

T = TypeVar("T")
_RANGE_HELP: Final = 'write the metric and its matchers only, such as http_requests_total{job="checkout"}'


@dataclass(frozen=True, slots=True)
class Reading:
    """What is needed to read the selectors of one SLI, and where it stands.

    Attributes:
        matchers: label and value of what is added to every selector, with the place that says so.
        by: labels that no matcher may fix.
    """

    layer: Layer
    found: Diagnostics
    matchers: Mapping[str, tuple[str, Place]]
    by: tuple[str, ...]

    def indicator(self, written: indicators.Sli) -> Indicator | None:
        """The SLI, or None with the reason in `found`."""
        match written.indicator:
            case indicators.Ratio() as ratio:
                return self._ratio(ratio)
            case _:
                message = f"`{written.kind}` is not compiled by this version"
                self.found.error(codes.NOT_YET, self.layer.key_place("sli", written.kind), message, "use `ratio`")
                return None

    def _ratio(self, ratio: indicators.Ratio) -> Ratio | None:
        before = len(self.found.errors)
        total = self._selectors(ratio.total, "ratio", "total")
        bad = self._selectors(ratio.bad, "ratio", "bad")
        good = self._selectors(ratio.good, "ratio", "good")
        if ratio.bad_if is not None and total is not None:
            narrower = self._parsed(parse_matchers, ratio.bad_if, "ratio", "bad_if") or ()
            self._split_is_free(narrower, "ratio", "bad_if")
            bad = tuple(selector.narrowed(*narrower) for selector in total)
        if len(self.found.errors) > before:
            return None
        return Ratio(total, bad, good, _counts(ratio.counts))

    def _selectors(self, texts: tuple[str, ...] | None, *keys: Key) -> Selectors | None:
        if texts is None:
            return None
        alone = len(texts) == 1
        read = (self._selector(text, *keys, *(() if alone else (index,))) for index, text in enumerate(texts))
        return tuple(selector for selector in read if selector is not None)

    def _selector(self, text: str, *keys: Key) -> Selector | None:
        selector = self._parsed(parse_selector, text, *keys)
        if selector is None:
            return None
        self._split_is_free(selector.matchers, *keys)
        return selector.narrowed(*self._added(selector, *keys))

    def _parsed(self, parse: Callable[[str], T], text: str, *keys: Key) -> T | None:
        try:
            return parse(text)
        except PromqlError as error:
            self.found.error(codes.PROMQL, self._place(*keys), str(error), error.help or _RANGE_HELP)
            return None

    def _added(self, selector: Selector, *keys: Key) -> list[Matcher]:
        """The platform's matchers that the selector does not have."""
        added = []
        for label, (value, place) in self.matchers.items():
            matcher = Matcher(label, MatchOperator.EQUAL, value)
            same = [one for one in selector.matchers if one.label == label]
            if any(one != matcher for one in same):
                self._conflict(matcher, place, *keys)
            elif not same:
                added.append(matcher)
        return added

    def _conflict(self, matcher: Matcher, place: Place, *keys: Key) -> None:
        self.found.error(
            codes.MATCHER_CONFLICT,
            self._place(*keys),
            f"this selector already matches `{matcher.label}`, which `matchers` sets to {matcher.value!r}",
            "remove it from the selector, or from `matchers`",
            Related(place, "set here"),
        )

    def _split_is_free(self, matchers: tuple[Matcher, ...], *keys: Key) -> None:
        """A matcher that pins a label of `by` to one value makes splitting by it pointless."""
        for matcher in matchers:
            if matcher.label in self.by and matcher.operator is MatchOperator.EQUAL:
                message = f"`by` splits by `{matcher.label}`, but this selector fixes it to {matcher.value!r}"
                help_ = "remove the label from `by` or the matcher from the selector"
                self.found.error(codes.SPLIT_LABEL, self._place(*keys), message, help_)

    def _place(self, *keys: Key) -> Place:
        return self.layer.place("sli", *keys)


def _counts(written: WrittenCounts | None) -> Counts:
    match written:
        case None | WrittenCounts("counter"):
            return RunningTotal()
        case WrittenCounts("per_second"):
            return PerSecond()
        case WrittenCounts(_, milliseconds):
            return Every(Duration(milliseconds))
