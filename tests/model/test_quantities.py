"""Durations, ratios and rates print as Prometheus and people write them, and lose nothing."""

from __future__ import annotations

from decimal import Decimal

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloctl.model.quantities import Duration, Objective, Rate, number, percent


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0s"),
        (1, "1ms"),
        (1_500, "1s500ms"),
        (299_000, "4m59s"),
        (5_400_000, "1h30m"),
        (2_591_999_000, "29d23h59m59s"),
        (7 * 86_400_000, "7d"),
    ],
)
def test_a_duration_prints_as_prometheus_writes_it(milliseconds: int, text: str) -> None:
    assert str(Duration(milliseconds)) == text


@given(st.integers(min_value=1, max_value=10**9).map(lambda seconds: seconds * 1000))
def test_prometheus_own_parser_reads_every_printed_duration_back(milliseconds: int) -> None:
    read = promql_parser.parse_duration(str(Duration(milliseconds)))
    assert round(read.total_seconds() * 1000) == milliseconds


@given(st.integers(min_value=0, max_value=10**12))
def test_a_printed_duration_reads_back(milliseconds: int) -> None:
    assert Duration.parse(str(Duration(milliseconds))) == Duration(milliseconds)


@pytest.mark.parametrize("text", ["", "5", "5 m", "1m1h", "month"])
def test_what_prometheus_would_not_write_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        Duration.parse(text)


def test_a_negative_duration_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="not negative"):
        Duration.of(seconds=1) - Duration.of(seconds=2)


@pytest.mark.parametrize("ratio", ["0", "1", "-0.1", "1.5"])
def test_an_objective_outside_0_and_100_percent_cannot_be_made(ratio: str) -> None:
    with pytest.raises(ValueError, match="between 0 % and 100 %"):
        Objective(Decimal(ratio))


def test_the_error_budget_is_exact() -> None:
    assert Objective(Decimal("0.9997")).error_budget == Decimal("0.0003")


@given(st.decimals(min_value="-1000000000", max_value="1000000000", places=12))
def test_a_number_prints_without_exponent_and_reads_back_exactly(value: Decimal) -> None:
    text = number(value)
    assert "e" not in text.lower()
    assert Decimal(text) == value


def test_small_and_large_numbers_print_in_full() -> None:
    assert number(Decimal("14.4") * Decimal("0.001")) == "0.0144"
    assert number(Decimal("1E+3")) == "1000"
    assert number(Decimal("0E-7")) == "0"


def test_a_ratio_prints_as_a_percentage() -> None:
    assert percent(Decimal("0.9995")) == "99.95%"


def test_a_rate_counts_events_in_any_length() -> None:
    rate = Rate(Decimal(800_000), Duration.of(minutes=1))
    assert rate.during(Duration.of(hours=1)) == 48_000_000
    assert str(rate) == "800000/min"
