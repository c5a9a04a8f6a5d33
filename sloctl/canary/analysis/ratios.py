"""Judging an error ratio: against the baseline and an absolute limit, as a whole and for each label value."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sloctl.canary.analysis.evidence import Arms, Counts, Harm, Limits, Usual, harm, health
from sloctl.canary.analysis.question import CheckSamples, Keep, Question, events, keeping, usual
from sloctl.canary.analysis.samples import (
    Events,
    Samples,
    Value,
    against_the_canary,
    as_counted,
    for_the_canary,
    pooled,
)
from sloctl.canary.analysis.statistics import Floats, divergence, wilson
from sloctl.canary.analysis.verdict import Clock, Decision, Finding, Reason, Tally
from sloctl.model.canary import SloCheck
from sloctl.model.catalogue import Slo

Reading: TypeAlias = Callable[[Events, Events], Arms]
OTHER: Final = "_other"
_LARGEST: Final = 700.0
"""exp of more is no finite number."""


@dataclass(frozen=True, slots=True)
class Group:
    """Requests that are judged together: all of them, or those of one value of the check's `by` labels."""

    value: Value
    canary: Events
    baseline: Events
    usual: Usual


@dataclass(frozen=True, slots=True)
class Judged:
    """A group with its limits and the evidence in both readings of what is missing."""

    group: Group
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
    def evidence(self) -> float:
        """The strongest evidence of harm so far, as a logarithm, relative to the threshold."""
        paths = [path for path in (self.lenient.relative, self.lenient.absolute) if path is not None]
        return max(float(path.max()) for path in paths) if paths else 0.0


def judge_ratio(check: SloCheck, slo: Slo, samples: CheckSamples, question: Question) -> Finding:
    """What the error ratio of a check says, once samples of the canary are there."""
    grid = question.clock.grid_seconds
    whole = _group((), slo, samples, None)
    values = _groups(check, slo, samples) if check.by else []
    until = complete_until(samples)
    parts = 2 if values else 1
    total = _judged([whole], question.limits(check, parts), until, grid)[0]
    single = _judged(values, question.limits(check, parts * max(1, len(values))), until, grid)
    everyone = [total, *single]
    if harmed := [one for one in everyone if one.is_harmed]:
        return harmed_finding(check, max(harmed, key=lambda one: one.evidence - one.limits.threshold))
    return healthy_finding(check, total, everyone, question)


def complete_until(samples: CheckSamples) -> int:
    """How many intervals are complete in both arms."""
    return min(samples.canary.complete_until(), samples.baseline.complete_until())


def _group(value: Value, slo: Slo, samples: CheckSamples, keep: Keep | None) -> Group:
    def count(arm: Samples) -> Events:
        return events(arm, slo.indicator, keep)

    return Group(value, count(samples.canary), count(samples.baseline), usual(samples.history, count))


def _groups(check: SloCheck, slo: Slo, samples: CheckSamples) -> list[Group]:
    """A group a value; at most `max_series`, the values with the fewest requests are one group."""
    seen = sorted({*samples.canary.values(check.by), *samples.baseline.values(check.by)})
    if len(seen) <= slo.max_series:
        return [_group(value, slo, samples, keeping(check.by, value)) for value in seen]
    requests = [(value, _requests(samples.baseline, slo, keeping(check.by, value))) for value in seen]
    kept = pooled(requests, slo.max_series)
    rest = set(seen) - set(kept)
    groups = [_group(value, slo, samples, keeping(check.by, value)) for value in kept]
    others = _group(
        tuple(OTHER for _ in check.by),
        slo,
        samples,
        lambda series: tuple(series.labels.get(label, "") for label in check.by) in rest,
    )
    return [*groups, others]


def _requests(arm: Samples, slo: Slo, keep: Keep) -> float:
    return float(events(arm, slo.indicator, keep).total.low[-1])


def _judged(groups: Sequence[Group], limits: Limits, until: int, grid: float) -> list[Judged]:
    """All groups at once: the first axis of every array is the group."""
    if not groups:
        return []
    known = together([group.usual for group in groups])

    def reading(read: Reading, until: int | None) -> Harm:
        return harm(stacked([read(group.canary, group.baseline) for group in groups], until), limits, known, grid)

    lenient, strict = readings(reading, until, [arm for group in groups for arm in (group.canary, group.baseline)])
    return [Judged(group, limits, _row(lenient, i), _row(strict, i)) for i, group in enumerate(groups)]


