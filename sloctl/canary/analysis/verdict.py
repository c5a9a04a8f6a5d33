"""What an analysis answers: promote, rollback or continue, why, and with which numbers.

A verdict of promote is made by `conclude` alone, and its class refuses one without complete evidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Tally:
    """Requests and errors of one arm."""

    n: float
    x: float

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
    """

    check: str
    decision: Decision
    reason: Reason
    sentence: str
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


@dataclass(frozen=True, slots=True)
class Clock:
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
        ValueError: it says promote without that finding of every check, or before the step's shortest time.
    """

    decision: Decision
    reason: Reason
    sentence: str
    findings: tuple[Finding, ...]
    clock: Clock | None
    service: str = ""
    canary: str = ""
    stable: str = ""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.decision is not Decision.PROMOTE:
            return
        shown = self.findings and all(finding.decision is Decision.PROMOTE for finding in self.findings)
        if not shown or self.clock is None or not self.clock.held:
            raise ValueError("promote needs evidence of health from every check, at the end of a step")


def conclude(
    findings: Sequence[Finding], clock: Clock | None, when_missing: WhenMissing, *, approved: bool = True
) -> Verdict:
    """One verdict of all findings: bad evidence beats missing evidence, and silence promotes nothing."""
    worst = _first(findings, Decision.ROLLBACK) or _first(findings, Decision.CONTINUE)
    if worst is not None and worst.decision is Decision.CONTINUE:
        return _undecided(worst, findings, clock, when_missing)
    if worst is not None:
        return _verdict(Decision.ROLLBACK, worst.reason, _said(worst), findings, clock)
    if clock is None or not findings:
        return _verdict(Decision.CONTINUE, Reason.NO_DATA, "nothing was judged", findings, clock)
    if not clock.held:
        return _verdict(Decision.CONTINUE, Reason.HOLDING, "healthy so far; the step goes on", findings, clock)
    if not approved:
        text = "the evidence says promote; a person approves the first deployments of this service"
        return _verdict(Decision.CONTINUE, Reason.APPROVAL_PENDING, text, findings, clock)
    text = "; ".join(map(_said, findings))
    return _verdict(Decision.PROMOTE, Reason.HEALTHY, text, findings, clock)


def _undecided(worst: Finding, findings: Sequence[Finding], clock: Clock | None, when_missing: WhenMissing) -> Verdict:
    overdue = clock is not None and clock.overdue
    if overdue and when_missing is WhenMissing.ROLLBACK and worst.reason in _MISSING:
        text = f"the step's deadline has passed without evidence: {_said(worst)}"
        return _verdict(Decision.ROLLBACK, Reason.DEADLINE, text, findings, clock)
    late = "; the step's deadline has passed, so a person decides" if overdue else ""
    return _verdict(Decision.CONTINUE, worst.reason, f"{_said(worst)}{late}", findings, clock)


def unanswered(reason: Reason, sentence: str, clock: Clock | None, when_missing: WhenMissing) -> Verdict:
    """The verdict when the source gave no samples: never promote."""
    return _undecided(Finding("source", Decision.CONTINUE, reason, sentence), (), clock, when_missing)


def together(verdicts: Sequence[Verdict]) -> Verdict:
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


def _verdict(
    decision: Decision, reason: Reason, sentence: str, findings: Iterable[Finding], clock: Clock | None
) -> Verdict:
    return Verdict(decision, reason, sentence, tuple(findings), clock)


def _first(findings: Sequence[Finding], decision: Decision) -> Finding | None:
    """The finding with the first reason of `Reason`."""
    order = list(Reason)
    found = [finding for finding in findings if finding.decision is decision]
    return min(found, key=lambda finding: order.index(finding.reason), default=None)


def _said(finding: Finding) -> str:
    return f"{finding.check}: {finding.sentence}"


def as_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict as plain values for strict JSON: no NaN, no infinity."""
    clock = verdict.clock
    return {
        "verdict": verdict.decision.value,
        "reason": verdict.reason.value,
        "sentence": verdict.sentence,
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
    return {
        "name": finding.check,
        "verdict": finding.decision.value,
        "reason": finding.reason.value,
        "sentence": finding.sentence,
        "series": finding.series,
        "canary": _tally_json(finding.canary),
        "baseline": _tally_json(finding.baseline),
        "e_rollback": _finite(finding.e_rollback),
        "e_promote": _finite(finding.e_promote),
        "threshold": _finite(finding.threshold),
        "promote_threshold": _finite(finding.promote_threshold),
        "interval": finding.interval and [_finite(end) for end in finding.interval],
        "phi": _finite(finding.phi),
        "needs_requests": finding.needs_requests,
        "eta_s": finding.eta_seconds,
        "quantiles": finding.quantiles and [_finite(value) for value in finding.quantiles],
    }


def _tally_json(tally: Tally | None) -> dict[str, float | None] | None:
    return None if tally is None else {"n": _finite(tally.n), "x": _finite(tally.x), "rate": _finite(tally.rate)}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
