"""What the past recommends: the objective that it keeps, and the tiers that no other tier beats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import numpy as np

from sloctl.diagnostics import Place
from sloctl.history.incidents import Incident
from sloctl.history.replay import replayed
from sloctl.history.score import Score, notifications, scored
from sloctl.history.tiles import History, Tiles
from sloctl.model.alerting import Burn, Guard, Severity, Tier
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import DAY, ZERO, Duration, Objective

OBJECTIVES: Final = tuple(
    Decimal(text).scaleb(-2) for text in ("90", "95", "98", "99", "99.5", "99.8", "99.9", "99.95", "99.98", "99.99")
)
SPARE: Final = Decimal("0.2")
"""So much of the budget is left in a window that keeps its objective well."""
OFTEN: Final = 0.95
"""The share of the windows, one a day, that have to."""
BURNS: Final = tuple(Decimal(text) for text in ("2", "3", "4", "6", "8", "10", "14.4", "20", "30"))
LENGTHS: Final = (5, 15, 30, 60, 120, 360)
"""Lengths of the long window, in tiles."""
MOST_ROWS: Final = 5
_SHORT: Final = 12
"""The long window is so many times the short one, which ends the alert."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tier with what it would have done."""

    tier: Tier
    score: Score

    @property
    def _costs(self) -> tuple[float, float, float]:
        """Notifications, incidents missed, and how late: the less the better."""
        late = self.score.detection
        return len(self.score.notifications), -(self.score.recall or 0.0), float("inf") if late is None else late

    def beats(self, other: Candidate) -> bool:
        """Whether it is better in one respect and worse in none."""
        own, others = self._costs, other._costs
        return own != others and all(mine <= its for mine, its in zip(own, others, strict=True))


def objective(slo: Slo, tiles: Tiles) -> Objective | None:
    """The highest usual objective that the past keeps with some of the budget to spare.

    None where no window of the past is whole, or the lowest one is not kept.
    """
    length = slo.window.length
    if not len(tiles) or int(tiles.at[-1]) - int(tiles.at[0]) + slo.sampling.resolution.milliseconds < (
        length.milliseconds
    ):
        return None
    first = int(tiles.at[0]) + length.milliseconds - slo.sampling.resolution.milliseconds
    ends = np.arange(int(tiles.at[-1]), first - 1, -DAY.milliseconds, dtype=np.int64)[::-1]
    total, bad = tiles.sums(length, ends)
    ratios = np.divide(bad, total, out=np.zeros(len(total)), where=total > 0)
    kept = [ratio for ratio in OBJECTIVES if (ratios <= float((1 - ratio) * (1 - SPARE))).mean() >= OFTEN]
    return Objective(kept[-1]) if kept else None


def front(slo: Slo, history: History, incidents: Sequence[Incident], start: int | None = None) -> list[Candidate]:
    """Tiers that no other beats in pages, recall and detection; at most five, the fewest pages first.

    Args:
        incidents: what is worth telling.
        start: Unix milliseconds before which nothing counts.
    """
    tiers = [*slo.tiers, *_tried(slo)]
    found = [
        Candidate(done.tier, scored(notifications([done.episodes], start), incidents))
        for done in replayed(slo, history, tiers)
        if done.tier.over is not None
    ]
    useful = [candidate for candidate in found if candidate.score.recall]
    best = list[Candidate]()
    for candidate in useful:
        same = any(candidate._costs == other._costs for other in best)
        if not same and not any(other.beats(candidate) for other in useful):
            best.append(candidate)
    best.sort(key=lambda candidate: candidate._costs)
    if len(best) <= MOST_ROWS:
        return best
    chosen = np.linspace(0, len(best) - 1, MOST_ROWS).round().astype(int)
    return [best[index] for index in chosen]


def _tried(slo: Slo) -> Iterator[Tier]:
    """Burn rates by lengths, as P1; those that an error ratio of 100 % cannot reach are left out."""
    resolution = slo.sampling.resolution
    base = Tier(
        severity=Severity.P1,
        trigger=Burn(Decimal(1)),
        over=resolution,
        also_over=None,
        for_=ZERO,
        keep_firing_for=Duration.of(minutes=5),
        min_events=0,
        min_bad=0,
        guard=Guard.NONE if slo.counts_slices else Guard.STATISTICAL,
        place=Place(""),
    )
    for burn in BURNS:
        if burn * slo.objective.error_budget >= 1:
            continue
        for tiles in LENGTHS:
            short = tiles // _SHORT
            also_over = resolution * short if short else None
            yield replace(base, trigger=Burn(burn), over=resolution * tiles, also_over=also_over)
