"""What a specification would have said of the past: of unchanged versions, of bad ones, and of recorded rollouts.

Of each window of plain history some pods of the stable version are taken for a canary. Nothing was released, so what is
rolled back there is a false alarm; with errors added to their counts, what is found and how soon is the power.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from statistics import median
from typing import Final

import numpy as np
from numpy.random import Generator

from sloctl.canary.analysis.analyse import counted
from sloctl.canary.analysis.counts import ArmCounts, CheckCounts
from sloctl.canary.analysis.question import BUCKET, clock_at
from sloctl.canary.analysis.samples import ArmSamples, CheckSamples, LabelValues, Path
from sloctl.canary.analysis.verdict import Decision, RolloutClock, Verdict
from sloctl.canary.judging import judge_counts
from sloctl.canary.source.arms import Arm
from sloctl.canary.source.history import HistoryCache
from sloctl.canary.source.kept import KeptReleases
from sloctl.canary.source.look import grid_seconds, lag_seconds
from sloctl.canary.source.queries import LookQueries, Queries
from sloctl.model.canary import Canary, SloCheck, Versions
from sloctl.model.catalogue import Service
from sloctl.model.indicator import Indicator, Latency, Ratio
from sloctl.model.selector import Matcher

LIMITS: Final = ("0.001", "0.002", "0.005", "0.01", "0.02", "0.05")
"""Absolute limits that are tried."""
PROMOTED: Final = 0.95
"""A limit is proposed that promotes so many unchanged versions within a step."""


@dataclass(frozen=True, slots=True)
class TrialWindow:
    """One stretch of history: the counts of some pods of the stable version against the others'."""

    counts: Mapping[str, CheckCounts]
    clock: RolloutClock


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """Verdicts on windows, of versions that are alike.

    Attributes:
        seconds: until harm was shown, in the median of those that were rolled back; None where most were not.
        why: of those that were neither promoted nor rolled back, the commonest reason.
    """

    windows: int
    promoted: int
    rolled_back: int
    seconds: float | None = None
    why: str = ""


def windows(service: Service, prometheus: Queries, now: float, length: float, count: int) -> Iterator[TrialWindow]:
    """So many windows of the last `length` seconds, each as long as the first step holds.

    Those through which fewer than two pods lived are left out.

    Raises:
        PrometheusError: the server gave no answer.
    """
    canary = service.canary
    assert canary is not None
    grid = grid_seconds(service)
    hold = math.ceil(float(canary.shortest(0).seconds) / grid) * grid
    last = now - lag_seconds(service)
    for number in range(count):
        end = math.floor((last - number * max(length - hold, 0.0) / count) / grid) * grid
        found = _window(service, canary, prometheus, end - hold, end, number)
        if found is not None:
            yield found


def _window(
    service: Service, canary: Canary, prometheus: Queries, start: float, end: float, number: int
) -> TrialWindow | None:
    everything = Arm.alone(common(canary.arms))
    slos, grid = {slo.name: slo for slo in service.slos}, grid_seconds(service)
    query = LookQueries(prometheus, everything, everything, slos, grid, end, HistoryCache(), KeptReleases())
    samples = {check.name: query.check(check, start) for check in canary.checks}
    steady = [_steady(found.canary) for found in samples.values() if found.history is not None]
    targets = sorted(set.intersection(*steady)) if steady else []
    if len(targets) < 2:
        return None
    ranked = sorted(targets, key=lambda target: hashlib.sha256(f"{number} {target}".encode()).digest())
    chosen = set(ranked[: min(max(1, round(float(canary.steps[0].weight) * len(ranked))), len(ranked) - 1)])
    split = {name: _split(found, chosen) for name, found in samples.items()}
    clock = clock_at(canary, start, end, grid, 0, start)
    return TrialWindow(counted(split, canary), clock)


def common(arms: Versions) -> tuple[Matcher, ...]:
    """The matchers that both versions have: those of all pods of the service."""
    return tuple(matcher for matcher in arms.baseline if matcher in arms.canary)


def _steady(arm: ArmSamples) -> set[LabelValues]:
    """The processes that were there from the first to the last point."""
    return {target for target, here in arm.seen.items() if here[0] and here[-1]}


def _split(samples: CheckSamples, chosen: set[LabelValues]) -> CheckSamples:
    if samples.history is None:
        return samples
    others = set(samples.canary.seen) - chosen
    history = samples.history.of(set(samples.history.seen) - chosen)
    return CheckSamples(samples.canary.of(chosen), samples.canary.of(others), history)


