"""The queries of one look.

Never `increase()` or `rate()`: they extrapolate to the edges of their window and round what few errors there are.
Each arm's matchers are added to the service's own selectors on their syntax, so no text is spliced.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from sloctl.canary.analysis.evidence import BLOCK_SECONDS
from sloctl.canary.analysis.question import CheckSamples
from sloctl.canary.analysis.samples import ArmSamples
from sloctl.canary.analysis.statistics import Floats
from sloctl.canary.source.arms import Arm
from sloctl.canary.source.counters import Roles, counters, moments, slo_roles
from sloctl.canary.source.history import SETTLED_SECONDS, HistoryCache
from sloctl.model.canary import CanaryCheck, MismatchCheck, SloCheck
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import HOUR, Duration
from sloctl.model.selector import Selector, Selectors
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
    """

    prometheus: Queries
    canary: Arm
    baseline: Arm
    slos: Mapping[str, Slo]
    grid: float
    end: float
    histories: HistoryCache
    answers: dict[tuple[Selector, Duration], tuple[Raw, ...]] = field(default_factory=dict)
    ranged: dict[str, tuple[Raw, ...]] = field(default_factory=dict)

    def first_sample(self, slo: str, length: Duration) -> float | None:
        """When the canary's first sample of an SLI was scraped, at most `length` ago."""
        roles, alone = slo_roles(self.slos[slo]), Arm.alone(self.canary.own)
        found = (series for selectors in roles.values() for series in self._raw(selectors, alone, length))
        return min((moment for series in found for moment in moments(series)), default=None)

    def check(self, check: CanaryCheck, start: float) -> CheckSamples:
        """The samples of one check."""
        match check:
            case SloCheck():
                return self.slo(check.slo, start, every_bucket=check.quantile is not None)
            case MismatchCheck():
                labels = next((slo.sampling.target_labels for slo in self.slos.values()), ())
                roles = {"mismatches": check.mismatches, "compared": check.compared}
                both = self._arm(roles, Arm.alone(()), start, labels)
                return CheckSamples(both, ArmSamples({}, both.points, labels))

    def slo(self, name: str, start: float, *, every_bucket: bool = False) -> CheckSamples:
        """Both arms of an SLI from `start` to the look's end, and the baseline's history before it."""
        slo = self.slos[name]
        roles, labels = slo_roles(slo, every_bucket=every_bucket), slo.sampling.target_labels
        canary, baseline = (self._arm(roles, arm, start, labels) for arm in (self.canary, self.baseline))
        return CheckSamples(canary, baseline, self._history(roles, start, labels))

    def _arm(self, roles: Roles, arm: Arm, start: float, labels: tuple[str, ...]) -> ArmSamples:
        points = max(2, round((self.end - start) / self.grid) + 1)
        grid: Floats = start + self.grid * np.arange(points, dtype=np.float64)
        length = Duration(math.ceil((self.end - start + LOOKBACK * self.grid) * 1000))
        found = {role: self._raw(selectors, arm, length) for role, selectors in roles.items()}
        return ArmSamples(counters(found, grid), points, labels)

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
        """The baseline's hour before the canary, in blocks; evaluated by the server, which is enough for variances."""
        blocks = int(float(HISTORY.seconds) / BLOCK_SECONDS)
        grid: Floats = start + BLOCK_SECONDS * np.arange(-blocks, 1, dtype=np.float64)
        texts = {
            role: [selector_text(selector.narrowed(*self.baseline.own)) for selector in selectors]
            for role, selectors in roles.items()
        }

        def find() -> ArmSamples:
            found = {role: [raw for text in each for raw in self._ranged(text, grid)] for role, each in texts.items()}
            return ArmSamples(counters(found, grid), len(grid), labels)

        key = (start, labels, *((role, *each) for role, each in texts.items()))
        return self.histories.once(key, find, settled=start < self.end - SETTLED_SECONDS)

    def _ranged(self, text: str, grid: Floats) -> tuple[Raw, ...]:
        if text not in self.ranged:
            self.ranged[text] = self.prometheus.query_range(text, grid[0], grid[-1], BLOCK_SECONDS)
        return self.ranged[text]
