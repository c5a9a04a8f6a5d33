"""Counters on the grid of scrapes, kept from look to look: what is asked for is the part that is new.

An interval that is complete never changes, so a look reads the last few intervals again, for samples that came late,
and everything once in a while, for those that came much later.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sloctl.canary.analysis.samples import CounterTable, Grouping, all_on_grid
from sloctl.canary.analysis.statistics import Floats
from sloctl.canary.source.copies import copy_that_counts, counting, scraped_apart
from sloctl.model.selector import Matcher
from sloctl.prometheus import Series as Raw

AGAIN: Final = 2
"""So many of the last intervals are read again."""
WHOLE_SECONDS: Final = 300.0
"""After so long all is read again; earlier while there is little, to know soon how often targets are scraped."""
MOST_SERIES: Final = 150_000
"""Kept of all releases together, some 1 kB each."""
FEW_SAMPLES: Final = 3
"""From so many distances on, their median tells how often a target is scraped, although some scrapes are missing."""
Belongs: TypeAlias = Callable[[Mapping[str, str]], bool | None]
"""Whether a series with these labels does; None where that cannot be told."""


_NONE: Final = np.array([], dtype=np.intp)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Which of the first `known` series belong to something, None where that cannot be told, and those shown last."""

    known: int = 0
    rows: NDArray[np.intp] | None = field(default_factory=lambda: _NONE)
    shown: NDArray[np.intp] = field(default_factory=lambda: _NONE)
    labels: Sequence[Mapping[str, str]] = ()
    groupings: dict[tuple[str, ...], Grouping] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeptCounters:
    """The counters of one selector.

    Attributes:
        labels: of each series.
        values: a row each, on the grid; NaN where there is no sample.
        invalid: the last grid point until which a sample of it was no counter's value; -1 for none.
        whole_at: Unix seconds of the last point when all was read.
        distance: seconds between samples of the target that is scraped least often; 0 while that is not known.
        copy: what the series have that count, where several servers scrape the same targets.
    """

    labels: Sequence[Mapping[str, str]]
    values: Floats
    invalid: NDArray[np.intp]
    whole_at: float
    distance: float
    copy: Matcher | None
    _rows: Mapping[str, int]
    _chosen: dict[Hashable, _Chosen] = field(default_factory=dict)

    @classmethod
    def read(cls, raws: Sequence[Raw], grid: Floats, target_labels: tuple[str, ...]) -> KeptCounters:
        """From samples of the whole grid."""
        copy = copy_that_counts(raws, target_labels)
        raws = counting(raws, copy)
        placed = all_on_grid([(raw.times, raw.values) for raw in raws], grid)
        values = np.stack([row for row, _ in placed]) if placed else np.empty((0, len(grid)))
        rows = {_identity(raw.labels): index for index, raw in enumerate(raws)}
        invalid = np.full(len(raws), -1)
        for index, (raw, (_, flag)) in enumerate(zip(raws, placed, strict=True)):
            if flag and raw.times[-1] > grid[0]:
                invalid[index] = _last_invalid(raw, grid)
        labels = [raw.labels for raw in raws]
        return cls(labels, values, invalid, float(grid[-1]), distance(raw.times for raw in raws), copy, rows)

    def grown(self, raws: Sequence[Raw], grid: Floats, first: int) -> KeptCounters:
        """With samples from the grid point `first` on instead of what was known of that time."""
        rows, labels = dict(self._rows), list(self.labels)
        places: list[int] = []
        for raw in raws:
            place = places[-1] + 1 if places else 0  # a server mostly keeps to one order, and to compare costs least
            if place >= len(labels) or labels[place] != raw.labels:
                key = _identity(raw.labels)
                if (place := rows.setdefault(key, len(labels))) == len(labels):
                    labels.append(raw.labels)
            places.append(place)
        values, invalid = np.full((len(labels), len(grid)), np.nan), np.full(len(labels), -1)
        old = len(self.labels)
        values[:old, :first], invalid[:old] = self.values[:, :first], np.where(self.invalid < first, self.invalid, -1)
        # The point before them is there because at the first one of a grid any earlier sample will do.
        placed = all_on_grid([(raw.times, raw.values) for raw in raws], grid[first - 1 :])
        values[places, first:] = np.concatenate([row for row, _ in placed]).reshape(len(placed), -1)[:, 1:]
        for place, raw, (_, flag) in zip(places, raws, placed, strict=True):
            if flag:
                invalid[place] = _last_invalid(raw, grid)
        return KeptCounters(labels, values, invalid, self.whole_at, self.distance, self.copy, rows, dict(self._chosen))

    def known_of(self, raws: Sequence[Raw]) -> list[Raw]:
        """Those that were there before."""
        return [raw for raw in raws if _identity(raw.labels) in self._rows]

    def series(self, key: Hashable, belongs: Belongs) -> CounterTable | None:
        """The series that belong to something, which `key` names; None where that cannot be told of each."""
        chosen = self._chosen.get(key, _Chosen())
        if chosen.rows is not None and chosen.known < len(self.labels):
            told = [belongs(labels) for labels in self.labels[chosen.known :]]
            more = [index for index, here in enumerate(told, chosen.known) if here]
            rows = None if None in told else np.concatenate([chosen.rows, np.array(more, dtype=np.intp)])
            chosen = self._chosen[key] = _Chosen(len(self.labels), rows)
        if chosen.rows is None:
            return None
        shown = chosen.rows[self._seen[chosen.rows]]
        if not np.array_equal(shown, chosen.shown):
            named = [self.labels[index] for index in shown.tolist()]
            chosen = self._chosen[key] = replace(chosen, shown=shown, labels=named, groupings={})
        return CounterTable(chosen.labels, self.values[shown], self.invalid[shown] >= 0, chosen.groupings)

    @property
    def _seen(self) -> NDArray[np.bool_]:
        """Which series are there after the first point; of others the process may be gone for long, or come back."""
        here: NDArray[np.bool_] = ~np.isnan(self.values[:, 1:]).all(axis=1) | (self.invalid >= 0)
        return here


