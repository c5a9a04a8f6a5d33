"""What alert tiers would have done over a history, evaluation by evaluation, as Prometheus evaluates their rules.

The order of operations on `float64` is that of the generated rules, so that a ratio at its threshold falls on the same
side; `tests/history` holds both to the exact simulation and to a real Prometheus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sloctl.conventions.inventory import reads_rollups
from sloctl.history.tiles import Flags, History, Moments
from sloctl.history.windows import Windows, newest_at
from sloctl.model.alerting import BudgetLeft, Guard, Severity, Tier
from sloctl.model.budget import LEAST_OF_BUDGET, error_threshold
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import Duration
from sloctl.model.window import CalendarWindow


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
        newest = newest_at(self.at, at, earlier=earlier)
        found: Flags = (newest >= 0) & fires[np.maximum(newest, 0)] if len(fires) else np.zeros(len(at), np.bool_)
        return found


class _Replay(Windows):
    """When the conditions of tiers held."""

    def moments(self, tier: Tier) -> Moments:
        """When the tier's rule was evaluated."""
        return self.evaluated(slow=reads_rollups(self.slo, tier))

    def holds(self, tier: Tier) -> Flags:
        """Whether the tier's condition held at each of its evaluations."""
        limit = float(error_threshold(tier, self.slo.objective))
        if isinstance(tier.trigger, BudgetLeft):
            spent, bad = self.consumed()
            return (spent >= limit) & (bad >= LEAST_OF_BUDGET)
        slow = reads_rollups(self.slo, tier)
        over = tier.averaged_over
        found = np.ones(len(self.moments(tier)), np.bool_)
        for window in tier.windows:
            found &= self.ratio(window, slow=slow) > limit  # NaN, where nothing is recorded, is above nothing
        if tier.guard is Guard.STATISTICAL:
            found &= self.more_than_chance(over, slow=slow)
        if tier.min_events:
            found &= self.within(over, slow=slow)[0] >= tier.min_events
        if tier.min_bad:
            resolution = self.slo.sampling.resolution
            long_enough = [window for window in tier.windows if window / resolution >= tier.min_bad] or [over]
            for window in long_enough:
                found &= self.within(window, slow=slow)[1] >= tier.min_bad
        return found

    def measured_from(self, tier: Tier) -> int | None:
        """The first evaluation at which the tier's longest window was covered; of a calendar, any of it."""
        at, window = self.moments(tier), self.slo.window
        calendar = tier.over is None and isinstance(window, CalendarWindow)
        longest = 0 if calendar else (tier.over or window.length).milliseconds
        begin = self.begin() + longest
        index = int(np.searchsorted(at, begin)) if np.isfinite(begin) else 0
        return int(at[index]) if index < len(at) else None


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
