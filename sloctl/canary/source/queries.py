"""The queries of one look.

Never `increase()` or `rate()`: they extrapolate to the edges of their window and round what few errors there are.
Each arm's matchers are added to the service's own selectors on their syntax, so no text is spliced.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import numpy as np

from sloctl.canary.analysis.counts import blocks_of
from sloctl.canary.analysis.evidence import BLOCK_SECONDS, FEW_BLOCKS
from sloctl.canary.analysis.samples import GRACE, ArmSamples, CheckSamples, LabelValues
from sloctl.canary.analysis.statistics import Floats
from sloctl.canary.source.arms import Arm, all_but
from sloctl.canary.source.counters import Roles, counters, moments, native_edges, slo_roles
from sloctl.canary.source.history import SETTLED_SECONDS, HistoryCache
from sloctl.model.canary import CanaryCheck, MismatchCheck, SloCheck
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import HOUR, ZERO, Duration
from sloctl.model.selector import Matcher, MatchOperator, Selector, Selectors
from sloctl.prometheus import Sample
from sloctl.prometheus import Series as Raw
from sloctl.promql.matching import holds
from sloctl.promql.selectors import selector_text

HISTORY: Final = HOUR
LOOKBACK: Final = 20
"""Scrapes that may be missing before the counting of a series begins; with the usual 15 s Prometheus' five minutes."""
FEW_SAMPLES: Final = 3
"""From so many distances on, their median tells how often a target is scraped, although some scrapes are missing."""


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
    """

    prometheus: Queries
    canary: Arm
    baseline: Arm
    slos: Mapping[str, Slo]
    grid: float
    end: float
    histories: HistoryCache
    warm_up: Duration = ZERO
    answers: dict[tuple[Selector, Duration], tuple[Raw, ...]] = field(default_factory=dict)
    ranged: dict[str, tuple[Raw, ...]] = field(default_factory=dict)

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
        steps = (np.diff(sorted(moments(raw))) for answer in self.answers.values() for raw in answer)
        return max((float(np.median(each)) for each in steps if len(each) >= FEW_SAMPLES), default=0.0)

    def check(self, check: CanaryCheck, start: float) -> CheckSamples:
        """The samples of one check."""
        match check:
            case SloCheck():
                return self.slo(check.slo, start, every_bucket=check.quantile is not None)
            case MismatchCheck():
                labels = next((slo.sampling.target_labels for slo in self.slos.values()), ())
                roles = {"mismatches": check.mismatches, "compared": check.compared}
                both = self._arm(self._found(roles, Arm.alone(()), start), start, labels)
                return CheckSamples(both, ArmSamples({}, both.points, labels))

    def slo(self, name: str, start: float, *, every_bucket: bool = False) -> CheckSamples:
        """Both arms of an SLI from `start` to the look's end, and the baseline's history before it."""
        slo = self.slos[name]
        roles, labels = slo_roles(slo, every_bucket=every_bucket), slo.sampling.target_labels
        found = [self._found(roles, arm, start) for arm in (self.canary, self.baseline)]
        edges = native_edges(raw for arm in found for answer in arm.values() for raw in answer)
        canary, baseline = (self._arm(arm, start, labels, edges) for arm in found)
        canary = replace(canary, gone=self._gone(canary))
        return CheckSamples(canary, baseline, self._history(roles, start, labels))

    def _found(self, roles: Roles, arm: Arm, start: float) -> Mapping[str, list[Raw]]:
        length = Duration(math.ceil((self.end - start + LOOKBACK * self.grid) * 1000))
        return {
            role: [raw for raw in self._raw(selectors, arm, length) if moments(raw)[-1] > start]
            for role, selectors in roles.items()
        }

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

    def _arm(
        self, found: Mapping[str, list[Raw]], start: float, labels: tuple[str, ...], edges: Floats | None = None
    ) -> ArmSamples:
        points = max(2, round((self.end - start) / self.grid) + 1)
        grid: Floats = start + self.grid * np.arange(points, dtype=np.float64)
        warm_up = math.ceil(float(self.warm_up.seconds) / self.grid)
        return ArmSamples(counters(found, grid, edges), points, labels, warm_up=warm_up)

    def _raw(self, selectors: Selectors, arm: Arm, length: Duration) -> list[Raw]:
        answers = (self._samples(selector.narrowed(*arm.asked), length) for selector in selectors)
        return [series for answer in answers for series in answer if arm.shows(series.labels)]

    def _samples(self, selector: Selector, length: Duration) -> tuple[Raw, ...]:
        key = selector, length
        if key not in self.answers:
            among = self._among(selector, length)
            text = selector_text(selector)
            self.answers[key] = self.prometheus.samples(text, str(length), self.end) if among is None else among
        return self.answers[key]

    def _among(self, selector: Selector, length: Duration) -> tuple[Raw, ...] | None:
        """The selector's series from an answer that holds them, as bad events are among all events; None for none."""
        for (wider, known), answer in self.answers.items():
            if wider.metric == selector.metric and known == length and set(wider.matchers) <= set(selector.matchers):
                more = [matcher for matcher in selector.matchers if matcher not in wider.matchers]
                fulfilled = [[holds(matcher, raw.labels.get(matcher.label, "")) for matcher in more] for raw in answer]
                if all(False in each or None not in each for each in fulfilled):
                    return tuple(raw for raw, each in zip(answer, fulfilled, strict=True) if False not in each)
        return None

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
