"""The samples of a canary from Prometheus, Thanos or Mimir: raw counters of both arms on the grid of scrapes.

Never `increase()` or `rate()`: they extrapolate to the edges of their window and round what few errors there are.
Each arm's matchers are added to the service's own selectors on their syntax, so no text is spliced.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol, TypeAlias, assert_never

import numpy as np

from sloctl.canary.analysis.evidence import BLOCK_SECONDS
from sloctl.canary.analysis.question import AFTER, BAD_BUCKET, BUCKET, CheckSamples, clock_at
from sloctl.canary.analysis.samples import Samples, Series, Times, all_on_grid
from sloctl.canary.analysis.statistics import Floats
from sloctl.canary.analysis.verdict import Clock, Reason
from sloctl.canary.past import SETTLED_SECONDS, Past
from sloctl.errors import SloctlError
from sloctl.model.canary import Arms, Canary, MismatchCheck, SloCheck
from sloctl.model.catalogue import Service, Slo
from sloctl.model.indicator import Latency, Probe, Ratio, judgeable
from sloctl.model.quantities import DAY, HOUR, Duration, number
from sloctl.model.selector import Matcher, MatchOperator, Selector, Selectors
from sloctl.prometheus import Fault, Histogram, PrometheusError, Sample
from sloctl.prometheus import Series as Raw
from sloctl.promql.matching import holds
from sloctl.promql.selectors import selector_text

HISTORY: Final = HOUR
LOOKBACK: Final = 20
"""Scrapes that may be missing before the counting of a series begins; with the usual 15 s Prometheus' five minutes."""
MAX_LENGTH: Final = DAY
"""How far back the first sample of a canary is looked for, at most."""
SKEW_WARNING: Final = 5.0
SKEW: Final = 30.0
"""Seconds by which the clocks may differ."""
PROBE: Final = "probe"
VERSION: Final = re.compile(r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?")
Roles: TypeAlias = Mapping[str, Selectors]


@dataclass(frozen=True, slots=True)
class Arm:
    """The matchers of one version.

    Attributes:
        asked: those that are asked for: the same, or wider ones that both versions fulfil, so that one query is enough.
    """

    own: tuple[Matcher, ...]
    asked: tuple[Matcher, ...]

    @classmethod
    def alone(cls, matchers: tuple[Matcher, ...]) -> Arm:
        """A version that is asked for by itself."""
        return cls(matchers, matchers)

    def shows(self, labels: Mapping[str, str]) -> bool:
        """Whether a series that was asked for belongs to this version."""
        narrower = (one for one in self.own if one not in self.asked)
        return all(labels.get(one.label, "") == one.value for one in narrower)


def both_arms(canary: tuple[Matcher, ...], baseline: tuple[Matcher, ...]) -> tuple[Arm, Arm]:
    """Two versions that are asked for together where only one label's value tells them apart, as it mostly does."""
    differing = [pair for pair in zip(canary, baseline, strict=False) if pair[0] != pair[1]]
    if len(canary) != len(baseline) or len(differing) != 1:
        return Arm.alone(canary), Arm.alone(baseline)
    (one, other) = differing[0]
    if one.label != other.label or {one.operator, other.operator} != {MatchOperator.EQUAL}:
        return Arm.alone(canary), Arm.alone(baseline)
    either = Matcher(one.label, MatchOperator.REGEX, f"{re.escape(one.value)}|{re.escape(other.value)}")
    asked = tuple(either if matcher == one else matcher for matcher in canary)
    return Arm(canary, asked), Arm(baseline, asked)


class Queries(Protocol):
    """What is asked of a server; `sloctl.prometheus.PrometheusClient` answers it."""

    def query(self, promql: str, at: float | None = None) -> tuple[Sample, ...]: ...

    def query_range(self, promql: str, start: float, end: float, step: float) -> tuple[Raw, ...]: ...

    def samples(self, selector: str, length: str, at: float) -> tuple[Raw, ...]: ...


class NoAnswerError(SloctlError):
    """There are no samples that could be judged.

    Attributes:
        reason: what to answer instead of a verdict on samples.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Release:
    """What is released: the versions' hashes, and where the rollout stands.

    Attributes:
        started: Unix seconds at which the canary got traffic; None looks for its first sample.
        step: index of the step.
        step_started: Unix seconds; None takes earlier steps to have lasted their shortest time.
        warm_up: time after the start that is not judged.

    Raises:
        SloctlError: a hash is none, or both are the same.
    """

    canary: str
    stable: str
    started: float | None = None
    step: int = 0
    step_started: float | None = None
    warm_up: Duration = field(default_factory=lambda: Duration(0))

    def __post_init__(self) -> None:
        for name, value in (("canary", self.canary), ("stable", self.stable)):
            if not VERSION.fullmatch(value):
                raise SloctlError(f"{value!r} is no hash of the {name}; it is up to 63 letters, digits, `-`, `.`, `_`")
        if self.canary == self.stable:
            raise SloctlError(f"canary and baseline are the same version, {self.canary!r}")

    def matchers(self, matchers: Sequence[Matcher]) -> tuple[Matcher, ...]:
        """The matchers of an arm with the hashes in place."""
        return tuple(Matcher(one.label, one.operator, self._filled(one)) for one in matchers)

    def _filled(self, matcher: Matcher) -> str:
        exact = matcher.operator in {MatchOperator.EQUAL, MatchOperator.NOT_EQUAL}
        canary, stable = (value if exact else re.escape(value) for value in (self.canary, self.stable))
        return matcher.value.replace("$canary", canary).replace("$stable", stable)


@dataclass(frozen=True, slots=True)
class Found:
    """What the source gave: samples of each check by name, and where the rollout stands."""

    samples: Mapping[str, CheckSamples]
    clock: Clock
    warnings: tuple[str, ...]


class Source:
    """The samples of releases, from one server.

    Args:
        prometheus: the server.
        clock: our own clock, Unix seconds; None is the system's.
        at: the moment to look at, for replays; None is now.
        past: keeps the hours before canaries from look to look.
    """

    def __init__(
        self,
        prometheus: Queries,
        clock: Callable[[], float] | None = None,
        at: float | None = None,
        past: Past | None = None,
    ) -> None:
        self._prometheus = prometheus
        self._clock = clock or time.time
        self._at = at
        self._past = past or Past()

    def find(self, service: Service, release: Release) -> Found:
        """The samples of every check of a service.

        Raises:
            NoAnswerError: there are none to judge; with the reason.
        """
        try:
            return self._find(service, release)
        except PrometheusError as error:
            reason = Reason.PARTIAL if error.fault is Fault.PARTIAL else Reason.SOURCE_UNAVAILABLE
            raise NoAnswerError(reason, str(error)) from error

    def clock_without_samples(self, service: Service, release: Release) -> Clock | None:
        """Where the rollout stands by our own clock, when its start is known."""
        canary = _canary_of(service)
        if release.started is None:
            return None
        grid = grid_seconds(service)
        now = self._clock() if self._at is None else self._at
        return clock_at(canary, release.started, now, grid, release.step, release.step_started)

    def _find(self, service: Service, release: Release) -> Found:
        canary, grid = _canary_of(service), grid_seconds(service)
        now, warnings = self._now()
        end = math.floor((now - lag_seconds(service)) / grid) * grid
        slos = {slo.name: slo for slo in service.slos}
        query = _Query(self._prometheus, grid, end, self._past)
        start = self._start(query, canary, slos, release, service)
        start = min(start + math.ceil(float(release.warm_up.seconds) / grid) * grid, end)
        clock = clock_at(canary, start, end, grid, release.step, release.step_started)
        if release.step == len(canary.steps) - 1:
            start = self._since_promotion(canary, start, end, grid, release)
            clock = clock_at(canary, start, end, grid, release.step, start)
        fetched = {check.name: query.check(check, canary.arms, slos, release, start) for check in canary.checks}
        if canary.after is not None and release.step == len(canary.steps) - 1:
            fetched[AFTER] = query.slo(slos[canary.after.slo], canary.arms, release, start, every_bucket=False)
        return Found(fetched, clock, tuple(warnings))

    def _now(self) -> tuple[float, list[str]]:
        """The server's clock, because it is the one that samples carry."""
        before = self._clock()
        theirs = next(iter(self._prometheus.query("time()"))).value
        skew = abs(theirs - (before + self._clock()) / 2)
        if skew > SKEW:
            raise NoAnswerError(
                Reason.STALE_DATA, f"the clock of Prometheus differs from ours by {skew:.0f} s; set both by NTP"
            )
        warnings = [f"the clock of Prometheus differs from ours by {skew:.0f} s"] if skew > SKEW_WARNING else []
        return (theirs if self._at is None else self._at), warnings

    def _start(
        self, query: _Query, canary: Canary, slos: Mapping[str, Slo], release: Release, service: Service
    ) -> float:
        """The grid point before the canary's first sample: of the first check that has one."""
        if release.started is not None:
            return math.floor(release.started / query.grid) * query.grid
        length = _longest(canary)
        for check in canary.checks:
            if not isinstance(check, SloCheck):
                continue
            first = query.first_sample(slos[check.slo], release.matchers(canary.arms.canary), length)
            if first is not None:
                return math.ceil(first / query.grid) * query.grid - query.grid
        raise NoAnswerError(Reason.NO_DATA, f"{service.name}: no sample of the canary {release.canary}")

    def _since_promotion(self, canary: Canary, start: float, end: float, grid: float, release: Release) -> float:
        held = sum(float(step.hold.seconds) for step in canary.steps[:-1] if step.hold is not None)
        since = release.step_started if release.step_started is not None else start + held
        return min(math.floor(since / grid) * grid, end)


@dataclass(frozen=True, slots=True)
class _Query:
    """Queries of one look; what an answer holds is not asked for again."""

    prometheus: Queries
    grid: float
    end: float
    past: Past
    found: dict[tuple[Selector, Duration], tuple[Raw, ...]] = field(default_factory=dict)
    ranged: dict[str, tuple[Raw, ...]] = field(default_factory=dict)

    def first_sample(self, slo: Slo, arm: Sequence[Matcher], length: Duration) -> float | None:
        """When the arm's first sample was scraped."""
        roles = slo_roles(slo, every_bucket=False)
        alone = Arm.alone(tuple(arm))
        found = (one for selectors in roles.values() for one in self._raw(selectors, alone, length))
        return min((moment for one in found for moment in _moments(one)), default=None)

    def check(
        self, check: SloCheck | MismatchCheck, arms: Arms, slos: Mapping[str, Slo], release: Release, start: float
    ) -> CheckSamples:
        """The samples of one check."""
        match check:
            case SloCheck():
                return self.slo(slos[check.slo], arms, release, start, every_bucket=check.quantile is not None)
            case MismatchCheck():
                labels = next((slo.sampling.target_labels for slo in slos.values()), ())
                roles = {"mismatches": check.mismatches, "compared": check.compared}
                both = self._arm(roles, Arm.alone(()), start, labels)
                return CheckSamples(both, Samples({}, both.points, labels))

    def slo(self, slo: Slo, arms: Arms, release: Release, start: float, *, every_bucket: bool) -> CheckSamples:
        """Both arms of an SLI from `start` to the look's end, and the baseline's history before it."""
        roles, labels = slo_roles(slo, every_bucket=every_bucket), slo.sampling.target_labels
        canary, baseline = both_arms(release.matchers(arms.canary), release.matchers(arms.baseline))
        return CheckSamples(
            self._arm(roles, canary, start, labels),
            self._arm(roles, baseline, start, labels),
            self._history(roles, baseline.own, start, labels),
        )

    def _arm(self, roles: Roles, arm: Arm, start: float, labels: tuple[str, ...]) -> Samples:
        grid: Floats = start + self.grid * np.arange(
            max(2, round((self.end - start) / self.grid) + 1), dtype=np.float64
        )
        length = Duration(math.ceil((self.end - start + LOOKBACK * self.grid) * 1000))
        found = {role: self._raw(selectors, arm, length) for role, selectors in roles.items()}
        return Samples(_counters(found, grid), len(grid), labels)

    def _raw(self, selectors: Selectors, arm: Arm, length: Duration) -> list[Raw]:
        found: list[Raw] = []
        for selector in selectors:
            found += [one for one in self._samples(selector.narrowed(*arm.asked), length) if arm.shows(one.labels)]
        return found

    def _samples(self, selector: Selector, length: Duration) -> tuple[Raw, ...]:
        key = selector, length
        if key not in self.found:
            among = self._among(selector, length)
            text = selector_text(selector)
            self.found[key] = self.prometheus.samples(text, str(length), self.end) if among is None else among
        return self.found[key]

    def _among(self, selector: Selector, length: Duration) -> tuple[Raw, ...] | None:
        """The selector's series from an answer that holds them, as bad events are among all events; None for none."""
        for (wider, known), series in self.found.items():
            if wider.metric == selector.metric and known == length and set(wider.matchers) <= set(selector.matchers):
                more = [one for one in selector.matchers if one not in wider.matchers]
                fulfilled = [[holds(one, raw.labels.get(one.label, "")) for one in more] for raw in series]
                if all(False in each or None not in each for each in fulfilled):
                    return tuple(raw for raw, each in zip(series, fulfilled, strict=True) if False not in each)
        return None

    def _history(self, roles: Roles, arm: Sequence[Matcher], start: float, labels: tuple[str, ...]) -> Samples:
        """The hour before the canary, in blocks; evaluated by the server, which is enough for variances."""
        blocks = int(float(HISTORY.seconds) / BLOCK_SECONDS)
        grid: Floats = start + BLOCK_SECONDS * np.arange(-blocks, 1, dtype=np.float64)
        texts = {role: [selector_text(one.narrowed(*arm)) for one in selectors] for role, selectors in roles.items()}

        def find() -> Samples:
            found = {role: [raw for text in each for raw in self._ranged(text, grid)] for role, each in texts.items()}
            return Samples(_counters(found, grid), len(grid), labels)

        key = (start, labels, *((role, *each) for role, each in texts.items()))
        return self.past.once(key, find, settled=start < self.end - SETTLED_SECONDS)

    def _ranged(self, text: str, grid: Floats) -> tuple[Raw, ...]:
        if text not in self.ranged:
            self.ranged[text] = self.prometheus.query_range(text, grid[0], grid[-1], BLOCK_SECONDS)
        return self.ranged[text]


def slo_roles(slo: Slo, *, every_bucket: bool) -> Roles:
    """The selectors of an SLI, by what they count.

    Args:
        slo: one that a canary can judge.
        every_bucket: whether all buckets of a histogram are needed, or those of its bound only.
    """
    indicator = judgeable(slo.indicator)
    match indicator:
        case Ratio(total=total, bad=bad, good=good):
            sides = {"total": total, "bad": bad, "good": good}
            return {role: selectors for role, selectors in sides.items() if selectors}
        case Latency() as latency:
            return _bucket_roles(latency, every_bucket=every_bucket)
        case Probe(gauge=gauge):
            return {PROBE: (gauge,)}
        case _:
            assert_never(indicator)


def _bucket_roles(latency: Latency, *, every_bucket: bool) -> Roles:
    buckets = latency.histogram
    if not latency.native:
        buckets = tuple(selector.named(f"{selector.metric}_bucket") for selector in buckets)
        if not every_bucket:
            bound = rf"{re.escape(number(latency.at_most))}(\.0*)?|\+Inf"
            buckets = tuple(one.narrowed(Matcher("le", MatchOperator.REGEX, bound)) for one in buckets)
    if not latency.bad_if:
        return {BUCKET: buckets}
    return {BUCKET: buckets, BAD_BUCKET: tuple(one.narrowed(*latency.bad_if) for one in buckets)}


def _counters(found: Mapping[str, Iterable[Raw]], grid: Floats) -> dict[str, tuple[Series, ...]]:
    """Raw series as counters on the grid, by role."""
    made: dict[str, list[_Counter]] = {}
    for role, series in found.items():
        for one in series:
            if role == PROBE:
                for name, counts in _probe_counts(one):
                    made.setdefault(name, []).append(_Counter(one.labels, _moments(one), counts))
            elif one.histograms:
                made.setdefault(role, []).extend(_native(one))
            else:
                made.setdefault(role, []).append(_Counter(one.labels, one.times, one.values))
    return {role: _placed(counters, grid) for role, counters in made.items()}


class _Counter(NamedTuple):
    """One counter as it was scraped."""

    labels: Mapping[str, str]
    times: Times
    values: Sequence[float]


def _placed(counters: Sequence[_Counter], grid: Floats) -> tuple[Series, ...]:
    placed = all_on_grid([(one.times, one.values) for one in counters], grid)
    return tuple(Series(one.labels, *found) for one, found in zip(counters, placed, strict=True))


def _probe_counts(raw: Raw) -> Iterator[tuple[str, list[float]]]:
    """Each sample of a probe is one event, bad by what it lacks of 1."""
    yield "total", [float(count) for count in range(1, len(raw.values) + 1)]
    yield "bad", list(np.cumsum([1 - min(max(value, 0.0), 1.0) for value in raw.values]))


def _native(raw: Raw) -> list[_Counter]:
    """A native histogram as counters of its buckets; a bucket that a sample does not show is empty."""
    bounds = sorted({high for sample in raw.histograms for _, high, _ in sample.buckets if high > 0})
    times = _moments(raw)
    return [
        _Counter({**raw.labels, "le": f"{bound:.17g}"}, times, [_until(one, bound) for one in raw.histograms])
        for bound in (*bounds, math.inf)
    ]


def _until(sample: Histogram, bound: float) -> float:
    if math.isinf(bound):
        return sample.count
    return sum(count for _, high, count in sample.buckets if high <= bound)


def _moments(raw: Raw) -> Times:
    return raw.times or tuple(sample.time for sample in raw.histograms)


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
    total = sum(step.deadline.milliseconds for step in canary.steps if step.deadline is not None)
    return min(Duration(total * 2) + HOUR, MAX_LENGTH)
