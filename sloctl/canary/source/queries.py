"""The queries of one look.

Never `increase()` or `rate()`: they extrapolate to the edges of their window and round what few errors there are.
Each arm's matchers are added to the service's own selectors on their syntax, so no text is spliced.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Protocol

import numpy as np

from sloctl.canary.analysis.counts import blocks_of
from sloctl.canary.analysis.evidence import BLOCK_SECONDS, FEW_BLOCKS
from sloctl.canary.analysis.samples import GRACE, ArmSamples, CheckSamples, CounterSeries, CounterTable, LabelValues
from sloctl.canary.analysis.statistics import Floats
from sloctl.canary.source.arms import Arm, all_but
from sloctl.canary.source.copies import copy_that_counts, counting
from sloctl.canary.source.counters import Roles, counters, is_counted_anew, moments, native_edges, slo_roles
from sloctl.canary.source.evaluated import evaluated
from sloctl.canary.source.history import SETTLED_SECONDS, HistoryCache
from sloctl.canary.source.kept import KeptCounters, KeptReleases, distance
from sloctl.model.canary import CanaryCheck, MismatchCheck, SloCheck
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import WholeIndicator
from sloctl.model.quantities import HOUR, ZERO, Duration
from sloctl.model.selector import Matcher, MatchOperator, Selector, Selectors
from sloctl.prometheus import Sample
from sloctl.prometheus import Series as Raw
from sloctl.promql.matching import holds
from sloctl.promql.selectors import selector_text

HISTORY: Final = HOUR
LOOKBACK: Final = 20
"""Scrapes that may be missing before the counting of a series begins; with the usual 15 s Prometheus' five minutes."""


class Queries(Protocol):
    """What is asked of a server; `sloctl.prometheus.PrometheusClient` answers it."""

    def query(self, promql: str, at: float | None = None) -> tuple[Sample, ...]: ...

    def query_range(self, promql: str, start: float, end: float, step: float) -> tuple[Raw, ...]: ...

    def samples(self, selector: str, length: str, at: float) -> tuple[Raw, ...]: ...


