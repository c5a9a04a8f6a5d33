"""Events by tile as arrays, and sums over windows of them in constant time each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sloctl.model.catalogue import Slo
from sloctl.model.periods import period_starts
from sloctl.model.quantities import SECOND, Duration
from sloctl.model.window import CalendarWindow

Moments: TypeAlias = NDArray[np.int64]
"""Unix milliseconds in rising order."""
Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

_EXACT: Final = 2.0**53
"""Sums of whole numbers below it are exact."""


@dataclass(frozen=True)
class Tiles:
    """All and bad events of pieces of time, each as long as the next; a piece that nobody counted is not there.

    Attributes:
        at: when each was recorded, which is when it ends.
        total: events, at least 0.
        bad: bad events among them.
    """

    at: Moments
    total: Floats
    bad: Floats

    def __post_init__(self) -> None:
        if not len(self.at) == len(self.total) == len(self.bad):
            raise ValueError("tiles have a moment, a total and a number of bad events each")

    @classmethod
    def of(cls, at: Sequence[int], total: Sequence[float], bad: Sequence[float]) -> Tiles:
        """From plain numbers: Unix milliseconds and counts."""
        return cls(np.array(at, np.int64), np.array(total, np.float64), np.array(bad, np.float64))

    @classmethod
    def nothing(cls) -> Tiles:
        """No tile at all."""
        return cls.of((), (), ())

    @classmethod
    def of_both(cls, total: tuple[Moments, Floats], bad: tuple[Moments, Floats]) -> Tiles:
        """From two recordings, each with moments of its own: what only one has is 0 in the other."""
        if np.array_equal(total[0], bad[0]):
            return cls(total[0], total[1], bad[1])
        at = np.union1d(total[0], bad[0])
        columns = [np.zeros(len(at)), np.zeros(len(at))]
        for column, (moments, values) in zip(columns, (total, bad), strict=True):
            column[np.searchsorted(at, moments)] = values
        return cls(at, *columns)

    def __len__(self) -> int:
        return len(self.at)

    def between(self, start: int, end: int) -> Tiles:
        """Those recorded after `start` and not after `end` (Unix milliseconds)."""
        chosen = slice(*np.searchsorted(self.at, (start, end), side="right"))
        return Tiles(self.at[chosen], self.total[chosen], self.bad[chosen])

    def after(self, earlier: Tiles) -> Tiles:
        """These, and before the first of them what `earlier` has."""
        if not len(self) or not len(earlier):
            return self if len(self) else earlier
        count = int(np.searchsorted(earlier.at, self.at[0]))
        parts = [(getattr(earlier, name)[:count], getattr(self, name)) for name in ("at", "total", "bad")]
        return Tiles(*(np.concatenate(pair) for pair in parts))

    def sums(self, over: Duration, ends: Moments) -> tuple[Floats, Floats]:
        """All and bad events in the windows of length `over` that end at these moments.

        Whole numbers are summed exactly; others to the last digits of what was counted since the first tile.
        """
        last = np.searchsorted(self.at, ends, side="right")
        first = np.searchsorted(self.at, ends - (over - SECOND).milliseconds, side="left")
        return self._difference(self._totals, first, last), self._difference(self._bads, first, last)

    @staticmethod
    def _difference(until: NDArray[Any], first: NDArray[np.intp], last: NDArray[np.intp]) -> Floats:
        found: Floats = (until[last] - until[first]).astype(np.float64, copy=False)
        return found

    @cached_property
    def _totals(self) -> NDArray[Any]:
        return _until(self.total)

    @cached_property
    def _bads(self) -> NDArray[Any]:
        return _until(self.bad)


def _until(values: Floats) -> NDArray[Any]:
    """The sum of what comes before each, and of all."""
    whole = bool((values == np.floor(values)).all()) and float(values.sum()) < _EXACT
    until = np.zeros(len(values) + 1, np.float64 if whole else np.longdouble)
    np.cumsum(values, out=until[1:])
    return until


@dataclass(frozen=True)
class History:
    """What the rules of an SLO, or of one value of its split labels, read of the past.

    Attributes:
        tiles: one a `resolution`.
        rollups: four tiles in one, which windows of a day and more are summed over.
        evaluated: when the group of the tiles was evaluated, also where there was nothing to record.
        evaluated_slowly: when the group of the roll-ups was.
        since: since when events are counted, in Unix seconds; windows that reach back further are young.
        periods: for each roll-up the Unix seconds at which its calendar period began; None for rolling windows.
    """

    tiles: Tiles
    rollups: Tiles
    evaluated: Moments
    evaluated_slowly: Moments
    since: float = -np.inf
    periods: Floats | None = None

    @classmethod
    def of(cls, slo: Slo, tiles: Tiles, *, since: float = -np.inf, phase: int = 0) -> History:
        """With roll-ups made of the tiles, whose group is evaluated `phase` milliseconds into its interval."""
        rolled = rolled_up(tiles, slo.sampling.resolution, slo.sampling.rollup, phase)
        return cls(tiles, rolled, tiles.at, rolled.at, since, periods_of(slo, rolled.at))


def rolled_up(tiles: Tiles, resolution: Duration, rollup: Duration, phase: int = 0) -> Tiles:
    """The roll-ups of tiles as their rules record them: of the tiles that end half a tile before, or earlier."""
    if not len(tiles):
        return tiles
    step, half = rollup.milliseconds, resolution.milliseconds // 2
    first = -(-(int(tiles.at[0]) + half - phase) // step) * step + phase
    at = np.arange(first, int(tiles.at[-1]) + 1, step, dtype=np.int64)
    total, bad = tiles.sums(rollup, at - half)
    counted = np.searchsorted(tiles.at, at - half, side="right") > np.searchsorted(tiles.at, at - half - step)
    return Tiles(at[counted], total[counted], bad[counted])


def periods_of(slo: Slo, at: Moments) -> Floats | None:
    """When the calendar period began that was running at each moment, in Unix seconds; None without a calendar."""
    if not isinstance(slo.window, CalendarWindow):
        return None
    starts = np.array(period_starts(slo.window), np.float64)
    running: Floats = starts[np.maximum(np.searchsorted(starts, at / 1000, side="right") - 1, 0)]
    return running
