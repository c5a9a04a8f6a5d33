"""Histories that show, for one tier, each thing that it must do: fire in time, stay silent, end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from sloctl.model.alerting import BudgetLeft, Guard, Tier
from sloctl.model.budget import error_threshold
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import Duration
from sloctl.proof.simulation import Evaluation, Tile, interval, simulate
from sloctl.proof.worlds import Counts

_STEPS: Final = 12
"""Bad tiles after which the edge scenario fires; few, so that it is short, and enough to see a window one longer."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One history and what the tier's alert does on it.

    Attributes:
        name: what it shows, in words.
    """

    name: str
    tiles: tuple[Tile, ...]
    evaluations: tuple[Evaluation, ...]

    @property
    def fires(self) -> Duration | None:
        """The first evaluation at which the alert fires."""
        return next((one.at for one in self.evaluations if one.firing), None)

    @property
    def moments(self) -> list[int]:
        """Evaluations worth looking at: both sides of every change, and the last."""
        states = [(one.active, one.firing) for one in self.evaluations]
        changes = [index for index in range(1, len(states)) if states[index] != states[index - 1]]
        last = len(states) - 1
        return sorted({*changes, *(index - 1 for index in changes), last})


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a tile of the SLO can hold: its events, and the smallest part of them that can be bad."""

    counts: Counts
    events: Decimal
    quantum: Decimal

    def tile(self, ratio: Decimal) -> Tile:
        """A tile with the largest possible ratio at or below this one."""
        bad = (self.events * ratio / self.quantum).to_integral_value(ROUND_FLOOR) * self.quantum
        return self.events, bad

    @property
    def clean(self) -> Tile:
        """A tile without a bad event."""
        return self.events, Decimal(0)

    @property
    def outage(self) -> Tile:
        """A tile of bad events only."""
        return self.events, self.events


def scenarios(slo: Slo, tier: Tier, traffic: Traffic) -> Iterator[Scenario]:
    """All histories of one tier."""
    yield _shown(slo, tier, "fires in a full outage and ends after it", _outage(slo, tier, traffic))
    if isinstance(tier.trigger, BudgetLeft):
        return
    if traffic.counts is Counts.SLICES:
        yield from _fitting(slo, tier, traffic)
        yield _shown(slo, tier, "is silent for ever while slices are bad just rarely enough", _rare(slo, tier, traffic))
        return
    yield _shown(slo, tier, "fires at the computed moment", _edge(slo, tier, traffic))
    yield _shown(slo, tier, "is silent for ever just below its threshold", _below(slo, tier, traffic))
    if tier.guard is Guard.STATISTICAL and traffic.counts is Counts.EVENTS:
        yield _shown(slo, tier, "is silent for one error at low traffic", _lonely(slo, tier))


def _shown(slo: Slo, tier: Tier, name: str, tiles: Sequence[Tile]) -> Scenario:
    """Nothing is counted at the very beginning, where no sample was seen before."""
    history = ((Decimal(0), Decimal(0)), *tiles[1:])
    return Scenario(name, history, tuple(simulate(slo, tier, history)))


def _steps(slo: Slo, length: Duration) -> int:
    return int(length / slo.sampling.resolution)


def _over(slo: Slo, tier: Tier) -> int:
    return _steps(slo, tier.over if tier.over is not None else slo.window.length)


