"""What an analysis answers: promote, rollback or continue, why, and with which numbers.

A verdict of promote is made by `conclude` alone, and its class refuses one without complete evidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any, Final

from sloctl.canary.analysis.evidence import IntervalCounts
from sloctl.canary.analysis.statistics import e_value, wilson
from sloctl.model.canary import WhenMissing


class Decision(Enum):
    """What the rollout should do."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    CONTINUE = "continue"


class Reason(Enum):
    """Why; of several reasons to continue the first of this list is given."""

    SOURCE_UNAVAILABLE = "source_unavailable"
    PARTIAL = "partial"
    STALE_DATA = "stale_data"
    NO_DATA = "no_data"
    COUNTER_RESET = "counter_reset"
    NO_BASELINE = "no_baseline"
    SHARED_DEGRADATION = "shared_degradation"
    INSUFFICIENT_EVIDENCE = "insufficient_evidence"
    HOLDING = "holding"
    APPROVAL_PENDING = "approval_pending"
    HARM = "harm"
    MISMATCH = "mismatch"
    DEADLINE = "deadline"
    GROUP = "group"
    HEALTHY = "healthy"


ADVICE: Final = {
    Reason.SOURCE_UNAVAILABLE: "see that Prometheus answers; every look asks it again",
    Reason.PARTIAL: "see why a part of the data is missing; every look asks again",
    Reason.STALE_DATA: "see whether what is named is scraped; a pod that is gone holds nothing once its `up` is gone",
    Reason.NO_DATA: "see whether the canary's pods are scraped and carry the labels of `arms`",
    Reason.COUNTER_RESET: "see why pods end; the step goes on when they stay",
    Reason.NO_BASELINE: "see whether the stable version has this metric or it was renamed",
    Reason.SHARED_DEGRADATION: "wait until the stable version is well again, or decide by hand",
    Reason.INSUFFICIENT_EVIDENCE: "wait; a larger weight brings more requests",
    Reason.HOLDING: "wait until `hold` has passed",
    Reason.APPROVAL_PENDING: "`sloctl canary approve`, by a person",
    Reason.HARM: "mend the version and deploy it anew; this revision stays rolled back",
    Reason.MISMATCH: "look at the results that differ; this revision stays rolled back",
    Reason.DEADLINE: "see what kept the evidence away before the next try",
    Reason.GROUP: "look at the service that is named",
    Reason.HEALTHY: "nothing",
}
"""What to do now, by the reason."""
_MISSING = {
    Reason.SOURCE_UNAVAILABLE,
    Reason.PARTIAL,
    Reason.STALE_DATA,
    Reason.NO_DATA,
    Reason.COUNTER_RESET,
    Reason.NO_BASELINE,
    Reason.INSUFFICIENT_EVIDENCE,
}
"""Reasons that `when_missing` answers at the deadline. A shared degradation is not among them: the old version
is no better, so rolling back would help nobody."""
_UNSEEN = {Reason.NO_DATA, Reason.NO_BASELINE, Reason.INSUFFICIENT_EVIDENCE}
"""Those of a service that nobody uses: with these alone, and without one failure, `when_missing` may promote."""
UNSEEN: Final = "nothing shows that this version is healthy: it goes on because `when_missing` says promote"


