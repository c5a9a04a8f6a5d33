"""How often the decision is wrong on simulated canaries; `make bench-canary` prints the same with more runs."""

from __future__ import annotations

import numpy as np
import pytest

from bench import canary as bench
from bench.canary_worlds import World
from sloctl.canary.analysis.evidence import BaselineHistory, CountsOfBoth, IntervalCounts, harm

RUNS = 400
UNCHANGED = [World(rps, burst=burst, incident=incident)
             for burst in (0.0, bench.BURST) for incident in (0.0, bench.INCIDENT)
             for rps in (2, 200, 10_000)]  # fmt: skip


def name(world: World) -> str:
    return f"{world.rps}rps-burst{world.burst}-incident{world.incident}"


@pytest.mark.parametrize("world", UNCHANGED, ids=name)
def test_an_unchanged_canary_is_hardly_ever_rolled_back(world: World) -> None:
    rng = np.random.default_rng(5)
    history, arms = world.history(rng, RUNS), world.arms(rng, RUNS)
    found = bench.ours(arms, history)
    assert found.share <= (1.5 if world.burst else 1)
    if world.incident:
        assert bench.promotions(arms, history, found).mean() <= 0.01


@pytest.mark.parametrize("burst", [0.0, bench.BURST])
@pytest.mark.parametrize("rate", [bench.LIMIT, 0.01])
def test_a_canary_at_or_above_the_limit_is_hardly_ever_promoted(rate: float, burst: float) -> None:
    for rps in (200, 10_000):
        rng = np.random.default_rng(6)
        world = World(rps, canary=rate, burst=burst)
        history, arms = world.history(rng, RUNS), world.arms(rng, RUNS)
        assert bench.promotions(arms, history, bench.ours(arms, history)).mean() <= 0.01


@pytest.mark.parametrize(("rate", "rps", "seconds"), [(0.01, 200, 60), (0.01, 1000, 15), (0.03, 200, 30)])
def test_a_bad_canary_is_found_in_time(rate: float, rps: float, seconds: float) -> None:
    rng = np.random.default_rng(7)
    world = World(rps, canary=rate)
    history, arms = world.history(rng, RUNS), world.arms(rng, RUNS)
    found = bench.ours(arms, history)
    assert found.share >= 99
    assert found.median <= seconds


def test_without_the_dispersion_bursts_would_be_taken_for_harm() -> None:
    """The bound above is not empty: the same worlds break it when the arms are taken as Poisson."""
    rng = np.random.default_rng(8)
    world = World(10_000, burst=bench.BURST)
    poisson = World(10_000).history(rng, RUNS)
    broken = harm(world.arms(rng, RUNS), bench.LIMITS, poisson, world.look_seconds).rolls_back
    assert broken[:, -1].mean() > 0.2


CLUSTERS = [(4000 + seed, cell) for seed, cell in enumerate(bench.clusters())][::4]


@pytest.mark.parametrize(
    ("errors", "rolled_back"), [([0, 4, 0, 0, 0], False), ([0, 5, 0, 0, 0], True), ([0, 3, 0, 3, 0], True)]
)
def test_a_single_failure_that_is_tried_again_rolls_nothing_back(errors: list[int], rolled_back: bool) -> None:
    """Against a baseline that hardly ever fails, three errors are harm by chance alone."""
    canary = IntervalCounts(np.array(errors, dtype=float), np.full(5, 10.0))
    baseline = IntervalCounts(np.zeros(5), np.full(5, 1000.0))
    history = BaselineHistory(1e-5, 1.0, 0.0, 1e6)
    assert bool(harm(CountsOfBoth(canary, baseline), bench.LIMITS, history, 15.0).rolls_back[-1]) is rolled_back


@pytest.mark.parametrize(("seed", "cell"), CLUSTERS, ids=[cell.what for _, cell in CLUSTERS])
def test_scrapes_as_clusters_have_them(seed: int, cell: bench.Cell) -> None:
    """Each pod at a moment of its own, slow bursts, a bad node, canaries that break at the end; with fewer runs."""
    rng = np.random.default_rng(seed)
    history, arms = cell.world.history(rng, RUNS // 2), cell.world.arms(rng, RUNS // 2)
    found = bench.ours(arms, history, bench.SCRAPE)
    if cell.rolled_back_at_most is not None:
        assert found.share <= cell.rolled_back_at_most + 1, "the bound of the bench, and what chance adds in 200 runs"
    if cell.found_at_least is not None:
        assert found.share >= cell.found_at_least
    if cell.seconds_at_most is not None:
        assert found.median <= cell.seconds_at_most
    if cell.promoted_at_most is not None:
        promoted = 100 * bench.promotions(arms, history, found, bench.SCRAPE).mean()
        assert promoted <= cell.promoted_at_most + 1
