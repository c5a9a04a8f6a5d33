"""Sums and ratios over windows at each evaluation, by the order of operations on `float64` of the generated rules.

A window that begins before the SLO was measured is young: what is not covered yet counts as clean at the mean rate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from sloctl.history.tiles import Flags, Floats, History, Moments
from sloctl.model.budget import GUARD_MARGIN
from sloctl.model.catalogue import Slo
from sloctl.model.periods import period_starts
from sloctl.model.quantities import Duration
from sloctl.model.window import CalendarWindow

_LOOKBACK: Final = 300_000
"""Milliseconds for which Prometheus takes the newest sample of a series."""


def newest_at(moments: Moments, at: Moments, *, earlier: bool = False) -> Moments:
    """The index of the newest moment that is still looked at; -1 where there is none."""
    if not len(moments):
        return np.full(len(at), -1)
    index = np.searchsorted(moments, at, side="left" if earlier else "right") - 1
    fresh = (index >= 0) & (at - moments[np.maximum(index, 0)] <= _LOOKBACK)
    return np.where(fresh, index, -1)


@dataclass
class Windows:
    """What the rules of an SLO know at each evaluation. `slow` is the group that evaluates: that of the roll-ups."""

    slo: Slo
    history: History
    _ratios: dict[tuple[Duration, bool], Floats] = field(default_factory=dict)
    _sums: dict[tuple[Duration, bool], tuple[Floats, Floats]] = field(default_factory=dict)

    def begin(self) -> float:
        """Since when events are known, in Unix milliseconds."""
        tiles, step = self.history.tiles, self.slo.sampling.resolution.milliseconds
        known = int(tiles.at[0]) - step if len(tiles) else np.inf
        return max(self.history.since * 1000, known)

    def evaluated(self, *, slow: bool) -> Moments:
        """When a group was evaluated."""
        return self.history.evaluated_slowly if slow else self.history.evaluated

    def within(self, over: Duration, *, slow: bool) -> tuple[Floats, Floats]:
        """Events and bad ones in a window at each evaluation of a group."""
        key = (over, slow)
        if key not in self._sums:
            rolled = self.slo.sampling.reads_rollups(over)
            source = self.history.rollups if rolled else self.history.tiles
            self._sums[key] = source.sums(over, self.evaluated(slow=slow))
        return self._sums[key]

    def ratio(self, over: Duration, *, slow: bool) -> Floats:
        """The recorded error ratio that a rule of a group reads; NaN where there is none."""
        key = (over, slow)
        if key not in self._ratios:
            if slow and not self.slo.sampling.reads_rollups(over):
                recorded = self.ratio(over, slow=False)
                newest = newest_at(self.history.evaluated, self.history.evaluated_slowly)
                self._ratios[key] = np.where(newest >= 0, np.append(recorded, np.nan)[newest], np.nan)
            else:
                total, bad = self.within(over, slow=slow)
                with np.errstate(divide="ignore", invalid="ignore"):
                    ratio = bad / total * self.coverage(over, slow=slow)
                self._ratios[key] = np.where(total > 0, ratio, np.nan)
        return self._ratios[key]

    def coverage(self, over: Duration, *, slow: bool) -> Floats:
        """The share of a window in which events were counted."""
        measured = self.evaluated(slow=slow) / 1000 - self.history.since
        return np.minimum(measured / float(over.seconds), 1.0)

    def more_than_chance(self, over: Duration, *, slow: bool) -> Flags:
        """The guard, with its square root, as the rules have it."""
        total, _ = self.within(over, slow=slow)
        budget = np.sqrt(float(self.slo.objective.error_budget))
        events = np.sqrt(total / self.coverage(over, slow=slow))
        found: Flags = events * (np.sqrt(self.ratio(over, slow=slow)) - budget) >= float(GUARD_MARGIN)
        return found

    def consumed(self) -> tuple[Floats, Floats]:
        """The share of the budget that is spent, and the bad events that spent it."""
        total, bad = self.in_window()
        allowed = float(self.slo.objective.error_budget) * total
        with np.errstate(divide="ignore", invalid="ignore"):
            spent = np.where(allowed > 0, bad / allowed * self.window_covered(), np.nan)
        return spent, bad

    def in_window(self) -> tuple[Floats, Floats]:
        """Events and bad ones in the SLO's window, or in its calendar period so far."""
        window = self.slo.window
        return self._in_period(window) if isinstance(window, CalendarWindow) else self.within(window.length, slow=True)

    def window_covered(self) -> Floats:
        """The share of the SLO's window in which events were counted; of a calendar period, with its time to come."""
        window = self.slo.window
        if not isinstance(window, CalendarWindow):
            return self.coverage(window.length, slow=True)
        (start, end), now = self.period(window), self.history.evaluated_slowly / 1000
        return np.minimum((now - np.maximum(self.history.since, start)) / (end - start), 1.0)

    def period(self, window: CalendarWindow) -> tuple[Floats, Floats]:
        """Begin and end of the period that runs at each evaluation, Unix seconds."""
        starts = np.array(period_starts(window), np.float64)
        index = np.searchsorted(starts, self.history.evaluated_slowly / 1000, side="right") - 1
        index = np.clip(index, 0, len(starts) - 2)
        return starts[index], starts[index + 1]

    def _in_period(self, window: CalendarWindow) -> tuple[Floats, Floats]:
        """Events of the running period so far: of the roll-ups that bear its label."""
        rollups, periods = self.history.rollups, self.history.periods
        assert periods is not None
        start, _ = self.period(window)
        at = self.history.evaluated_slowly
        last = np.searchsorted(rollups.at, at, side="right")
        first = np.minimum(np.searchsorted(periods, start, side="left"), last)
        bounds = [np.concatenate(([0.0], np.cumsum(values))) for values in (rollups.total, rollups.bad)]
        total, bad = (until[last] - until[first] for until in bounds)
        return total, bad
