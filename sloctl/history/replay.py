"""What alert tiers would have done over a history, evaluation by evaluation, as Prometheus evaluates their rules.

The order of operations on `float64` is that of the generated rules, so that a ratio at its threshold falls on the same
side; `tests/history` holds both to the exact simulation and to a real Prometheus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from sloctl.conventions.inventory import reads_rollups
from sloctl.history.tiles import Flags, Floats, History, Moments
from sloctl.model.alerting import BudgetLeft, Guard, Severity, Tier
from sloctl.model.budget import GUARD_MARGIN, LEAST_OF_BUDGET, error_threshold
from sloctl.model.catalogue import Slo
from sloctl.model.periods import period_starts
from sloctl.model.quantities import Duration
from sloctl.model.window import CalendarWindow

_LOOKBACK: Final = 300_000
"""Milliseconds for which Prometheus takes the newest sample of a series."""


class Episode(NamedTuple):
    """One time that an alert was active, in Unix milliseconds.

    Attributes:
        since: the first evaluation at which its condition held.
        firing: the first at which it fired; None where it never did.
        until: the last at which it was active.
    """

    since: int
    firing: int | None
    until: int


@dataclass(frozen=True)
class Replayed:
    """What one tier would have done.

    Attributes:
        episodes: in order.
        measured_from: the first evaluation whose longest window was covered whole; None where none was.
    """

    tier: Tier
    episodes: tuple[Episode, ...]
    measured_from: int | None

    @property
    def fired(self) -> tuple[Episode, ...]:
        """The episodes that somebody would have been told of."""
        return tuple(episode for episode in self.episodes if episode.firing is not None)


def replayed(
    slo: Slo, history: History, tiers: Sequence[Tier] | None = None, *, inhibited: bool = False
) -> tuple[Replayed, ...]:
    """What each tier would have done, in the order of the tiers.

    Args:
        slo: whose objective, window and sampling hold.
        history: what was counted; it reaches back before the time of interest by the longest window.
        tiers: those to try; the SLO's own unless given.
        inhibited: with `inhibition: rule` lower tiers are silent while a higher one fires.
    """
    tiers = slo.tiers if tiers is None else tuple(tiers)
    replay, done = _Replay(slo, history), dict[int, Replayed]()
    order = sorted(range(len(tiers)), key=lambda index: list(Severity).index(tiers[index].severity))
    firing = list[_Firing]()
    for index in order:
        tier = tiers[index]
        slow, at = reads_rollups(slo, tier), replay.moments(tier)
        holds = replay.holds(tier)
        if inhibited:
            for other in firing:
                if other.severity.value < tier.severity.value:
                    holds &= ~other.was_firing(at, earlier=other.slow == slow and other.index > index)
        episodes = _episodes(at, holds, tier.for_, tier.keep_firing_for)
        done[index] = Replayed(tier, tuple(episodes), replay.measured_from(tier))
        firing.append(_Firing(tier.severity, slow, index, at, episodes))
    return tuple(done[index] for index in range(len(tiers)))


@dataclass(frozen=True)
class _Firing:
    """When a tier fired, as the series `ALERTS` tells those that read it."""

    severity: Severity
    slow: bool
    index: int
    at: Moments
    episodes: Sequence[Episode]

    def was_firing(self, at: Moments, *, earlier: bool) -> Flags:
        """Whether it fired at its newest evaluation; `earlier` than these moments where it stands after the reader."""
        flags = np.zeros(len(self.at) + 1, np.int8)
        for episode in self.episodes:
            if episode.firing is not None:
                flags[np.searchsorted(self.at, episode.firing)] += 1
                flags[np.searchsorted(self.at, episode.until, side="right")] -= 1
        fires = np.cumsum(flags)[:-1] > 0
        newest = _newest(self.at, at, earlier=earlier)
        found: Flags = (newest >= 0) & fires[np.maximum(newest, 0)] if len(fires) else np.zeros(len(at), np.bool_)
        return found


def _newest(moments: Moments, at: Moments, *, earlier: bool = False) -> Moments:
    """The index of the newest moment that is still looked at; -1 where there is none."""
    if not len(moments):
        return np.full(len(at), -1)
    index = np.searchsorted(moments, at, side="left" if earlier else "right") - 1
    fresh = (index >= 0) & (at - moments[np.maximum(index, 0)] <= _LOOKBACK)
    return np.where(fresh, index, -1)


@dataclass
class _Replay:
    slo: Slo
    history: History
    _ratios: dict[tuple[Duration, bool], Floats] = field(default_factory=dict)
    _sums: dict[tuple[Duration, bool], tuple[Floats, Floats]] = field(default_factory=dict)

    def moments(self, tier: Tier) -> Moments:
        """When the tier's rule was evaluated."""
        return self._evaluated(slow=reads_rollups(self.slo, tier))

    def holds(self, tier: Tier) -> Flags:
        """Whether the tier's condition held at each of its evaluations."""
        limit = float(error_threshold(tier, self.slo.objective))
        if isinstance(tier.trigger, BudgetLeft):
            spent, bad = self._consumed()
            return (spent >= limit) & (bad >= LEAST_OF_BUDGET)
        slow = reads_rollups(self.slo, tier)
        over = tier.averaged_over
        found = np.ones(len(self.moments(tier)), np.bool_)
        for window in tier.windows:
            found &= self._ratio(window, slow=slow) > limit  # NaN, where nothing is recorded, is above nothing
        if tier.guard is Guard.STATISTICAL:
            found &= self._more_than_chance(over, slow=slow)
        if tier.min_events:
            found &= self._in(over, slow=slow)[0] >= tier.min_events
        if tier.min_bad:
            resolution = self.slo.sampling.resolution
            long_enough = [window for window in tier.windows if window / resolution >= tier.min_bad] or [over]
            for window in long_enough:
                found &= self._in(window, slow=slow)[1] >= tier.min_bad
        return found

    def measured_from(self, tier: Tier) -> int | None:
        """The first evaluation at which the tier's longest window was covered; of a calendar, any of it."""
        at, window = self.moments(tier), self.slo.window
        calendar = tier.over is None and isinstance(window, CalendarWindow)
        longest = 0 if calendar else (tier.over or window.length).milliseconds
        begin = self._begin() + longest
        index = int(np.searchsorted(at, begin)) if np.isfinite(begin) else 0
        return int(at[index]) if index < len(at) else None

    def _begin(self) -> float:
        """Since when events are known, in Unix milliseconds."""
        tiles, step = self.history.tiles, self.slo.sampling.resolution.milliseconds
        known = int(tiles.at[0]) - step if len(tiles) else np.inf
        return max(self.history.since * 1000, known)

    def _evaluated(self, *, slow: bool) -> Moments:
        return self.history.evaluated_slowly if slow else self.history.evaluated

    def _in(self, over: Duration, *, slow: bool) -> tuple[Floats, Floats]:
        """Events and bad ones in a window at each evaluation of a group."""
        key = (over, slow)
        if key not in self._sums:
            rolled = self.slo.sampling.reads_rollups(over)
            source = self.history.rollups if rolled else self.history.tiles
            self._sums[key] = source.sums(over, self._evaluated(slow=slow))
        return self._sums[key]

    def _ratio(self, over: Duration, *, slow: bool) -> Floats:
        """The recorded error ratio that a rule of a group reads; NaN where there is none."""
        key = (over, slow)
        if key not in self._ratios:
            if slow and not self.slo.sampling.reads_rollups(over):
                recorded = self._ratio(over, slow=False)
                newest = _newest(self.history.evaluated, self.history.evaluated_slowly)
                self._ratios[key] = np.where(newest >= 0, np.append(recorded, np.nan)[newest], np.nan)
            else:
                total, bad = self._in(over, slow=slow)
                with np.errstate(divide="ignore", invalid="ignore"):
                    ratio = bad / total * self._coverage(over, slow=slow)
                self._ratios[key] = np.where(total > 0, ratio, np.nan)
        return self._ratios[key]

    def _coverage(self, over: Duration, *, slow: bool) -> Floats:
        measured = self._evaluated(slow=slow) / 1000 - self.history.since
        return np.minimum(measured / float(over.seconds), 1.0)

    def _more_than_chance(self, over: Duration, *, slow: bool) -> Flags:
        """The guard, with its square root, as the rules have it."""
        total, _ = self._in(over, slow=slow)
        budget = np.sqrt(float(self.slo.objective.error_budget))
        events = np.sqrt(total / self._coverage(over, slow=slow))
        found: Flags = events * (np.sqrt(self._ratio(over, slow=slow)) - budget) >= float(GUARD_MARGIN)
        return found

    def _consumed(self) -> tuple[Floats, Floats]:
        """The share of the budget that is spent, and the bad events that spent it."""
        at, since = self.history.evaluated_slowly, self.history.since
        if isinstance(self.slo.window, CalendarWindow):
            (total, bad), covered = self._in_period(self.slo.window), self._of_period(self.slo.window)
        else:
            total, bad = self._in(self.slo.window.length, slow=True)
            covered = np.minimum((at / 1000 - since) / float(self.slo.window.length.seconds), 1.0)
        allowed = float(self.slo.objective.error_budget) * total
        with np.errstate(divide="ignore", invalid="ignore"):
            spent = np.where(allowed > 0, bad / allowed * covered, np.nan)
        return spent, bad

    def _period(self, window: CalendarWindow) -> tuple[Floats, Floats]:
        """Begin and end of the period that runs at each evaluation, Unix seconds."""
        starts = np.array(period_starts(window), np.float64)
        index = np.searchsorted(starts, self.history.evaluated_slowly / 1000, side="right") - 1
        index = np.clip(index, 0, len(starts) - 2)
        return starts[index], starts[index + 1]

    def _in_period(self, window: CalendarWindow) -> tuple[Floats, Floats]:
        """Events of the running period so far: of the roll-ups that bear its label."""
        rollups, periods = self.history.rollups, self.history.periods
        assert periods is not None
        start, _ = self._period(window)
        at = self.history.evaluated_slowly
        last = np.searchsorted(rollups.at, at, side="right")
        first = np.minimum(np.searchsorted(periods, start, side="left"), last)
        bounds = [np.concatenate(([0.0], np.cumsum(values))) for values in (rollups.total, rollups.bad)]
        total, bad = (until[last] - until[first] for until in bounds)
        return total, bad

    def _of_period(self, window: CalendarWindow) -> Floats:
        start, end = self._period(window)
        now = self.history.evaluated_slowly / 1000
        return np.minimum((now - np.maximum(self.history.since, start)) / (end - start), 1.0)


