"""What a tier must do on a history of tiles, from its meaning alone: the expectation that the engine is held to.

Nothing here reads PromQL. Tile `i` is recorded at `i * resolution` and counts what happened in the `resolution`
before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from typing import TypeAlias

from sloctl.conventions.inventory import reads_rollups
from sloctl.model.alerting import BudgetLeft, Guard, Tier
from sloctl.model.budget import LEAST_OF_BUDGET, error_threshold, guard_minimum
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import Duration

Tile: TypeAlias = tuple[Decimal, Decimal]
"""All events and the bad ones."""


@dataclass(frozen=True, slots=True)
class RuleEvaluation:
    """One evaluation of an alert rule.

    Attributes:
        at: time since the beginning of the history.
        active: its condition holds, so it is pending or firing.
        value: the error ratio that its texts show, that of the last active evaluation while it is kept.
    """

    at: Duration
    active: bool
    firing: bool
    value: Decimal | None


def interval(slo: Slo, tier: Tier) -> Duration:
    """How often the tier's alert is evaluated."""
    return slo.sampling.rollup if reads_rollups(slo, tier) else slo.sampling.resolution


class History:
    """Sums over windows that end at an evaluation."""

    def __init__(self, slo: Slo, tiles: Sequence[Tile]) -> None:
        self._slo = slo
        self._totals = [Decimal(0), *accumulate(total for total, _ in tiles)]
        self._errors = [Decimal(0), *accumulate(errors for _, errors in tiles)]

    def within(self, over: Duration, at: Duration) -> Tile:
        """Events and bad ones in a window; a roll-up holds the four tiles before its own moment."""
        last = at.milliseconds // self._slo.sampling.resolution.milliseconds
        end = last if self._slo.sampling.reads_rollups(over) else last + 1
        length = over.milliseconds // self._slo.sampling.resolution.milliseconds
        return self._between(max(0, end - length), end)

    def _between(self, start: int, end: int) -> Tile:
        end = min(end, len(self._totals) - 1)
        start = min(start, end)
        return self._totals[end] - self._totals[start], self._errors[end] - self._errors[start]


def simulate(slo: Slo, tier: Tier, tiles: Sequence[Tile]) -> list[RuleEvaluation]:
    """Every evaluation of a tier's alert over a history."""
    history, step = History(slo, tiles), interval(slo, tier)
    count = (len(tiles) - 1) * slo.sampling.resolution.milliseconds // step.milliseconds
    found = list[RuleEvaluation]()
    since: Duration | None = None
    kept: Duration | None = None
    for number in range(count + 1):
        at = step * number
        holds, value = condition(slo, tier, history, at)
        was_firing = bool(found) and found[-1].firing
        if holds:
            since, kept = at if since is None else since, None
            found.append(RuleEvaluation(at, active=True, firing=at - since >= tier.for_, value=value))
            continue
        kept = at if was_firing and kept is None else kept
        keeps = was_firing and kept is not None and at - kept < tier.keep_firing_for
        since = since if keeps else None
        shown = found[-1].value if keeps else value
        found.append(RuleEvaluation(at, active=keeps, firing=keeps, value=shown))
    return found


def condition(slo: Slo, tier: Tier, history: History, at: Duration) -> tuple[bool, Decimal | None]:
    """Whether a tier's condition holds, and the ratio that it compares."""
    windows = tier.windows or (slo.window.length,)
    return judged(slo, tier, [history.within(window, at) for window in windows])


def judged(slo: Slo, tier: Tier, sums: Sequence[Tile], measured: Duration | None = None) -> tuple[bool, Decimal | None]:
    """Whether a tier's condition holds on what its windows hold, and the ratio that it compares.

    Args:
        slo: whose tier it is.
        tier: the tier.
        sums: events and bad ones in each window, the longest first; of a tier by the budget left in the SLO's window.
        measured: for how long the SLO has been measured; None for longer than any window. What is not covered counts
            as clean at the mean rate.
    """
    limit = error_threshold(tier, slo.objective)
    total, errors = sums[0]
    if isinstance(tier.trigger, BudgetLeft):
        spent = errors / (slo.objective.error_budget * total) if total else None
        return spent is not None and spent >= limit and errors >= LEAST_OF_BUDGET, spent
    covered = [Decimal(1) if measured is None else min(Decimal(1), measured / window) for window in tier.windows]
    above = all(
        counted > 0 and bad * share > limit * counted for (counted, bad), share in zip(sums, covered, strict=True)
    )
    ratio = errors / total * covered[0] if total else None
    return above and _enough(slo, tier, sums, covered[0]), ratio


def _enough(slo: Slo, tier: Tier, sums: Sequence[Tile], covered: Decimal) -> bool:
    """Whether there are enough events, and enough bad ones, to believe the ratio."""
    total, errors = sums[0]
    if tier.guard is Guard.STATISTICAL and errors < guard_minimum(total / covered, slo.objective):
        return False
    if total < tier.min_events:
        return False
    lengths = [window / slo.sampling.resolution for window in tier.windows]
    bad = [found for (_, found), length in zip(sums, lengths, strict=True) if length >= tier.min_bad] or [errors]
    return all(count >= tier.min_bad for count in bad)
