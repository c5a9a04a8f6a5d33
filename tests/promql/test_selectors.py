"""Selectors and matchers survive the way from text to model and back; everything else is refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloctl.errors import PromqlError
from sloctl.model.quantities import MINUTE, Duration
from sloctl.model.selector import Matcher, MatchOperator, Selector
from sloctl.promql.expressions import parse_expression, plain_selector
from sloctl.promql.selectors import label_selector, parse_matchers, parse_selector, selector_text

names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,20}", fullmatch=True).filter(
    lambda name: name.lower() not in {"inf", "nan", "bool", "on", "ignoring", "group_left", "group_right", "__name__"}
)
values = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\u2028\u2029\ufeff"), max_size=40)
matchers = st.builds(Matcher, names, st.sampled_from([MatchOperator.EQUAL, MatchOperator.NOT_EQUAL]), values)
selectors = st.builds(Selector, names, st.lists(matchers, max_size=4, unique_by=lambda each: each.label).map(tuple))


@pytest.mark.property
@given(selectors)
def test_a_printed_selector_reads_back_the_same(selector: Selector) -> None:
    assert parse_selector(selector_text(selector)) == selector


def test_a_selector_prints_with_range_and_offset() -> None:
    text = selector_text(label_selector("up", {"job": 'a"b'}), MINUTE, Duration.of(seconds=75))
    assert text == 'up{job="a\\"b"}[1m] offset 1m15s'


def test_matchers_are_the_inside_of_the_braces() -> None:
    assert parse_matchers('code=~"5..", method!="GET"') == (
        Matcher("code", MatchOperator.REGEX, "5.."),
        Matcher("method", MatchOperator.NOT_EQUAL, "GET"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate(x[5m])", "an expression where a selector is expected"),
        ("x[5m]", "an expression where a selector is expected"),
        ("x offset 5m", "no `offset` and no `@`"),
        ("x @ 5", "no `offset` and no `@`"),
        ('x{a="1" or b="2"}', "`or` between matchers"),
        ('{job="x"}', "no metric name"),
        ('{"metric.name"}', "no metric name"),
        ('x{"label.name"="1"}', "no plain label name"),
        ('x{a=~"("}', "this is not PromQL"),
        ("", "this is not PromQL"),
        ('x{a="\\u0007"}', "control character"),
        ("x" * 3000, "longer than 2 kB"),
        ("(" * 200, "nested deeper than 16"),
        ("x" + "+x" * 200, "more than 100 operators"),
    ],
)
def test_what_is_no_selector_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(PromqlError, match=message.replace("(", r"\(")):
        parse_selector(text)


@pytest.mark.parametrize(
    "text", ['a="1"} or y{b="2"', 'a="1"}[5m]', '{a="1"}', "", "a=1", 'a="1"} offset 5m #', 'a="1"}#']
)
def test_matchers_cannot_leave_their_braces(text: str) -> None:
    with pytest.raises(PromqlError):
        parse_matchers(text)


def test_brackets_and_operators_inside_strings_are_not_counted() -> None:
    assert parse_selector('x{a="' + "(" * 100 + "+" * 200 + '"}').metric == "x"


def test_what_the_language_accepts_is_parsed_by_the_same_limits() -> None:
    text = "+".join(['a{b="c", d!="e"}'] * 41)
    assert len(parse_expression(text).selectors) == 41
    longest = "+".join(["increase(a[$window])"] * 50) + " " * 998
    assert len(longest) == 2047
    assert len(parse_expression(longest, windowed=True).selectors) == 50


def test_matchers_of_the_platform_may_make_an_expression_longer_than_a_person_may_write() -> None:
    added = [Matcher("environment", MatchOperator.EQUAL, "x" * 100)]
    expression = parse_expression("+".join(["max(a)"] * 101), added)
    assert plain_selector(expression) is None
