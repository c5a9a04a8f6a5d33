"""Replay against the exact simulation, which knows the meaning of a tier and no rule."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloctl.explain.simulation import History as Sums
from sloctl.explain.simulation import judged, simulate
from sloctl.history.replay import Episode, replayed
from sloctl.history.tiles import History, Tiles
from sloctl.model.alerting import BudgetLeft, Burn, Guard, Tier
from sloctl.model.quantities import MINUTE, ZERO, Duration
from testing.histories import BEGIN, outages, slo_of, tiles_of

SLO = slo_of()
BASE = SLO.tiers[0]
LENGTHS = [MINUTE * length for length in (1, 2, 5, 12, 30, 60, 1440, 2880)]


@st.composite
def tiers(draw: Any) -> Tier:
    budget_left = draw(st.integers(0, 5)) == 0
    over = None if budget_left else draw(st.sampled_from(LENGTHS))
    shorter = [length for length in LENGTHS if over is not None and length.milliseconds < over.milliseconds]
    also_over = draw(st.sampled_from([None, *shorter])) if shorter else None
    trigger = BudgetLeft(Decimal(draw(st.sampled_from(["0", "0.5", "0.9"])))) if budget_left else None
    return replace(
        BASE,
        trigger=trigger or Burn(Decimal(draw(st.sampled_from(["1", "2", "6", "14.4", "100"])))),
        over=over,
        also_over=also_over,
        for_=MINUTE * draw(st.sampled_from([0, 1, 2, 7])),
        keep_firing_for=MINUTE * draw(st.sampled_from([0, 1, 3, 8])),
        min_events=draw(st.sampled_from([0, 5, 100])),
        min_bad=draw(st.sampled_from([0, 1, 3])),
        guard=draw(st.sampled_from(Guard)),
    )


@st.composite
def histories(draw: Any) -> list[tuple[int, int]]:
    """Tiles in stretches; some are quiet, so that a ratio is absent."""
    found = list[tuple[int, int]]()
    for _ in range(draw(st.integers(1, 8))):
        length = draw(st.sampled_from([1, 2, 3, 4, 7, 30, 200]))
        total = draw(st.sampled_from([0, 1, 7, 60, 1000]))
        bad = draw(st.integers(0, total))
        found += [(total, bad)] * length
    return found


@pytest.mark.property
@given(tiers(), histories())
def test_a_replay_is_the_exact_simulation(tier: Tier, counts: list[tuple[int, int]]) -> None:
    tiles = tiles_of(counts)
    exact = simulate(SLO, tier, [(Decimal(total), Decimal(bad)) for total, bad in counts])
    history = History.of(SLO, tiles)
    step = _step(tier)
    # the simulation looks from the first tile on, where no roll-up is yet; and not beyond the last tile
    history = replace(history, evaluated_slowly=np.arange(BEGIN, int(tiles.at[-1]) + 1, 240_000, dtype=np.int64))
    (done,) = replayed(SLO, history, [tier])
    active = {BEGIN + evaluation.at.milliseconds for evaluation in exact if evaluation.active}
    firing = {BEGIN + evaluation.at.milliseconds for evaluation in exact if evaluation.firing}
    assert _moments(done.episodes, step, firing=False) == active
    assert _moments(done.episodes, step, firing=True) == firing


@pytest.mark.property
@given(tiers().filter(lambda tier: tier.over is not None), histories(), st.integers(0, 300))
def test_a_young_window_is_judged_by_what_is_covered(tier: Tier, counts: list[tuple[int, int]], before: int) -> None:
    """As `judged` has it, which the rules are proven by: `before` tiles were measured before these."""
    tiles = tiles_of(counts)
    since = BEGIN // 1000 - 60 * (before + 1)
    (done,) = replayed(SLO, History.of(SLO, tiles, since=since), [replace(tier, for_=ZERO, keep_firing_for=ZERO)])
    exact = [(Decimal(total), Decimal(bad)) for total, bad in counts]
    held, past = _moments(done.episodes, _step(tier), firing=False), Sums(SLO, exact)
    evaluated = History.of(SLO, tiles).evaluated_slowly if _step(tier) != MINUTE else tiles.at
    for moment in evaluated.tolist():
        at = Duration(moment - BEGIN)
        windows = [past.within(window, at) for window in tier.windows]
        holds, _ = judged(SLO, tier, windows, measured=Duration(moment - since * 1000))
        assert (moment in held) == holds


def _step(tier: Tier) -> Duration:
    return SLO.sampling.rollup if tier.over is None or SLO.sampling.reads_rollups(tier.over) else MINUTE


def _moments(episodes: tuple[Episode, ...], step: Duration, *, firing: bool) -> set[int]:
    found = set[int]()
    for episode in episodes:
        start = episode.firing if firing else episode.since
        if start is not None:
            found |= set(range(start, episode.until + 1, step.milliseconds))
    return found


def test_an_outage_pages_at_the_evaluation_whose_windows_are_bad_enough() -> None:
    # 14.4 x 0.1 % of 3 600 x 10 events in an hour are 518.4 bad ones: the first of 600 is enough
    (p1, *_) = replayed(SLO, History.of(SLO, outages(1, (600, 30, 1.0))))
    (episode,) = p1.episodes
    assert (episode.since - BEGIN) // 60_000 == 600
    assert episode.firing == episode.since
    # the five minutes are clean again after minute 634, and the alert is kept for 5 m
    assert (episode.until - BEGIN) // 60_000 == 633 + 5


def test_a_young_window_is_not_judged_as_a_whole_one() -> None:
    """Ten minutes at burn 20 after the first tile are a sixth of the hour that the tier looks back."""
    slo, tiles = slo_of("[{severity: P1, burn: 14.4, over: 1h}]"), outages(0.05, (0, 72, 0.02))
    since = (BEGIN - 60_000) / 1000
    (old,), (young,) = replayed(slo, History.of(slo, tiles)), replayed(slo, History.of(slo, tiles, since=since))
    assert (old.episodes[0].since - BEGIN) // 60_000 == 0
    # 0.02 x minutes / 60 > 0.0144 from the 44th tile on
    assert (young.episodes[0].since - BEGIN) // 60_000 == 43
    assert young.measured_from == BEGIN + 59 * 60_000


def test_a_window_that_the_past_does_not_fill_is_never_measured() -> None:
    done = replayed(SLO, History.of(SLO, outages(2, (600, 30, 1.0))))
    assert [tier.measured_from is None for tier in done] == [False, False, False, True]


def test_a_lower_tier_is_silent_while_a_higher_one_fires_with_inhibition_by_rule() -> None:
    slo = slo_of("[{severity: P2, burn: 2, over: 30m}, {severity: P1, burn: 10, over: 30m, keep_firing_for: 0s}]")
    history = History.of(slo, outages(0.2, (60, 60, 0.05)))
    (alone, high), (silent, same) = replayed(slo, history), replayed(slo, history, inhibited=True)
    assert high == same
    (page,) = high.fired
    (before,) = alone.fired
    assert before.since < page.since
    assert before.until > page.until
    # it stands before the higher one in its group, so it sees what that one did an evaluation before
    first, second = silent.fired
    assert (first.since, first.until) == (before.since, page.since)
    assert (second.since, second.until) == (page.until + 2 * 60_000, before.until)


def test_an_evaluation_without_a_tile_still_judges_its_windows() -> None:
    """What is measured may vanish while the rules go on."""
    slo = slo_of("[{severity: P1, burn: 10, over: 30m, keep_firing_for: 0s}]")
    tiles = outages(1 / 24, (50, 10, 1.0))
    evaluated = BEGIN + 60_000 * np.arange(180, dtype=np.int64)
    (done,) = replayed(slo, replace(History.of(slo, tiles), evaluated=evaluated))
    # the last bad tile, of minute 59, leaves the window of 30 tiles at minute 89
    assert (done.fired[0].until - BEGIN) // 60_000 == 88


def test_a_calendar_period_begins_with_a_whole_budget() -> None:
    slo = slo_of("[{severity: P2, budget_left: 50%}]", window="{calendar: month, time_zone: UTC}")
    # 1 October 2026, 00:00 UTC is 1 790 812 800
    begin = 1_790_812_800_000 - 2 * 86_400_000
    counts = [(100.0, 0.0)] * 4320
    for minute in range(1000, 1100):
        counts[minute] = (100.0, 100.0)
    (done,) = replayed(slo, History.of(slo, tiles_of(counts, begin=begin)))
    (episode,) = done.fired
    # after 6 bad tiles of 1 006 half of the budget is gone; on the first of the month none is
    assert episode.until < 1_790_812_800_000 <= episode.until + 240_000


def test_what_is_no_number_of_a_tile_each_is_refused() -> None:
    with pytest.raises(ValueError, match="each"):
        Tiles.of([1, 2], [1.0], [0.0, 0.0])


def test_two_recordings_that_lack_different_tiles_are_joined_with_zeros() -> None:
    found = Tiles.of_both((np.array([1, 2, 4]), np.array([5.0, 6.0, 7.0])), (np.array([2, 3]), np.array([1.0, 2.0])))
    assert [found.at.tolist(), found.total.tolist(), found.bad.tolist()] == [[1, 2, 3, 4], [5, 6, 0, 7], [0, 1, 2, 0]]


def test_tiles_that_reach_further_back_are_put_before_others() -> None:
    newer, older = Tiles.of([3, 4], [1, 1], [0, 0]), Tiles.of([1, 2, 3], [2, 2, 2], [1, 1, 1])
    joined = newer.after(older)
    assert joined.at.tolist() == [1, 2, 3, 4]
    assert joined.total.tolist() == [2, 2, 1, 1]
    assert newer.after(Tiles.nothing()) is newer
    assert Tiles.nothing().after(older) is older


def test_fractions_are_summed_to_the_last_digits() -> None:
    counts = [(0.1, 0.0)] * 100_000
    total, _ = tiles_of(counts).sums(MINUTE * 10, np.array([BEGIN + 60_000 * 99_999]))
    assert total[0] == pytest.approx(1.0, rel=1e-12)
