"""Raw counters of one version, on a common grid of scrapes, and what they leave open.

A scrape that is missing leaves open *when* events happened between its neighbours, not how many. So counts are
kept as two paths, the least and the most that may have happened by each grid point. Evidence of harm is taken
from the reading that is best for the canary, promotion from the one that is worst: a missing sample can make
neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from sloctl.canary.analysis.evidence import CountsOfBoth, IntervalCounts
from sloctl.canary.analysis.statistics import Floats
from sloctl.history.counting import grouped, newest, since_reset

GRACE: Final = 2
"""A target that is missing for so many grid points is late; for more it is gone."""
MOST_LOST: Final = 0.05
"""Of the scrapes of all processes, as many may be lost by their ends without holding a canary."""
LabelValues: TypeAlias = tuple[str, ...]
Times: TypeAlias = tuple[float, ...]


Grouping: TypeAlias = tuple[list[LabelValues], NDArray[np.intp]]
"""Different values of some labels, and which of them each series has."""


def _picked(labels: Mapping[str, str], names: tuple[str, ...]) -> LabelValues:
    return tuple([labels.get(name, "") for name in names])


@dataclass(slots=True)
class CounterSeries:
    """One counter on the grid.

    Attributes:
        labels: of the series; those of `ArmSamples.target_labels` say which process it comes from.
        values: one per grid point, NaN where there is no sample.
        invalid: whether a sample was NaN, infinite or negative.
    """

    labels: Mapping[str, str]
    values: Floats
    invalid: bool = False


@dataclass(frozen=True, slots=True)
class CounterTable(Sequence[CounterSeries]):
    """Counters on one grid as arrays, for those who have thousands of them.

    Attributes:
        labels: of each.
        values: a row each.
        invalid: whether a sample of it was NaN, infinite or negative.
        groupings: those that were asked for, by the names of labels; whoever has the same labels again keeps them.
    """

    labels: Sequence[Mapping[str, str]]
    values: Floats
    invalid: NDArray[np.bool_]
    groupings: dict[tuple[str, ...], Grouping] = field(default_factory=dict)

    @classmethod
    def of(cls, series: Sequence[CounterSeries]) -> CounterTable:
        """From single ones."""
        if isinstance(series, CounterTable):
            return series
        return cls(
            [each.labels for each in series],
            np.stack([each.values for each in series]),
            np.array([each.invalid for each in series]),
        )

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, index: int) -> CounterSeries: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[CounterSeries]: ...

    def __getitem__(self, index: int | slice) -> CounterSeries | Sequence[CounterSeries]:
        if isinstance(index, slice):
            return CounterTable(self.labels[index], self.values[index], self.invalid[index])
        return CounterSeries(self.labels[index], self.values[index], bool(self.invalid[index]))

    def grouped(self, names: tuple[str, ...]) -> Grouping:
        """By the values of some labels; empty ones for those that are not there."""
        found = self.groupings.get(names)
        if found is None:
            index: dict[LabelValues, int] = {}
            places = [index.setdefault(_picked(each, names), len(index)) for each in self.labels]
            found = self.groupings[names] = list(index), np.array(places)
        return found


@dataclass(frozen=True, slots=True)
class Rows:
    """The series of one role.

    Attributes:
        table: all of them.
        values: a row each, on the grid; NaN where there is no sample.
        known: where there is one.
        targets: the processes, and `places` which of them each row comes from.
    """

    table: CounterTable
    values: Floats
    known: NDArray[np.bool_]
    targets: list[LabelValues]
    places: NDArray[np.intp]

    @property
    def restarts(self) -> NDArray[np.intp]:
        """How often each counter went back."""
        newest = np.maximum.accumulate(np.where(self.known, np.arange(self.values.shape[1]), 0), axis=1)
        often: NDArray[np.intp] = (np.diff(np.take_along_axis(self.values, newest, axis=1)) < 0).sum(axis=1)
        return often


@dataclass(frozen=True, slots=True)
class Path:
    """Events counted until each grid point: at least `low`, at most `high`. Both begin with 0."""

    low: Floats
    high: Floats

    def __add__(self, other: Path) -> Path:
        return Path(self.low + other.low, self.high + other.high)

    def __sub__(self, other: Path) -> Path:
        return Path(np.maximum(self.low - other.high, 0.0), np.maximum(self.high - other.low, 0.0))

    @classmethod
    def nothing(cls, points: int) -> Path:
        """No event at all."""
        return cls(np.zeros(points), np.zeros(points))

    @property
    def is_certain(self) -> bool:
        """Whether it is known when every event happened."""
        return np.array_equal(self.low, self.high) and bool((np.diff(self.low) >= 0).all())

    @property
    def early(self) -> Floats:
        """Events of each interval, as early as possible."""
        return np.diff(self.high)

    @property
    def late(self) -> Floats:
        """Events of each interval, as late as possible."""
        return np.diff(self.low)

    @property
    def most(self) -> Floats:
        """The most events that each interval alone may have had."""
        return self.high[1:] - self.low[:-1]

    @property
    def least(self) -> Floats:
        """The least events that each interval alone must have had."""
        return np.maximum(self.low[1:] - self.high[:-1], 0.0)


@dataclass(frozen=True, slots=True)
class Events:
    """Bad and all events of one arm."""

    bad: Path
    total: Path

    @property
    def is_certain(self) -> bool:
        """Whether there is one reading of them only."""
        return self.bad.is_certain and self.total.is_certain


def for_the_canary(canary: Events, baseline: Events) -> CountsOfBoth:
    """The reading of both arms that shows the least harm."""
    return CountsOfBoth(
        IntervalCounts(canary.bad.late, canary.total.most), IntervalCounts(baseline.bad.early, baseline.total.least)
    )


def against_the_canary(canary: Events, baseline: Events) -> CountsOfBoth:
    """The reading of both arms that shows the most harm."""
    return CountsOfBoth(
        IntervalCounts(canary.bad.early, canary.total.least), IntervalCounts(baseline.bad.late, baseline.total.most)
    )


def as_counted(canary: Events, baseline: Events) -> CountsOfBoth:
    """Both arms with every event in the interval whose scrape shows it."""
    return CountsOfBoth(
        IntervalCounts(canary.bad.late, canary.total.late), IntervalCounts(baseline.bad.late, baseline.total.late)
    )


@dataclass(frozen=True)
class ArmSamples:
    """The series of one arm that belong to one check.

    Attributes:
        series: of every role (`total`, `bad`, `good`, or a bucket's bound), in any order.
        points: number of grid points; the first is where counting begins.
        target_labels: the labels that tell processes apart.
        gone: targets that Prometheus does not scrape any more; others without samples are there and not seen.
        warm_up: so many grid points after a target's first sample do not count, unless it was there from the beginning.
    """

    series: Mapping[str, Sequence[CounterSeries]]
    points: int
    target_labels: tuple[str, ...] = ("job", "instance", "pod")
    gone: frozenset[LabelValues] = frozenset()
    warm_up: int = 0

    def target(self, series: CounterSeries) -> LabelValues:
        """Which process a series comes from."""
        return _picked(series.labels, self.target_labels)

    @cached_property
    def rows(self) -> Mapping[str, Rows]:
        """The series of each role that has any, as arrays."""
        return {role: self._rows_of(self.series[role]) for role in sorted(self.series) if self.series[role]}

    def _rows_of(self, series: Sequence[CounterSeries]) -> Rows:
        table = CounterTable.of(series)
        return Rows(table, table.values, ~np.isnan(table.values), *table.grouped(self.target_labels))

    @cached_property
    def seen(self) -> Mapping[LabelValues, NDArray[np.bool_]]:
        """For each target, at which grid points it was scraped."""
        found: dict[LabelValues, NDArray[np.bool_]] = {}
        for rows in self.rows.values():
            here = grouped(np.logical_or, rows.known, rows.places)
            for target, own in zip(rows.targets, here, strict=True):
                found[target] = found[target] | own if target in found else own
        return found

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever seen."""
        return not any(here.any() for here in self.seen.values())

    @cached_property
    def remembered(self) -> dict[Hashable, Any]:
        """What was made of these samples, by those who need it again."""
        return {}

    @cached_property
    def halves(self) -> tuple[ArmSamples, ArmSamples]:
        """Two halves of the targets that have nothing to do with their names, the same on every machine."""
        ranked = sorted(self.seen, key=lambda target: hashlib.sha256("\0".join(target).encode()).digest())
        return self.of(set(ranked[::2])), self.of(set(ranked[1::2]))

    def of(self, targets: Set[LabelValues]) -> ArmSamples:
        """Only the series of these targets."""
        series = {
            role: tuple(each for each in found if self.target(each) in targets) for role, found in self.series.items()
        }
        return replace(self, series=series)

    def first(self, points: int) -> ArmSamples:
        """Only what was until a grid point, so many from the first on."""
        series = {
            role: tuple(CounterSeries(each.labels, each.values[:points], each.invalid) for each in found)
            for role, found in self.series.items()
        }
        return replace(self, series=series, points=min(points, self.points))

    def last_seen(self) -> dict[LabelValues, int]:
        """The last grid point at which each target was scraped."""
        return {target: int(np.flatnonzero(here)[-1]) for target, here in self.seen.items() if here.any()}

    def complete_until(self) -> int:
        """The last grid point at which every target has a sample that is not gone."""
        last = self.points - 1
        late = [point for point in self.last_seen().values() if last - point <= GRACE]
        return min(late, default=last)

    def why_not_whole(self, *, gone_is_fine: bool) -> str | None:
        """What is missing of these samples at the end, in words; None when nothing is.

        Args:
            gone_is_fine: whether targets may have gone away, as those of a baseline do.
        """
        last = self.points - 1
        for rows in self.rows.values():
            for index in np.flatnonzero(rows.table.invalid):
                return f"{_name(rows.table[int(index)])} has a sample that is no finite number"
        for target, point in self.last_seen().items():
            if point < last and not (last - point > GRACE and (gone_is_fine or target in self.gone)):
                return f"{_words(target)} has no sample for {last - point} scrapes"
        gone = {target for target, point in self.last_seen().items() if point < last}
        for rows in self.rows.values():
            for index in np.flatnonzero(~rows.known[:, -1] & rows.known.any(axis=1)):
                if rows.targets[rows.places[index]] not in gone:
                    return f"{_name(rows.table[int(index)])} has no fresh sample"
        return None

    def lost(self) -> str | None:
        """A process whose last counts are lost, in words, where too much was lost to be sure of the others.

        What a process counts between its last sample and its end is never seen: at most what it does in one interval,
        or in one for each restart.
        """
        ends = {target: int(target in self.gone) for target in self.seen}
        restarted = ""
        for rows in self.rows.values():
            restarts = rows.restarts
            for index in np.flatnonzero(restarts):
                target = rows.targets[rows.places[index]]
                ends[target] = max(ends[target], int(restarts[index]) + (target in self.gone))
                restarted = restarted or _name(rows.table[int(index)])
        known_intervals = sum(int(here.sum()) for here in self.seen.values())
        if sum(ends.values()) <= MOST_LOST * known_intervals:
            return None
        if restarted:
            return f"{restarted} went back: a process restarted, and what it had counted is lost"
        return f"{_words(max(ends, key=lambda target: ends[target]))} is gone, and what it had counted is lost"


@dataclass(frozen=True, slots=True)
class CheckSamples:
    """The samples of one check: both arms on the grid, and the baseline's history on a grid of blocks."""

    canary: ArmSamples
    baseline: ArmSamples
    history: ArmSamples | None = None


def group_paths(samples: ArmSamples, by: tuple[str, ...]) -> dict[tuple[str, float | None], dict[LabelValues, Path]]:
    """Events of each role, of each bucket's bound where it is a histogram, and of each value of the labels `by`."""
    found: dict[tuple[str, float | None], dict[LabelValues, Path]] = {}
    named = (*by, "le")
    for role, rows in samples.rows.items():
        texts, places = rows.table.grouped(named)
        index: dict[tuple[LabelValues, float | None], int] = {}
        bounds = ((value, float(bound) if bound else None) for *value, bound in texts)
        group_of = np.array([index.setdefault((tuple(value), bound), len(index)) for value, bound in bounds])
        groups = group_of[places]
        seen = np.stack([samples.seen[target] for target in rows.targets])[rows.places]
        low, high = all_counted(rows.values, seen)
        if samples.warm_up:
            low, high = _warm(low, high, seen, samples.warm_up)
        until = [grouped(np.add, each, groups) for each in ((low,) if high is low else (low, high))]
        for (value, bound), group in index.items():
            found.setdefault((role, bound), {})[value] = Path(until[0][group], until[-1][group])
    return found


def _warm(low: Floats, high: Floats, seen: NDArray[np.bool_], warm_up: int) -> tuple[Floats, Floats]:
    """What each process counted since it was warm."""
    cold = ~seen[:, 0] & seen.any(axis=1)
    warm = np.where(cold, np.minimum(seen.argmax(axis=1) + warm_up, low.shape[1] - 1), 0)[:, None]
    later = np.arange(low.shape[1]) > warm
    least, most = (np.take_along_axis(each, warm, axis=1) for each in (low, high))
    return (
        np.where(cold[:, None], np.where(later, np.maximum(low - most, 0.0), 0.0), low),
        np.where(cold[:, None], np.where(later, np.maximum(high - least, 0.0), 0.0), high),
    )


def counted(values: Floats, seen: NDArray[np.bool_]) -> Path:
    """The events of one counter since the first grid point, whatever restarts set it back to zero.

    A counter that appears after the first grid point counts from zero. One that a scraped target did not show
    yet was zero, because a scrape is whole or missing.
    """
    points = len(values)
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return Path.nothing(points)
    first, last = known[0], known[-1]
    steps = np.diff(values[known], prepend=values[first] if first == 0 else 0.0)
    total = np.cumsum(since_reset(steps, values[known]))
    low = np.zeros(points)
    low[known] = total
    low = np.maximum.accumulate(low)
    high = np.full(points, total[-1])
    high[known] = total
    high[last:] = total[-1]
    high = np.minimum.accumulate(high[::-1])[::-1]
    before = np.flatnonzero(seen[:first])
    created = int(before[-1]) + 1 if len(before) else first
    high[:created] = 0.0
    return Path(low, np.maximum(high, low))


def all_counted(values: Floats, seen: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """What `counted` says of each counter, a row each; those without gaps since they appeared are counted at once.

    Returns:
        The least and the most, the same array where all is certain.
    """
    gaps = np.isnan(values)
    since = np.where(gaps, 0.0, values)
    steps = np.diff(since, prepend=since[:, :1])
    low = np.cumsum(since_reset(steps, since), axis=1)
    uncertain = np.flatnonzero(~((since >= 0).all(axis=1) & _whole_since_they_appeared(gaps, seen)))
    if not len(uncertain):
        return low, low
    high = low.copy()
    for index in uncertain:
        path = counted(values[index], seen[index])
        low[index], high[index] = path.low, path.high
    return low, high


def _whole_since_they_appeared(gaps: NDArray[np.bool_], seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Counters without ambiguity: no gap after the first sample, and its target was seen just before it, or never."""
    leading = (np.logical_and.accumulate(gaps, axis=1) == gaps).all(axis=1)
    shown = seen & gaps
    last = np.maximum(gaps.sum(axis=1) - 1, 0)
    whole: NDArray[np.bool_] = leading & (~shown.any(axis=1) | shown[np.arange(len(gaps)), last])
    return whole


def on_grid(times: Sequence[float], values: Sequence[float], grid: Floats) -> tuple[Floats, bool]:
    """Samples (Unix seconds, in any order) at each grid point: the last of the interval that ends there.

    Returns:
        The values, NaN where the interval has no finite sample, and whether a sample was no counter's value.
    """
    moments, counts = np.asarray(times, dtype=float), np.asarray(values, dtype=float)
    order = np.lexsort((counts, moments))
    moments, counts = moments[order], counts[order]
    fine = np.isfinite(counts) & (counts >= 0)
    moments, counts = moments[fine], counts[fine]
    found = np.full(len(grid), np.nan)
    if len(moments):
        here, last = _newest(moments, grid)
        found[here] = counts[last]
    return found, not fine.all()


def all_on_grid(scraped: Sequence[tuple[Times, Sequence[float]]], grid: Floats) -> list[tuple[Floats, bool]]:
    """What `on_grid` says of each pair of times and values; what was scraped at the same times is placed at once."""
    by_times: dict[Times, list[int]] = {}
    for index, (times, _) in enumerate(scraped):
        by_times.setdefault(times, []).append(index)
    found: dict[int, tuple[Floats, bool]] = {}
    for times, indices in by_times.items():
        moments, counts = np.array(times), np.array([scraped[index][1] for index in indices])
        if not len(moments) or (np.diff(moments) <= 0).any() or not (np.isfinite(counts) & (counts >= 0)).all():
            found |= {index: on_grid(times, scraped[index][1], grid) for index in indices}
            continue
        here, last = _newest(moments, grid)
        placed = np.full((len(indices), len(grid)), np.nan)
        placed[:, here] = counts[:, last]
        found |= {index: (row, False) for index, row in zip(indices, placed, strict=True)}
    return [found[index] for index in range(len(scraped))]


def _newest(moments: Floats, grid: Floats) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """At which grid points there is a sample, and for each of these the index of the newest."""
    index = newest(moments, grid)
    fresh = moments[np.maximum(index, 0)] > grid - float(grid[1] - grid[0])
    fresh[0] = True  # where counting begins, any earlier sample will do
    here = (index >= 0) & fresh
    return here, index[here]


def pooled(values: Iterable[tuple[LabelValues, float]], most: int) -> list[LabelValues]:
    """The values with the most requests, at most so many, sorted; the others are pooled by the caller."""
    ranked = sorted(values, key=lambda pair: (-pair[1], pair[0]))
    return sorted(value for value, _ in ranked[:most])


def _name(series: CounterSeries) -> str:
    inside = ", ".join(f'{label}="{value}"' for label, value in sorted(series.labels.items()) if label != "__name__")
    return f"{series.labels.get('__name__', '')}{{{inside}}}"


def _words(target: LabelValues) -> str:
    return " ".join(part for part in target if part) or "the only target"
