"""Judging an error ratio: against the baseline and an absolute limit, as a whole and for each label value."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sloctl.canary.analysis.counts import ArmCounts, CheckCounts, Keep
from sloctl.canary.analysis.evidence import (
    BaselineHistory,
    CountsOfBoth,
    Harm,
    IntervalCounts,
    Limits,
    Strata,
    harm,
    health,
    health_phi,
    relapsed,
)
from sloctl.canary.analysis.question import Question, events, history_of
from sloctl.canary.analysis.samples import (
    Events,
    LabelValues,
    against_the_canary,
    as_counted,
    for_the_canary,
    pooled,
)
from sloctl.canary.analysis.statistics import Floats, divergence
from sloctl.canary.analysis.verdict import Decision, Finding, Reason, RolloutClock, Tally
from sloctl.canary.analysis.wording import against, grouped, percent, requests_failed
from sloctl.model.canary import SloCheck
from sloctl.model.catalogue import Slo

GapReading: TypeAlias = Callable[[Events, Events], CountsOfBoth]
OTHER: Final = "_other"
SUSPECT: Final = 2.0
"""One of k values of `by` with evidence of harm of so many times k holds a promotion."""
NOTICED: Final = 0.03
"""An error ratio on one value of `by` that somebody would notice."""


@dataclass(frozen=True, slots=True)
class RequestGroup:
    """Requests that are judged together: all of them, or those of one value of the check's `by` labels."""

    value: LabelValues
    canary: Events
    baseline: Events
    history: BaselineHistory
    strata: GroupStrata | None = None


@dataclass(frozen=True, slots=True)
class GroupStrata:
    """Parts of a group within which the versions are compared, and what history shows within them."""

    groups: tuple[RequestGroup, ...]
    history: BaselineHistory

    def read(self, read: GapReading, until: int | None = None) -> Strata:
        """Their counts in one reading of what is missing, a row as of the only group."""
        parts = tuple(stacked([read(group.canary, group.baseline)], until) for group in self.groups)
        return Strata(parts, stacked_histories([self.history]))


@dataclass(frozen=True, slots=True)
class GroupEvidence:
    """A group with its limits and the evidence in both readings of what is missing."""

    group: RequestGroup
    limits: Limits
    lenient: Harm
    strict: Harm

    @property
    def is_harmed(self) -> bool:
        """Whether the limits are broken however the gaps are filled."""
        return bool(self.lenient.rolls_back[-1])

    @property
    def may_be_harmed(self) -> bool:
        """Whether the limits are broken for some filling of the gaps."""
        return bool(self.strict.rolls_back[-1])

    @property
    def is_shared(self) -> bool:
        """Whether the baseline breaks the absolute limit as well, or is far worse than its history."""
        return bool(self.strict.shared[-1] or self.strict.degraded[-1])

    @property
    def evidence(self) -> float:
        """The strongest evidence of harm so far, as a logarithm."""
        paths = [path for path in (self.lenient.relative, self.lenient.absolute) if path is not None]
        return max(float(path.max()) for path in paths) if paths else 0.0

    @property
    def evidence_now(self) -> float:
        """The evidence of harm at the end, as a logarithm."""
        paths = [path for path in (self.lenient.relative, self.lenient.absolute) if path is not None]
        return max((float(path[-1]) for path in paths), default=0.0)

    def where(self, check: SloCheck) -> str:
        """Which value it is about: `route=/pay`."""
        return ", ".join(f"{label}={part}" for label, part in zip(check.by, self.group.value, strict=True))

    def finding(self, check: SloCheck, shown: float | None = None) -> Finding:
        """Its numbers, with the evidence of health where there is one; nothing is decided yet."""
        arms, value = as_counted(self.group.canary, self.group.baseline), self.group.value
        finding = Finding.counted(
            check.name,
            arms.canary,
            arms.baseline,
            harm=self.evidence,
            health=shown,
            threshold=self.limits.threshold,
            promote_threshold=self.limits.promote_threshold,
        )
        series = dict(zip(check.by, value, strict=True)) if value else None
        return replace(finding, series=series, phi=float(self.group.history.phi))


def judge_ratio(check: SloCheck, slo: Slo, counts: CheckCounts, question: Question) -> Finding:
    """What the error ratio of a check says, once samples of the canary are there."""
    everyone = evidence_of(check, slo, counts, question)
    if harmed := [group for group in everyone if group.is_harmed]:
        worst = max(harmed, key=lambda group: group.evidence - group.limits.threshold)
        return harmed_finding(check, worst, question, counts.canary.processes)
    return healthy_finding(check, everyone[0], everyone, question)


