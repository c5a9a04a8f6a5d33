"""What a picture of the evidence shows is what the verdict rests on."""

from __future__ import annotations

import numpy as np
import pytest

from sloctl.canary.analysis.analyse import counted
from sloctl.canary.analysis.question import Question, clock_at
from sloctl.canary.analysis.samples import CheckSamples
from sloctl.canary.analysis.statistics import difference_interval
from sloctl.canary.analysis.story import Story, stories
from sloctl.canary.analysis.wording import odds
from testing.canaries import GRID, arm, canary, errors, judged, samples, slo


def story(found: CheckSamples) -> Story:
    spec = canary(errors())
    clock = clock_at(spec, 0.0, 60 * GRID, GRID, 0, 0.0)
    counts = counted({"errors": found}, spec)
    [one] = stories(counts, Question(spec, {"availability": slo()}, clock))
    return one


def test_the_story_crosses_when_the_finding_says_so() -> None:
    bad = samples(3.0)
    told, finding = story(bad), judged(bad).findings[0]
    assert told.crossed is not None
    assert finding.crossed_at == told.times[told.crossed]
    assert (told.evidence[: told.crossed] <= told.threshold).all()
    assert told.evidence[told.crossed] > told.threshold
    assert told.interval[0][-1] < told.difference[-1] < told.interval[1][-1]
    assert told.interval[0][-1] > 0, "three percent are more than the baseline's"


def test_a_healthy_canary_never_crosses_and_an_incident_of_both_is_masked() -> None:
    told = story(samples())
    assert told.crossed is None
    assert judged(samples()).findings[0].crossed_at is None
    assert not told.masked.any()
    assert told.interval[0][-1] < 0 < told.interval[1][-1]
    shared = samples(5.0, 95.0)
    assert story(shared).masked[1:].all()


def test_how_many_processes_were_counted_is_told_and_one_alone_is_doubted() -> None:
    bad = judged(samples(3.0))
    assert bad.findings[0].processes == (1, 4)
    assert any("all of it is one pod" in text for text in bad.warnings)
    two = samples(3.0)
    pods = [{"instance": "canary-1:80"}, {"instance": "canary-2:80"}]
    found = judged(CheckSamples(arm(pods, 100.0, 3.0, 60), two.baseline, two.history))
    assert found.findings[0].processes == (2, 4)
    assert not any("one pod" in text for text in found.warnings)


@pytest.mark.parametrize("rate", [0.001, 0.01])
def test_the_interval_of_the_difference_holds_at_all_looks_together(rate: float) -> None:
    """Of unchanged canaries at most 1 % are ever outside, however often one looks."""
    rng = np.random.default_rng(5)
    sums = [
        np.cumsum(draw, axis=1).astype(float)
        for n in (150.0, 2850.0)
        for draw in (rng.poisson(n * rate, (2000, 200)), np.full((2000, 200), n))
    ]
    _, low, high = difference_interval(*sums, phi=1.0, scale=0.005)
    ever = ((low > 0) | (high < 0)).any(axis=1).mean()
    assert ever <= 0.01


@pytest.mark.parametrize(
    ("evidence", "said"),
    [(None, "none"), (0.3, "none"), (200.0, "1 in 200"), (12_345.0, "1 in 12 345"), (4.24e47, "1 in 10^47")],
)
def test_evidence_is_said_as_the_chance_of_it(evidence: float | None, said: str) -> None:
    assert odds(evidence) == said
