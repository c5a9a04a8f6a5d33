"""What `explain` says, against the figures of FinFlow and the laws of the arithmetic."""

from __future__ import annotations

import random
from decimal import Decimal
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloctl.explain.detection import explain_slo
from sloctl.model.budget import (
    detection_time,
    expected_false_fires,
    least_errors,
    reset_time,
    rolled_detection_time,
    smallest_firing_ratio,
)
from sloctl.model.quantities import MINUTE, Duration, Objective, Rate
from tests.proof.conftest import FINFLOW, RATIO, Written

THREE_NINES = Objective(Decimal("0.999"))
thresholds = st.decimals(min_value="0.0001", max_value="0.5", places=4)
ratios = st.decimals(min_value="0.0001", max_value="1", places=4)
tiles = st.integers(min_value=1, max_value=5000)


def test_finflows_tiers_fire_when_the_workbooks_arithmetic_says(written: Written) -> None:
    _, slo = written(RATIO, FINFLOW)
    at = {
        (tier.name, detection.ratio): detection.page for tier in explain_slo(slo).tiers for detection in tier.detections
    }
    assert at["p1-5m", Decimal(1)] == MINUTE
    assert at["p1-5m", Decimal("0.05")] == MINUTE * 2
    assert at["p1-5m", Decimal("0.01")] is None
    assert at["p2-14m", Decimal("0.01")] == MINUTE * 9
    assert at["p3-30m", Decimal("0.01")] == MINUTE * 10


def test_pending_and_page_differ_by_for(written: Written) -> None:
    _, slo = written(RATIO, "[{severity: P1, burn: 1, over: 1m, for: 2m}]")
    (tier,) = explain_slo(slo).tiers
    assert (tier.detections[0].pending, tier.detections[0].page) == (MINUTE, MINUTE * 3)


def test_the_guard_costs_minutes_at_low_traffic_and_none_at_high(written: Written) -> None:
    _, slo = written(RATIO, "[{severity: P1, burn: 14.4, over: 1h, also_over: 5m}]")
    low = explain_slo(slo, Rate(Decimal(1), MINUTE)).tiers[0].detections[0]
    high = explain_slo(slo, Rate(Decimal(100_000), MINUTE)).tiers[0].detections[0]
    assert low.guarded is not None
    assert low.page is not None
    assert low.guarded > low.page
    assert high.guarded == high.page


@pytest.mark.property
@given(thresholds, tiles)
def test_the_smallest_firing_ratio_fires_when_the_window_is_full_and_not_sooner(limit: Decimal, count: int) -> None:
    over = MINUTE * count
    ratio = smallest_firing_ratio(limit, over, MINUTE)
    assert detection_time(limit, over, ratio, MINUTE) == over


@pytest.mark.property
@given(thresholds, tiles, ratios)
def test_a_roll_up_is_never_sooner_than_a_tile_and_at_most_a_roll_up_and_a_tile_later(
    limit: Decimal, count: int, ratio: Decimal
) -> None:
    over, rollup = MINUTE * count, MINUTE * 4
    tile = detection_time(limit, over, ratio, MINUTE)
    rolled = rolled_detection_time(limit, over, ratio, MINUTE, rollup)
    assert (tile is None) == (rolled is None)
    if tile is not None and rolled is not None:
        assert tile < rolled <= tile + rollup + MINUTE


@pytest.mark.property
@given(thresholds, tiles, ratios)
def test_an_alert_ends_within_its_window(limit: Decimal, count: int, ratio: Decimal) -> None:
    over = MINUTE * count
    ends = reset_time(limit, over, ratio, MINUTE)
    assert Duration(0) <= ends <= over
    assert (ends == Duration(0)) == (ratio <= limit)


@pytest.mark.property
@given(st.integers(min_value=0, max_value=10**9), thresholds)
def test_the_guard_never_lowers_the_fewest_errors_that_fire(total: int, limit: Decimal) -> None:
    plain = least_errors(Decimal(total), limit, THREE_NINES, guarded=False)
    guarded = least_errors(Decimal(total), limit, THREE_NINES, guarded=True)
    assert guarded >= max(plain, 3)
    assert plain > limit * total


@pytest.mark.parametrize(
    ("rate", "windows"),
    [
        (Decimal("0.0007"), [(60, 1), (5, 1)]),  # one request a minute at 0.07 % errors, without the guard
        (Decimal("0.05"), [(14, 3)]),
        (Decimal("0.05"), [(60, 6), (5, 2)]),
        (Decimal("0.07"), [(60, 8), (30, 5)]),
    ],
)
def test_expected_false_alerts_are_what_a_simulation_counts(rate: Decimal, windows: list[tuple[int, int]]) -> None:
    expected = expected_false_fires(rate, windows, 600_000)
    assert expected is not None
    counted = simulated(float(rate), windows, 600_000)
    assert abs(counted - float(expected)) < 5 * float(expected) ** 0.5


def simulated(rate: float, windows: list[tuple[int, int]], during: int) -> int:
    """How often all windows become full, with bad events drawn one by one."""
    chance = random.Random("false alerts")
    drawn, moment = [0] * during, chance.expovariate(rate)
    while moment < during:
        drawn[int(moment)] += 1
        moment += chance.expovariate(rate)
    sums = [0, *accumulate(drawn)]
    fired = [
        all(sums[now] - sums[max(0, now - length)] >= least for length, least in windows) for now in range(during + 1)
    ]
    return sum(now and not before for before, now in pairwise(fired))


def test_false_alerts_are_none_where_the_threshold_is_far_and_unknown_where_it_nearly_always_fires() -> None:
    assert expected_false_fires(Decimal(1000), [(60, 100_000)], 43_200) == 0
    assert expected_false_fires(Decimal(1000), [(60, 50_000)], 43_200) is None
    assert expected_false_fires(Decimal(0), [(60, 1)], 43_200) == 0


def test_the_guard_keeps_a_quiet_service_from_false_alerts(written: Written) -> None:
    policy = "[{{severity: P1, burn: 14.4, over: 1h, also_over: 5m, guard: {guard}}}]"
    (guarded,), (bare,) = (
        explain_slo(written(RATIO, policy.format(guard=guard))[1], Rate(Decimal(1), MINUTE)).tiers
        for guard in ("statistical", "none")
    )
    assert guarded.false_pages is not None
    assert bare.false_pages is not None
    assert guarded.false_pages < Decimal("0.1")
    assert bare.false_pages > 25


def test_a_tier_by_the_budget_left_says_when_it_fires_from_a_full_budget(written: Written) -> None:
    _, slo = written(RATIO, "[{severity: P3, budget_left: 25%}]")
    at = {detection.ratio: detection for detection in explain_slo(slo).tiers[0].detections}
    assert at[Decimal(1)].page == MINUTE * 36  # three quarters of 43.2 minutes, seen by the next roll-up
    spent = at[Decimal("0.01")].spent
    assert spent is not None
    assert Decimal("0.75") <= spent < Decimal("0.752")
