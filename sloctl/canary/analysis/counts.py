"""What a verdict needs of an arm's samples: events of each interval, together and for each value of some labels.

A service has thousands of series and a verdict rests on a few sums of them. So these are what is judged, what is
recorded, and what a record is judged by again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from sloctl.canary.analysis.samples import ArmSamples, LabelValues, Path, group_paths
from sloctl.canary.analysis.verdict import Reason

Keep: TypeAlias = AbstractSet[LabelValues]
"""Values of the labels whose events are counted."""
Problem: TypeAlias = tuple[Reason, str]
Counted: TypeAlias = Mapping[tuple[str, float | None], Mapping[LabelValues, Path]]
"""Of each role, and each bucket's bound where it is a histogram: the events of each value of the labels."""


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """The events of one arm.

    Attributes:
        points: number of grid points; the first is where counting begins.
        counted: the events; a value with an empty part is of series without that label.
        complete_until: the last grid point at which every process has a sample that is not gone.
        problem: what forbids promotion by these samples; None for nothing.
        is_empty: whether nothing was ever seen.
        processes: how many were seen; 0 where that was not recorded.
    """

    points: int
    counted: Counted
    complete_until: int
    problem: Problem | None = None
    is_empty: bool = False
    processes: int = 0

    @property
    def every_value(self) -> set[LabelValues]:
        """The values of the labels; those with an empty part are of series without that label."""
        return {value for each in self.counted.values() for value in each}

    def values(self, first: int | None = None) -> list[LabelValues]:
        """The values of the labels, or of the first of them, sorted; series without one of them belong to none."""
        values = {value[:first] for value in self.every_value}
        return sorted(value for value in values if value and all(value))

    def path(self, role: str, keep: Keep | None = None, bound: float | None = None) -> Path:
        """Events of one role, of the values that are kept, and of one bucket where it is a histogram."""
        found = self.counted.get((role, bound), {})
        return _sum((path for value, path in found.items() if keep is None or value in keep), self.points)

    def bounds(self, role: str) -> set[float]:
        """The bounds of a histogram's buckets."""
        return {bound for name, bound in self.counted if name == role and bound is not None}


@dataclass(frozen=True, slots=True)
class HistoryCounts:
    """The baseline before the canary, on a grid of blocks.

    Attributes:
        halves: two halves of its processes.
        processes: how many there were.
        blocks: how many blocks have samples.
    """

    halves: tuple[ArmCounts, ArmCounts]
    processes: int
    blocks: int

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever seen."""
        return all(half.is_empty for half in self.halves)

    def values(self) -> list[LabelValues]:
        """The values of the labels, sorted."""
        return sorted({value for half in self.halves for value in half.values()})


@dataclass(frozen=True, slots=True)
class CheckCounts:
    """The counts of one check: both arms on the grid of scrapes, and the baseline's history on one of blocks."""

    canary: ArmCounts
    baseline: ArmCounts
    history: HistoryCounts | None = None


NOTHING: Final[Counted] = {}


def arm_counts(samples: ArmSamples, by: tuple[str, ...], *, is_baseline: bool = False) -> ArmCounts:
    """The counts of an arm, for each value of the labels `by`."""
    return ArmCounts(
        samples.points,
        group_paths(samples, by),
        samples.complete_until(),
        _problem(samples, is_baseline=is_baseline),
        samples.is_empty,
        len(samples.last_seen()),
    )


def history_counts(samples: ArmSamples | None, by: tuple[str, ...]) -> HistoryCounts | None:
    """The counts of a history; those of one that is asked for again are remembered with it."""
    if samples is None:
        return None
    known: HistoryCounts | None = samples.remembered.get(by)
    if known is None:
        left, right = (_half(half, by) for half in samples.halves)
        known = HistoryCounts((left, right), len(samples.seen), blocks_of(samples))
        samples.remembered[by] = known
    return known


def _half(samples: ArmSamples, by: tuple[str, ...]) -> ArmCounts:
    return ArmCounts(samples.points, group_paths(samples, by), samples.points - 1, is_empty=samples.is_empty)


def blocks_of(history: ArmSamples) -> int:
    """How many blocks a history has."""
    return int(np.logical_or.reduce(list(history.seen.values())).sum()) - 1 if history.seen else 0


def _problem(arm: ArmSamples, *, is_baseline: bool) -> Problem | None:
    """What forbids promotion. Processes of the baseline come and go; of those of the canary few may be lost."""
    if (what := arm.why_not_whole(gone_is_fine=is_baseline)) is not None:
        return Reason.STALE_DATA, what
    if not is_baseline and (what := arm.lost()) is not None:
        return Reason.COUNTER_RESET, what
    return None


def _sum(paths: Iterable[Path], points: int) -> Path:
    low, high = np.zeros(points), np.zeros(points)
    for path in paths:
        low += path.low
        high += path.high
    return Path(low, high)
