"""Contradictions of matchers, against every value of a small alphabet."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloctl.model.selector import Matcher, MatchOperator
from sloctl.promql.matching import contradiction, holds

VALUES = ["".join(letters) for length in range(4) for letters in itertools.product("ab5", repeat=length)]
PATTERNS = st.sampled_from(["", "a", "5..", "a|b", "ab|5.", ".", "...", "a.b", "[ab]", "a*", "(a|b)5", "a?"])


def matches(matcher: Matcher, value: str) -> bool:
    match matcher.operator:
        case MatchOperator.EQUAL:
            return value == matcher.value
        case MatchOperator.NOT_EQUAL:
            return value != matcher.value
        case MatchOperator.REGEX:
            return re.fullmatch(matcher.value, value) is not None
        case MatchOperator.NOT_REGEX:
            return re.fullmatch(matcher.value, value) is None


@st.composite
def matchers(draw: st.DrawFn) -> list[Matcher]:
    operators = draw(st.lists(st.sampled_from(MatchOperator), min_size=1, max_size=4))
    plain = st.sampled_from(["", "a", "5ab", "ab", "555"])
    return [Matcher("code", operator, draw(plain if "QUAL" in operator.name else PATTERNS)) for operator in operators]


@pytest.mark.property
@given(matchers())
def test_what_is_called_a_contradiction_matches_no_value(several: list[Matcher]) -> None:
    if contradiction(several) is not None:
        assert not [value for value in VALUES if all(matches(selector, value) for selector in several)]


@pytest.mark.property
@given(matchers())
def test_what_holds_is_what_a_regular_expression_says(several: list[Matcher]) -> None:
    for selector in several:
        held = [holds(selector, value) for value in VALUES]
        assert held == [matches(selector, value) for value in VALUES] or held == [None] * len(VALUES)


def test_of_a_value_that_holds_a_line_break_nothing_is_claimed() -> None:
    """`.` matches it in Prometheus 3 and not before."""
    assert holds(Matcher("code", MatchOperator.REGEX, "5."), "5\n") is None
    assert holds(Matcher("code", MatchOperator.EQUAL, "5\n"), "5\n") is True


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ('c="a" c="b"', "c"),
        ('c="a" d="b"', None),
        ('c="a" c="a"', None),
        ('c="a" c!="a"', "c"),
        ('c=~"a|b" c="a"', None),
        ('c=~"a|b" c="c"', "c"),
        ('c=~"a|b" c!="a" c!="b"', "c"),
        ('c=~"a|b" c!="a"', None),
        ('c="503" c!~"5.."', "c"),
        ('c="503" c=~"4.."', "c"),
        ('c=~"5.." c=~"50."', None),
        ('c=~"5.." c=~"4.."', "c"),
        ('c=~"5..|4.." c!~"5.." c!~"4.."', "c"),
        ('c="503" c!~"5.*"', None),  # true, and not claimed: such expressions are never run
        ('c="" c="a"', "c"),
        ('a="1" c="a" c="b"', "c"),
    ],
)  # fmt: skip
def test_plain_values_and_expressions_are_compared(text: str, label: str | None) -> None:
    parts = re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', text)
    assert contradiction([Matcher(name, MatchOperator(sign), value) for name, sign, value in parts]) == label
