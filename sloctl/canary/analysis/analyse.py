"""From the samples of two versions to a verdict: promote, rollback or continue.

The same samples give the same verdict on any day and in any order. Promotion needs evidence of health from every
check, on whole and fresh samples, at the end of the step; rollback needs evidence of harm that holds however often
one looks; everything else continues with a reason. `docs/canary.md` has the statistics in one page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from sloctl.canary.analysis.absolute import judge_after, judge_mismatches, judge_whole
from sloctl.canary.analysis.counts import NOTHING, ArmCounts, CheckCounts, Problem, arm_counts, history_counts
from sloctl.canary.analysis.quantiles import judge_quantile
from sloctl.canary.analysis.question import AFTER, Question, events, history_warnings, lacks_bucket
from sloctl.canary.analysis.ratios import judge_ratio
from sloctl.canary.analysis.samples import CheckSamples
from sloctl.canary.analysis.verdict import Decision, Finding, Reason, Verdict, conclude
from sloctl.model.canary import Canary, MismatchCheck, Needs, SloCheck
from sloctl.model.indicator import Indicator, WholeIndicator


def analyse(samples: Mapping[str, CheckSamples], question: Question) -> Verdict:
    """The verdict of one service.

    Args:
        samples: of each check by its name; of `after` by `AFTER`.
        question: what the specification says and where the rollout stands.
    """
    return analyse_counts(counted(samples, question.canary), question)


def counted(samples: Mapping[str, CheckSamples], canary: Canary) -> dict[str, CheckCounts]:
    """What the verdict needs of the samples of each check."""
    ratios = [check for check in canary.checks if isinstance(check, SloCheck) and check.quantile is None]
    split = {check.name: (*check.by, *check.within) for check in ratios}
    if canary.after is not None:
        split[AFTER] = canary.after.by
    return {name: _counted(found, split.get(name, ())) for name, found in samples.items()}


def _counted(samples: CheckSamples, by: tuple[str, ...]) -> CheckCounts:
    return CheckCounts(
        arm_counts(samples.canary, by),
        arm_counts(samples.baseline, by, is_baseline=True),
        history_counts(samples.history, by),
    )


def analyse_counts(counts: Mapping[str, CheckCounts], question: Question) -> Verdict:
    """The verdict of one service, from the counts of each check."""
    findings = list(_findings(counts, question))
    verdict = conclude(findings, question.clock, question.canary.when_missing, approved=question.approved)
    if question.is_last_step:
        return verdict
    history = [text for name in _compared(question) for text in history_warnings(counts[name].history)]
    return replace(verdict, warnings=tuple(dict.fromkeys([*verdict.warnings, *question.warnings, *history])))


def _compared(question: Question) -> list[str]:
    """The checks that compare with the baseline."""
    checks = [check for check in question.canary.checks if isinstance(check, SloCheck)]
    return [check.name for check in checks if not isinstance(question.slos[check.slo].indicator, WholeIndicator)]


def _findings(counts: Mapping[str, CheckCounts], question: Question) -> Iterator[Finding]:
    for check in question.canary.checks:
        found = counts[check.name]
        match check:
            case SloCheck() if isinstance(whole := question.slos[check.slo].indicator, WholeIndicator):
                yield _whole(judge_whole(check, whole, found.canary, question), found.canary, check.name)
            case SloCheck() if question.is_last_step:
                if check.error_rate is not None:
                    yield _slo_finding(_absolute_part(check), replace(found, baseline=_nothing(found)), question)
            case SloCheck():
                yield _slo_finding(check, found, question)
            case MismatchCheck():
                yield _whole(judge_mismatches(check, found.canary, question), found.canary, check.name)
    after = question.canary.after
    if question.is_last_step and after is not None:
        arm = counts[AFTER].canary
        yield _whole(judge_after(after, counts[AFTER], question), arm, AFTER)


def _absolute_part(check: SloCheck) -> SloCheck:
    """What is left of a check when all traffic is the canary's."""
    return replace(check, worse_by=None, quantile=None, needs=Needs.ANY)


def _nothing(counts: CheckCounts) -> ArmCounts:
    points = counts.canary.points
    return ArmCounts(points, NOTHING, points - 1, is_empty=True)


def _slo_finding(check: SloCheck, counts: CheckCounts, question: Question) -> Finding:
    if counts.canary.is_empty or question.clock.look < 1:
        seen = "" if counts.baseline.is_empty else _renamed(question.slos[check.slo].indicator)
        return Finding(check.name, reason=Reason.NO_DATA, sentence=f"no sample of the canary{seen}")
    slo = question.slos[check.slo]
    needed = check.quantile is None or check.error_rate is not None
    if needed and any(lacks_bucket(arm, slo.indicator) for arm in (counts.canary, counts.baseline)):
        text = f"the histogram of `{slo.name}` has no bucket at its bound"
        return Finding(check.name, reason=Reason.NO_DATA, sentence=text)
    judge = judge_ratio if check.quantile is None else judge_quantile
    problem = (
        counts.canary.problem
        or counts.baseline.problem
        or (None if question.is_last_step else _no_baseline(counts, slo.indicator))
        or _implausible(counts, slo.indicator)
    )
    finding = replace(
        judge(check, slo, counts, question), processes=(counts.canary.processes, counts.baseline.processes)
    )
    return _unless(finding, problem)


def _whole(finding: Finding, arm: ArmCounts, name: str) -> Finding:
    """A finding of one arm alone, unless its samples are incomplete."""
    if arm.is_empty and finding.decision is not Decision.ROLLBACK:
        return Finding(name, reason=Reason.NO_DATA, sentence="no sample")
    return _unless(finding, arm.problem)


def _unless(finding: Finding, problem: Problem | None) -> Finding:
    """Bad evidence stands, whatever is missing; anything else waits for it."""
    if problem is None or finding.decision is Decision.ROLLBACK:
        return finding
    return finding.saying(Decision.CONTINUE, *problem)


def _no_baseline(counts: CheckCounts, indicator: Indicator) -> Problem | None:
    if counts.baseline.is_empty:
        return Reason.NO_BASELINE, f"no sample of the baseline{_renamed(indicator)}"
    if events(counts.baseline, indicator).total.low[-1] <= 0:
        return Reason.NO_BASELINE, "the baseline has no request"
    return None


def _renamed(indicator: Indicator) -> str:
    """Where only one version has a metric, the other may call it differently."""
    metrics = dict.fromkeys(selector.metric for selector in indicator.reads().selectors if selector.metric)
    return f": is `{next(iter(metrics))}` called otherwise there?" if metrics else ""


def _implausible(counts: CheckCounts, indicator: Indicator) -> Problem | None:
    counted = events(counts.canary, indicator)
    if counted.total.low[-1] <= 0:
        return Reason.NO_DATA, "the canary has no request"
    if counted.bad.low[-1] > counted.total.low[-1]:
        return Reason.STALE_DATA, "there are more bad events than events: samples of the total are missing"
    return None
