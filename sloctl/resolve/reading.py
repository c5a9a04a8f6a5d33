"""How one part of a specification is read: errors at their places, and PromQL with the matchers in force on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from sloctl.diagnostics import Diagnostics, Place, Related
from sloctl.errors import PromqlError
from sloctl.language.tree import Key
from sloctl.model.selector import Expression, Matcher, MatchOperator, Selector, Selectors
from sloctl.promql.expressions import parse_expression
from sloctl.promql.selectors import parse_matchers, parse_selector
from sloctl.resolve import codes
from sloctl.resolve.layers import Part

T = TypeVar("T")
_SELECTOR_HELP: Final = 'write the metric and its matchers only, such as http_requests_total{job="checkout"}'


class PromqlRefusedError(Exception):
    """The reason is in the diagnostics already."""


@dataclass(frozen=True, slots=True)
class PartReading:
    """What reads the mapping `at`; what is wrong there is added to `found`."""

    at: Part
    found: Diagnostics

    def error(self, code: str, message: str, help_: str, *keys: Key, related: tuple[Related, ...] = ()) -> None:
        """An error about the value at this path below the mapping."""
        self.found.error(code, self.at.place(*keys), message, help_, *related, *self.at.related)


@dataclass(frozen=True, slots=True)
class PromqlReading(PartReading):
    """What reads PromQL in the mapping `at`.

    Attributes:
        matchers: label and value of what is added to every selector, with the place that says so.
        by: labels that no matcher may fix, and that expressions are grouped by.
        help: what to write where the parser does not say it.
    """

    matchers: Mapping[str, tuple[str, Place]]
    by: tuple[str, ...] = ()
    help: str = _SELECTOR_HELP

    def expression(self, text: str, *keys: Key, windowed: bool = False) -> Expression | None:
        """PromQL of the user's, narrowed by the matchers in force; with `windowed` it holds `$window`."""
        matchers = [Matcher(label, MatchOperator.EQUAL, value) for label, (value, _) in self.matchers.items()]
        try:
            return self.parsed(lambda promql: parse_expression(promql, matchers, windowed=windowed), text, *keys)
        except PromqlRefusedError:
            return None

    def selector(self, text: str, *keys: Key) -> Selector | None:
        """A selector of the user's, narrowed by the matchers in force; None with the reason in `found`."""
        try:
            return self.needed_selector(text, *keys)
        except PromqlRefusedError:
            return None

    def selectors(self, texts: tuple[str, ...], *keys: Key) -> Selectors:
        """Every selector of a list that can be read."""
        alone = len(texts) == 1
        read = [self.selector(text, *keys, *(() if alone else (index,))) for index, text in enumerate(texts)]
        return tuple(selector for selector in read if selector is not None)

    def matchers_in(self, text: str, *keys: Key) -> tuple[Matcher, ...]:
        """Matchers as the user wrote them; none with the reason in `found`."""
        try:
            matchers = self.parsed(parse_matchers, text, *keys)
        except PromqlRefusedError:
            return ()
        self._split_is_free(matchers, *keys)
        return matchers

    def needed_selector(self, text: str, *keys: Key) -> Selector:
        """As `selector`.

        Raises:
            PromqlRefusedError: it cannot be read.
        """
        selector = self.parsed(parse_selector, text, *keys)
        self._split_is_free(selector.matchers, *keys)
        return selector.narrowed(*self._added(selector, *keys))

    def parsed(self, parse: Callable[[str], T], text: str, *keys: Key) -> T:
        """What a parser makes of a text.

        Raises:
            PromqlRefusedError: it makes nothing of it.
        """
        try:
            return parse(text)
        except PromqlError as error:
            self.error(codes.PROMQL, str(error), error.help or self.help, *keys)
            raise PromqlRefusedError from None

    def _added(self, selector: Selector, *keys: Key) -> list[Matcher]:
        """The matchers in force that the selector does not have."""
        added = []
        for label, (value, place) in self.matchers.items():
            wanted = Matcher(label, MatchOperator.EQUAL, value)
            same = [matcher for matcher in selector.matchers if matcher.label == label]
            if any(matcher != wanted for matcher in same):
                message = f"this selector already matches `{label}`, which `matchers` sets to {value!r}"
                help_ = "remove it from the selector, or from `matchers`"
                self.error(codes.MATCHER_CONFLICT, message, help_, *keys, related=(Related(place, "set here"),))
            elif not same:
                added.append(wanted)
        return added

    def _split_is_free(self, matchers: tuple[Matcher, ...], *keys: Key) -> None:
        """A matcher that pins a label of `by` to one value makes splitting by it pointless."""
        for matcher in matchers:
            if matcher.label in self.by and matcher.operator is MatchOperator.EQUAL:
                message = f"`by` splits by `{matcher.label}`, but this selector fixes it to {matcher.value!r}"
                help_ = "remove the label from `by` or the matcher from the selector"
                self.error(codes.SPLIT_LABEL, message, help_, *keys)