def _begin(slo: Slo, tier: Tier, tiles: int) -> int:
    """The first moment at or after so many tiles at which the tier's group is evaluated."""
    step = _steps(slo, interval(slo, tier))
    return -(-tiles // step) * step


def _outage(slo: Slo, tier: Tier, traffic: Traffic) -> list[Tile]:
    """A little clean traffic, an outage until the alert fires and a little longer, and its end."""
    group = _steps(slo, interval(slo, tier))
    before = [traffic.clean] * (_begin(slo, tier, 8) + 1)
    limit = error_threshold(tier, slo.objective)
    most = int(_over(slo, tier) * limit) + 10 * group + _steps(slo, tier.for_) + tier.min_bad
    if isinstance(tier.trigger, BudgetLeft):
        most = 20 * group
    lasting = before + [traffic.outage] * most
    fired = next((one.at for one in simulate(slo, tier, lasting) if one.firing), None)
    bad = most if fired is None else _steps(slo, fired) - len(before) + 1 + 2 * group
    ends = _over(slo, tier) if tier.also_over is None else _steps(slo, tier.also_over)
    if isinstance(tier.trigger, BudgetLeft):
        ends = 0
    after = ends + _steps(slo, tier.keep_firing_for) + 4 * group
    return before + [traffic.outage] * bad + [traffic.clean] * after


def _edge(slo: Slo, tier: Tier, traffic: Traffic) -> list[Tile]:
    """A full window of clean traffic, then the ratio that exceeds the threshold after few whole steps.

    It does so by half of what one more step of the window would add, so that a longer window is seen as well.
    """
    over, limit = _over(slo, tier), error_threshold(tier, slo.objective)
    steps = max(_STEPS * _steps(slo, interval(slo, tier)), int(limit * over) + 2)
    steps = min(steps, over)
    exact = steps - Decimal(steps) / (2 * over)
    ratio = min(Decimal(1), limit * over / exact)
    bad = traffic.tile(ratio)
    before = [traffic.clean] * (_begin(slo, tier, over + 8) + 1)
    return before + [bad] * (steps + _steps(slo, tier.for_) + 3 * _steps(slo, interval(slo, tier)))


def _below(slo: Slo, tier: Tier, traffic: Traffic) -> list[Tile]:
    over, limit = _over(slo, tier), error_threshold(tier, slo.objective)
    ratio = limit * (1 - Decimal(1) / (4 * over))
    return [traffic.tile(ratio)] * (over + _steps(slo, tier.for_) + 5 * _steps(slo, interval(slo, tier)) + 1)


def _lonely(slo: Slo, tier: Tier) -> list[Tile]:
    """So little traffic that one error is a high ratio, and one error."""
    over, limit = _over(slo, tier), error_threshold(tier, slo.objective)
    events = max(2, int(Decimal("0.8") / limit))
    step = max(1, over // events)
    quiet, lone = (Decimal(0), Decimal(0)), (Decimal(1), Decimal(0))
    a_tile = Decimal(max(1, events // over))
    usual = (a_tile, Decimal(0)) if events >= over else lone
    before = [usual if index % step == 0 else quiet for index in range(_begin(slo, tier, over + 8) + 1)]
    bad = (Decimal(1), Decimal(1))
    tail = [usual if index % step == 0 else quiet for index in range(1, 5 * _steps(slo, interval(slo, tier)) + 1)]
    return [*before, bad, *tail]


def _fitting(slo: Slo, tier: Tier, traffic: Traffic) -> Iterator[Scenario]:
    """Bad slices that just fit into both windows, and as many that lie one evaluation too far apart."""
    over, group = _over(slo, tier), _steps(slo, interval(slo, tier))
    limit = error_threshold(tier, slo.objective)
    short = over if tier.also_over is None else _steps(slo, tier.also_over)
    needed = max(int(limit * over) + 1, tier.min_bad)
    late = max(int(limit * short) + 1, tier.min_bad if short >= tier.min_bad else 0)
    late = -(-late // group) * group if group > 1 else late
    early = max(0, needed - late)
    if not early or early + late > over:
        early, late = 0, needed
    before = _begin(slo, tier, over + 8) + 1
    for extra, name in ((0, "fires when its bad slices just fit the window"), (group, "is silent when they do not")):
        if extra and not early:
            continue
        gap = max(0, over - early - late) + extra
        tiles = [traffic.clean] * before + [traffic.outage] * early + [traffic.clean] * gap
        tiles += [traffic.outage] * late + [traffic.clean] * (2 * group + 2)
        shown = _shown(slo, tier, name, tiles)
        yield shown


def _rare(slo: Slo, tier: Tier, traffic: Traffic) -> list[Tile]:
    """Bad slices as often as they may be for ever."""
    over, limit = _over(slo, tier), error_threshold(tier, slo.objective)
    count = over + 5 * _steps(slo, interval(slo, tier)) + 1
    period = 2
    while period < over:
        tiles = [traffic.outage if index % period == 0 and index else traffic.clean for index in range(count)]
        if not any(one.active for one in simulate(slo, tier, tiles)):
            return tiles
        period = max(period + 1, int(period * Decimal("1.1")), int(1 / limit) // 2)
    return [traffic.clean] * count