@dataclass(frozen=True, slots=True)
class Tally:
    """Requests and errors of one arm."""

    n: float
    x: float

    @classmethod
    def of(cls, counts: IntervalCounts) -> Tally:
        """The sums over all intervals."""
        errors, requests = counts.totals
        return cls(requests, errors)

    @property
    def rate(self) -> float | None:
        """The error ratio; None without requests."""
        return self.x / self.n if self.n > 0 else None


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        sentence: the finding in words.
        series: the label values it is about; empty for all requests together.
        e_rollback: the strongest evidence of harm so far; 1 says nothing.
        e_promote: the evidence of health now.
        threshold: evidence that rolls back.
        promote_threshold: evidence that promotes.
        interval: 99 % score interval of the canary's error ratio.
        phi: dispersion of the baseline's errors; 1 for Poisson arms.
        needs_requests: of the canary, in all, until health can be shown.
        eta_seconds: until then, at the present rate.
        quantiles: the canary's and the baseline's, of a check with `quantile`.
        crossed_at: Unix seconds of the look at which harm was shown first.
        processes: how many of the canary and of the baseline were counted.
    """

    check: str
    decision: Decision = Decision.CONTINUE
    reason: Reason = Reason.INSUFFICIENT_EVIDENCE
    sentence: str = ""
    series: dict[str, str] | None = None
    canary: Tally | None = None
    baseline: Tally | None = None
    e_rollback: float | None = None
    e_promote: float | None = None
    threshold: float | None = None
    promote_threshold: float | None = None
    interval: tuple[float, float] | None = None
    phi: float | None = None
    needs_requests: int | None = None
    eta_seconds: int | None = None
    quantiles: tuple[float, float] | None = None
    crossed_at: float | None = None
    processes: tuple[int, int] | None = None

    @classmethod
    def counted(
        cls,
        check: str,
        canary: IntervalCounts,
        baseline: IntervalCounts | None = None,
        *,
        harm: float | None = None,
        health: float | None = None,
        threshold: float | None = None,
        promote_threshold: float | None = None,
    ) -> Finding:
        """A finding that decides nothing yet, with its numbers; evidence and thresholds are given as logarithms."""
        tally = Tally.of(canary)
        return cls(
            check,
            canary=tally,
            baseline=None if baseline is None else Tally.of(baseline),
            e_rollback=e_value(harm),
            e_promote=e_value(health),
            threshold=e_value(threshold),
            promote_threshold=e_value(promote_threshold),
            interval=wilson(tally.x, tally.n),
        )

    def saying(self, decision: Decision, reason: Reason, sentence: str) -> Finding:
        """The same numbers with what follows from them."""
        return replace(self, decision=decision, reason=reason, sentence=sentence)


@dataclass(frozen=True, slots=True)
class RolloutClock:
    """Where the analysis stands.

    Attributes:
        start: Unix seconds at which counting begins.
        end: Unix seconds of the last grid point.
        grid_seconds: distance of grid points, one scrape.
        step: index of the rollout's step, 0 for the first.
        held: the step's shortest time has passed.
        deadline: Unix seconds at which its longest time has passed; None when it has none.
    """

    start: float
    end: float
    grid_seconds: float
    step: int
    held: bool
    deadline: float | None

    @property
    def overdue(self) -> bool:
        """Whether the step's longest time has passed."""
        return self.deadline is not None and self.end >= self.deadline

    @property
    def look(self) -> int:
        """How many intervals were counted."""
        return max(0, round((self.end - self.start) / self.grid_seconds))


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one service.

    Raises:
        ValueError: it says promote before the step's shortest time, or without that finding of every check; unless it
            warns that nobody has used the version by the deadline.
    """

    decision: Decision
    reason: Reason
    sentence: str
    findings: tuple[Finding, ...]
    clock: RolloutClock | None
    service: str = ""
    canary: str = ""
    stable: str = ""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.decision is not Decision.PROMOTE:
            return
        shown = self.findings and all(finding.decision is Decision.PROMOTE for finding in self.findings)
        silent = self.reason is Reason.DEADLINE and UNSEEN in self.warnings and _is_silent(self.findings)
        if not (shown or silent) or self.clock is None or not self.clock.held:
            raise ValueError("promote needs evidence of health from every check, at the end of a step")


def conclude(
    findings: Sequence[Finding], clock: RolloutClock | None, when_missing: WhenMissing, *, approved: bool = True
) -> Verdict:
    """One verdict of all findings: bad evidence beats missing evidence, and silence promotes nothing."""

    def verdict(decision: Decision, reason: Reason, sentence: str) -> Verdict:
        return Verdict(decision, reason, sentence, tuple(findings), clock)

    if (harmed := _first(findings, Decision.ROLLBACK)) is not None:
        return verdict(Decision.ROLLBACK, harmed.reason, _said(harmed))
    if (undecided := _first(findings, Decision.CONTINUE)) is not None:
        if _sleeps(findings, clock, when_missing) and approved:
            return _asleep(undecided, findings, clock)
        return verdict(*_undecided(undecided, clock, when_missing))
    if clock is None or not findings:
        return verdict(Decision.CONTINUE, Reason.NO_DATA, "nothing was judged")
    if not clock.held:
        return verdict(Decision.CONTINUE, Reason.HOLDING, "healthy so far; the step goes on")
    if not approved:
        text = "the evidence says promote; a person approves the first deployments of this service"
        return verdict(Decision.CONTINUE, Reason.APPROVAL_PENDING, text)
    return verdict(Decision.PROMOTE, Reason.HEALTHY, "; ".join(map(_said, findings)))


def _undecided(finding: Finding, clock: RolloutClock | None, when_missing: WhenMissing) -> tuple[Decision, Reason, str]:
    overdue = clock is not None and clock.overdue
    if overdue and when_missing is WhenMissing.ROLLBACK and finding.reason in _MISSING:
        text = f"the step's deadline has passed without evidence: {_said(finding)}"
        return Decision.ROLLBACK, Reason.DEADLINE, text
    late = "; the step's deadline has passed, so a person decides" if overdue else ""
    return Decision.CONTINUE, finding.reason, f"{_said(finding)}{late}"


def _sleeps(findings: Sequence[Finding], clock: RolloutClock | None, when_missing: WhenMissing) -> bool:
    """Whether the deadline of a service has passed that sleeps, and that is how it is released."""
    overdue = clock is not None and clock.overdue and clock.held
    return overdue and when_missing is WhenMissing.PROMOTE and _is_silent(findings)


def _is_silent(findings: Sequence[Finding]) -> bool:
    """Whether whatever is undecided is so because there was nothing to see, and nothing has failed."""
    undecided = [finding for finding in findings if finding.decision is not Decision.PROMOTE]
    return all(
        finding.decision is Decision.CONTINUE
        and finding.reason in _UNSEEN
        and (finding.canary is None or finding.canary.x == 0)
        for finding in undecided
    )


def _asleep(finding: Finding, findings: Sequence[Finding], clock: RolloutClock | None) -> Verdict:
    text = f"the step's deadline has passed without evidence, and without a failure: {_said(finding)}"
    return Verdict(Decision.PROMOTE, Reason.DEADLINE, text, tuple(findings), clock, warnings=(UNSEEN,))


def unanswered(reason: Reason, sentence: str, clock: RolloutClock | None, when_missing: WhenMissing) -> Verdict:
    """The verdict when the source gave no samples: never promote, unless `when_missing` says so of a service asleep."""
    finding = Finding("source", Decision.CONTINUE, reason, sentence)
    if _sleeps([finding], clock, when_missing):
        return _asleep(finding, [finding], clock)
    return Verdict(*_undecided(finding, clock, when_missing), (), clock)


def group_verdict(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict of services that are released together: one rollback is all's, promote only when all are ready."""
    for decision in (Decision.ROLLBACK, Decision.CONTINUE):
        for verdict in verdicts:
            if verdict.decision is decision:
                return replace(verdict, sentence=f"{verdict.service}: {verdict.sentence}")
    return verdicts[0]


