"""Label sets that a selector selects, and label sets that it does not, from its own matchers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from random import Random
from typing import Final, TypeAlias, assert_never

import rstr

from sloctl.model.selector import Matcher, MatchOperator, Selector

Labels: TypeAlias = Mapping[str, str]

_PLAIN: Final = ("", "other", "1", "200")
_TRIES: Final = 20


class NotDerivableError(Exception):
    """Why no series can be derived from a specification."""


def matches(selector: Selector, labels: Labels) -> bool:
    """Whether a series of the selector's metric with these labels is selected; a missing label is empty."""
    return all(_fulfilled(matcher, labels.get(matcher.label, "")) for matcher in selector.matchers)


def selected(selector: Selector, *unless: Matcher) -> dict[str, str]:
    """Labels that fulfil every matcher of the selector and fail every one of `unless`.

    Raises:
        NotDerivableError: no such labels were found.
    """
    names = dict.fromkeys(matcher.label for matcher in (*selector.matchers, *unless))
    wanted = {name: [one for one in selector.matchers if one.label == name] for name in names}
    refused = {name: [one for one in unless if one.label == name] for name in names}
    labels = {name: _value(name, wanted[name], refused[name]) for name in names}
    return {name: value for name, value in labels.items() if value}


def _value(name: str, wanted: list[Matcher], refused: list[Matcher]) -> str:
    for candidate in _candidates((*wanted, *refused)):
        if all(_fulfilled(one, candidate) for one in wanted) and not any(_fulfilled(one, candidate) for one in refused):
            return candidate
    texts = " and ".join(f"{one.label}{one.operator.value}{one.value!r}" for one in (*wanted, *refused))
    raise NotDerivableError(f"no value of label {name} was found for {texts}")


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


def decoys(selector: Selector) -> Iterator[dict[str, str]]:
    """Labels that fail exactly one matcher each: series that must not be counted."""
    for matcher in selector.matchers:
        others = tuple(one for one in selector.matchers if one is not matcher)
        try:
            yield selected(Selector(selector.metric, others), matcher)
        except NotDerivableError:
            continue  # a matcher that everything fulfils cannot be failed
