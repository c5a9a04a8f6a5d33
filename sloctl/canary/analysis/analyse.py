"""From the samples of two versions to a verdict: promote, rollback or continue.

The same samples give the same verdict on any day and in any order. Promotion needs evidence of health from every
check, on whole and fresh samples, at the end of the step; rollback needs evidence of harm that holds however often
one looks; everything else continues with a reason. `docs/canary.md` has the statistics in one page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from sloctl.canary.analysis.absolute import judge_after, judge_mismatches
from sloctl.canary.analysis.quantiles import judge_quantile
from sloctl.canary.analysis.question import AFTER, CheckSamples, Question, events, history_warnings, lacks_bucket
from sloctl.canary.analysis.ratios import judge_ratio
from sloctl.canary.analysis.samples import ArmSamples
from sloctl.canary.analysis.verdict import Decision, Finding, Reason, Verdict, conclude
from sloctl.model.canary import MismatchCheck, Needs, SloCheck
from sloctl.model.indicator import Indicator


def analyse(samples: Mapping[str, CheckSamples], question: Question) -> Verdict:
    """The verdict of one service.

    Args:
        samples: of each check by its name; of `after` by `AFTER`.
        question: what the specification says and where the rollout stands.
    """
    findings = list(_findings(samples, question))
    verdict = conclude(findings, question.clock, question.canary.when_missing, approved=question.approved)
    if question.is_last_step:
        return verdict
    history = [text for found in samples.values() for text in history_warnings(found.history)]
    return replace(verdict, warnings=tuple(dict.fromkeys([*question.warnings, *history])))


def _findings(samples: Mapping[str, CheckSamples], question: Question) -> Iterator[Finding]:
    for check in question.canary.checks:
        found = samples[check.name]
        match check:
            case SloCheck() if question.is_last_step:
                if check.error_rate is not None:
                    yield _slo_finding(_absolute_part(check), replace(found, baseline=_nothing(found)), question)
            case SloCheck():
                yield _slo_finding(check, found, question)
            case MismatchCheck():
                yield _whole(judge_mismatches(check, found.canary, question), found.canary, check.name)
    after = question.canary.after
    if question.is_last_step and after is not None:
        arm = samples[AFTER].canary
        yield _whole(judge_after(after, samples[AFTER], question), arm, AFTER)


def _absolute_part(check: SloCheck) -> SloCheck:
    """What is left of a check when all traffic is the canary's."""
    return replace(check, worse_by=None, quantile=None, needs=Needs.ANY)


def _nothing(samples: CheckSamples) -> ArmSamples:
    return ArmSamples({}, samples.canary.points, samples.canary.target_labels)


def _slo_finding(check: SloCheck, samples: CheckSamples, question: Question) -> Finding:
    if samples.canary.is_empty or question.clock.look < 1:
        return Finding(check.name, reason=Reason.NO_DATA, sentence="no sample of the canary")
    slo = question.slos[check.slo]
    needed = check.quantile is None or check.error_rate is not None
    if needed and any(lacks_bucket(arm, slo.indicator) for arm in (samples.canary, samples.baseline)):
        text = f"the histogram of `{slo.name}` has no bucket at its bound"
        return Finding(check.name, reason=Reason.NO_DATA, sentence=text)
    judge = judge_ratio if check.quantile is None else judge_quantile
    problem = (
        _incomplete(samples.canary)
        or _incomplete(samples.baseline, is_baseline=True)
        or (None if question.is_last_step else _no_baseline(samples, slo.indicator))
        or _implausible(samples, slo.indicator)
    )
    return _unless(judge(check, slo, samples, question), problem)


def _whole(finding: Finding, arm: ArmSamples, name: str) -> Finding:
    """A finding of one arm alone, unless its samples are incomplete."""
    if arm.is_empty and finding.decision is not Decision.ROLLBACK:
        return Finding(name, reason=Reason.NO_DATA, sentence="no sample")
    return _unless(finding, _incomplete(arm))


def _unless(finding: Finding, problem: tuple[Reason, str] | None) -> Finding:
    """Bad evidence stands, whatever is missing; anything else waits for it."""
    if problem is None or finding.decision is Decision.ROLLBACK:
        return finding
    return finding.saying(Decision.CONTINUE, *problem)


def _incomplete(arm: ArmSamples, *, is_baseline: bool = False) -> tuple[Reason, str] | None:
    """What forbids promotion. Processes of the baseline come and go; of those of the canary few may be lost."""
    if (what := arm.why_not_whole(gone_is_fine=is_baseline)) is not None:
        return Reason.STALE_DATA, what
    if not is_baseline and (what := arm.lost()) is not None:
        return Reason.COUNTER_RESET, what
    return None


def _no_baseline(samples: CheckSamples, indicator: Indicator) -> tuple[Reason, str] | None:
    if samples.baseline.is_empty:
        return Reason.NO_BASELINE, "no sample of the baseline"
    if events(samples.baseline, indicator).total.low[-1] <= 0:
        return Reason.NO_BASELINE, "the baseline has no request"
    return None


def _implausible(samples: CheckSamples, indicator: Indicator) -> tuple[Reason, str] | None:
    counted = events(samples.canary, indicator)
    if counted.total.low[-1] <= 0:
        return Reason.NO_DATA, "the canary has no request"
    if counted.bad.low[-1] > counted.total.low[-1]:
        return Reason.STALE_DATA, "there are more bad events than events: samples of the total are missing"
    return None
