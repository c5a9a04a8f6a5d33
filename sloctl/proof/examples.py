"""Label sets that a selector selects, and label sets that it does not, from its own matchers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, TypeAlias, assert_never

import rstr

from sloctl.model.selector import Matcher, MatchOperator, Selector
from sloctl.proof.series import series_text

SeriesLabels: TypeAlias = Mapping[str, str]

_PLAIN: Final = ("", "other", "1", "200")
_TRIES: Final = 20


class NotDerivableError(Exception):
    """Why no series can be derived from a specification."""


def matches(selector: Selector, labels: SeriesLabels) -> bool:
    """Whether a series of the selector's metric with these labels is selected; a missing label is empty."""
    return all(_fulfilled(matcher, labels.get(matcher.label, "")) for matcher in selector.matchers)


def selected(selector: Selector, *unless: Matcher) -> dict[str, str]:
    """Labels that fulfil every matcher of the selector and fail every one of `unless`.

    Raises:
        NotDerivableError: no such labels were found.
    """
    demands = [*((matcher, True) for matcher in selector.matchers), *((matcher, False) for matcher in unless)]
    names = dict.fromkeys(matcher.label for matcher, _ in demands)
    labels = {name: _value([demand for demand in demands if demand[0].label == name]) for name in names}
    return {name: value for name, value in labels.items() if value}


def _value(demands: Sequence[tuple[Matcher, bool]]) -> str:
    """A value that fulfils and fails the matchers of one label as demanded."""
    for candidate in _candidates(matcher for matcher, _ in demands):
        if all(_fulfilled(matcher, candidate) is demanded for matcher, demanded in demands):
            return candidate
    texts = " and ".join(f"{matcher.label}{matcher.operator.value}{matcher.value!r}" for matcher, _ in demands)
    raise NotDerivableError(f"no value of label {demands[0][0].label} was found for {texts}")


def _candidates(matchers: Iterable[Matcher]) -> Iterator[str]:
    """Values worth trying: what matchers name, what their patterns match, and plain ones."""
    for matcher in matchers:
        match matcher.operator:
            case MatchOperator.EQUAL | MatchOperator.NOT_EQUAL:
                yield matcher.value
            case MatchOperator.REGEX | MatchOperator.NOT_REGEX:
                yield from _drawn(matcher)
            case _:
                assert_never(matcher.operator)
    yield from _PLAIN


def _drawn(matcher: Matcher) -> Iterator[str]:
    """Texts that the pattern matches, the same ones in every run."""
    _fulfilled(matcher, "")  # says so when Python cannot read the pattern
    draw = rstr.Rstr(Random(matcher.value))  # noqa: S311 - examples, no secrets
    for _ in range(_TRIES):
        text = draw.xeger(matcher.value)
        if text.isprintable() and text.isascii():
            yield text


def _fulfilled(matcher: Matcher, value: str) -> bool:
    try:
        return matcher.matches(value)
    except re.error as error:
        message = f"the pattern `{matcher.value}` cannot be turned into an example: {error}"
        raise NotDerivableError(message) from None


def non_matching(selector: Selector) -> Iterator[dict[str, str]]:
    """Labels that fail exactly one matcher each: series that must not be counted."""
    for matcher in selector.matchers:
        others = tuple(other for other in selector.matchers if other is not matcher)
        try:
            yield selected(Selector(selector.metric, others), matcher)
        except NotDerivableError:
            continue  # a matcher that everything fulfils cannot be failed


def unlike(labels: SeriesLabels, split: SeriesLabels, selectors: Iterable[Selector]) -> dict[str, str]:
    """Labels that fail a matcher, for one split value; a label that the selectors match keeps what fails it."""
    matched = {matcher.label for selector in selectors for matcher in selector.matchers}
    return {**{label: value for label, value in split.items() if label not in matched}, **labels}


def fulfilling(label: str, selectors: Iterable[Selector]) -> Iterator[str]:
    """Different values of a label, none empty, that fulfil every matcher on it; nothing where none is on it."""
    matchers = tuple(dict.fromkeys(matcher for selector in selectors for matcher in selector.on((label,))))
    if matchers:
        values = dict.fromkeys(_candidates(matchers))
        yield from (value for value in values if value and all(_fulfilled(one, value) for one in matchers))


@dataclass(frozen=True, slots=True)
class Example:
    """Labels of a series that a selector selects, and of series that fail one of its matchers each."""

    selector: Selector
    labels: SeriesLabels
    non_matching: tuple[SeriesLabels, ...]

    @classmethod
    def of(cls, selector: Selector) -> Example:
        """The example of a selector.

        Raises:
            NotDerivableError: no labels were found that it selects.
        """
        return cls(selector, selected(selector), tuple(non_matching(selector)))

    @property
    def metric(self) -> str:
        """The metric that is selected."""
        return self.selector.metric

    def text(self, split: SeriesLabels) -> str:
        """The selected series with these split values."""
        return series_text(self.metric, {**self.labels, **split})

    def others(self, split: SeriesLabels) -> list[str]:
        """The series that must not be counted."""
        return [series_text(self.metric, labels) for labels in self.unlike(split)]

    def unlike(self, split: SeriesLabels) -> list[dict[str, str]]:
        """The labels of series that must not be counted."""
        return [unlike(labels, split, [self.selector]) for labels in self.non_matching]
