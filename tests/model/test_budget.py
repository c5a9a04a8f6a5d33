"""The arithmetic of burn rates, against the workbook's figures and its own laws."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloctl.diagnostics import Place
from sloctl.model.alerting import BudgetLeft, Burn, ErrorRate, Guard, Severity, Tier
from sloctl.model.budget import (
    budget_spent,
    detection_time,
    error_threshold,
    guard_minimum,
    tier_detection_time,
)
from sloctl.model.quantities import DAY, HOUR, MINUTE, ZERO, Duration, Objective

THREE_NINES = Objective(Decimal("0.999"))
objectives = st.decimals(min_value="0.5", max_value="0.99999", places=5).map(Objective)
ratios = st.decimals(min_value="0.0001", max_value="1", places=4)


def tier(trigger: Burn | ErrorRate | BudgetLeft, over: Duration | None, also_over: Duration | None = None) -> Tier:
    return Tier(Severity.P1, trigger, over, also_over, ZERO, ZERO, 0, 0, Guard.NONE, Place("spec.yaml"))


def test_two_percent_of_a_30_day_budget_in_an_hour_is_the_workbooks_burn_of_14_4() -> None:
    assert budget_spent(Decimal("14.4"), DAY * 30, HOUR) == Decimal("0.02")


def test_thresholds_are_exact_products() -> None:
    assert error_threshold(tier(Burn(Decimal("14.4")), HOUR), THREE_NINES) == Decimal("0.0144")
    assert error_threshold(tier(ErrorRate(Decimal("0.002")), HOUR), THREE_NINES) == Decimal("0.002")
    assert error_threshold(tier(BudgetLeft(Decimal("0.25")), None), THREE_NINES) == Decimal("0.75")


# burn, over in minutes, error ratio in percent, minutes until the average is above the threshold
WORKBOOK = [
    ("14.4", 60, "100", 1),
    ("14.4", 60, "10", 9),
    ("14.4", 60, "5", 18),
    ("14.4", 60, "1.5", 58),
    ("14.4", 60, "1", None),
    ("6", 360, "10", 22),
    ("6", 360, "1", 217),
    ("3", 1440, "0.5", 865),
    ("1", 4320, "0.2", 2161),
    ("14.2", 5, "1.5", 5),
    ("6", 14, "1", 9),
    ("3", 30, "0.5", 19),
    ("3", 30, "0.2", None),
]


@pytest.mark.parametrize(("burn", "over", "ratio", "minutes"), WORKBOOK)
def test_detection_times_of_steady_trouble(burn: str, over: int, ratio: str, minutes: int | None) -> None:
    found = tier_detection_time(tier(Burn(Decimal(burn)), MINUTE * over), THREE_NINES, Decimal(ratio) / 100, MINUTE)
    assert found == (None if minutes is None else MINUTE * minutes)


def test_both_windows_of_a_tier_must_be_above_the_threshold() -> None:
    found = tier_detection_time(tier(Burn(Decimal(900)), MINUTE * 2, HOUR), THREE_NINES, Decimal(1), MINUTE)
    assert found == MINUTE * 55  # 0.9 of an hour's average takes longer than 0.9 of two minutes'


@given(ratios, ratios, st.integers(1, 4320))
def test_more_errors_are_never_detected_later(threshold: Decimal, ratio: Decimal, minutes: int) -> None:
    slower = detection_time(threshold, MINUTE * minutes, ratio, MINUTE)
    faster = detection_time(threshold, MINUTE * minutes, min(Decimal(1), ratio * 2), MINUTE)
    assert slower is None or (faster is not None and faster <= slower)


@given(ratios, ratios, st.integers(1, 4320))
def test_an_average_is_above_its_threshold_at_the_detection_time_and_not_one_step_before(
    threshold: Decimal, ratio: Decimal, minutes: int
) -> None:
    time = detection_time(threshold, MINUTE * minutes, ratio, MINUTE)
    if time is None:
        assert ratio <= threshold
    else:
        steps = time // MINUTE.milliseconds
        assert ratio * steps.milliseconds > threshold * minutes
        assert ratio * (steps.milliseconds - 1) <= threshold * minutes


@given(objectives, objectives)
def test_a_tighter_objective_never_raises_a_threshold(one: Objective, other: Objective) -> None:
    loose, tight = sorted((one, other))
    burn = tier(Burn(Decimal("14.4")), HOUR)
    assert error_threshold(burn, tight) <= error_threshold(burn, loose)


def test_the_guard_asks_for_three_errors_where_none_are_expected() -> None:
    assert 2 < guard_minimum(Decimal(0), THREE_NINES) <= 3


@given(objectives, st.integers(0, 10**9))
def test_the_guard_never_asks_for_fewer_errors_than_the_objective_allows(objective: Objective, total: int) -> None:
    assert guard_minimum(Decimal(total), objective) > objective.error_budget * total