def readings(reading: Callable[[Reading, int | None], Harm], until: int, read: Iterable[Events]) -> tuple[Harm, Harm]:
    """The harm in the first `until` intervals as the canary's best reading has it, and in all as its worst.

    Args:
        read: what is read; where nothing of it is uncertain, both are the same and computed once.
    """
    lenient = reading(for_the_canary, until)
    if all(one.is_certain and until >= len(one.total.late) for one in read):
        return lenient, lenient
    return lenient, reading(against_the_canary, None)


def stacked(arms: Sequence[Arms], until: int | None = None) -> Arms:
    """Arms of several groups as one, a row each, of the first `until` intervals."""

    def rows(arm: str, side: str) -> Floats:
        return np.stack([getattr(getattr(one, arm), side)[:until] for one in arms])

    return Arms(Counts(rows("canary", "x"), rows("canary", "n")), Counts(rows("baseline", "x"), rows("baseline", "n")))


def together(known: Sequence[Usual]) -> Usual:
    """The histories of several groups as one, a row each."""
    rates = None if any(one.rate is None for one in known) else np.array([one.rate for one in known], dtype=float)
    return Usual(rates, np.array([one.phi for one in known]), np.array([one.cv2 for one in known]))


def _row(found: Harm, index: int) -> Harm:
    """One group's evidence, with a look before the first one, at which nothing is known."""

    def path(paths: Floats | None) -> Floats | None:
        return None if paths is None else np.append(0.0, paths[index])

    def flags(every: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.concatenate([np.zeros(1, dtype=bool), every[index]])

    return Harm(
        path(found.relative), path(found.absolute), flags(found.degraded), flags(found.shared), flags(found.rolls_back)
    )


def harmed_finding(check: SloCheck, judged: Judged) -> Finding:
    """The finding of a group whose limits are broken."""
    numbers = _numbers(check, judged)
    rate = numbers.canary.rate if numbers.canary else None
    where = f" on {_words(numbers.series)}" if numbers.series else ""
    text = f"{percent(rate)} of {number(numbers.canary)} requests failed{where}, {_compared(numbers.baseline)}"
    broken = " and ".join(_broken(check, judged))
    return with_(numbers, Decision.ROLLBACK, Reason.HARM, f"{text}: {broken}")


def _broken(check: SloCheck, judged: Judged) -> list[str]:
    found = []
    lenient, threshold = judged.lenient, judged.limits.threshold
    if lenient.relative is not None and lenient.relative.max() > threshold:
        allowed = "" if not check.worse_by else f" by more than {percent(float(check.worse_by))}"
        found.append(f"worse than the baseline{allowed}")
    if lenient.absolute is not None and lenient.absolute.max() > threshold and check.error_rate is not None:
        found.append(f"above {percent(float(check.error_rate))}")
    return found


def healthy_finding(check: SloCheck, total: Judged, everyone: Sequence[Judged], question: Question) -> Finding:
    """The finding of a check that is not harmed: promote, or why not yet."""
    group, limits = total.group, total.limits
    arms = against_the_canary(group.canary, group.baseline)
    shown = float(health(arms, limits, group.usual, question.clock.grid_seconds)[-1]) if arms.canary.n.size else 0.0
    numbers = _numbers(check, total, shown)
    if any(one.strict.shared[-1] or one.strict.degraded[-1] for one in everyone):
        text = "the baseline fails far more than usual or than allowed, too; nothing can be concluded"
        return with_(numbers, Decision.CONTINUE, Reason.SHARED_DEGRADATION, text)
    if any(one.may_be_harmed for one in everyone):
        text = "missing scrapes leave open whether the canary is harmed"
        return with_(numbers, Decision.CONTINUE, Reason.STALE_DATA, text)
    if shown <= limits.promote_threshold:
        return insufficient(numbers, total, question)
    text = f"{percent(numbers.canary.rate if numbers.canary else None)} of {number(numbers.canary)} requests failed"
    return with_(numbers, Decision.PROMOTE, Reason.HEALTHY, f"{text}, {_compared(numbers.baseline)}")


def insufficient(numbers: Finding, total: Judged, question: Question) -> Finding:
    """Not enough requests yet, with how many are needed at the present error ratios and when they are there."""
    assert numbers.canary is not None
    seen = numbers.canary.n
    needed = _needed(total, numbers)
    if needed is None:
        text = f"{percent(numbers.canary.rate)} of {number(numbers.canary)} requests failed: too close to the limit"
        return with_(numbers, Decision.CONTINUE, Reason.INSUFFICIENT_EVIDENCE, text)
    needed = max(needed, math.ceil(seen) + 1)
    spent = question.clock.end - question.clock.start
    eta = math.ceil((needed - seen) * spent / seen) if seen > 0 and spent > 0 else None
    advice = "" if _in_time(eta, question.clock) else "; a larger weight or a longer step would help"
    text = f"needs about {grouped(needed)} requests, has {grouped(seen)}{advice}"
    return with_(numbers, Decision.CONTINUE, Reason.INSUFFICIENT_EVIDENCE, text, needed, eta)


def _in_time(eta: int | None, clock: Clock) -> bool:
    return eta is not None and (clock.deadline is None or clock.end + eta <= clock.deadline)


def _needed(total: Judged, numbers: Finding) -> int | None:
    """Requests until health can be shown: ln(1/alpha) over the information of one, times the dispersion."""
    limits, threshold = total.limits, total.limits.promote_threshold
    assert numbers.canary is not None
    likely = numbers.baseline.rate if numbers.baseline and numbers.baseline.rate is not None else None
    own = (numbers.canary.x + 0.5) / (numbers.canary.n + 1)
    if limits.error_rate is not None:
        rate = likely if likely is not None and likely < limits.error_rate and numbers.canary.x < 3 else own
        if rate >= limits.error_rate:
            return None
        gained = divergence(rate, limits.error_rate)
        return math.ceil(float(total.group.usual.phi) * threshold / gained) if gained > 0 else None
    if numbers.e_promote is None or numbers.e_promote <= 1 or numbers.canary.n <= 0:
        return None
    return math.ceil(numbers.canary.n * threshold / math.log(numbers.e_promote))


def _numbers(check: SloCheck, judged: Judged, shown: float | None = None) -> Finding:
    arms = as_counted(judged.group.canary, judged.group.baseline)
    canary, baseline = tally(arms.canary), tally(arms.baseline)
    return Finding(
        check=check.name,
        decision=Decision.CONTINUE,
        reason=Reason.INSUFFICIENT_EVIDENCE,
        sentence="",
        series=dict(zip(check.by, judged.group.value, strict=True)) if judged.group.value else None,
        canary=canary,
        baseline=baseline,
        e_rollback=evidence(judged.evidence),
        e_promote=None if shown is None else evidence(shown),
        threshold=evidence(judged.limits.threshold),
        promote_threshold=evidence(judged.limits.promote_threshold),
        interval=wilson(canary.x, canary.n),
        phi=float(judged.group.usual.phi),
    )


def with_(
    numbers: Finding,
    decision: Decision,
    reason: Reason,
    sentence: str,
    needed: int | None = None,
    eta: int | None = None,
) -> Finding:
    return replace(numbers, decision=decision, reason=reason, sentence=sentence, needs_requests=needed, eta_seconds=eta)


def tally(counts: Counts) -> Tally:
    """Requests and errors of all intervals."""
    errors, requests = counts.totals
    return Tally(requests, errors)


def evidence(logarithm: float) -> float:
    """Evidence as a finite number."""
    return math.exp(min(logarithm, _LARGEST))


def percent(ratio: float | None) -> str:
    """A measured ratio for people: three digits that count."""
    return "none" if ratio is None else f"{ratio * 100:.3g}%"


def number(tally_: Tally | None) -> str:
    """Requests for people."""
    return grouped(tally_.n if tally_ else 0)


def grouped(count: float) -> str:
    """A count for people: `6 010`."""
    return f"{count:,.0f}".replace(",", " ")


def _compared(baseline: Tally | None) -> str:
    if baseline is None or baseline.rate is None:
        return "and there is no baseline"
    return f"{percent(baseline.rate)} of the baseline's"


def _words(series: dict[str, str] | None) -> str:
    return ", ".join(f"{label}={value}" for label, value in (series or {}).items())
