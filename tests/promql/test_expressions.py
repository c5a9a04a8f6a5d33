"""Conditions that compare the samples of one selector with a number."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sloctl.promql.expressions import comparison, parse_expression


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
