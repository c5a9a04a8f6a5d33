"""Judging a latency quantile against the baseline's, from histogram buckets.

Being slower than a bound is an error like any other, so the tests of error ratios apply to the tail above each
bound. The canary's tail above a bound is compared with the baseline's above `bound / (1 + worse_by)`, which is what
a canary slower by exactly the tolerance would show. The evidence of several bounds is averaged: a mean of
e-values is an e-value (Vovk & Wang, Annals of Statistics 2021, arXiv 1912.06116).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sloctl.canary.analysis.counts import ArmCounts, CheckCounts
from sloctl.canary.analysis.evidence import BaselineHistory, Harm, Limits, harm
from sloctl.canary.analysis.question import BUCKET, Question, events, history_of, tail_events
from sloctl.canary.analysis.ratios import (
    GapReading,
    GroupEvidence,
    RequestGroup,
    complete_until,
    harmed_finding,
    healthy_finding,
    readings,
    stacked,
    stacked_histories,
)
from sloctl.canary.analysis.samples import Events
from sloctl.canary.analysis.statistics import Floats, quantile
from sloctl.canary.analysis.verdict import Decision, Finding
from sloctl.canary.analysis.wording import percent
from sloctl.model.canary import SloCheck
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import Latency, Unit

TAILS: Final = (0.002, 0.2)
"""Bounds are judged whose tail holds such a share of the baseline's requests."""
FINE: Final = 1.15
"""Buckets are fine enough when the bound below `bound / (1 + worse_by)` is at most so much lower."""
COARSE_REQUESTS: Final = 1000
"""With coarser buckets, requests of the canary below which nothing is rolled back."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A bound, and the one below it that the baseline is held to."""

    bound: float
    baseline: float


@dataclass(frozen=True, slots=True)
class CommonHistogram:
    """The finite bounds of a histogram in rising order, and each arm's observations."""

    bounds: tuple[float, ...]
    counts: CheckCounts

    def at(self, arm: ArmCounts, bound: float) -> Events:
        """Observations above a bound, and all."""
        total, below = tail_events(arm, BUCKET, bound, None)
        return Events(total - below, total)

    def quantiles(self, arm: ArmCounts, q: float) -> Floats:
        """The quantile of everything observed so far, at each look."""
        paths = [tail_events(arm, BUCKET, bound, None)[1].low[1:] for bound in (*self.bounds, math.inf)]
        return quantile(q, np.array([*self.bounds, math.inf]), np.stack(paths, axis=-1))

    def history(self, bound: float) -> BaselineHistory:
        """The baseline's history above a bound."""
        return history_of(self.counts.history, lambda half: self.at(half, bound))

    def pairs(self, slower: float) -> tuple[list[Pair], bool]:
        """The bounds to judge, and whether the buckets are fine enough to hold the tolerance strictly."""
        strict = [Pair(bound, below) for bound in self.bounds if (below := self._below(bound / slower)) is not None]
        judged = [pair for pair in strict if TAILS[0] <= self._tail(pair.baseline) <= TAILS[1]]
        if judged and all(pair.bound / slower <= pair.baseline * FINE for pair in judged):
            return judged, True
        return [Pair(bound, bound) for bound in self.bounds if TAILS[0] <= self._tail(bound) <= TAILS[1]], False

    def _below(self, value: float) -> float | None:
        fitting = [bound for bound in self.bounds if 0 < bound <= value * (1 + 1e-9)]
        return max(fitting, default=None)

    def _tail(self, bound: float) -> float:
        """The share of the baseline's requests above a bound: of its history, or else of this analysis."""
        rate = float(self.history(bound).rate)
        if math.isfinite(rate):
            return rate
        arm = self.at(self.counts.baseline, bound)
        return float(arm.bad.low[-1] / arm.total.low[-1]) if arm.total.low[-1] > 0 else 0.0


def histogram(counts: CheckCounts) -> CommonHistogram:
    """The histogram that both arms have in common."""
    canary, baseline = (arm.bounds(BUCKET) for arm in (counts.canary, counts.baseline))
    common = canary & (baseline or canary)
    return CommonHistogram(tuple(sorted(bound for bound in common if math.isfinite(bound))), counts)


@dataclass(frozen=True, slots=True)
class Looks:
    """Both arms' quantiles at each look, in the histogram's unit, and from which look on they may roll back."""

    canary: Floats
    baseline: Floats
    enough: NDArray[np.bool_]

    def slower_than(self, ratio: float) -> NDArray[np.bool_]:
        """Where the canary's quantile is more than `ratio` times the baseline's."""
        with np.errstate(invalid="ignore"):
            worse: NDArray[np.bool_] = self.canary > ratio * self.baseline
        return worse & self.enough

    @property
    def last(self) -> tuple[float, float]:
        """Both quantiles of everything, NaN without observations."""
        return (float(self.canary[-1]), float(self.baseline[-1])) if len(self.canary) else (math.nan, math.nan)


def judge_quantile(check: SloCheck, slo: Slo, counts: CheckCounts, question: Question) -> Finding:
    """What a check with `quantile` says, once samples of the canary are there."""
    assert isinstance(slo.indicator, Latency)
    found = histogram(counts)
    evidence, looks = compared(check, slo, found, question)
    if not evidence.is_harmed:
        return _not_slower(check, evidence, found, looks, question)
    finding = harmed_finding(check, evidence, question, counts.canary.processes)
    if looks.last[0] > _compares(check)[1] * looks.last[1]:
        finding = replace(finding, sentence=_comparison(check, slo.indicator, looks))
    return replace(finding, quantiles=looks.last)


