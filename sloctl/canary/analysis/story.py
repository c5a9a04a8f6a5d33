"""How the evidence of a check came about, look by look: what a picture of a verdict shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sloctl.canary.analysis.counts import CheckCounts
from sloctl.canary.analysis.evidence import CountsOfBoth, blamed
from sloctl.canary.analysis.question import Question
from sloctl.canary.analysis.ratios import GroupEvidence, evidence_of
from sloctl.canary.analysis.samples import as_counted
from sloctl.canary.analysis.statistics import Floats, difference_interval
from sloctl.model.canary import SloCheck
from sloctl.model.indicator import JudgeableIndicator


@dataclass(frozen=True, slots=True)
class Story:
    """One check, at each look; the first is the beginning, at which nothing is known.

    Attributes:
        check: its name, with the value of `by` that decided.
        times: Unix seconds.
        difference: the canary's error ratio so far less the baseline's; NaN while one of them has no requests.
        interval: the lowest and the highest that it may be, 99 % for all looks together.
        evidence: of harm, as a logarithm.
        threshold: evidence that rolls back, as a logarithm.
        masked: looks whose interval says nothing, as the baseline fails as well.
        crossed: index of the look that showed harm first; None for none.
    """

    check: str
    times: Floats
    difference: Floats
    interval: tuple[Floats, Floats]
    evidence: Floats
    threshold: float
    masked: NDArray[np.bool_]
    crossed: int | None


def stories(counts: Mapping[str, CheckCounts], question: Question) -> Iterator[Story]:
    """The story of each check that compares error ratios."""
    for check in question.canary.checks:
        if not isinstance(check, SloCheck) or check.quantile is not None or question.clock.look < 1:
            continue
        slo, found = question.slos[check.slo], counts.get(check.name)
        if found is None or found.canary.is_empty or not isinstance(slo.indicator, JudgeableIndicator):
            continue
        everyone = evidence_of(check, slo, found, question)
        yield _story(check, max(everyone, key=lambda group: group.evidence - group.limits.threshold), question)


def _story(check: SloCheck, group: GroupEvidence, question: Question) -> Story:
    clock, arms = question.clock, as_counted(group.group.canary, group.group.baseline)
    paths = [path for path in (group.lenient.relative, group.lenient.absolute) if path is not None]
    evidence = np.max(paths, axis=0)
    looks = len(evidence)
    difference, low, high = (np.append(np.nan, each)[:looks] for each in _difference(arms, group, check))
    masked = np.append(False, _masked(arms, group, clock.grid_seconds))[:looks]
    crossed = int(np.argmax(group.lenient.rolls_back)) if group.is_harmed else None
    name = f"{check.name} {group.where(check)}" if group.group.value else check.name
    times: Floats = clock.start + clock.grid_seconds * np.arange(looks, dtype=np.float64)
    return Story(name, times, difference, (low, high), evidence, group.limits.threshold, masked, crossed)


def _difference(arms: CountsOfBoth, group: GroupEvidence, check: SloCheck) -> tuple[Floats, Floats, Floats]:
    sums = [np.cumsum(side) for arm in (arms.canary, arms.baseline) for side in (arm.x, arm.n)]
    phi = np.nan_to_num(float(group.group.history.phi), nan=1.0)
    scale = 0.01 if check.error_rate is None else float(check.error_rate)
    return difference_interval(*sums, phi=float(phi), scale=scale)


def _masked(arms: CountsOfBoth, group: GroupEvidence, grid_seconds: float) -> NDArray[np.bool_]:
    masked: NDArray[np.bool_] = group.lenient.degraded[1:]
    if group.limits.error_rate is not None:
        masked = masked | blamed(arms.baseline, group.limits.error_rate, grid_seconds)[: len(masked)]
    return masked
