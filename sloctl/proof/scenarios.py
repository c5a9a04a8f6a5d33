"""Histories that show, for one tier, each thing that it must do: fire in time, stay silent, end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from sloctl.explain.simulation import Evaluation, Tile, interval, simulate
from sloctl.model.alerting import BudgetLeft, Guard, Tier
from sloctl.model.budget import error_threshold
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import Duration
from sloctl.proof.world import BUSY, Counts

_STEPS: Final = 12
"""Bad tiles after which the threshold is crossed: few, so that it is quick; enough to see a higher threshold."""
_NOTHING: Final[Tile] = (Decimal(0), Decimal(0))


@dataclass(frozen=True, slots=True)
class Scenario:
    """One history and what the tier's alert does on it.

    Attributes:
        name: what it shows, in words.
        raw_from: the first tile that raw series tell; the history before it is written as tiles.
    """

    name: str
    tiles: tuple[Tile, ...]
    raw_from: int
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
    """What a tile of the SLO holds when it is busy."""

    counts: Counts
    events: Decimal

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
    yield _outage(slo, tier, traffic)
    if isinstance(tier.trigger, BudgetLeft):
        return
    if _room(slo, tier):
        yield _crossing(slo, tier, traffic)
        yield _leaving(slo, tier, traffic)
    if tier.also_over is not None:
        yield _ending(slo, tier, tier.also_over)
    yield _below(slo, tier, traffic)
    if tier.guard is Guard.STATISTICAL and traffic.counts is Counts.EVENTS:
        yield _lonely(slo, tier)
    if tier.min_bad > 1:
        yield _few(slo, tier, traffic)


def _shown(slo: Slo, tier: Tier, name: str, tiles: Sequence[Tile], raw_from: int) -> Scenario:
    """Nothing is counted at the very beginning, where no sample was seen before."""
    history = (_NOTHING, *tiles[1:])
    return Scenario(name, history, raw_from, tuple(simulate(slo, tier, history)))


def _steps(slo: Slo, length: Duration) -> int:
    return int(length / slo.sampling.resolution)


def _over(slo: Slo, tier: Tier) -> int:
    return _steps(slo, tier.over if tier.over is not None else slo.window.length)


def _group(slo: Slo, tier: Tier) -> int:
    """Tiles between two evaluations of the tier's alert."""
    return _steps(slo, interval(slo, tier))


def _outage(slo: Slo, tier: Tier, traffic: Traffic) -> Scenario:
    """A little clean traffic, an outage until the alert fires and a little longer, and its end."""
    group = _group(slo, tier)
    before = [_NOTHING] * (group + 1) + [traffic.clean] * 7
    limit = error_threshold(tier, slo.objective)
    most = int(_over(slo, tier) * limit) + 10 * group + _steps(slo, tier.for_) + tier.min_bad
    ends = _over(slo, tier) if tier.also_over is None else _steps(slo, tier.also_over)
    if isinstance(tier.trigger, BudgetLeft):
        most, ends = 20 * group, 0
    lasting = [*before, *([traffic.outage] * most)]
    fired = next((one.at for one in simulate(slo, tier, lasting) if one.firing), None)
    bad = most if fired is None else _steps(slo, fired) - len(before) + 1 + 2 * group
    after = ends + _steps(slo, tier.keep_firing_for) + 4 * group
    tiles = before + [traffic.outage] * bad + [traffic.clean] * after
    return _shown(slo, tier, "fires in a full outage and ends after it", tiles, group + 1)


def _ending(slo: Slo, tier: Tier, also_over: Duration) -> Scenario:
    """An outage whose last tile leaves the short window just at an evaluation, with few bad events after it.

    Written as tiles that hold more than slices can, so that the ratio decides and not how few are bad.
    """
    group, short = _group(slo, tier), _steps(slo, also_over)
    after = Decimal(int(10 * max(1, tier.min_bad) / error_threshold(tier, slo.objective))), Decimal(tier.min_bad)
    outage = after[0] * 1000, after[0] * 1000
    bad = 2 * group + _steps(slo, tier.for_)
    begin = group + 1
    begin += -(begin + bad - 1 + short) % group
    quiet = short + _steps(slo, tier.keep_firing_for) + 3 * group
    tiles = [_NOTHING] * begin + [outage] * bad + [after] + [_NOTHING] * quiet
    return _shown(slo, tier, "ends when the trouble leaves its short window", tiles, len(tiles))