def _compares(check: SloCheck) -> tuple[float, float]:
    """Which quantile, and how many times the baseline's it may be."""
    assert check.quantile is not None
    assert check.worse_by is not None
    return float(check.quantile), 1 + float(check.worse_by)


def compared(check: SloCheck, slo: Slo, found: CommonHistogram, question: Question) -> tuple[GroupEvidence, Looks]:
    """The evidence that the canary's quantile is too much above the baseline's, and both at each look."""
    q, slower = _compares(check)
    pairs, fine = found.pairs(slower)
    if not fine:
        question.warnings.append(_coarse(check))
    looks = _looks(found, q, fine=fine)
    return _evidence(check, slo, found, pairs, looks.slower_than(slower), question), looks


def _looks(found: CommonHistogram, q: float, *, fine: bool) -> Looks:
    canary, baseline = found.counts.canary, found.counts.baseline
    requests = tail_events(canary, BUCKET, math.inf, None)[0].low[1:]
    least = 2 / (1 - q) if fine else COARSE_REQUESTS
    return Looks(found.quantiles(canary, q), found.quantiles(baseline, q), requests >= least)


def _evidence(
    check: SloCheck,
    slo: Slo,
    found: CommonHistogram,
    pairs: list[Pair],
    slower: NDArray[np.bool_],
    question: Question,
) -> GroupEvidence:
    """Evidence against the baseline, the mean over the bounds; and of the error ratio, where it has a limit."""
    counts, limits, grid = found.counts, question.limits(check), question.clock.grid_seconds
    canary, baseline = (events(arm, slo.indicator) for arm in (counts.canary, counts.baseline))
    history = history_of(counts.history, lambda half: events(half, slo.indicator))
    tails = [
        (found.at(counts.canary, pair.bound), found.at(counts.baseline, pair.baseline), found.history(pair.baseline))
        for pair in pairs
    ]

    def reading(read: GapReading, until: int | None) -> Harm:
        arms, histories = stacked([read(canary, baseline)], until), stacked_histories([history])
        own = harm(arms, replace(limits, margin=None), histories, grid)
        if not tails:
            return _combined(own, None, slower[:until], limits)
        arms, histories = stacked([read(c, b) for c, b, _ in tails], until), stacked_histories([h for _, _, h in tails])
        each = harm(arms, replace(limits, error_rate=None, margin=1.0), histories, grid)
        return _combined(own, each, slower[:until], limits)

    read = [canary, baseline, *(arm for c, b, _ in tails for arm in (c, b))]
    lenient, strict = readings(reading, complete_until(counts), read)
    return GroupEvidence(RequestGroup((), canary, baseline, history), limits, lenient, strict)


def _combined(own: Harm, tails: Harm | None, slower: NDArray[np.bool_], limits: Limits) -> Harm:
    """One group's harm from its error ratio and its tails, with a look before the first one."""
    start = np.zeros(1, dtype=bool)
    relative = np.zeros(len(slower))
    degraded = own.degraded[0]
    if tails is not None and tails.relative is not None:
        highest = tails.relative.max(axis=0)
        relative = highest + np.log(np.exp(tails.relative - highest).mean(axis=0))
        degraded = tails.degraded.all(axis=0)
    worse = np.logical_or.accumulate((relative > limits.threshold) & slower)
    over = own.rolls_back[0] if limits.error_rate is not None else np.zeros_like(worse)
    broken = worse & over if limits.both else worse | over
    absolute = None if own.absolute is None else np.append(0.0, own.absolute[0])
    flags = (np.concatenate([start, flag]) for flag in (degraded, own.shared[0], broken))
    return Harm(np.append(0.0, relative), absolute, *flags)


def _not_slower(
    check: SloCheck, evidence: GroupEvidence, found: CommonHistogram, looks: Looks, question: Question
) -> Finding:
    """Promote when the quantile is shown to lie below the next bound above the tolerance, or why not yet."""
    q, slower = _compares(check)
    reach = slower * looks.last[1]
    bound = min((edge for edge in found.bounds if edge >= reach), default=None)
    if bound is None:
        text = f"no bucket lies above {reach:.4g}, the slowest that is allowed"
        return Finding(check.name, sentence=text, quantiles=looks.last)
    counts, alone = found.counts, replace(evidence.limits, margin=None)
    tail = RequestGroup((), found.at(counts.canary, bound), found.at(counts.baseline, bound), found.history(bound))
    total = replace(evidence, group=tail, limits=replace(alone, error_rate=1 - q))
    finding = healthy_finding(check, total, [total], question)
    if alone.error_rate is not None and finding.decision is Decision.PROMOTE:
        finding = healthy_finding(check, replace(evidence, limits=alone), [], question)
    said = _comparison(check, None, looks) if finding.decision is Decision.PROMOTE else finding.sentence
    return replace(finding, sentence=said, quantiles=looks.last)


def _comparison(check: SloCheck, indicator: Latency | None, looks: Looks) -> str:
    unit = "" if indicator is None or indicator.unit is Unit.NONE else f" {indicator.unit.value}"
    canary, baseline = looks.last
    change = canary / baseline - 1 if baseline > 0 else math.inf
    more = f"{percent(abs(change)) if math.isfinite(change) else 'much'} {'more' if change >= 0 else 'less'}"
    return f"p{_compares(check)[0] * 100:g} is {canary:.4g}{unit}, the baseline's {baseline:.4g}{unit} ({more})"


def _coarse(check: SloCheck) -> str:
    assert check.worse_by is not None
    return (
        f"{check.name}: the buckets are wider than {percent(float(check.worse_by))}: an unchanged canary is safe, "
        "but one that is slower by less may be rolled back, and one that is slower by more may be missed"
    )
