"""An outage as tiers see it: when each fires and when it ends, at the interval of its group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Final

from sloctl.explain.simulation import RuleEvaluation, Tile, interval, simulate
from sloctl.model.alerting import BudgetLeft, Tier
from sloctl.model.budget import error_threshold
from sloctl.model.catalogue import Slo
from sloctl.proof.history import EMPTY, Traffic

_CLEAN: Final = 7
_MORE: Final = 100
"""What heals is so many times more than what any threshold needs."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One history of tiles and what the alerts of some tiers do on it.

    Attributes:
        raw_from: the first tile that raw series tell; the history before it is written as tiles.
        evaluations: of each tier.
    """

    tiles: tuple[Tile, ...]
    raw_from: int
    evaluations: tuple[tuple[Tier, tuple[RuleEvaluation, ...]], ...]


def decisive(evaluations: Sequence[RuleEvaluation]) -> list[RuleEvaluation]:
    """Evaluations worth looking at: both sides of every change, and the last."""
    states = [(evaluation.active, evaluation.firing) for evaluation in evaluations]
    changes = [index for index in range(1, len(states)) if states[index] != states[index - 1]]
    indices = {*changes, *(index - 1 for index in changes), len(states) - 1}
    return [evaluations[index] for index in sorted(indices)]


def outage(slo: Slo, tiers: Sequence[Tier], traffic: Traffic, *, ends: bool) -> Scenario:
    """A little clean traffic and an outage until each tier fires and a little longer; tiers of one group.

    Args:
        slo: whose tiers they are.
        tiers: that are evaluated at one interval.
        traffic: of the tiles.
        ends: so many clean events follow that no window is above a threshold any more.
    """
    group = int(interval(slo, tiers[0]) / slo.sampling.resolution)
    before = [EMPTY] * (group + 1) + [traffic.clean] * _CLEAN
    bad = max(_until_firing(slo, tier, before, traffic) for tier in tiers) + 2 * group
    tiles = before + [traffic.outage] * bad
    if ends:
        least = min(error_threshold(tier, slo.objective) for tier in tiers) * slo.objective.error_budget
        kept = max(int(tier.keep_firing_for / slo.sampling.resolution) for tier in tiers)
        healed = (traffic.events * bad * _MORE / least).to_integral_value(ROUND_CEILING)
        tiles += [(healed, Decimal(0)), *([EMPTY] * (kept + 4 * group))]
    history = (EMPTY, *tiles[1:])  # nothing is counted at the very beginning, where no sample was seen before
    return Scenario(history, group + 1, tuple((tier, tuple(simulate(slo, tier, history))) for tier in tiers))


def _until_firing(slo: Slo, tier: Tier, before: Sequence[Tile], traffic: Traffic) -> int:
    """Bad tiles after which a tier fires, or so many that it never does."""
    resolution, limit = slo.sampling.resolution, error_threshold(tier, slo.objective)
    group, pending = (int(length / resolution) for length in (interval(slo, tier), tier.for_))
    share = limit * slo.objective.error_budget if isinstance(tier.trigger, BudgetLeft) else limit
    enough = int(_CLEAN * share / (1 - share)) if share < 1 else _CLEAN
    most = enough + 10 * group + pending + tier.min_bad
    lasting = simulate(slo, tier, [*before, *([traffic.outage] * most)])
    fired = next((evaluation.at for evaluation in lasting if evaluation.firing), None)
    return most if fired is None else int(fired / resolution) - len(before) + 1