def evidence_of(check: SloCheck, slo: Slo, counts: CheckCounts, question: Question) -> list[GroupEvidence]:
    """The evidence on all requests, and then on those of each value of `by`."""
    grid = question.clock.grid_seconds
    whole = _group((), slo, counts, None)
    values = _groups(check, slo, counts) if check.by else []
    until = complete_until(counts)
    parts = 2 if values else 1
    if check.within:
        whole = replace(whole, strata=_strata(check, slo, counts, whole.history))
    total = _evidence([whole], question.limits(check, parts), until, grid)
    return total + _evidence(values, question.limits(check, parts * max(1, len(values))), until, grid)


def complete_until(counts: CheckCounts) -> int:
    """How many intervals are complete in both arms."""
    return min(counts.canary.complete_until, counts.baseline.complete_until)


def _group(value: LabelValues, slo: Slo, counts: CheckCounts, keep: Keep | None) -> RequestGroup:
    def count(arm: ArmCounts) -> Events:
        return events(arm, slo.indicator, keep)

    return RequestGroup(value, count(counts.canary), count(counts.baseline), history_of(counts.history, count))


def _groups(check: SloCheck, slo: Slo, counts: CheckCounts) -> list[RequestGroup]:
    """One group per value; at most `max_series`, the values with the fewest requests are one group."""
    first = len(check.by)
    seen = sorted({*counts.canary.values(first), *counts.baseline.values(first)})
    keeping = _keeping(counts, 0, first)
    kept = seen
    if len(seen) > slo.max_series:
        requests = ((value, events(counts.baseline, slo.indicator, keeping[value])) for value in seen)
        kept = pooled(((value, float(counted.total.low[-1])) for value, counted in requests), slo.max_series)
    groups = [_group(value, slo, counts, keeping[value]) for value in kept]
    if rest := set(seen) - set(kept):
        keep = set().union(*(keeping[value] for value in rest))
        groups.append(_group(tuple(OTHER for _ in check.by), slo, counts, keep))
    return groups


def _keeping(counts: CheckCounts, first: int, last: int | None) -> dict[LabelValues, set[LabelValues]]:
    """For each value of some of the labels, the values of all of them that have it."""
    found: dict[LabelValues, set[LabelValues]] = {}
    history = counts.history.halves if counts.history is not None else ()
    for value in set().union(*(arm.every_value for arm in (counts.canary, counts.baseline, *history))):
        found.setdefault(value[first:last], set()).add(value)
    return found


def _strata(check: SloCheck, slo: Slo, counts: CheckCounts, history: BaselineHistory) -> GroupStrata:
    """The requests of each value within which the versions are compared; at most `max_series`, others are pooled."""
    keeping = _keeping(counts, len(check.by), None)
    requests = ((value, events(counts.baseline, slo.indicator, keep)) for value, keep in keeping.items())
    kept = pooled(((value, float(counted.total.low[-1])) for value, counted in requests), slo.max_series)
    keeps = [keeping.pop(value) for value in kept]
    if keeping:
        keeps.append(set().union(*keeping.values()))
    if counts.history is not None and math.isfinite(float(history.phi)):
        left, right = counts.history.halves
        pairs = [tuple(events(half, slo.indicator, keep) for half in (left, right)) for keep in keeps]
        history = history.within([(a.bad.late, a.total.late, b.bad.late, b.total.late) for a, b in pairs])
    return GroupStrata(tuple(_group((), slo, counts, keep) for keep in keeps), history)


def _evidence(groups: Sequence[RequestGroup], limits: Limits, until: int, grid: float) -> list[GroupEvidence]:
    """All groups at once: the first axis of every array is the group."""
    if not groups:
        return []
    histories = stacked_histories([group.history for group in groups])

    strata = groups[0].strata

    def reading(read: GapReading, until: int | None) -> Harm:
        arms = stacked([read(group.canary, group.baseline) for group in groups], until)
        return harm(arms, limits, histories, grid, None if strata is None else strata.read(read, until))

    read = [*groups, *(() if strata is None else strata.groups)]
    lenient, strict = readings(reading, until, [arm for group in read for arm in (group.canary, group.baseline)])
    return [GroupEvidence(group, limits, _row(lenient, i), _row(strict, i)) for i, group in enumerate(groups)]