def in_group(own: Verdict, group: Verdict) -> Verdict:
    """A service's verdict after its group's: it may lose a promote or join a rollback."""
    if group.decision is own.decision:
        return own
    return replace(own, decision=group.decision, reason=Reason.GROUP, sentence=group.sentence)


def _first(findings: Sequence[Finding], decision: Decision) -> Finding | None:
    """The finding with the first reason of `Reason`."""
    order = list(Reason)
    alike = [finding for finding in findings if finding.decision is decision]
    return min(alike, key=lambda finding: order.index(finding.reason), default=None)


def _said(finding: Finding) -> str:
    return f"{finding.check}: {finding.sentence}"


def as_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict as plain values for strict JSON: no NaN, no infinity."""
    clock = verdict.clock
    return {
        "verdict": verdict.decision.value,
        "reason": verdict.reason.value,
        "sentence": verdict.sentence,
        "advice": ADVICE[verdict.reason],
        "service": verdict.service,
        "canary": verdict.canary,
        "stable": verdict.stable,
        "window": None if clock is None else {"start": clock.start, "end": clock.end, "grid_s": clock.grid_seconds},
        "step": None if clock is None else clock.step,
        "look": None if clock is None else clock.look,
        "checks": [_finding_json(finding) for finding in verdict.findings],
        "warnings": list(verdict.warnings),
    }


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {_NAMES.get(name, name): _plain(getattr(finding, name)) for name in _FIELDS}


_FIELDS: Final = tuple(field.name for field in fields(Finding))
_NAMES: Final = {"check": "name", "decision": "verdict", "eta_seconds": "eta_s"}


def _plain(value: object) -> object:
    match value:
        case Enum():
            return value.value
        case Tally():
            return {"n": _plain(value.n), "x": _plain(value.x), "rate": _plain(value.rate)}
        case tuple():
            return [_plain(number) for number in value]
        case float():
            return value if math.isfinite(value) else None
        case _:
            return value
