"""One look at a release: both versions' samples from Prometheus, Thanos or Mimir, and where the rollout stands."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sloctl.canary.analysis.question import AFTER, clock_at
from sloctl.canary.analysis.samples import CheckSamples
from sloctl.canary.analysis.verdict import Reason, RolloutClock
from sloctl.canary.source.arms import Release, both_arms
from sloctl.canary.source.history import HistoryCache
from sloctl.canary.source.kept import KeptReleases
from sloctl.canary.source.queries import LOOKBACK, LookQueries, Queries
from sloctl.errors import SloctlError
from sloctl.model.canary import Canary, SloCheck
from sloctl.model.catalogue import Service, Slo
from sloctl.model.indicator import JudgeableIndicator
from sloctl.model.quantities import DAY, HOUR, ZERO, Duration
from sloctl.prometheus import Fault, PrometheusError

MAX_LENGTH: Final = DAY
"""How far back the first sample of a canary is looked for, at most."""
MORE_SELDOM: Final = 1.1
"""Samples that are so many times farther apart than `scrape_interval` says are taken as they come."""
SKEW_WARNING: Final = 5.0
SKEW: Final = 30.0
"""Seconds by which the clocks may differ."""


class NoAnswerError(SloctlError):
    """There are no samples that could be judged.

    Attributes:
        reason: what to answer instead of a verdict on samples.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class LookSamples:
    """What the source gave: samples of each check by name, and where the rollout stands."""

    samples: Mapping[str, CheckSamples]
    clock: RolloutClock
    warnings: tuple[str, ...] = ()


class CanarySource:
    """The samples of releases, from one server.

    Args:
        prometheus: the server.
        clock: our own clock, Unix seconds; None is the system's.
        at: the moment to look at, for replays; None is now.
        history: keeps the hours before canaries from look to look.
        kept: keeps the counters since then.
    """

    def __init__(
        self,
        prometheus: Queries,
        clock: Callable[[], float] | None = None,
        at: float | None = None,
        history: HistoryCache | None = None,
        kept: KeptReleases | None = None,
    ) -> None:
        self._prometheus = prometheus
        self._clock = clock or time.time
        self._at = at
        self._history = history or HistoryCache()
        self._kept = kept or KeptReleases()

    def look(self, service: Service, release: Release) -> LookSamples:
        """The samples of every check of a service.

        Raises:
            NoAnswerError: there are none to judge; with the reason.
        """
        try:
            return self._look(service, release)
        except PrometheusError as error:
            reason = Reason.PARTIAL if error.fault is Fault.PARTIAL else Reason.SOURCE_UNAVAILABLE
            raise NoAnswerError(reason, str(error)) from error

    def clock_without_samples(self, service: Service, release: Release) -> RolloutClock | None:
        """Where the rollout stands by our own clock; where nothing was seen yet, it began when it was asked about."""
        canary = _canary_of(service)
        started = release.began if release.started is None else release.started
        if started is None:
            return None
        grid = grid_seconds(service)
        now = self._clock() if self._at is None else self._at
        return clock_at(canary, started, now, grid, release.step, release.step_started)

    def _look(self, service: Service, release: Release) -> LookSamples:
        now, warnings = self._now()
        canary = _canary_of(service)
        slos = {slo.name: slo for slo in service.slos}
        warm_up = canary.warms_up(release.step) if release.warm_up is None else release.warm_up
        arms = both_arms(release.matchers(canary.arms.canary), release.matchers(canary.arms.baseline))

        def found(grid: float) -> tuple[LookQueries, LookSamples]:
            end = math.floor((now - lag_seconds(service)) / grid) * grid
            query = LookQueries(self._prometheus, *arms, slos, grid, end, self._history, self._kept, warm_up)
            return query, _samples(query, service, release)

        written = grid_seconds(service)
        query, look = found(written)
        scraped = round(min(query.distance(), LOOKBACK * written), 1)
        if scraped > MORE_SELDOM * written:
            # Between samples it is open when events happened; over longer intervals it is known how many they were.
            query, look = found(scraped)
            warnings.append(f"samples come every {scraped:g} s, `scrape_interval` says {written:g} s")
        warnings += [
            f"several servers scrape the same targets: of each series the one with {copy.label}={copy.value!r} counts"
            for copy in sorted(query.copies)
        ]
        return replace(look, warnings=tuple(warnings))

    def _now(self) -> tuple[float, list[str]]:
        """The server's clock, because it is the one that samples carry."""
        before = self._clock()
        answer = self._prometheus.query("time()")
        if len(answer) != 1 or not math.isfinite(answer[0].value):
            raise PrometheusError(Fault.BROKEN, "`time()` was not answered with one moment")
        theirs = answer[0].value
        skew = abs(theirs - (before + self._clock()) / 2)
        if skew > SKEW:
            raise NoAnswerError(
                Reason.STALE_DATA, f"the clock of Prometheus differs from ours by {skew:.0f} s; set both by NTP"
            )
        warnings = [f"the clock of Prometheus differs from ours by {skew:.0f} s"] if skew > SKEW_WARNING else []
        return (theirs if self._at is None else self._at), warnings