def readings(
    reading: Callable[[GapReading, int | None], Harm], until: int, read: Iterable[Events]
) -> tuple[Harm, Harm]:
    """The harm in the first `until` intervals as the canary's best reading has it, and in all as its worst.

    Args:
        read: what is read; where nothing of it is uncertain, both are the same and computed once.
    """
    lenient = reading(for_the_canary, until)
    if all(counted.is_certain and until >= len(counted.total.late) for counted in read):
        return lenient, lenient
    return lenient, reading(against_the_canary, None)


def stacked(groups: Sequence[CountsOfBoth], until: int | None = None) -> CountsOfBoth:
    """Counts of several groups as one, a row each, of the first `until` intervals."""

    def rows(arms: Iterable[IntervalCounts]) -> IntervalCounts:
        x, n = zip(*((arm.x[:until], arm.n[:until]) for arm in arms), strict=True)
        return IntervalCounts(np.stack(x), np.stack(n))

    return CountsOfBoth(rows(both.canary for both in groups), rows(both.baseline for both in groups))


def stacked_histories(histories: Sequence[BaselineHistory]) -> BaselineHistory:
    """The histories of several groups as one, a row each."""
    columns = zip(*((each.rate, each.phi, each.cv2, each.requests) for each in histories), strict=True)
    return BaselineHistory(*(np.array(column, dtype=float) for column in columns))