def outcome(service: Service, found: Iterable[TrialWindow], errors: float = 0.0) -> TrialOutcome:
    """The verdicts on windows.

    Args:
        errors: error ratio that is added to the canary's, by chance from a fixed seed.
    """
    rng = np.random.default_rng(7)
    verdicts = [_verdict(service, window, errors, rng) for window in found]
    times = [seconds for verdict in verdicts if (seconds := _seconds(verdict)) is not None]
    waits = [verdict.reason.value for verdict in verdicts if verdict.decision is Decision.CONTINUE]
    return TrialOutcome(
        len(verdicts),
        sum(verdict.decision is Decision.PROMOTE for verdict in verdicts),
        sum(verdict.decision is Decision.ROLLBACK for verdict in verdicts),
        median(times) if 2 * len(times) > len(verdicts) else None,
        max(set(waits), key=waits.count, default=""),
    )


def _seconds(verdict: Verdict) -> float | None:
    """From the beginning until harm was shown."""
    crossed = [finding.crossed_at for finding in verdict.findings if finding.crossed_at is not None]
    return min(crossed) - verdict.clock.start if crossed and verdict.clock is not None else None


def _verdict(service: Service, window: TrialWindow, errors: float, rng: Generator) -> Verdict:
    counts = dict(window.counts)
    if errors:
        assert service.canary is not None
        indicators = {slo.name: slo.indicator for slo in service.slos}
        for check in service.canary.checks:
            if isinstance(check, SloCheck) and check.quantile is None:
                found = counts[check.name]
                worse = with_errors(found.canary, indicators[check.slo], errors, rng)
                counts[check.name] = replace(found, canary=worse)
    return judge_counts(service, counts, window.clock)


def with_errors(arm: ArmCounts, indicator: Indicator, errors: float, rng: Generator) -> ArmCounts:
    """The counts of an arm of which so many more requests fail; unchanged where that cannot be said of counts."""
    match indicator:
        case Ratio(good=None):
            return _moved(arm, ("total", None), ("bad", None), errors, rng, up=True)
        case Ratio(total=total):
            good = ("good", None)
            return _moved(arm, good if total is None else ("total", None), good, errors, rng, up=False)
        case Latency(at_most=at_most):
            return _moved(arm, (BUCKET, math.inf), (BUCKET, float(at_most)), errors, rng, up=False)
        case _:
            return arm


def _moved(
    arm: ArmCounts,
    of: tuple[str, float | None],
    to: tuple[str, float | None],
    errors: float,
    rng: Generator,
    *,
    up: bool,
) -> ArmCounts:
    """Counts `to` raised, or lowered, by a share of those `of`, in each interval."""
    all_, side = arm.counted.get(of, {}), dict(arm.counted.get(to, {}))
    for value, path in all_.items():
        steps = np.rint(np.maximum(np.diff(path.low, prepend=0.0), 0.0)).astype(int)
        more = np.cumsum(rng.binomial(steps, errors)).astype(float)
        before = side.get(value, Path.nothing(arm.points))
        low, high = (before.low + more, before.high + more) if up else (before.low - more, before.high - more)
        side[value] = Path(np.maximum(low, 0.0), np.maximum(high, 0.0))
    return replace(arm, counted={**arm.counted, to: side})


def proposal(service: Service, found: Sequence[TrialWindow]) -> dict[str, TrialOutcome]:
    """What unchanged versions would get under other absolute limits, for all checks of error ratios alike."""
    canary = service.canary
    assert canary is not None

    def under(limit: Decimal) -> Service:
        checks = tuple(
            replace(check, error_rate=limit)
            if isinstance(check, SloCheck) and check.quantile is None and check.error_rate is not None
            else check
            for check in canary.checks
        )
        return replace(service, canary=replace(canary, checks=checks))

    return {limit: outcome(under(Decimal(limit)), found) for limit in LIMITS}


def proposed(tried: Mapping[str, TrialOutcome]) -> str | None:
    """The strictest limit that promotes unchanged versions; None for none of them."""
    good = (limit for limit, each in tried.items() if each.windows and each.promoted >= PROMOTED * each.windows)
    return min(good, key=float, default=None)


def again(service: Service, counts: Mapping[str, CheckCounts], clock: RolloutClock) -> Verdict | None:
    """What a specification says of recorded counts; None where they lack a check of it."""
    canary = service.canary
    assert canary is not None
    if clock.step > canary.last_step or not {check.name for check in canary.checks} <= counts.keys():
        return None
    longest = canary.longest(clock.step)
    began = clock.start + float(canary.begins(clock.step).seconds)
    deadline = None if longest is None else began + float(longest.seconds)
    held = clock.end - began >= float(canary.shortest(clock.step).seconds)
    return judge_counts(service, counts, replace(clock, held=held, deadline=deadline))
