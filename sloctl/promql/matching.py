"""Whether matchers hold, alone or together, as far as that can be proven without running a regular expression.

Expressions of users are never run: one of a few characters can take for ever. Those of plain characters, `.` and
`|` are enough to compare character by character; of all others nothing is claimed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, TypeAlias

from sloctl.model.selector import Matcher, MatchOperator

Pattern: TypeAlias = tuple[str | None, ...]
"""The characters of a value; None stands for any one."""

_REGULAR: Final = {MatchOperator.REGEX, MatchOperator.NOT_REGEX}
_PLAIN: Final = re.compile(r"[\w .|/:,@=<>#%&~'-]*")


def contradiction(matchers: Sequence[Matcher]) -> str | None:
    """The first label whose matchers exclude each other, or None when nothing can be proven."""
    if len({matcher.label for matcher in matchers}) == len(matchers):
        return None
    of_label: dict[str, list[Matcher]] = {}
    for matcher in matchers:
        of_label.setdefault(matcher.label, []).append(matcher)
    return next((label for label, several in of_label.items() if len(several) > 1 and _excluded(several)), None)


def holds(matcher: Matcher, value: str) -> bool | None:
    """Whether a label's value fulfils a matcher, or None when that cannot be proven."""
    patterns = _patterns(matcher)
    if patterns is None or (not value.isprintable() and matcher.operator in _REGULAR):
        return None  # versions of Prometheus differ in what `.` matches
    return any(_covers(pattern, tuple(value)) for pattern in patterns) == _positive(matcher)


def _excluded(matchers: list[Matcher]) -> bool:
    wanted = [found for matcher in matchers if _positive(matcher) and (found := _patterns(matcher)) is not None]
    if not wanted:
        return False
    possible = wanted[0]
    for patterns in wanted[1:]:
        possible = [both for left in possible for right in patterns if (both := _both(left, right)) is not None]
    refused = [pattern for matcher in matchers if not _positive(matcher) for pattern in _patterns(matcher) or ()]
    return not any(all(not _covers(general, pattern) for general in refused) for pattern in possible)


def _positive(matcher: Matcher) -> bool:
    return matcher.operator in {MatchOperator.EQUAL, MatchOperator.REGEX}


@lru_cache(1024)
def _patterns(matcher: Matcher) -> list[Pattern] | None:
    """The values that the matcher names; None for a regular expression that is not plain."""
    if matcher.operator not in _REGULAR:
        return [tuple(matcher.value)]
    if not _PLAIN.fullmatch(matcher.value):
        return None
    return [tuple(None if char == "." else char for char in value) for value in matcher.value.split("|")]


def _both(left: Pattern, right: Pattern) -> Pattern | None:
    """The values that fulfil both patterns."""
    if len(left) != len(right):
        return None
    pairs = list(zip(left, right, strict=True))
    if any(a is not None and b is not None and a != b for a, b in pairs):
        return None
    return tuple(b if a is None else a for a, b in pairs)


def _covers(general: Pattern, special: Pattern) -> bool:
    """Whether every value of `special` is one of `general`."""
    return len(general) == len(special) and all(a is None or a == b for a, b in zip(general, special, strict=True))