def _row(found: Harm, index: int) -> Harm:
    """One group's evidence, with a look before the first one, at which nothing is known."""

    def path(paths: Floats | None) -> Floats | None:
        return None if paths is None else np.append(0.0, paths[index])

    def flags(every: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.concatenate([np.zeros(1, dtype=bool), every[index]])

    return Harm(
        path(found.relative), path(found.absolute), flags(found.degraded), flags(found.shared), flags(found.rolls_back)
    )


def harmed_finding(check: SloCheck, group: GroupEvidence, question: Question, processes: int) -> Finding:
    """The finding of a group whose limits are broken.

    Args:
        processes: of the canary.
    """
    finding = group.finding(check)
    where = group.where(check) if group.group.value else ""
    text = f"{_failed(finding, f' on {where}' if where else '')}: {' and '.join(_broken(check, group))}"
    if processes == 1:
        question.warnings.append(f"{check.name}: all of it is one pod, whose node may be to blame; two would tell")
    first = int(np.argmax(group.lenient.rolls_back))
    finding = replace(finding, crossed_at=question.clock.start + first * question.clock.grid_seconds)
    return finding.saying(Decision.ROLLBACK, Reason.HARM, text)


def _failed(finding: Finding, where: str = "") -> str:
    """Both arms' error ratios."""
    assert finding.canary is not None
    assert finding.baseline is not None
    return f"{requests_failed(finding.canary)}{where}, {against(finding.baseline)}"


def _broken(check: SloCheck, group: GroupEvidence) -> list[str]:
    found = []
    lenient, threshold = group.lenient, group.limits.threshold
    if lenient.relative is not None and lenient.relative.max() > threshold:
        allowed = "" if not check.worse_by else f" by more than {percent(float(check.worse_by))}"
        found.append(f"worse than the baseline{allowed}")
    if lenient.absolute is not None and lenient.absolute.max() > threshold and check.error_rate is not None:
        found.append(f"above {percent(float(check.error_rate))}")
    return found


def healthy_finding(
    check: SloCheck, total: GroupEvidence, everyone: Sequence[GroupEvidence], question: Question
) -> Finding:
    """The finding of a check that is not harmed: promote, or why not yet."""
    group, limits = total.group, total.limits
    arms, grid = against_the_canary(group.canary, group.baseline), question.clock.grid_seconds
    shown = _shown(group, arms, limits, grid)
    finding = total.finding(check, shown)
    if any(each.is_shared for each in everyone):
        text = "the baseline fails far more than usual or than allowed, too; nothing can be concluded"
        return finding.saying(Decision.CONTINUE, Reason.SHARED_DEGRADATION, text)
    if any(each.may_be_harmed for each in everyone):
        text = "missing scrapes leave open whether the canary is harmed"
        return finding.saying(Decision.CONTINUE, Reason.STALE_DATA, text)
    if shown <= limits.promote_threshold:
        phi = float(health_phi(arms, limits, group.history, grid).max()) if arms.canary.n.size else 1.0
        return _insufficient(finding, limits, phi, question.clock)
    if relapsed(arms, limits, grid):
        text = f"{_failed(finding)}, but the last minute alone is above the limit"
        return finding.saying(Decision.CONTINUE, Reason.INSUFFICIENT_EVIDENCE, text)
    single = [each for each in everyone if each.group.value]
    if (suspect := _suspect(single)) is not None:
        tally = Tally.of(as_counted(suspect.group.canary, suspect.group.baseline).canary)
        text = f"{_failed(finding)}, but {requests_failed(tally)} on {suspect.where(check)}; more of them will tell"
        return finding.saying(Decision.CONTINUE, Reason.INSUFFICIENT_EVIDENCE, text)
    question.warnings.extend(_unseen(check, single))
    return finding.saying(Decision.PROMOTE, Reason.HEALTHY, _failed(finding))


def _shown(group: RequestGroup, arms: CountsOfBoth, limits: Limits, grid: float) -> float:
    """The evidence of health at the end, as a logarithm."""
    if not arms.canary.n.size:
        return 0.0
    if group.strata is None:
        return float(health(arms, limits, group.history, grid)[-1])
    return float(health(arms, limits, group.history, grid, group.strata.read(against_the_canary))[..., -1].max())


def _suspect(single: Sequence[GroupEvidence]) -> GroupEvidence | None:
    """The value of `by` that speaks most against promotion; of many values one does so by chance now and then."""
    worst = max(single, key=lambda each: each.evidence_now, default=None)
    return worst if worst is not None and worst.evidence_now > math.log(SUSPECT * len(single)) else None


def _unseen(check: SloCheck, single: Sequence[GroupEvidence]) -> Iterator[str]:
    """A warning of the values of `by` that have too few requests to show an error ratio that people would notice."""
    few = []
    for each in single:
        requests = float(each.group.canary.total.low[-1])
        if each.limits.error_rate is not None and requests < _requests_to_see(each):
            few.append((requests, each.where(check)))
    if few:
        requests, where = min(few)
        others = f", nor on {len(few) - 1} others" if len(few) > 1 else ""
        what = f"{percent(NOTICED)} errors there would not be seen{others}"
        yield f"{check.name}: {where} has {grouped(requests)} requests: {what}"


def _requests_to_see(group: GroupEvidence) -> float:
    """So many requests show the ratio that is noticed, on average: as `_needed` of harm."""
    limit, phi = group.limits.error_rate, float(group.group.history.phi)
    assert limit is not None
    noticed = max(NOTICED, 2 * limit)
    return max(1.0, phi if math.isfinite(phi) else 1.0) * group.limits.threshold / divergence(noticed, limit)


def _insufficient(finding: Finding, limits: Limits, phi: float, clock: RolloutClock) -> Finding:
    """Not enough requests yet, with how many are needed at the present error ratios and when they are there."""
    assert finding.canary is not None
    seen, needed = finding.canary.n, _needed(finding, limits, phi)
    if needed is None:
        text = f"{requests_failed(finding.canary)}: too close to the limit to tell how many requests are needed"
        return finding.saying(Decision.CONTINUE, Reason.INSUFFICIENT_EVIDENCE, text)
    spent = clock.end - clock.start
    eta = math.ceil((needed - seen) * spent / seen) if seen > 0 and spent > 0 else None
    in_time = eta is not None and (clock.deadline is None or clock.end + eta <= clock.deadline)
    advice = "" if in_time else "; a larger weight or a longer step would help"
    text = f"needs about {grouped(needed)} requests, has {grouped(seen)}{advice}"
    said = finding.saying(Decision.CONTINUE, Reason.INSUFFICIENT_EVIDENCE, text)
    return replace(said, needs_requests=needed, eta_seconds=eta)


def _needed(finding: Finding, limits: Limits, phi: float) -> int | None:
    """Requests until health can be shown: ln(1/alpha) over the information of one, times the dispersion.

    Where that many are there already, chance has kept the evidence behind: what it has grown by so far says how many;
    None when it has not grown.
    """
    assert finding.canary is not None
    seen, threshold = finding.canary.n, limits.promote_threshold
    if limits.error_rate is not None:
        likely = finding.baseline.rate if finding.baseline is not None else None
        own = (finding.canary.x + 0.5) / (seen + 1)
        rate = likely if likely is not None and likely < limits.error_rate and finding.canary.x < 3 else own
        if rate >= limits.error_rate:
            return None
        needed = math.ceil(phi * threshold / divergence(rate, limits.error_rate))
        if needed > seen:
            return needed
    if finding.e_promote is None or finding.e_promote <= 1 or seen <= 0:
        return None
    needed = math.ceil(seen * threshold / math.log(finding.e_promote))
    return needed if needed > seen else None
