"""How often canary rules are wrong, and how long they need: ours beside what people use, on simulated canaries.

5 % of the traffic, ten minutes, 0.1 % errors, alpha 0.01, looks every 2 s. The seed of a cell is its position.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.canary_worlds import LOOK_SECONDS, Tenants, World
from bench.rows import Row
from sloctl.canary.analysis.evidence import (
    BLOCK_SECONDS,
    BaselineHistory,
    CountsOfBoth,
    IntervalCounts,
    Limits,
    Strata,
    harm,
    health,
    relapsed,
)
from sloctl.canary.analysis.samples import ArmSamples, CheckSamples
from sloctl.canary.analysis.statistics import Floats, divergence
from testing import canaries as making

RUNS = 2000
LIMIT = 0.005
ALPHA = 0.01
LIMITS = Limits(LIMIT, 1.0, both=False, shared_rolls_back=False, alpha_rollback=ALPHA, alpha_promote=ALPHA)
BURST = 0.8
INCIDENT = 0.03
ENDPOINTS = 20
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule did in each run: whether it rolled back, and after how many seconds."""

    rolled_back: Flags
    seconds: Floats

    @property
    def share(self) -> float:
        """Runs that were rolled back, in percent."""
        return float(100 * self.rolled_back.mean())

    @property
    def median(self) -> float:
        """Seconds until half of all runs were rolled back; infinite when fewer were."""
        return float(np.median(np.where(self.rolled_back, self.seconds, np.inf)))


def outcome(broken: Flags, every: float = LOOK_SECONDS) -> Outcome:
    """From the flags of each look."""
    return Outcome(np.logical_or.reduce(broken, axis=-1), (broken.argmax(axis=-1) + 1) * every)


def ours(arms: CountsOfBoth, history: BaselineHistory, every: float = LOOK_SECONDS) -> Outcome:
    """`sloctl canary`: at most 0.5 % and not worse than the baseline."""
    return outcome(harm(arms, LIMITS, history, every).rolls_back, every)


def window(counts: Floats, seconds: float, every: float) -> Floats:
    """Sums over a sliding window, at looks every so many seconds."""
    width, step = round(seconds / LOOK_SECONDS), round(every / LOOK_SECONDS)
    total = np.cumsum(np.pad(counts, ((0, 0), (1, 0))), axis=-1)
    return (total[:, width:] - total[:, :-width])[:, ::step]


def threshold(arms: CountsOfBoth, seconds: float = 60, every: float = 10) -> Outcome:
    """The usual rule: more than 0.5 % errors in the last minute, at any look."""
    errors, requests = (window(side, seconds, every) for side in (arms.canary.x, arms.canary.n))
    found = outcome(errors > LIMIT * np.maximum(requests, 1e-9), every)
    return Outcome(found.rolled_back, found.seconds + seconds - every)


def peeked_z(arms: CountsOfBoth, every: float = 10) -> Outcome:
    """A two-proportion z-test at 1 %, looked at again and again."""
    step = round(every / LOOK_SECONDS)
    x_c, n_c, x_b, n_b = (
        np.cumsum(side, axis=-1)[:, step - 1 :: step]
        for side in (arms.canary.x, arms.canary.n, arms.baseline.x, arms.baseline.n)
    )
    n_c, n_b = np.maximum(n_c, 1e-9), np.maximum(n_b, 1e-9)
    rate = (x_c + x_b) / (n_c + n_b)
    spread = np.sqrt(np.maximum(rate * (1 - rate) * (1 / n_c + 1 / n_b), 1e-30))
    return outcome((x_c / n_c - x_b / n_b) / spread > 2.326, every)


def mann_whitney(arms: CountsOfBoth, piece: float = 10, every: float = 30) -> Outcome:
    """Rank test of the error ratios of ten-second pieces at 1 %, judged at each look from two minutes on."""
    c, b = (
        window(arm.x, piece, piece) / np.maximum(window(arm.n, piece, piece), 1) for arm in (arms.canary, arms.baseline)
    )
    looks = np.arange(round(120 / piece), c.shape[1] + 1, round(every / piece))
    broken = np.stack([_ranks_differ(c[:, :look], b[:, :look]) for look in looks], axis=-1)
    found = outcome(broken, every)
    return Outcome(found.rolled_back, found.seconds + 120 - every)


