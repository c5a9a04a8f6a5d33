"""Judging one arm alone: mismatches of a shadow comparison, and the time after promotion."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from sloctl.canary.analysis.evidence import Counts
from sloctl.canary.analysis.question import AFTER, CheckSamples, Question, events, keeping
from sloctl.canary.analysis.ratios import evidence, grouped, percent, tally
from sloctl.canary.analysis.samples import Path, Samples
from sloctl.canary.analysis.statistics import OVER, UNDER, absolute_evidence, mixed, wilson
from sloctl.canary.analysis.verdict import Decision, Finding, Reason
from sloctl.model.canary import After, MismatchCheck
from sloctl.model.indicator import Indicator

RARE: Final = 0.001
"""A check that allows no mismatch at all promotes when a mismatch rate of this much is excluded."""


def judge_mismatches(check: MismatchCheck, samples: Samples, question: Question) -> Finding:
    """What a shadow comparison says. A mismatch counts once it is older than `settle`."""
    bad, total = samples.path("mismatches"), samples.path("compared")
    settled = max(0, samples.points - 1 - math.ceil(float(check.settle.seconds) / question.clock.grid_seconds))
    confirmed = Counts(bad.late[:settled], total.most[:settled])
    alpha = float(question.canary.alpha.rollback) / len(question.canary.checks)
    if check.mismatch_rate == 0:
        harmed, strength = confirmed.totals[0] > 0, None
    else:
        strength = _strongest(confirmed, float(check.mismatch_rate))
        harmed = strength > math.log(1 / alpha)
    limit = float(check.mismatch_rate)
    finding = _finding(check.name, Counts(bad.late, total.late), strength, None)
    if harmed:
        return _said(finding, Decision.ROLLBACK, Reason.MISMATCH, f"{_found(finding)} did not match")
    return _healthy(finding, bad, total, limit, question, f"{_found(finding)} did not match")


def judge_after(after: After, samples: CheckSamples, question: Question) -> Finding:
    """What the time since promotion says: of all requests, and of each value of the labels."""
    slo = question.slos[after.slo]
    keeps = [None, *(keeping(after.by, value) for value in samples.canary.values(after.by) if after.by)]
    limit = 1 - float(after.success)
    alpha = float(question.canary.alpha.rollback) / (len(question.canary.checks) + 1) / len(keeps)
    for keep in reversed(keeps):
        counted = events(samples.canary, slo.indicator, keep)
        sure = Counts(counted.bad.late, counted.total.most)
        strength = _strongest(sure, limit) if limit > 0 else None
        failed = sure.totals[0] > 0 if strength is None else strength > math.log(1 / alpha)
        if failed:
            finding = _finding(AFTER, Counts(counted.bad.late, counted.total.late), strength, None)
            text = f"{_found(finding)} failed since promotion, {percent(limit)} may"
            return _said(finding, Decision.ROLLBACK, Reason.HARM, text)
    whole = events(samples.canary, slo.indicator)
    finding = _finding(AFTER, Counts(whole.bad.late, whole.total.late), None, None)
    sentence = f"{_found(finding)} failed since promotion"
    if limit > 0:
        return _healthy(finding, whole.bad, whole.total, limit, question, sentence)
    return _flawless(finding, after, slo.indicator, samples, sentence)


def _flawless(finding: Finding, after: After, indicator: Indicator, samples: CheckSamples, sentence: str) -> Finding:
    """Where nothing may fail, each value that the stable version served must have been served."""
    history = samples.history
    expected = history.values(after.by) if history is not None and after.by else []
    silent = [
        value for value in expected if events(samples.canary, indicator, keeping(after.by, value)).total.low[-1] <= 0
    ]
    if silent:
        text = f"{sentence}, but there was no request for {', '.join(' '.join(value) for value in silent[:5])}"
        return _said(finding, Decision.CONTINUE, Reason.INSUFFICIENT_EVIDENCE, text)
    assert finding.canary is not None
    if finding.canary.n <= 0 or events(samples.canary, indicator).bad.high[-1] > 0:
        return _said(finding, Decision.CONTINUE, Reason.INSUFFICIENT_EVIDENCE, sentence)
    return _said(finding, Decision.PROMOTE, Reason.HEALTHY, sentence)


def _healthy(finding: Finding, bad: Path, total: Path, limit: float, question: Question, sentence: str) -> Finding:
    """Promote when being at the limit is excluded, on the reading that is worst for the canary."""
    threshold = math.log(1 / float(question.canary.alpha.promote))
    counts = Counts(bad.early, total.least)
    if limit > 0:
        path = mixed(absolute_evidence(counts.x, counts.n, limit, UNDER))
        shown = float(path[-1]) if len(path) else 0.0
        enough = shown > threshold
    else:
        # Without one bad event of n, rates above ln(1/alpha) / n are excluded.
        enough = counts.totals[0] == 0 and counts.totals[1] * RARE >= threshold
        shown = counts.totals[1] * RARE if counts.totals[0] == 0 else 0.0
    finding = _finding(finding.check, Counts(bad.late, total.late), None, shown, evidence(threshold))
    if enough:
        return _said(finding, Decision.PROMOTE, Reason.HEALTHY, sentence)
    if counts.totals[0] > 0 and limit == 0:
        return _said(finding, Decision.CONTINUE, Reason.INSUFFICIENT_EVIDENCE, f"{sentence}; not yet confirmed")
    needed = math.ceil(threshold / (limit or RARE))
    text = f"needs about {grouped(needed)} events, has {grouped(counts.totals[1])}"
    return _said(finding, Decision.CONTINUE, Reason.INSUFFICIENT_EVIDENCE, text)


def _strongest(counts: Counts, limit: float) -> float:
    path = mixed(absolute_evidence(counts.x, counts.n, limit, OVER))
    return float(path.max()) if len(path) else 0.0


def _finding(
    name: str, counts: Counts, harm: float | None, shown: float | None, threshold: float | None = None
) -> Finding:
    counted = tally(counts)
    return Finding(
        name,
        Decision.CONTINUE,
        Reason.INSUFFICIENT_EVIDENCE,
        "",
        canary=counted,
        e_rollback=None if harm is None else evidence(harm),
        e_promote=None if shown is None else evidence(shown),
        promote_threshold=threshold,
        interval=wilson(counted.x, counted.n),
    )


def _found(finding: Finding) -> str:
    assert finding.canary is not None
    return f"{grouped(finding.canary.x)} of {grouped(finding.canary.n)}"


def _said(finding: Finding, decision: Decision, reason: Reason, sentence: str) -> Finding:
    return replace(finding, decision=decision, reason=reason, sentence=sentence)