def _samples(query: LookQueries, service: Service, release: Release) -> LookSamples:
    """The samples on one grid, and where the rollout stands."""
    canary, grid, end = _canary_of(service), query.grid, query.end
    start = _start(query, service, release)
    is_last, began = release.step == canary.last_step, release.step_started
    if is_last:  # what was before promotion is judged no more
        promoted = began if began is not None else start + float(canary.begins(release.step).seconds)
        start = began = min(math.floor(promoted / grid) * grid, end)
    clock = clock_at(canary, start, end, grid, release.step, began)
    fetched = {check.name: query.check(check, start) for check in canary.checks}
    if canary.after is not None and is_last:
        fetched[AFTER] = query.slo(canary.after.slo, start)
    return LookSamples(fetched, clock)


def _start(query: LookQueries, service: Service, release: Release) -> float:
    """The grid point before the canary's first sample: of the first check that has one."""
    if release.started is not None:
        return math.floor(release.started / query.grid) * query.grid
    canary = _canary_of(service)
    length = _longest(canary)
    named = [check.slo for check in canary.checks if isinstance(check, SloCheck)]
    compared = [slo for slo in named if isinstance(query.slos[slo].indicator, JudgeableIndicator)]
    if not compared and release.began is not None:  # nothing shows when the canary came, so since it was asked about
        return min(math.floor(release.began / query.grid) * query.grid, query.end)
    for slo in compared:
        if (birth := query.birth(slo, length)) is not None:
            first = max(birth, release.began or 0.0) if birth <= release.other_until else birth
            return min(math.ceil(first / query.grid) * query.grid - query.grid, query.end)
    raise NoAnswerError(Reason.NO_DATA, f"{service.name}: no sample of the canary {release.canary}")


def grid_seconds(service: Service) -> float:
    """The distance of looks: the longest scrape interval of the SLOs that the canary reads."""
    return max(float(slo.sampling.scrape_interval.seconds) for slo in _read(service))


def lag_seconds(service: Service) -> float:
    """How far the newest look lies back, so that a scrape under way is not taken for a missing one."""
    return max(float(slo.sampling.shift.seconds) for slo in _read(service))


def _read(service: Service) -> list[Slo]:
    """The SLOs that the canary reads; all of them when its checks name none."""
    canary = _canary_of(service)
    names = {check.slo for check in canary.checks if isinstance(check, SloCheck)}
    if canary.after is not None:
        names.add(canary.after.slo)
    return [slo for slo in service.slos if slo.name in names] or list(service.slos)


def _canary_of(service: Service) -> Canary:
    if service.canary is None:
        raise SloctlError(f"{service.name} has no `canary` in its specification")
    return service.canary


def _longest(canary: Canary) -> Duration:
    """How long a rollout may take, and some more."""
    longest = (canary.longest(step) or ZERO for step in range(len(canary.steps)))
    return min(sum(longest, ZERO) * 2 + HOUR, MAX_LENGTH)
