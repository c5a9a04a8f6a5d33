"""What is known of PromQL that users write themselves: its unit, its labels, and what it compares."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sloctl.promql.expressions import comparison, parse_expression, per_second, summands_may_be_absent


@pytest.mark.parametrize(
    ("text", "metric", "holds_at"),
    [
        ("max(backlog) < 1000", "backlog", 999),
        ("maintenance == 1", "maintenance", 1),
        ('(sum by (tenant) (paused{zone="a"}) > 0)', "paused", 1),
        ("busy <= 0.5", "busy", "0.5"),
        ("busy != 3", "busy", 4),
    ],
)
def test_a_condition_holds_at_a_sample_of_its_selector(text: str, metric: str, holds_at: str) -> None:
    found = comparison(parse_expression(text))
    assert found is not None
    assert (found.selector.metric, found.holds_at) == (metric, Decimal(holds_at))


@pytest.mark.parametrize(
    "text", ["rate(x[5m]) > 1", "x > y", "x + 1 > 2", "absent(x)", "hour() > 20", "x offset 5m > 1"]
)
def test_other_forms_are_not_told(text: str) -> None:
    assert comparison(parse_expression(text)) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("sum(rate(x[$window]))", "rate"),
        ("-sum by (a) ((irate(x[$window])))", "irate"),
        ("sum(increase(x[$window])) - sum(rate(y[$window]))", "rate"),
        ("clamp_min(sum(rate(x[$window])), 0)", "rate"),
        ("sum(rate(x[$window]) > 0)", "rate"),
        ("sum(increase(x[$window]))", None),
        ("sum(rate(x[$window])) * 60", None),
        ("count(rate(x[$window]) > 0)", None),
        ("histogram_quantile(0.9, sum by (le) (rate(x[5m]))) > bool 0.3", None),
        ("sum(rate(x[5m])) > bool 0.3", None),
        ("sum(increase(x[$window])) and sum(rate(y[5m])) > 1", None),
        ("sum_over_time((sum(rate(x[1m])) > bool 3)[$window:1m])", None),
    ],
)
def test_a_rate_is_seen_where_it_decides_the_unit(text: str, found: str | None) -> None:
    assert per_second(parse_expression(text, windowed=True)) == found


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("histogram_quantile(0.9, sum by (le, a) (x))", ("a",)),
        ("histogram_quantile(0.9, sum by (le) (x)) > bool 3", ()),
        ('label_replace(sum by (a) (x), "b", "$1", "a", "(.*)")', ("a", "b")),
        ('label_join(sum by (a) (x), "b", "-", "a")', ("a", "b")),
        ('count_values("v", x)', ("v",)),
        ('count_values by (a) ("v", x)', ("a", "v")),
        ("topk(3, sum by (a) (x))", ("a",)),
        ('absent(x{a="1"})', None),
        ("sum without (a) (x)", None),
        ("sum(x)", ()),
    ],
)
def test_functions_that_take_or_add_labels_are_known(text: str, labels: tuple[str, ...] | None) -> None:
    assert parse_expression(text).grouping == labels


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ("sum(a) + sum(b)", True),
        ("sum(a) + (sum(b) - (sum(c) or vector(0)))", True),
        ("clamp_min(sum(a) - sum(b), 0)", True),
        ("(sum(a) or vector(0)) + (sum(b) or vector(0))", False),
        ("sum(a) + 1", False),
        ("sum(a + b)", False),
        ("sum(a) / sum(b)", False),
    ],
)
def test_a_sum_of_aggregations_without_zeros_may_be_absent(text: str, absent: bool) -> None:
    assert summands_may_be_absent(parse_expression(text)) == absent
