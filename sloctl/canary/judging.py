"""One look at one release: the samples from the source, and what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sloctl.canary.analysis.analyse import analyse_counts, counted
from sloctl.canary.analysis.counts import CheckCounts
from sloctl.canary.analysis.question import Question
from sloctl.canary.analysis.verdict import Reason, RolloutClock, Verdict, group_verdict, in_group, unanswered
from sloctl.canary.source.arms import Release
from sloctl.canary.source.look import CanarySource, NoAnswerError
from sloctl.model.catalogue import Service


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict with what it was made of.

    Attributes:
        counts: of each check by name; empty when the source gave no samples.
        warnings: what the source warned of; they are part of the verdict's.
        cause: why there are no samples, with a sentence.
    """

    verdict: Verdict
    counts: Mapping[str, CheckCounts] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    cause: tuple[Reason, str] | None = None


def judge(service: Service, release: Release, source: CanarySource, *, approved: bool = True) -> Judged:
    """Look at a release once.

    Args:
        service: one that has a canary.
        approved: False while a person has to approve this deployment.
    """
    assert service.canary is not None
    try:
        found = source.look(service, release)
    except NoAnswerError as error:
        clock = source.clock_without_samples(service, release)
        verdict = unanswered(error.reason, str(error), clock, service.canary.when_missing)
        return Judged(_of(verdict, service, release), cause=(error.reason, str(error)))
    counts = counted(found.samples, service.canary)
    verdict = judge_counts(service, counts, found.clock, approved=approved)
    verdict = replace(verdict, warnings=(*found.warnings, *verdict.warnings))
    return Judged(_of(verdict, service, release), counts, found.warnings)


def judge_counts(
    service: Service, counts: Mapping[str, CheckCounts], clock: RolloutClock, *, approved: bool = True
) -> Verdict:
    """What counts say; the same on any day."""
    assert service.canary is not None
    slos = {slo.name: slo for slo in service.slos}
    return analyse_counts(counts, Question(service.canary, slos, clock, approved))


def judge_together(asked: Sequence[tuple[Service, Release]], source: CanarySource) -> list[Judged]:
    """What is said of each service, after those of the others released with it."""
    judged = [judge(service, release, source) for service, release in asked]
    group = group_verdict([each.verdict for each in judged])
    return [replace(each, verdict=in_group(each.verdict, group)) for each in judged]


def _of(verdict: Verdict, service: Service, release: Release) -> Verdict:
    return replace(verdict, service=service.name, canary=release.canary, stable=release.stable)