def _ranks_differ(c: Floats, b: Floats) -> Flags:
    """One-sided Mann-Whitney with the correction for ties, normal approximation."""
    m = c.shape[1]
    greater = (c[:, :, None] > b[:, None, :]).sum((1, 2)) + 0.5 * (c[:, :, None] == b[:, None, :]).sum((1, 2))
    pooled = np.sort(np.concatenate([c, b], axis=1), axis=1)
    ties = np.array([(np.unique(row, return_counts=True)[1] ** 3).sum() - 2 * m for row in pooled])
    spread = np.sqrt(np.maximum(m * m / 12 * (2 * m + 1 - ties / (2 * m * (2 * m - 1))), 1e-9))
    differ: Flags = (greater - m * m / 2 - 0.5) / spread > 2.326
    return differ


RULES: dict[str, Callable[[CountsOfBoth], Outcome]] = {
    "> 0.5% in 1 min": threshold,
    "in 30 s": lambda arms: threshold(arms, seconds=30),
    "z-test, peeked": peeked_z,
    "Mann-Whitney": mann_whitney,
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One line of the table, with what ours must reach."""

    what: str
    world: World
    rolled_back_at_most: float | None = None
    found_at_least: float | None = None
    seconds_at_most: float | None = None
    promoted_at_most: float | None = None


def cells() -> Iterator[Cell]:
    """The worlds of the comparison."""
    for rps in (2, 200, 1000, 10_000):
        yield Cell(f"unchanged, {rps} rps", World(rps), rolled_back_at_most=1)
    for rps in (200, 1000, 10_000):
        yield Cell(f"unchanged, shared incident, {rps} rps", World(rps, incident=INCIDENT), rolled_back_at_most=1)
    for rps in (200, 1000, 10_000):
        yield Cell(f"unchanged, bursty, {rps} rps", World(rps, burst=BURST), rolled_back_at_most=1.5)
    for rps in (200, 1000, 10_000):
        world = World(rps, burst=BURST, incident=INCIDENT)
        yield Cell(f"unchanged, bursty, shared incident, {rps} rps", world, rolled_back_at_most=1.5, promoted_at_most=1)
    for rate, rps, seconds in ((0.01, 200, 60), (0.01, 1000, 15), (0.03, 200, 30)):
        world = World(rps, canary=rate)
        yield Cell(f"{rate:.0%} errors, {rps} rps", world, None, 99, seconds, promoted_at_most=1)
    for burst in (0.0, BURST):
        for rate in (LIMIT, 0.01):
            for rps in (200, 1000, 10_000):
                name = f"{100 * rate:g}% errors, {'bursty, ' if burst else ''}{rps} rps: promoted"
                yield Cell(name, World(rps, canary=rate, burst=burst), promoted_at_most=1)


def rows() -> Iterator[Row]:
    """Every target, and the table beside it."""
    table = Table("5% canary, 10 min", *RULES, "sloctl", "promoted", title=f"rolled back, median time ({RUNS} runs)")
    for seed, cell in enumerate(cells()):
        yield from _cell_rows(cell, seed, table)
    Console(width=150).print(table)
    show_reach()
    yield from cluster_rows()
    yield from floor_rows()
    yield from endpoint_rows()
    yield from tenant_rows()
    yield from cost_rows()


SCRAPE = 15.0


def clusters() -> Iterator[Cell]:
    """What clusters add: scrapes every 15 s, of each pod at its own moment, slow bursts, bad nodes, late failures."""
    scraped = World(0, look_seconds=SCRAPE, looks=40)
    for rps in (200, 1000, 10_000):
        for canary, all_ in ((1, 20), (1, 4), (1, 2), (10, 20)):
            for level, seconds in ((0.01, 180), (0.03, 180), (0.3, 60), (1.0, 180)):
                world = replace(
                    scraped,
                    rps=rps,
                    weight=canary / all_,
                    pods=(canary, all_ - canary),
                    incident=level,
                    incident_until=200 + seconds,
                )
                what = f"unchanged, {level:.0%} for {seconds} s, {canary} of {all_} pods, {rps} rps"
                yield Cell(what, world, rolled_back_at_most=1)
    yield from errors(scraped)
    yield from bursts(scraped)
    yield from late(scraped)


def errors(scraped: World) -> Iterator[Cell]:
    """Unchanged versions whose errors hang together, at any traffic."""
    kinds = {
        "Poisson": scraped,
        "bursts of 5 s": replace(scraped, burst=BURST, burst_seconds=5.0),
        "each failure tried four times": replace(scraped, retries=4),
        "drifting errors, a minute": replace(scraped, wander=0.5),
        "drifting errors, ten minutes": replace(scraped, wander=0.5, wander_seconds=600.0),
        "an incident that hits the canary 1.5 times": replace(scraped, incident=INCIDENT, incident_from=300, hit=1.5),
    }
    for what, world in kinds.items():
        for rps in (2, 20, 200, 1000, 10_000):
            yield Cell(f"unchanged, {what}, {rps} rps", replace(world, rps=rps), rolled_back_at_most=1)


def bursts(scraped: World) -> Iterator[Cell]:
    """Versions whose pods differ, and what history tells of it."""
    for rps in (200, 1000, 10_000):
        for burst in (120.0, 300.0):
            world = replace(scraped, rps=rps, burst=BURST, burst_seconds=burst)
            yield Cell(f"unchanged, bursts of {burst:g} s, {rps} rps", world, rolled_back_at_most=1)
            at_limit = replace(world, canary=LIMIT)
            yield Cell(f"0.5% errors, bursts of {burst:g} s, {rps} rps", at_limit, promoted_at_most=1)
        yield Cell(f"unchanged, a bad node, {rps} rps", replace(scraped, rps=rps, bad_node=0.02), rolled_back_at_most=1)
    for blocks in (0, 2, 10):
        for burst in (0.0, BURST):
            for rps in (200, 1000, 10_000):
                world = replace(scraped, rps=rps, burst=burst, history_blocks=blocks)
                what = f"unchanged,{' bursty,' if burst else ''} {blocks * BLOCK_SECONDS} s of history, {rps} rps"
                yield Cell(what, world, rolled_back_at_most=1)


def late(scraped: World) -> Iterator[Cell]:
    """Bad canaries, from the beginning or the end, and cold ones."""
    for rate, rps, seconds in ((0.01, 200, 90), (0.01, 1000, 30), (0.03, 1000, 30)):
        yield Cell(f"{rate:.0%} errors, {rps} rps", replace(scraped, rps=rps, canary=rate), None, 99, seconds)
    for end, minutes, rps, seconds in ((0.01, 10, 200, 420), (0.01, 10, 1000, 240), (0.02, 60, 200, 750)):
        leak = replace(scraped, rps=rps, leak=end, looks=4 * minutes)
        what = f"a leak from 0.1% to {end:.0%} in {minutes} minutes, {rps} rps"
        yield Cell(what, leak, None, 99, seconds, promoted_at_most=1)
    for rate, rps in ((0.03, 200), (0.01, 1000)):
        for minutes in (10, 60):
            world = replace(scraped, rps=rps, late=rate, late_from=60 * (minutes - 1), looks=4 * minutes)
            yield Cell(f"{rate:.0%} in the last of {minutes} minutes, {rps} rps", world, promoted_at_most=5)
    for rps in (200, 1000, 10_000):
        cold = replace(scraped, rps=rps, cold=0.03, warm_up=90)
        yield Cell(f"unchanged, cold for 60 s, warm_up 90 s, {rps} rps", cold, rolled_back_at_most=1)


def cluster_rows() -> Iterator[Row]:
    """The same rule with scrapes as clusters have them."""
    for seed, cell in enumerate(clusters()):
        rng = np.random.default_rng(4000 + seed)
        history, arms = cell.world.history(rng, RUNS), cell.world.arms(rng, RUNS)
        found = ours(arms, history, SCRAPE)
        yield from _bounds(cell, found, promotions(arms, history, found, SCRAPE))


def show_reach() -> None:
    """What can be decided in ten minutes, by the canary's requests a second."""
    table = Table("canary's requests/s", "unchanged: promoted", *(f"{rate:.0%} errors: rolled back" for rate in REACH))
    for seed, rps in enumerate((0.1, 0.5, 1, 2, 5, 10, 50)):
        rng = np.random.default_rng(3000 + seed)
        world = World(rps / 0.05)
        history, arms = world.history(rng, RUNS), world.arms(rng, RUNS)
        promoted = f"{100 * promotions(arms, history, ours(arms, history)).mean():.3g}%"
        found = [shown(ours(world.with_errors(rate).arms(rng, RUNS), history)) for rate in REACH]
        table.add_row(f"{rps:g}", promoted, *found)
    Console(width=150).print(table)


REACH = (0.01, 0.03, 0.1, 0.5)


def _cell_rows(cell: Cell, seed: int, table: Table) -> Iterator[Row]:
    rng = np.random.default_rng(seed)
    history, arms = cell.world.history(rng, RUNS), cell.world.arms(rng, RUNS)
    found = ours(arms, history)
    promoted = promotions(arms, history, found)
    others = [rule(arms) for rule in RULES.values()]
    table.add_row(cell.what, *map(shown, others), f"[bold]{shown(found)}", f"{100 * promoted.mean():.3g}%")
    yield from _bounds(cell, found, promoted)


def _bounds(cell: Cell, found: Outcome, promoted: Flags) -> Iterator[Row]:
    """What a cell must reach."""
    if cell.rolled_back_at_most is not None:
        yield Row(f"{cell.what}: rolled back, %", found.share, at_most=cell.rolled_back_at_most)
    if cell.found_at_least is not None:
        yield Row(f"{cell.what}: found, %", found.share, at_least=cell.found_at_least)
    if cell.seconds_at_most is not None:
        yield Row(f"{cell.what}: median seconds", found.median, at_most=cell.seconds_at_most)
    if cell.promoted_at_most is not None:
        yield Row(f"{cell.what}: promoted, %", float(100 * promoted.mean()), at_most=cell.promoted_at_most)


def promotions(arms: CountsOfBoth, history: BaselineHistory, found: Outcome, every: float = LOOK_SECONDS) -> Flags:
    """Runs promoted at the end of the step."""
    last = harm(arms, LIMITS, history, every)
    shown_healthy = health(arms, LIMITS, history, every)[:, -1] > LIMITS.promote_threshold
    blocked = last.degraded[:, -1] | last.shared[:, -1] | relapsed(arms, LIMITS, every)
    return shown_healthy & ~found.rolled_back & ~blocked


def shown(found: Outcome) -> str:
    """`10.5%`, and the median time where most runs were rolled back."""
    return f"{found.share:.3g}%" + (f" {found.median:.0f} s" if found.share > 50 else "")


def floor_rows() -> Iterator[Row]:
    """Median requests of the canary on which its rollback rests, over ln(1/alpha)/KL, the least of any honest test.

    Those of the newest interval are none of them: it is judged with the next one, which the seconds above include.
    """
    for seed, rate in enumerate((0.005, 0.01, 0.03)):
        rng = np.random.default_rng(1000 + seed)
        world = World(200, canary=rate)
        history, arms = world.history(rng, RUNS), world.arms(rng, RUNS)
        alone = Limits(None, 1.0, both=False, shared_rolls_back=False, alpha_rollback=ALPHA, alpha_promote=ALPHA)
        found = harm(arms, alone, history, LOOK_SECONDS).rolls_back
        requests = np.cumsum(arms.canary.n, axis=-1)[np.arange(RUNS), np.maximum(found.argmax(axis=-1) - 1, 0)]
        least = np.log(1 / ALPHA) / relative_divergence(rate / world.rate, world.rate, world.weight)
        median = float(np.median(np.where(found.any(axis=-1), requests, np.inf)))
        yield Row(
            f"{100 * rate:g}% errors: median requests, times the floor of {least:.0f}", median / least, at_most=1.6
        )


def relative_divergence(ratio: float, rate: float, weight: float) -> float:
    """Information a canary request gives of a canary `ratio` times as bad as a baseline at `rate`, in nats.

    Args:
        ratio: error ratio of the canary divided by the baseline's.
        rate: error ratio of the baseline.
        weight: the canary's share of the traffic.
    """
    null, true = weight, ratio * weight / (ratio * weight + 1 - weight)
    errors_per_request = rate * (ratio * weight + 1 - weight) / weight
    return errors_per_request * divergence(true, null)


def endpoint_rows() -> Iterator[Row]:
    """3 % errors on one of twenty endpoints, which is 0.25 % of all; the chances are those of `by`."""
    half = Limits(LIMIT, 1.0, both=False, shared_rolls_back=False, alpha_rollback=ALPHA / 2, alpha_promote=ALPHA)
    each = replace(half, alpha_rollback=ALPHA / 2 / ENDPOINTS)
    for seed, (rps, power) in enumerate(((200, 75), (500, 99), (1000, 99))):
        for name, bad in (("unchanged", False), ("3% on one", True)):
            rng = np.random.default_rng(2000 + 10 * seed + bad)
            broken = np.zeros((RUNS, World(rps).looks), dtype=bool)
            everyone = []
            for endpoint in range(ENDPOINTS):
                world = World(rps / ENDPOINTS, canary=0.03 if bad and endpoint == 0 else 0.001)
                history, arms = world.history(rng, RUNS), world.arms(rng, RUNS)
                everyone.append(arms)
                broken |= harm(arms, each, history, LOOK_SECONDS).rolls_back
            total = _summed(everyone)
            broken |= harm(total, half, World(rps).history(rng, RUNS), LOOK_SECONDS).rolls_back
            found = outcome(broken)
            what = f"20 endpoints, {rps} rps, {name}: {shown(found)}; rolled back, %"
            yield Row(what, found.share, at_least=power) if bad else Row(what, found.share, at_most=1)


def tenant_rows() -> Iterator[Row]:
    """One of a hundred sticky tenants always fails: compared as a whole, and within tenants."""
    alone = replace(LIMITS, error_rate=None)
    for seed, rps in enumerate((200, 1000, 10_000)):
        for times in (1.0, 10.0):
            world, rng = Tenants(rps), np.random.default_rng(5000 + 10 * seed + int(times))
            parts = world.strata(rng, RUNS // 4, times)
            history = BaselineHistory(np.full(RUNS // 4, world.rate), np.ones(RUNS // 4), np.zeros(RUNS // 4))
            found = harm(_summed(parts), alone, history, world.look_seconds, Strata(tuple(parts), history))
            within = outcome(found.rolls_back, world.look_seconds)
            whole = ours_of(parts, alone, history, world.look_seconds)
            if times == 1.0:
                what = f"unchanged, sticky tenants, {rps} rps (as a whole {whole.share:.3g}%)"
                yield Row(f"{what}: rolled back within tenants, %", within.share, at_most=1)
            else:
                what = f"1% errors in all of sticky tenants, {rps} rps: found within tenants, %"
                yield Row(what, within.share, at_least=99 if rps > 200 else 90)


def ours_of(parts: list[CountsOfBoth], limits: Limits, history: BaselineHistory, every: float) -> Outcome:
    """The same requests without a look at whose they are."""
    return outcome(harm(_summed(parts), limits, history, every).rolls_back, every)


NAMES = ("errors", "transactions", "orders")


def _fresh(arm: ArmSamples) -> ArmSamples:
    """The same samples without what an earlier analysis remembered of them."""
    return replace(arm)


def cost_rows() -> Iterator[Row]:
    """CPU time of one analysis: sixty looks, three checks."""
    checks = tuple(making.errors(name=name) for name in NAMES)
    spec, found = making.canary(*checks), making.samples()
    assert found.history is not None
    arms = (found.canary, found.baseline, found.history)

    def once() -> float:
        fresh = {name: CheckSamples(*map(_fresh, arms)) for name in NAMES}
        began = time.process_time()
        making.judged(fresh, spec)
        return 1000 * (time.process_time() - began)

    once()
    yield Row(
        "60 looks x 3 checks, ms of CPU time, median of 50", float(np.median([once() for _ in range(50)])), at_most=10
    )


def _summed(everyone: list[CountsOfBoth]) -> CountsOfBoth:
    def added(arm: str) -> IntervalCounts:
        return IntervalCounts(sum(getattr(a, arm).x for a in everyone), sum(getattr(a, arm).n for a in everyone))

    return CountsOfBoth(added("canary"), added("baseline"))
