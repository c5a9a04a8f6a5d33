"""Histories that show, for one tier, each thing that it must do: fire in time, stay silent, end.

Each names the mutants that it kills: the broken rules that behave otherwise on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from sloctl.explain.simulation import RuleEvaluation, Tile, interval, simulate
from sloctl.model.alerting import BudgetLeft, Guard, Tier
from sloctl.model.budget import error_threshold
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import Duration
from sloctl.proof.history import EMPTY, Traffic
from sloctl.proof.raw_input import BUSY

_STEPS: Final = 12
"""Bad tiles after which the threshold is crossed: few, so that it is quick; enough to see a higher threshold."""


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
    evaluations: tuple[RuleEvaluation, ...]

    @property
    def fires(self) -> Duration | None:
        """The first evaluation at which the alert fires."""
        return next((evaluation.at for evaluation in self.evaluations if evaluation.firing), None)

    @property
    def decisive(self) -> list[RuleEvaluation]:
        """Evaluations worth looking at: both sides of every change, and the last."""
        states = [(evaluation.active, evaluation.firing) for evaluation in self.evaluations]
        changes = [index for index in range(1, len(states)) if states[index] != states[index - 1]]
        indices = {*changes, *(index - 1 for index in changes), len(states) - 1}
        return [self.evaluations[index] for index in sorted(indices)]


def scenarios(slo: Slo, tier: Tier, traffic: Traffic) -> Iterator[Scenario]:
    """All histories of one tier."""
    histories = _Histories(slo, tier, traffic)
    yield histories.outage()
    if isinstance(tier.trigger, BudgetLeft):
        return
    if histories.fitting:
        yield histories.crossing()
        yield histories.leaving()
    if tier.also_over is not None:
        yield histories.reset(tier.also_over)
    yield histories.below()
    if tier.guard is Guard.STATISTICAL and not slo.counts_slices:
        yield histories.single_error()
    if tier.min_bad > 1:
        yield histories.too_few()


@dataclass(frozen=True, slots=True)
class _Histories:
    """Makes the scenarios of one tier; lengths are in tiles."""

    slo: Slo
    tier: Tier
    traffic: Traffic

    def outage(self) -> Scenario:
        """A little clean traffic, an outage until the alert fires and a little longer, and its end.

        Kills: a removed `for`, a short window that is longer, changed labels and texts.
        """
        before = [EMPTY] * (self.group + 1) + [self.traffic.clean] * 7
        most = int(self.over * self.limit) + 10 * self.group + self.pending + self.tier.min_bad
        ends = self.over if self.tier.also_over is None else self._tiles(self.tier.also_over)
        if isinstance(self.tier.trigger, BudgetLeft):
            most, ends = 20 * self.group, 0
        lasting = simulate(self.slo, self.tier, [*before, *([self.traffic.outage] * most)])
        fired = next((evaluation.at for evaluation in lasting if evaluation.firing), None)
        bad = most if fired is None else self._tiles(fired) - len(before) + 1 + 2 * self.group
        after = ends + self.kept_firing + 4 * self.group
        tiles = before + [self.traffic.outage] * bad + [self.traffic.clean] * after
        return self._scenario("fires in a full outage and ends after it", tiles, self.group + 1)

    def crossing(self) -> Scenario:
        """So much clean history that the outage crosses the threshold half-way between two evaluations.

        Kills: a higher or a lower threshold.
        """
        spare = min(2, self.over // self.group - 2 - self.fitting)
        bad = (self.fitting - Decimal("0.5")) * self.group
        return self._weighed("fires at the computed moment", bad, spare)

    def leaving(self) -> Scenario:
        """So much clean history that the alert fires only when that leaves the long window.

        Kills: a long window that is a tile longer or shorter.
        """
        bad = Decimal(self.fitting + 4) * self.group
        return self._weighed("fires when the history that held it down leaves its window", bad, 0)

    def _weighed(self, name: str, outweighed: Decimal, spare: int) -> Scenario:
        """One heavy tile of clean events at the far end of the window, and an outage at the near end.

        Args:
            name: of the scenario.
            outweighed: tiles of an outage that bring the ratio just to the threshold.
            spare: evaluations for which the heavy tile stays in the window after the outage crossed the threshold.
        """
        heavy = (outweighed * self.traffic.events * (1 / self.limit - 1)).to_integral_value(ROUND_FLOOR)
        begin = self.group + self.over - (self.fitting + spare) * self.group
        lasting = (self.fitting + 3) * self.group + self.pending
        tiles = [EMPTY] * begin + [self.traffic.outage] * lasting
        tiles[self.group] = (heavy, Decimal(0))
        return self._scenario(name, tiles, begin)

    def reset(self, also_over: Duration) -> Scenario:
        """The outage ends so that `also_over` is clean exactly at an evaluation.

        A few errors afterwards keep the long window burning, so only the short one can end the alert. Written as tiles
        that hold more than slices can, so that the ratio decides and not how few are bad.

        Kills: a short window that is a tile longer or shorter, and `or` in place of `and`.
        """
        short = self._tiles(also_over)
        after = Decimal(int(10 * max(1, self.tier.min_bad) / self.limit)), Decimal(self.tier.min_bad)
        outage = after[0] * 1000, after[0] * 1000
        bad = 2 * self.group + self.pending
        begin = self.group + 1
        begin += -(begin + bad - 1 + short) % self.group
        quiet = short + self.kept_firing + 3 * self.group
        tiles = [EMPTY] * begin + [outage] * bad + [after] + [EMPTY] * quiet
        return self._scenario("ends when the trouble leaves its short window", tiles, len(tiles))

    def below(self) -> Scenario:
        """A ratio just below the threshold, for longer than the window; enough events, now and then.

        Kills: a threshold that is lower by a hundredth.
        """
        events = max(self.traffic.events, BUSY)
        tile = events, (events * self.limit * (1 - Decimal(1) / 1000)).to_integral_value(ROUND_FLOOR)
        every = max(self.group, self.over // 20)
        count = self.over + self.pending + max(5 * self.group, 2 * every) + 1
        tiles = [tile if index % every == 0 else EMPTY for index in range(count)]
        return self._scenario("is silent for ever just below its threshold", tiles, count)

    def single_error(self) -> Scenario:
        """So little traffic that one error is a high ratio, and one error.

        Kills: a removed guard.
        """
        begin = 3 * self.group  # a tile between history and raw series, which count what they hold at their beginning
        tiles = [EMPTY] * begin + [(Decimal(1), Decimal(1)), *([EMPTY] * min(5 * self.group, self.over))]
        if self.over > 3 * self.group:
            tiles[self.group] = Decimal(max(1, int(Decimal("0.8") / self.limit))), Decimal(0)
        return self._scenario("is silent for one error at low traffic", tiles, begin)

    def too_few(self) -> Scenario:
        """Bad slices too few to count, in a window that holds little else.

        Kills: a lower `min_bad`.
        """
        few = (self.tier.min_bad - 1) if self.traffic.events <= 1 else 0
        tiles = [EMPTY] * (self.group + 1) + [self.traffic.clean] * 7
        tiles += [self.traffic.outage] * few + [self.traffic.clean] * (4 * self.group)
        return self._scenario(f"is silent for fewer than {self.tier.min_bad} bad ones", tiles, self.group + 1)

    def _scenario(self, name: str, tiles: Sequence[Tile], raw_from: int) -> Scenario:
        """Nothing is counted at the very beginning, where no sample was seen before."""
        history = (EMPTY, *tiles[1:])
        return Scenario(name, history, raw_from, tuple(simulate(self.slo, self.tier, history)))

    def _tiles(self, length: Duration) -> int:
        return int(length / self.slo.sampling.resolution)

    @property
    def over(self) -> int:
        """The long window."""
        return self._tiles(self.tier.over if self.tier.over is not None else self.slo.window.length)

    @property
    def group(self) -> int:
        """Between two evaluations of the tier's alert."""
        return self._tiles(interval(self.slo, self.tier))

    @property
    def pending(self) -> int:
        """The tier's `for`."""
        return self._tiles(self.tier.for_)

    @property
    def kept_firing(self) -> int:
        """The tier's `keep_firing_for`."""
        return self._tiles(self.tier.keep_firing_for)

    @property
    def limit(self) -> Decimal:
        """The error ratio above which the tier fires."""
        return error_threshold(self.tier, self.slo.objective)

    @property
    def fitting(self) -> int:
        """Evaluations of an outage that fit into the window beside the history and a moment of silence; 0 for none."""
        return max(0, min(_STEPS, self.over // self.group - 2))
