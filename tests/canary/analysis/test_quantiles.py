"""Latency quantiles from buckets: what is found, and what is left alone."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from bench.canary_latency import BOUNDS, COARSE, Shift, histograms
from sloctl.canary.analysis.counts import arm_counts
from sloctl.canary.analysis.question import BUCKET
from sloctl.canary.analysis.samples import ArmSamples, CounterSeries
from sloctl.canary.analysis.verdict import Decision, Reason
from testing.canaries import LATENCY, canary, errors, judged

CHECK = errors(quantile="0.99", worse_by="0.30", error_rate=None)


def answer(shift: Shift, seed: int = 1) -> tuple[str, str]:
    verdict = judged(histograms(np.random.default_rng(seed), shift, looks=60, look_seconds=10), canary(CHECK),
                     indicator=LATENCY)  # fmt: skip
    return f"{verdict.decision.value}/{verdict.reason.value}", verdict.sentence


def test_an_unchanged_latency_is_promoted() -> None:
    assert answer(Shift(1.0))[0] == "promote/healthy"


def test_a_much_slower_canary_is_rolled_back_with_both_quantiles() -> None:
    found, sentence = answer(Shift(1.6))
    assert found == "rollback/harm"
    assert "p99 is" in sentence
    assert "the baseline's" in sentence
    assert "% more" in sentence


def test_a_canary_within_the_tolerance_is_not_rolled_back() -> None:
    assert all(answer(Shift(1.2), seed)[0] != "rollback/harm" for seed in range(10))


def test_a_shared_slowness_is_no_rollback() -> None:
    assert all(answer(Shift(1.0, shared=3.0), seed)[0] != "rollback/harm" for seed in range(5))


def test_coarse_buckets_leave_an_unchanged_canary_alone_and_are_told() -> None:
    verdict = judged(
        histograms(np.random.default_rng(3), Shift(1.0, bounds=COARSE), looks=60, look_seconds=10),
        canary(CHECK), indicator=LATENCY,
    )  # fmt: skip
    assert verdict.decision is not Decision.ROLLBACK
    assert "the buckets are wider than 30%" in verdict.warnings[0]


def test_without_buckets_above_the_tolerance_health_cannot_be_shown() -> None:
    low = tuple(bound for bound in BOUNDS if bound < 0.3)
    found, sentence = answer(Shift(1.0, bounds=low))
    assert found == "continue/insufficient_evidence"
    assert "no bucket lies above" in sentence


def test_an_error_limit_beside_the_quantile_is_kept() -> None:
    both = errors(quantile="0.99", worse_by="0.30", error_rate="0.005")
    found = histograms(np.random.default_rng(4), Shift(1.0, slow=0.05), looks=60, look_seconds=10)
    verdict = judged(found, canary(both), indicator=replace(LATENCY, at_most=LATENCY.at_most))
    assert verdict.decision is Decision.ROLLBACK


def test_a_bound_without_a_bucket_is_missing_data_and_no_slowness() -> None:
    found = histograms(np.random.default_rng(6), Shift(1.0), looks=60, look_seconds=10)
    odd = replace(LATENCY, at_most=Decimal("0.77"))
    verdict = judged(found, canary(errors(error_rate="0.01")), indicator=odd)
    assert (verdict.decision, verdict.reason) == (Decision.CONTINUE, Reason.NO_DATA)


def test_a_bound_within_a_bucket_of_a_native_histogram_is_interpolated() -> None:
    found = histograms(np.random.default_rng(6), Shift(1.0), looks=60, look_seconds=10)
    odd = replace(LATENCY, at_most=Decimal("0.77"), native=True)
    verdict = judged(found, canary(errors(error_rate="0.01")), indicator=odd)
    assert verdict.decision is Decision.PROMOTE


def test_one_bound_may_be_written_in_several_ways() -> None:
    def bucket(pod: str, le: str) -> CounterSeries:
        return CounterSeries({"instance": pod, "le": le}, np.array([0.0, 10.0]))

    series = (bucket("go", "1"), bucket("python", "1.0"), bucket("go", "+Inf"), bucket("python", "+Inf"))
    counts = arm_counts(ArmSamples({BUCKET: series}, 2, ("instance",)), ())
    assert counts.bounds(BUCKET) == {1.0, np.inf}
    assert counts.path(BUCKET, bound=1.0).low.tolist() == [0.0, 20.0]


@pytest.mark.parametrize("arm", ["canary", "baseline"])
def test_an_arm_without_buckets_is_not_judged(arm: str) -> None:
    found = histograms(np.random.default_rng(5), Shift(1.0), looks=60, look_seconds=10)
    empty = replace(found, **{arm: ArmSamples({}, 61, ("instance",))})
    assert judged(empty, canary(CHECK), indicator=LATENCY).decision is Decision.CONTINUE
