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
from itertools import product
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
from sloctl.model.quantities import Duration
from sloctl.model.selector import Matcher

LIMITS: Final = tuple(map(Decimal, ("0.001", "0.002", "0.005", "0.01", "0.02", "0.05")))
"""Absolute limits that are tried."""
WEIGHTS: Final = tuple(map(Decimal, ("0.01", "0.05", "0.1", "0.25", "0.5")))
"""Shares of the pods that are tried; of few pods several are the same."""
HOLDS: Final = tuple(Duration(minutes * 60_000) for minutes in (2, 5, 10, 20, 30))
"""Lengths of the first step that are tried."""
PROMOTED: Final = 0.95
"""A plan is proposed that promotes so many unchanged versions within its step."""
ENOUGH: Final = 20
"""Of more windows than these, plans are tried on as many, spread over them."""


@dataclass(frozen=True, slots=True)
class TrialWindow:
    """One stretch of history: the counts of some pods of the stable version against the others'."""

    counts: Mapping[str, CheckCounts]
    clock: RolloutClock


@dataclass(frozen=True, slots=True)
class PastWindow:
    """One stretch of history, as long as the longest step that is tried.

    Attributes:
        samples: of each check by name, of all pods as if they were canaries.
        number: of the window; decides which pods are taken.
        start: Unix seconds.
    """

    samples: Mapping[str, CheckSamples]
    number: int
    start: float
    grid: float

    def trial(self, canary: Canary, weight: Decimal, hold: Duration) -> TrialWindow | None:
        """Some pods against the others from its beginning on; None where fewer than two lived through it."""
        intervals = math.ceil(float(hold.seconds) / self.grid)
        cut = {name: replace(found, canary=found.canary.first(intervals + 1)) for name, found in self.samples.items()}
        steady = [_steady(found.canary) for found in cut.values() if found.history is not None]
        targets = sorted(set.intersection(*steady)) if steady else []
        if len(targets) < 2:
            return None
        ranked = sorted(targets, key=lambda target: hashlib.sha256(f"{self.number} {target}".encode()).digest())
        chosen = set(ranked[: _of_pods(weight, len(ranked))])
        split = {name: _split(found, chosen) for name, found in cut.items()}
        first = canary.steps[0]
        planned = replace(canary, steps=(replace(first, weight=weight, hold=hold, deadline=None), *canary.steps[1:]))
        end = self.start + intervals * self.grid
        return TrialWindow(counted(split, canary), clock_at(planned, self.start, end, self.grid, 0, self.start))

    @property
    def pods(self) -> int:
        """How many lived through it."""
        steady = [_steady(found.canary) for found in self.samples.values() if found.history is not None]
        return len(set.intersection(*steady)) if steady else 0

    @property
    def seconds(self) -> float:
        """How long it is."""
        return max((found.canary.points - 1 for found in self.samples.values()), default=0) * self.grid


def _of_pods(weight: Decimal, pods: int) -> int:
    """How many pods make a share of them, at least one and not all."""
    return min(max(1, round(float(weight) * pods)), pods - 1)


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

    @property
    def passes(self) -> bool:
        """Whether unchanged versions go on."""
        return self.windows > 0 and self.promoted >= PROMOTED * self.windows


def windows(
    service: Service, prometheus: Queries, now: float, length: float, count: int, hold: Duration
) -> Iterator[PastWindow]:
    """So many windows of the last `length` seconds, each as long as `hold`.

    Raises:
        PrometheusError: the server gave no answer.
    """
    canary = service.canary
    assert canary is not None
    grid = grid_seconds(service)
    seconds = math.ceil(float(hold.seconds) / grid) * grid
    last = now - lag_seconds(service)
    everything = Arm.alone(common(canary.arms))
    slos = {slo.name: slo for slo in service.slos}
    for number in range(count):
        end = math.floor((last - number * max(length - seconds, 0.0) / count) / grid) * grid
        query = LookQueries(prometheus, everything, everything, slos, grid, end, HistoryCache(), KeptReleases())
        start = end - seconds
        yield PastWindow({check.name: query.check(check, start) for check in canary.checks}, number, start, grid)


def trials(service: Service, found: Iterable[PastWindow], weight: Decimal, hold: Duration) -> list[TrialWindow]:
    """The windows with so many of their pods, for so long."""
    assert service.canary is not None
    tried = (window.trial(service.canary, weight, hold) for window in found)
    return [each for each in tried if each is not None]


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


@dataclass(frozen=True, slots=True)
class Plan:
    """A first step that promotes unchanged versions under an absolute limit, with the least that it exposes.

    Attributes:
        limit: error ratio.
        weight: share of the pods.
        bad: what it does with a version that fails more.
    """

    limit: Decimal
    weight: Decimal
    hold: Duration
    unchanged: TrialOutcome
    bad: TrialOutcome

    @property
    def exposure(self) -> Decimal:
        """Seconds of the whole traffic that the canary answers."""
        return self.weight * self.hold.seconds


def plans(service: Service, found: Sequence[PastWindow], errors: float) -> list[Plan]:
    """For each absolute limit, the step that exposes least; limits under which none promotes are left out.

    Args:
        errors: error ratio that is added, to see what the plan finds.
    """
    canary = service.canary
    assert canary is not None
    some = found[:: math.ceil(len(found) / ENOUGH)] if found else ()
    pods = min((window.pods for window in some), default=0)
    if pods < 2:
        return []
    longest = max((window.seconds for window in some), default=0.0)
    own = canary.steps[0].weight, canary.shortest(0)
    weights = sorted({Decimal(_of_pods(weight, pods)) / pods for weight in (*WEIGHTS, own[0])})
    holds = sorted({hold for hold in (*HOLDS, own[1]) if 0 < float(hold.seconds) <= longest})
    each = sorted(product(weights, holds), key=lambda pair: (pair[0] * pair[1].seconds, pair[1].seconds))
    tried: dict[tuple[Decimal, Duration], list[TrialWindow]] = {}

    def judged(limit: Decimal, step: tuple[Decimal, Duration], more: float = 0.0) -> TrialOutcome:
        if step not in tried:
            tried[step] = trials(service, some, *step)
        return outcome(under(service, limit), tried[step], more)

    made = []
    for limit in LIMITS:
        if not judged(limit, (weights[-1], holds[-1])).passes:
            continue
        for step in each:
            if (unchanged := judged(limit, step)).passes:
                made.append(Plan(limit, *step, unchanged, judged(limit, step, errors)))
                break
    return made


def under(service: Service, limit: Decimal) -> Service:
    """The same with another absolute limit, for all checks of error ratios alike."""
    assert service.canary is not None
    checks = tuple(
        replace(check, error_rate=limit)
        if isinstance(check, SloCheck) and check.quantile is None and check.error_rate is not None
        else check
        for check in service.canary.checks
    )
    return replace(service, canary=replace(service.canary, checks=checks))


def proposed(service: Service, made: Sequence[Plan]) -> Plan | None:
    """The strictest limit that needs no more exposure than the specification's first step; or that needs least."""
    assert service.canary is not None
    now = service.canary.steps[0].weight * service.canary.shortest(0).seconds
    affordable = [plan for plan in made if plan.exposure <= now]
    return (
        min(affordable, key=lambda plan: plan.limit)
        if affordable
        else min(made, key=lambda plan: (plan.exposure, plan.limit), default=None)
    )


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
