"""Selectors of series, as meant: a metric name and matchers. `sloctl.promql` parses and prints them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias


class MatchOperator(StrEnum):
    """How a matcher compares a label with its value."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


class Matcher(NamedTuple):
    """One condition on a label. A named tuple, because its text is looked up by it millions of times a run."""

    label: str
    operator: MatchOperator
    value: str

    def matches(self, value: str) -> bool:
        """Whether a label with this value fulfils it; a label that is missing has an empty one.

        Python reads nearly all regular expressions as RE2 does, which Prometheus and Alertmanager use.

        Raises:
            re.error: Python cannot read the regular expression.
        """
        match self.operator:
            case MatchOperator.EQUAL:
                return value == self.value
            case MatchOperator.NOT_EQUAL:
                return value != self.value
            case MatchOperator.REGEX:
                return re.fullmatch(self.value, value) is not None
            case MatchOperator.NOT_REGEX:
                return re.fullmatch(self.value, value) is None


class Selector(NamedTuple):
    """Series of one metric that fulfil all matchers, in the order written; a named tuple as `Matcher` is."""

    metric: str
    matchers: tuple[Matcher, ...] = ()

    def narrowed(self, *matchers: Matcher) -> Selector:
        """The same series, further restricted; a matcher that is there already is not repeated."""
        new = tuple(matcher for matcher in matchers if matcher not in self.matchers)
        return self._replace(matchers=self.matchers + new)

    def named(self, metric: str) -> Selector:
        """The same matchers on another metric."""
        return self._replace(metric=metric)

    def on(self, labels: tuple[str, ...]) -> tuple[Matcher, ...]:
        """The matchers on these labels."""
        return tuple(matcher for matcher in self.matchers if matcher.label in labels)


Selectors: TypeAlias = tuple[Selector, ...]


@dataclass(frozen=True, slots=True)
class Expression:
    """A PromQL expression of the user's that was parsed and printed canonically by `sloctl.promql`.

    Attributes:
        grouping: the labels that its result is grouped by, sorted; None where its form does not tell.
        selectors: every selector in it, without range and offset.
    """

    text: str
    grouping: tuple[str, ...] | None = None
    selectors: Selectors = ()
