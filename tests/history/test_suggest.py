"""Objectives that the past keeps, and tiers that nothing beats."""

from __future__ import annotations

from itertools import combinations

from sloctl.history.incidents import incidents
from sloctl.history.suggest import MOST_ROWS, front, objective
from sloctl.history.tiles import History
from testing.histories import BEGIN, outages, slo_of

SLO = slo_of(window="7d")


def test_the_highest_objective_that_leaves_a_fifth_of_the_budget_is_suggested() -> None:
    found = objective(SLO, outages(30, base=0.005, rate=2000))
    assert str(found) == "99%"  # half of its budget; all of that of 99.5 %


def test_one_window_of_twenty_may_spend_more() -> None:
    """An outage is in the windows of seven daily ends; of 180 they are fewer than a twentieth."""
    assert str(objective(SLO, outages(186, (5 * 1440, 300, 1.0)))) == "99.99%"
    assert str(objective(SLO, outages(60, (30 * 1440, 300, 1.0)))) == "95%"


def test_a_past_that_is_shorter_than_the_window_suggests_no_objective() -> None:
    assert objective(SLO, outages(6)) is None


def test_a_past_that_keeps_nothing_suggests_no_objective() -> None:
    assert objective(SLO, outages(10, base=0.5)) is None


def test_no_tier_of_the_front_beats_another() -> None:
    tiles = outages(20, (3000, 20, 0.5), (9000, 240, 0.02), (15_000, 4, 1.0), (20_000, 3, 0.05), base=0.0002, rate=5000)
    worth = [incident for incident in incidents(SLO, tiles) if incident.spent > 0.02]
    found = front(SLO, History.of(SLO, tiles), worth)
    assert 1 <= len(found) <= MOST_ROWS
    assert all(not one.beats(other) and not other.beats(one) for one, other in combinations(found, 2))
    assert any(candidate.score.recall == 1 for candidate in found)
    pages = [len(candidate.score.notifications) for candidate in found]
    assert pages == sorted(pages)


def test_only_what_began_after_the_start_counts() -> None:
    tiles = outages(10, (3000, 20, 0.5), (9000, 20, 0.5), rate=5000)
    worth = [incident for incident in incidents(SLO, tiles) if incident.start > BEGIN + 5000 * 60_000]
    found = front(SLO, History.of(SLO, tiles), worth, BEGIN + 5000 * 60_000)
    assert [(len(candidate.score.notifications), candidate.score.precision) for candidate in found] == [(1, 1.0)]