def _room(slo: Slo, tier: Tier) -> int:
    """Evaluations of trouble that fit into the window beside the history and a moment of silence; 0 for none."""
    return max(0, min(_STEPS, _over(slo, tier) // _group(slo, tier) - 2))


def _crossing(slo: Slo, tier: Tier, traffic: Traffic) -> Scenario:
    """So much clean history that the outage crosses the threshold half-way between two evaluations."""
    room, group = _room(slo, tier), _group(slo, tier)
    spare = min(2, _over(slo, tier) // group - 2 - room)
    bad = (room - Decimal("0.5")) * group
    return _weighed(slo, tier, traffic, "fires at the computed moment", bad, spare)


def _leaving(slo: Slo, tier: Tier, traffic: Traffic) -> Scenario:
    """So much clean history that the alert fires only when that leaves the long window."""
    bad = Decimal(_room(slo, tier) + 4) * _group(slo, tier)
    return _weighed(slo, tier, traffic, "fires when the history that held it down leaves its window", bad, 0)


def _weighed(slo: Slo, tier: Tier, traffic: Traffic, name: str, outweighed: Decimal, spare: int) -> Scenario:
    """One heavy tile of clean events at the far end of the window, and an outage at the near end.

    Args:
        outweighed: tiles of an outage that bring the ratio just to the threshold.
        spare: evaluations for which the heavy tile stays in the window after the outage crossed the threshold.
    """
    group, over, limit = _group(slo, tier), _over(slo, tier), error_threshold(tier, slo.objective)
    heavy = (outweighed * traffic.events * (1 / limit - 1)).to_integral_value(ROUND_FLOOR)
    begin = group + over - (_room(slo, tier) + spare) * group
    lasting = (_room(slo, tier) + 3) * group + _steps(slo, tier.for_)
    tiles = [_NOTHING] * begin + [traffic.outage] * lasting
    tiles[group] = (heavy, Decimal(0))
    return _shown(slo, tier, name, tiles, begin)


def _below(slo: Slo, tier: Tier, traffic: Traffic) -> Scenario:
    """A ratio just below the threshold, for longer than the window; enough events, now and then."""
    over, limit, group = _over(slo, tier), error_threshold(tier, slo.objective), _group(slo, tier)
    events = max(traffic.events, BUSY)
    tile = events, (events * limit * (1 - Decimal(1) / 1000)).to_integral_value(ROUND_FLOOR)
    every = max(group, over // 20)
    count = over + _steps(slo, tier.for_) + max(5 * group, 2 * every) + 1
    tiles = [tile if index % every == 0 else _NOTHING for index in range(count)]
    return _shown(slo, tier, "is silent for ever just below its threshold", tiles, count)


def _lonely(slo: Slo, tier: Tier) -> Scenario:
    """So little traffic that one error is a high ratio, and one error."""
    limit, group = error_threshold(tier, slo.objective), _group(slo, tier)
    history = Decimal(max(1, int(Decimal("0.8") / limit))), Decimal(0)
    bad = Decimal(1), Decimal(1)
    over = _over(slo, tier)
    begin = 3 * group  # a tile between history and raw series, which count what they hold at their beginning
    tiles = [_NOTHING] * begin + [bad, *([_NOTHING] * min(5 * group, over))]
    if over > 3 * group:
        tiles[group] = history
    return _shown(slo, tier, "is silent for one error at low traffic", tiles, begin)


def _few(slo: Slo, tier: Tier, traffic: Traffic) -> Scenario:
    """Bad slices too few to count, in a window that holds little else."""
    group = _group(slo, tier)
    few = (tier.min_bad - 1) if traffic.events <= 1 else 0
    tiles = [_NOTHING] * (group + 1) + [traffic.clean] * 7 + [traffic.outage] * few + [traffic.clean] * (4 * group)
    return _shown(slo, tier, f"is silent for fewer than {tier.min_bad} bad ones", tiles, group + 1)