def _until_whole(known: KeptCounters, grid: Floats) -> float:
    """Seconds after a whole reading until the next: as long as what it read, at most `WHOLE_SECONDS`."""
    return min(WHOLE_SECONDS, known.whole_at - float(grid[0]))


def _identity(labels: Mapping[str, str]) -> str:
    """One text for each series, in whatever order its labels are told."""
    names = "\0".join(labels)
    if not _is_sorted(names):
        labels = dict(sorted(labels.items()))
        names = "\0".join(labels)
    return "\0".join((names, *labels.values()))


@lru_cache(4096)
def _is_sorted(names: str) -> bool:
    return (each := names.split("\0")) == sorted(each)


def _last_invalid(raw: Raw, grid: Floats) -> int:
    """The grid point until which the last sample was scraped that is no counter's value."""
    last = max(time for time, value in zip(raw.times, raw.values, strict=True) if not 0 <= value < np.inf)
    return int(np.searchsorted(grid, last))


def distance(times: Iterable[tuple[float, ...]]) -> float:
    """Seconds between samples of the target that is scraped least often; 0 while that is not known."""
    steps = (np.diff(sorted(each)) for each in set(times))
    return max((float(np.median(each)) for each in steps if len(each) >= FEW_SAMPLES), default=0.0)


class KeptReleases:
    """The counters that were used last, at most `most` series; safe for threads."""

    def __init__(self, most: int = MOST_SERIES) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, KeptCounters] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> KeptCounters | None:
        """What is known under a key."""
        with self._lock:
            return self._kept.get(key)

    def put(self, key: Hashable, counters: KeptCounters) -> None:
        """Keep what is known now."""
        with self._lock:
            self._kept[key] = counters
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and sum(len(each.labels) for each in self._kept.values()) > self._most:
                self._kept.popitem(last=False)

    def look(
        self,
        key: Hashable,
        grid: Floats,
        ask: Callable[[float], Sequence[Raw]],
        earlier: float,
        target_labels: tuple[str, ...],
    ) -> KeptCounters:
        """The counters on a grid that begins where it did at the last look.

        Args:
            ask: the samples of so many seconds until the grid's end.
            earlier: seconds before the grid in which the sample at its first point may lie.
            target_labels: the labels that tell processes apart.
        """
        known, end, step = self.get(key), float(grid[-1]), float(grid[1] - grid[0])
        first = 0 if known is None else min(known.values.shape[1], len(grid)) - AGAIN
        new: Sequence[Raw] = ()
        if known is not None and first >= 1 and 0 <= end - known.whole_at < _until_whole(known, grid):
            new = counting(ask(end - float(grid[first]) + step), known.copy)
        if known is not None and new:
            found = known.grown(new, grid, first)
            if len(found.labels) > len(known.labels) and any(scraped_apart(new, target_labels)):
                # One more server may have begun to scrape the same targets: whoever reads all next time can tell.
                found = replace(known.grown(known.known_of(new), grid, first), whole_at=-np.inf)
        else:  # also where there is nothing new at all: then what was there before may be gone as well
            every = [raw for raw in ask(end - float(grid[0]) + earlier) if raw.times]
            found = KeptCounters.read(every, grid, target_labels)
        self.put(key, found)
        return found
