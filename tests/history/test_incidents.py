"""Incidents found in worlds whose incidents are known."""

from __future__ import annotations

import random
from itertools import accumulate, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloctl.history.incidents import incidents, measured, segments
from testing.histories import BEGIN, outages, slo_of, tiles_of

SLO = slo_of()
MINUTE = 60_000


def test_an_outage_is_found_with_its_edges_and_what_it_spent() -> None:
    (found,) = incidents(SLO, outages(30, (10_000, 45, 0.5)))
    assert (found.start - BEGIN) // MINUTE == 9_999
    assert (found.end - BEGIN) // MINUTE == 10_044
    # 45 minutes at half: 22.5 of 43.2 minutes, less the 0.045 that they were allowed
    assert found.spent == pytest.approx((22.5 - 0.045) / 43.2)
    assert found.worst == pytest.approx(500)
    assert (found.total, found.bad) == (27_000, 13_500)


def test_a_large_incident_does_not_swallow_the_days_until_the_next() -> None:
    found = incidents(SLO, outages(30, (10_000, 60, 1.0), (14_000, 20, 0.2), (20_000, 30, 0.1), base=0.0005))
    large = [incident for incident in found if incident.spent > 0.02]
    assert [(incident.start - BEGIN) // MINUTE for incident in large] == [9_999, 13_999, 19_999]


def test_a_calm_service_has_no_incident() -> None:
    assert incidents(SLO, outages(3)) == []
    assert incidents(SLO, tiles_of([])) == []
    assert incidents(SLO, tiles_of([(0, 0)] * 10)) == []


def test_what_chance_does_spends_next_to_nothing() -> None:
    draw = random.Random(1)
    tiles = tiles_of((100, sum(draw.random() < 0.0005 for _ in range(100))) for _ in range(10_000))
    assert all(incident.spent < 0.01 for incident in incidents(SLO, tiles))


def test_a_known_incident_is_measured_between_its_own_times() -> None:
    tiles = outages(30, (10_000, 45, 0.5))
    known = measured(SLO, tiles, BEGIN + 9_000 * MINUTE, BEGIN + 11_000 * MINUTE, "PG-1")
    assert (known.name, known.bad) == ("PG-1", 13_500)
    assert known.spent == pytest.approx((22.5 - 2.0) / 43.2)
    assert measured(SLO, tiles, 0, 1).spent == 0


@pytest.mark.property
@given(st.lists(st.integers(-5, 5), max_size=60))
def test_segments_are_maximal_and_disjoint(scores: list[int]) -> None:
    found = segments(np.array(scores, np.float64))
    assert all(first <= last < after for (first, last, _), (after, _, _) in pairwise(found))
    until = [0, *accumulate(scores)]
    for first, last, score in found:
        assert score == until[last + 1] - until[first] > 0
        # each proper beginning and each proper end of a maximal segment is worth less than all of it
        assert all(until[first] < until[index] for index in range(first + 1, last + 2))
        assert all(until[index] < until[last + 1] for index in range(first, last + 1))
    covered = {index for first, last, _ in found for index in range(first, last + 1)}
    assert {index for index, score in enumerate(scores) if score > 0} <= covered


@pytest.mark.parametrize("ratio", [0.0025, 0.005, 0.02])
def test_a_burn_that_is_not_steep_begins_with_its_first_minute(ratio: float) -> None:
    found = incidents(SLO, outages(3, (2_000, 40, ratio), base=0.0005))
    large = max(found, key=lambda incident: incident.spent)
    assert ((large.start - BEGIN) // MINUTE, (large.end - BEGIN) // MINUTE) == (1_999, 2_039)