@dataclass(frozen=True, slots=True)
class LookQueries:
    """Queries of one look; what an answer holds is not asked for again.

    Attributes:
        slos: of the service, by name.
        grid: seconds between scrapes.
        end: Unix seconds of the last grid point.
        warm_up: how long each new process is not judged.
        copies: what the series have that count, where several servers scrape the same targets.
    """

    prometheus: Queries
    canary: Arm
    baseline: Arm
    slos: Mapping[str, Slo]
    grid: float
    end: float
    histories: HistoryCache
    kept: KeptReleases
    warm_up: Duration = ZERO
    answers: dict[tuple[Selector, Duration], tuple[Raw, ...]] = field(default_factory=dict)
    ranged: dict[str, tuple[Raw, ...]] = field(default_factory=dict)
    counted: dict[tuple[Selector, float], KeptCounters] = field(default_factory=dict)
    copies: set[Matcher] = field(default_factory=set)

    def birth(self, slo: str, length: Duration) -> float | None:
        """When the canary's first sample of an SLI was scraped since its last silence, at most `length` ago.

        What ran under the same hash before, as an earlier attempt or as the stable version then, is not this canary.
        """
        roles, alone = slo_roles(self.slos[slo]), Arm.alone(self.canary.own)
        found = [moments(raw) for selectors in roles.values() for raw in self._raw(selectors, alone, length)]
        if not found:
            return None
        times = np.unique(np.concatenate(found))
        silent = np.flatnonzero(np.diff(times) > LOOKBACK * self.grid)
        return float(times[silent[-1] + 1] if len(silent) else times[0])

    def distance(self) -> float:
        """Seconds between the samples of the target that is scraped least often; 0 while that is not known."""
        asked = distance(moments(raw) for answer in self.answers.values() for raw in answer)
        return max((each.distance for each in self.counted.values()), default=asked)

    def check(self, check: CanaryCheck, start: float) -> CheckSamples:
        """The samples of one check."""
        match check:
            case SloCheck() if isinstance(whole := self.slos[check.slo].indicator, WholeIndicator):
                return self._evaluated(whole, start)
            case SloCheck():
                return self.slo(check.slo, start, every_bucket=check.quantile is not None)
            case MismatchCheck():
                labels = next((slo.sampling.target_labels for slo in self.slos.values()), ())
                roles = {"mismatches": check.mismatches, "compared": check.compared}
                both = self._arm(self._counters(roles, Arm.alone(()), start, labels), start, labels)
                return CheckSamples(both, ArmSamples({}, both.points, labels))

    def slo(self, name: str, start: float, *, every_bucket: bool = False) -> CheckSamples:
        """Both arms of an SLI from `start` to the look's end, and the baseline's history before it."""
        slo = self.slos[name]
        roles, labels = slo_roles(slo, every_bucket=every_bucket), slo.sampling.target_labels
        versions = (self.canary, self.baseline)
        series: list[Mapping[str, Sequence[CounterSeries]]]
        if is_counted_anew(slo):
            found = self._counting([self._found(roles, arm, start) for arm in versions], labels)
            edges = native_edges(raw for arm in found for answer in arm.values() for raw in answer)
            series = [counters(arm, self._grid(start), edges) for arm in found]
        else:
            series = [self._counters(roles, arm, start, labels) for arm in versions]
        canary, baseline = (self._arm(arm, start, labels) for arm in series)
        canary = replace(canary, gone=self._gone(canary))
        once = {role: tuple(each.narrowed(*self.copies) for each in selectors) for role, selectors in roles.items()}
        return CheckSamples(canary, baseline, self._history(once, start, labels))

    def _evaluated(self, indicator: WholeIndicator, start: float) -> CheckSamples:
        """What the server makes of expressions since `start`, as one counter of bad events and one of all."""
        grid = self._grid(start)

        def ask(text: str, step: float) -> tuple[Raw, ...]:
            return self.prometheus.query_range(text, start + step, float(grid[-1]), step)

        series = evaluated(indicator, grid, ask)
        return CheckSamples(ArmSamples(series, len(grid), ()), ArmSamples({}, len(grid), ()))

    def _found(self, roles: Roles, arm: Arm, start: float) -> Mapping[str, list[Raw]]:
        length = Duration(math.ceil((self.end - start + LOOKBACK * self.grid) * 1000))
        return {
            role: [raw for raw in self._raw(selectors, arm, length) if moments(raw)[-1] > start]
            for role, selectors in roles.items()
        }

    def _counting(
        self, found: Sequence[Mapping[str, Sequence[Raw]]], labels: tuple[str, ...]
    ) -> list[dict[str, Sequence[Raw]]]:
        """Both versions' series without those that are there once more."""
        copy = copy_that_counts([raw for arm in found for answer in arm.values() for raw in answer], labels)
        if copy is not None:
            self.copies.add(copy)
        return [{role: counting(answer, copy) for role, answer in arm.items()} for arm in found]

    def _counters(
        self, roles: Roles, arm: Arm, start: float, labels: tuple[str, ...]
    ) -> dict[str, Sequence[CounterSeries]]:
        """The counters of a version, by role."""
        found: dict[str, Sequence[CounterSeries]] = {}
        for role, selectors in roles.items():
            tables = [self._of_arm(selector.narrowed(*arm.asked), arm, start, labels) for selector in selectors]
            found[role] = tables[0] if len(tables) == 1 else [series for table in tables for series in table]
        return found

    def _of_arm(self, selector: Selector, arm: Arm, start: float, labels: tuple[str, ...]) -> CounterTable:
        """The counters of a selector that belong to a version.

        They are chosen from an answer that holds them where there is one, as bad events are among all events.
        """
        for (wider, since), known in self.counted.items():
            if wider.metric == selector.metric and since == start and set(wider.matchers) <= set(selector.matchers):
                more = tuple(matcher for matcher in selector.matchers if matcher not in wider.matchers)
                belongs = partial(_belongs, arm=arm, more=more)
                if (found := known.series((arm, more), belongs)) is not None:
                    return found
        text = selector_text(selector)

        def ask(seconds: float) -> tuple[Raw, ...]:
            return self.prometheus.samples(text, str(Duration(math.ceil(seconds * 1000))), self.end)

        grid = self._grid(start)
        known = self.kept.look((text, start, self.grid), grid, ask, LOOKBACK * self.grid, labels)
        self.counted[selector, start] = known
        if known.copy is not None:
            self.copies.add(known.copy)
        found = known.series((arm, ()), lambda labels: _belongs(labels, arm, ()))
        assert found is not None
        return found

    def _gone(self, arm: ArmSamples) -> frozenset[LabelValues]:
        """The targets without samples at the end that Prometheus scrapes no more, as it has no `up` of them then.

        One that it fails to scrape has an `up` of 0: what that does is not known. Nor is it without any `up` of a
        target, as where metrics are pushed.
        """
        silent = [target for target, last in arm.last_seen().items() if arm.points - 1 - last > GRACE]
        return frozenset(target for target in silent if self._is_gone(arm.target_labels, target, arm.points))

    def _is_gone(self, labels: tuple[str, ...], target: LabelValues, points: int) -> bool:
        named = (pair for pair in zip(labels, target, strict=True) if pair[1])
        up = Selector("up", tuple(Matcher(label, MatchOperator.EQUAL, value) for label, value in named))
        found = self._samples(up, Duration(math.ceil((points + LOOKBACK) * self.grid * 1000)))
        last = max((moments(raw)[-1] for raw in found), default=None)
        return last is not None and self.end - last > GRACE * self.grid

    def _grid(self, start: float) -> Floats:
        points = max(2, round((self.end - start) / self.grid) + 1)
        grid: Floats = start + self.grid * np.arange(points, dtype=np.float64)
        return grid

    def _arm(self, series: Mapping[str, Sequence[CounterSeries]], start: float, labels: tuple[str, ...]) -> ArmSamples:
        warm_up = math.ceil(float(self.warm_up.seconds) / self.grid)
        return ArmSamples(series, len(self._grid(start)), labels, warm_up=warm_up)

    def _raw(self, selectors: Selectors, arm: Arm, length: Duration) -> list[Raw]:
        answers = (self._samples(selector.narrowed(*arm.asked), length) for selector in selectors)
        return [series for answer in answers for series in answer if arm.shows(series.labels)]

    def _samples(self, selector: Selector, length: Duration) -> tuple[Raw, ...]:
        key = selector, length
        if key not in self.answers:
            self.answers[key] = self.prometheus.samples(selector_text(selector), str(length), self.end)
        return self.answers[key]

    def _history(self, roles: Roles, start: float, labels: tuple[str, ...]) -> ArmSamples:
        """The baseline's hour before the canary, in blocks; evaluated by the server, which is enough for variances.

        Where the stable version is young, the versions before it did the same work: theirs count as well.
        """
        blocks = int(float(HISTORY.seconds) / BLOCK_SECONDS)
        grid: Floats = start + BLOCK_SECONDS * np.arange(-blocks, 1, dtype=np.float64)
        own = self._texts(roles, self.baseline.own)

        def find() -> ArmSamples:
            found = self._history_of(own, grid, labels)
            if blocks_of(found) < FEW_BLOCKS and (earlier := all_but(self.canary, self.baseline)) is not None:
                return self._history_of(self._texts(roles, earlier), grid, labels)
            return found

        key = (start, labels, self.canary, *((role, *each) for role, each in own.items()))
        return self.histories.once(key, find, settled=start < self.end - SETTLED_SECONDS)

    def _texts(self, roles: Roles, matchers: tuple[Matcher, ...]) -> Mapping[str, list[str]]:
        return {
            role: [selector_text(selector.narrowed(*matchers)) for selector in selectors]
            for role, selectors in roles.items()
        }

    def _history_of(self, texts: Mapping[str, list[str]], grid: Floats, labels: tuple[str, ...]) -> ArmSamples:
        found = {role: [raw for text in each for raw in self._ranged(text, grid)] for role, each in texts.items()}
        return ArmSamples(counters(found, grid), len(grid), labels)

    def _ranged(self, text: str, grid: Floats) -> tuple[Raw, ...]:
        if text not in self.ranged:
            self.ranged[text] = self.prometheus.query_range(text, grid[0], grid[-1], BLOCK_SECONDS)
        return self.ranged[text]


def _belongs(labels: Mapping[str, str], arm: Arm, more: Sequence[Matcher]) -> bool | None:
    """Whether a series is of a version and fulfils more matchers; None where one of them proves nothing."""
    told = [arm.shows(labels), *(holds(matcher, labels.get(matcher.label, "")) for matcher in more)]
    return False if False in told else None if None in told else True