def _episodes(at: Moments, holds: Flags, for_: Duration, keep: Duration) -> list[Episode]:
    """The states of an alert: pending since it first holds, firing after `for_`, kept for `keep` after its end."""
    edges = np.flatnonzero(np.diff(holds, prepend=False, append=False))
    runs = edges.reshape(-1, 2)  # the first evaluation that holds, and the first that does not
    found, index = list[Episode](), 0
    while index < len(runs):
        first, after = runs[index]
        since = int(at[first])
        firing = _first_from(at, first, after, since + for_.milliseconds)
        until = after - 1
        # where it holds again while it is kept, it is the same episode
        while firing is not None and keep and after < len(at):
            kept = int(np.searchsorted(at, at[after] + keep.milliseconds))  # the first evaluation that does not fire
            following = runs[index + 1] if index + 1 < len(runs) else None
            if following is None or following[0] > kept:
                until = kept - 1
                break
            index += 1
            after = following[1]
            until = after - 1
        found.append(Episode(since, firing, int(at[until])))
        index += 1
    return found


def _first_from(at: Moments, first: int, after: int, moment: int) -> int | None:
    """The first evaluation of a run that is not before a moment."""
    index = first + int(np.searchsorted(at[first:after], moment))
    return int(at[index]) if index < after else None
