"""Judging one arm alone: mismatches, expressions that belong to both versions, and the time after promotion."""

from __future__ import annotations

import math
from typing import Final

from sloctl.canary.analysis.counts import ArmCounts, CheckCounts
from sloctl.canary.analysis.evidence import IntervalCounts
from sloctl.canary.analysis.question import AFTER, Question, events
from sloctl.canary.analysis.samples import Events
from sloctl.canary.analysis.statistics import OVER, UNDER, absolute_evidence, mixed
from sloctl.canary.analysis.verdict import Decision, Finding, Reason, Tally
from sloctl.canary.analysis.wording import grouped, out_of, percent
from sloctl.model.canary import After, MismatchCheck, SloCheck
from sloctl.model.indicator import Indicator, Threshold, WholeIndicator

FEW_SLICES: Final = 3
"""So many samples of a gauge that are out of bounds are no blip."""
RARE: Final = 0.001
"""A check that allows no mismatch at all promotes when a mismatch rate of this much is excluded."""


def judge_mismatches(check: MismatchCheck, counts: ArmCounts, question: Question) -> Finding:
    """What a shadow comparison says. A mismatch counts once it is older than `settle`."""
    compared = Events(counts.path("mismatches"), counts.path("compared"))
    settled = max(0, counts.points - 1 - math.ceil(float(check.settle.seconds) / question.clock.grid_seconds))
    limit = float(check.mismatch_rate)
    alpha = float(question.canary.alpha.rollback) / len(question.canary.checks)
    harmed, strength = _harm(_confirmed(compared)[:settled], limit, alpha)
    finding = Finding.counted(check.name, _late(compared), harm=strength)
    sentence = f"{_shown(compared)} did not match"
    if harmed:
        return finding.saying(Decision.ROLLBACK, Reason.MISMATCH, sentence)
    return _healthy(check.name, compared, limit, question, sentence)


def judge_whole(check: SloCheck, indicator: WholeIndicator, counts: ArmCounts, question: Question) -> Finding:
    """What an expression of both versions says of an absolute limit, since the canary began."""
    assert check.error_rate is not None
    limit, counted = float(check.error_rate), events(counts, indicator)
    if isinstance(indicator, Threshold):
        return _judge_slices(check.name, counted, limit)
    harmed, strength = _harm(_confirmed(counted), limit, question.limits(check).alpha_rollback)
    sentence = f"{_shown(counted)} failed, in both versions together"
    if harmed:
        text = f"{sentence}: above {percent(limit)}"
        return Finding.counted(check.name, _late(counted), harm=strength).saying(Decision.ROLLBACK, Reason.HARM, text)
    return _healthy(check.name, counted, limit, question, sentence)


def _judge_slices(name: str, counted: Events, limit: float) -> Finding:
    """Samples of a gauge hang together, so no test of chance applies: their share itself is held to the limit."""
    finding, tally = Finding.counted(name, _late(counted)), Tally.of(_late(counted))
    sentence = f"{out_of(tally)} samples were out of bounds"
    if tally.n <= 0:
        return finding.saying(Decision.CONTINUE, Reason.NO_DATA, "there is no sample")
    if tally.x <= limit * tally.n:
        return finding.saying(Decision.PROMOTE, Reason.HEALTHY, sentence)
    if tally.x >= FEW_SLICES:
        return finding.saying(Decision.ROLLBACK, Reason.HARM, f"{sentence}: above {percent(limit)}")
    text = f"{sentence}; {FEW_SLICES} of them would roll back"
    return finding.saying(Decision.CONTINUE, Reason.INSUFFICIENT_EVIDENCE, text)


def judge_after(after: After, counts: CheckCounts, question: Question) -> Finding:
    """What the time since promotion says: of all requests, and of each value of the labels."""
    indicator = question.slos[after.slo].indicator
    keeps = [None, *({value} for value in counts.canary.values())]
    limit = 1 - float(after.success)
    alpha = float(question.canary.alpha.rollback) / (len(question.canary.checks) + 1) / len(keeps)
    for keep in reversed(keeps):
        counted = events(counts.canary, indicator, keep)
        harmed, strength = _harm(_confirmed(counted), limit, alpha)
        if harmed:
            text = f"{_shown(counted)} failed since promotion, {percent(limit)} may"
            return Finding.counted(AFTER, _late(counted), harm=strength).saying(Decision.ROLLBACK, Reason.HARM, text)
    whole = events(counts.canary, indicator)
    sentence = f"{_shown(whole)} failed since promotion"
    if limit > 0:
        return _healthy(AFTER, whole, limit, question, sentence)
    return _flawless(indicator, counts, sentence)


def _flawless(indicator: Indicator, counts: CheckCounts, sentence: str) -> Finding:
    """Where nothing may fail, each value that the baseline served must have been served."""
    whole = events(counts.canary, indicator)
    finding = Finding.counted(AFTER, _late(whole)).saying(Decision.CONTINUE, Reason.INSUFFICIENT_EVIDENCE, sentence)
    served = counts.history.values() if counts.history is not None else []
    silent = [values for values in served if events(counts.canary, indicator, {values}).total.low[-1] <= 0]
    if silent:
        text = f"{sentence}, but there was no request for {', '.join(' '.join(values) for values in silent[:5])}"
        return finding.saying(Decision.CONTINUE, Reason.INSUFFICIENT_EVIDENCE, text)
    if whole.total.low[-1] <= 0 or whole.bad.high[-1] > 0:
        return finding
    return finding.saying(Decision.PROMOTE, Reason.HEALTHY, sentence)


def _healthy(name: str, counted: Events, limit: float, question: Question, sentence: str) -> Finding:
    """Promote when being at the limit is excluded, on the reading that is worst for the canary."""
    threshold = math.log(1 / float(question.canary.alpha.promote))
    counts = IntervalCounts(counted.bad.early, counted.total.least)
    bad, total = counts.totals
    if limit > 0:
        path = mixed(absolute_evidence(counts.x, counts.n, limit, UNDER))
        health = float(path[-1]) if len(path) else 0.0
        enough = health > threshold
    else:
        # Without one bad event of n, rates above ln(1/alpha) / n are excluded.
        health = total * RARE if bad == 0 else 0.0
        enough = bad == 0 and health >= threshold
    finding = Finding.counted(name, _late(counted), health=health, promote_threshold=threshold)
    if enough:
        return finding.saying(Decision.PROMOTE, Reason.HEALTHY, sentence)
    text = f"needs about {grouped(math.ceil(threshold / (limit or RARE)))} events, has {grouped(total)}"
    if bad > 0 and limit == 0:
        text = f"{sentence}; not yet confirmed"
    return finding.saying(Decision.CONTINUE, Reason.INSUFFICIENT_EVIDENCE, text)


def _harm(confirmed: IntervalCounts, limit: float, alpha: float) -> tuple[bool, float | None]:
    """Whether the limit is broken, and the strongest evidence of it; one bad event breaks a limit of 0."""
    if limit == 0:
        return confirmed.totals[0] > 0, None
    path = mixed(absolute_evidence(confirmed.x, confirmed.n, limit, OVER))
    strongest = float(path.max()) if len(path) else 0.0
    return strongest > math.log(1 / alpha), strongest


def _confirmed(counted: Events) -> IntervalCounts:
    """The reading that shows the least harm."""
    return IntervalCounts(counted.bad.late, counted.total.most)


def _late(counted: Events) -> IntervalCounts:
    """Every event in the interval whose scrape shows it."""
    return IntervalCounts(counted.bad.late, counted.total.late)


def _shown(counted: Events) -> str:
    return out_of(Tally.of(_late(counted)))
