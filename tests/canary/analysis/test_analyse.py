"""The fail-safe table, row by row, and what a verdict says."""

import json
import re
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from sloctl.canary.analysis.evidence import BaselineHistory
from sloctl.canary.analysis.samples import ArmSamples, CheckSamples, CounterSeries
from sloctl.canary.analysis.statistics import Floats
from sloctl.canary.analysis.verdict import UNSEEN, Decision, Reason, Verdict, as_json, unanswered
from sloctl.model.canary import After, Needs, Step, WhenMissing, WhenShared
from sloctl.model.quantities import MINUTE, Duration
from testing.canaries import (
    CANARY_POD,
    STABLE_PODS,
    arm,
    canary,
    counter,
    errors,
    judged,
    mismatches,
    samples,
    without,
    without_scrapes,
)

NOTHING = ArmSamples({}, 61, ("instance",))


def answer(verdict: Verdict) -> str:
    return f"{verdict.decision.value}/{verdict.reason.value}"


def test_a_healthy_canary_is_promoted_at_the_end_of_its_step() -> None:
    assert answer(judged(samples())) == "promote/healthy"


def test_a_healthy_canary_is_not_promoted_before_the_end_of_its_step() -> None:
    verdict = judged(samples(looks=59))
    assert answer(verdict) == "continue/holding"
    assert all(finding.decision is Decision.PROMOTE for finding in verdict.findings)


def test_a_canary_with_many_errors_is_rolled_back() -> None:
    verdict = judged(samples(canary_bad=3, looks=10))
    assert answer(verdict) == "rollback/harm"
    assert "errors: 3% of 1 000 requests failed" in verdict.sentence
    assert "worse than the baseline" in verdict.sentence


def test_a_shared_incident_is_no_rollback_and_no_promote() -> None:
    incident = samples(canary_bad=3, baseline_bad=57)
    assert answer(judged(replace(incident, history=samples().history))) == "continue/shared_degradation"


def test_a_baseline_that_always_breaks_the_limit_holds_as_well() -> None:
    assert answer(judged(samples(canary_bad=3, baseline_bad=57))) == "continue/shared_degradation"


def test_a_busy_day_after_a_quiet_night_is_no_incident() -> None:
    """Both fail ten times as often as in the hour before, and far below the limit."""
    rates = {"canary_requests": 1000.0, "baseline_requests": 19000.0}
    night = samples(baseline_bad=1.9, **rates).history
    busy = replace(samples(canary_bad=1.0, baseline_bad=19.0, **rates), history=night)
    assert answer(judged(busy)) == "promote/healthy"
    assert answer(judged(busy, canary(errors(error_rate=None)))) == "continue/shared_degradation"


@pytest.mark.parametrize("canary_bad", [0.25, 0.3, 0.35, 0.4])
def test_how_many_requests_are_needed_is_more_than_there_are(canary_bad: float) -> None:
    """By the dispersion that decides, which is that of a canary at the limit."""
    rng = np.random.default_rng(2)
    bursts = [np.repeat(rng.gamma(1, size=30), 4) for _ in range(4)]
    pods = [[counter(pod, steps, base=0.0) for pod, steps in zip(STABLE_PODS, each, strict=True)]
            for each in ([[1425.0] * 120] * 4, bursts)]  # fmt: skip
    history = ArmSamples({"total": tuple(pods[0]), "bad": tuple(pods[1])}, 121, ("instance",))
    finding = judged(replace(samples(canary_bad=canary_bad), history=history)).findings[0]
    assert finding.decision is Decision.CONTINUE
    assert finding.needs_requests is None or finding.needs_requests > 1.05 * finding.canary.n
    assert "needs about 6 001 requests, has 6 000" not in finding.sentence


def test_a_check_may_roll_back_in_a_shared_incident() -> None:
    spec = canary(errors(worse_by=None, shared=WhenShared.ROLLBACK))
    assert answer(judged(samples(canary_bad=3, baseline_bad=57), spec)) == "rollback/harm"


def late(failing: float, looks: int = 60, last: int = 6) -> CheckSamples:
    """A canary whose errors begin with its last intervals."""
    found = samples(looks=looks)
    bad = np.full(looks, 0.1)
    bad[-last:] = failing
    series = (counter(CANARY_POD, [100.0] * looks), counter(CANARY_POD, bad))
    return replace(found, canary=replace(found.canary, series={"total": series[:1], "bad": series[1:]}))


@pytest.mark.parametrize("looks", [60, 360])
def test_a_canary_that_breaks_at_the_end_is_rolled_back_although_it_was_healthy(looks: int) -> None:
    assert answer(judged(late(3, looks), canary(hold=MINUTE * 10))) == "rollback/harm"


def test_nothing_is_promoted_while_the_last_minute_is_above_the_limit() -> None:
    verdict = judged(late(0.7))
    assert answer(verdict) == "continue/insufficient_evidence"
    assert verdict.sentence.endswith("but the last minute alone is above the limit")
    compared = judged(late(0.7), canary(errors(error_rate=None)))
    assert answer(compared) == "continue/insufficient_evidence"
    assert answer(judged(late(0.3))) == "promote/healthy"


def test_an_incident_that_one_version_shows_a_scrape_earlier_is_nobodys() -> None:
    """As it is where a pod of the canary is scraped just after it began and those of the baseline just before."""
    found = samples()
    shown, later = np.full(60, 0.1), np.full(60, 1.9)
    shown[30:36], later[31:37] = 30.0, 570.0
    whole = found.canary.series["total"]
    first = replace(found.canary, series={"total": whole, "bad": (counter(CANARY_POD, shown),)})
    second = replace(
        found.baseline,
        series={"total": found.baseline.series["total"], "bad": (counter(STABLE_PODS[0], later, base=1000.0),)},
    )
    verdict = judged(replace(found, canary=first, baseline=second))
    assert verdict.decision is not Decision.ROLLBACK


def test_a_canary_without_samples_is_not_judged() -> None:
    assert answer(judged(replace(samples(), canary=NOTHING))) == "continue/no_data"


@pytest.mark.parametrize(
    ("when_missing", "expected"),
    [(WhenMissing.HOLD, "continue/no_data"), (WhenMissing.ROLLBACK, "rollback/deadline")],
)
def test_at_the_deadline_the_specification_decides_what_missing_data_mean(when_missing, expected) -> None:
    late = samples(looks=120)
    late = replace(late, canary=ArmSamples({}, 121, ("instance",)))
    assert answer(judged(late, canary(when_missing=when_missing))) == expected


def test_a_shared_degradation_is_no_missing_data_at_the_deadline() -> None:
    late = samples(canary_bad=3, baseline_bad=57, looks=120)
    assert answer(judged(late, canary(when_missing=WhenMissing.ROLLBACK))) == "continue/shared_degradation"


def test_too_few_requests_say_how_many_are_needed() -> None:
    few = samples(canary_requests=1, canary_bad=0, baseline_requests=1000, baseline_bad=1)
    verdict = judged(few)
    assert answer(verdict) == "continue/insufficient_evidence"
    finding = verdict.findings[0]
    assert finding.needs_requests == pytest.approx(1920, rel=0.02)
    assert "has 60" in finding.sentence
    assert finding.eta_seconds == pytest.approx((finding.needs_requests - 60) * 10, abs=1)
    assert "a larger weight or a longer step would help" in verdict.sentence


def test_a_missing_baseline_holds_a_healthy_canary() -> None:
    assert answer(judged(replace(samples(), baseline=NOTHING))) == "continue/no_baseline"


def test_a_missing_baseline_does_not_hide_absolute_harm() -> None:
    assert answer(judged(replace(samples(canary_bad=10), baseline=NOTHING))) == "rollback/harm"


def test_a_sample_that_is_no_number_is_stale_data() -> None:
    found = samples()
    series = found.canary.series["total"][0]
    odd = replace(found.canary, series={**found.canary.series, "total": (replace(series, invalid=True),)})
    verdict = judged(replace(found, canary=odd))
    assert answer(verdict) == "continue/stale_data"
    assert "canary-1:80" in verdict.sentence


def test_a_missing_last_scrape_of_the_canary_is_stale_data() -> None:
    found = samples()
    verdict = judged(replace(found, canary=without_scrapes(found.canary, 0, [60])))
    assert answer(verdict) == "continue/stale_data"
    assert "no sample for 1 scrapes" in verdict.sentence


def test_a_pod_of_the_canary_that_went_away_is_not_forgotten() -> None:
    found = samples()
    pods = [CANARY_POD, {"instance": "canary-2:80"}]
    two = replace(found, canary=without_scrapes(arm(pods, 100, 0.1, 60), 1, range(30, 61)))
    assert answer(judged(two)) == "continue/stale_data"


def test_pods_of_the_baseline_may_go_away() -> None:
    found = samples()
    gone = replace(found, baseline=without_scrapes(found.baseline, 0, range(30, 61)))
    assert answer(judged(gone)) == "promote/healthy"


def test_a_single_missing_scrape_changes_nothing() -> None:
    found = samples()
    assert answer(judged(replace(found, canary=without_scrapes(found.canary, 0, [30])))) == "promote/healthy"


def restarting(every: int) -> CheckSamples:
    """A canary whose only process starts again and again."""
    found = samples()
    series = found.canary.series["total"][0]
    values = series.values.copy()
    for at in range(every, 61, every):
        values[at:] -= values[at - 1]
    return replace(
        found, canary=replace(found.canary, series={**found.canary.series, "total": (replace(series, values=values),)})
    )


def test_one_restart_of_a_process_is_no_reason_to_hold() -> None:
    assert answer(judged(restarting(30))) == "promote/healthy"


def test_a_process_that_restarts_again_and_again_holds_the_canary() -> None:
    verdict = judged(restarting(5))
    assert answer(verdict) == "continue/counter_reset"
    assert "went back" in verdict.sentence


def test_pods_of_the_canary_that_are_gone_are_no_reason_to_hold_unless_they_are_many() -> None:
    """What a pod counts after its last sample is never seen: at most one scrape of it."""
    found = samples()
    pods = [{"instance": f"canary-{number}:80"} for number in range(1, 6)]
    for left, expected in ((1, "promote/healthy"), (4, "promote/healthy"), (5, "continue/stale_data")):
        five = arm(pods, 200, 0.1, 60)
        for pod in range(left):
            five = without_scrapes(five, pod, range(50, 61))
        gone = frozenset((pod["instance"],) for pod in pods[: min(left, 4)])
        assert answer(judged(replace(found, canary=replace(five, gone=gone)))) == expected
    short = without_scrapes(arm(pods, 5000, 0.1, 10), 0, range(5, 11))
    spec = canary(hold=Duration.of(seconds=60))
    few = replace(short, gone=frozenset({("canary-1:80",)}))
    baseline = samples(looks=10)
    assert answer(judged(replace(baseline, canary=few), spec)) == "promote/healthy"
    both = replace(without_scrapes(few, 1, range(3, 11)), gone=frozenset({("canary-1:80",), ("canary-2:80",)}))
    alone = replace(baseline, canary=both)
    assert answer(judged(alone, spec)) == "continue/counter_reset", "two of forty scrapes are too many"


def test_a_restart_of_the_baseline_is_counted_from_zero() -> None:
    found = samples()
    series = list(found.baseline.series["total"])
    values = series[0].values.copy()
    values[30:] -= values[29]
    series[0] = replace(series[0], values=values)
    odd = replace(found.baseline, series={**found.baseline.series, "total": tuple(series)})
    assert answer(judged(replace(found, baseline=odd))) == "promote/healthy"


def test_one_bad_check_beats_others_without_data() -> None:
    spec = canary(errors(), errors(name="second"))
    found = {"errors": samples(canary_bad=3), "second": replace(samples(), canary=NOTHING)}
    assert answer(judged(found, spec)) == "rollback/harm"


def test_one_check_without_data_holds_the_others() -> None:
    spec = canary(errors(), errors(name="second"))
    found = {"errors": samples(), "second": replace(samples(), canary=NOTHING)}
    assert answer(judged(found, spec)) == "continue/no_data"


def test_a_person_is_waited_for() -> None:
    assert answer(judged(samples(), approved=False)) == "continue/approval_pending"


def test_when_both_limits_must_be_broken_one_is_not_enough() -> None:
    above_the_baseline_only = samples(canary_bad=0.45)
    assert answer(judged(above_the_baseline_only, canary(errors(needs=Needs.ANY)))) == "rollback/harm"
    assert judged(above_the_baseline_only, canary(errors(needs=Needs.BOTH))).decision is not Decision.ROLLBACK
    assert answer(judged(samples(canary_bad=3), canary(errors(needs=Needs.BOTH)))) == "rollback/harm"


def by_route(bad_rate: float, requests: float = 20.0) -> dict[str, CheckSamples]:
    """Twenty routes with random errors; `/pay` of the canary has another error ratio than 0.1 %."""
    rng = np.random.default_rng(7)
    routes = ["/pay", *(f"/r{number}" for number in range(19))]

    def one(pods: list[dict[str, str]], requests: float, base: float | None, pay: float = 0.001) -> ArmSamples:
        series: dict[str, list[CounterSeries]] = {"total": [], "bad": []}
        for pod in pods:
            for route in routes:
                share = requests / len(pods)
                bad = rng.poisson(share * (pay if route == "/pay" else 0.001), 60)
                series["total"].append(counter({**pod, "http_route": route}, [share] * 60, base=base))
                series["bad"].append(counter({**pod, "http_route": route}, bad, base=base))
        return ArmSamples({role: tuple(found) for role, found in series.items()}, 61, ("instance",))

    baseline = one(STABLE_PODS, requests * 19, 0.0)
    return {
        "errors": CheckSamples(
            one([CANARY_POD], requests, None, bad_rate), baseline, one(STABLE_PODS, requests * 57, 0.0)
        )
    }


def test_one_bad_endpoint_of_twenty_is_found_and_named() -> None:
    spec = canary(errors(by=("http_route",)))
    verdict = judged(by_route(0.03), spec)
    assert answer(verdict) == "rollback/harm"
    assert verdict.findings[0].series == {"http_route": "/pay"}
    assert "http_route=/pay" in verdict.sentence


def test_twenty_good_endpoints_are_promoted() -> None:
    assert answer(judged(by_route(0.001), canary(errors(by=("http_route",))))) == "promote/healthy"


def test_promotion_asks_each_endpoint_and_says_where_it_could_not_have_seen_errors() -> None:
    spec = canary(errors(by=("http_route",)))
    doubtful = judged(by_route(0.005), spec)
    assert answer(doubtful) == "continue/insufficient_evidence"
    assert "on http_route=/pay; more of them will tell" in doubtful.sentence
    few = judged(by_route(0.001, requests=4.0), spec)
    assert answer(few) == "promote/healthy"
    [said] = [text for text in few.warnings if "would not be seen" in text]
    assert re.fullmatch(r"errors: http_route=\S+ has \d+ requests: 3% errors there .* nor on \d+ others", said)
    assert not any("would not be seen" in text for text in judged(by_route(0.001), spec).warnings)


def ledger(wrong: Floats, compared: float = 1000.0, looks: int = 60) -> dict[str, CheckSamples]:
    found = ArmSamples(
        {
            "mismatches": (counter(CANARY_POD, wrong, base=0.0),),
            "compared": (counter(CANARY_POD, [compared] * looks, base=0.0),),
        },
        looks + 1,
        ("instance",),
    )
    return {"ledger": replace(samples(), canary=found)}


def test_a_mismatch_that_settled_rolls_back() -> None:
    wrong = np.zeros(60)
    wrong[20] = 1
    verdict = judged(ledger(wrong), canary(mismatches()))
    assert answer(verdict) == "rollback/mismatch"
    assert "1 of 60 000 did not match" in verdict.sentence


def test_a_mismatch_that_may_still_settle_holds() -> None:
    wrong = np.zeros(60)
    wrong[58] = 1
    assert answer(judged(ledger(wrong), canary(mismatches()))) == "continue/insufficient_evidence"


def test_no_mismatch_promotes_after_enough_comparisons() -> None:
    assert answer(judged(ledger(np.zeros(60)), canary(mismatches()))) == "promote/healthy"
    few = judged(ledger(np.zeros(60), compared=50), canary(mismatches()))
    assert answer(few) == "continue/insufficient_evidence"
    assert "needs about 4 606 events, has 3 000" in few.sentence


AFTER_ALL = After("availability", (), MINUTE * 5, Decimal(1))


def test_after_promotion_one_failure_rolls_back() -> None:
    spec = canary(after=AFTER_ALL)
    verdict = judged(samples(canary_requests=2000, canary_bad=0.1), spec, step=1)
    assert answer(verdict) == "rollback/harm"
    assert "failed since promotion" in verdict.sentence


def test_after_promotion_without_failures_it_is_done_when_the_time_is_over() -> None:
    spec = canary(after=AFTER_ALL)
    assert answer(judged(samples(canary_bad=0, looks=29), spec, step=1)) != "promote/healthy"
    assert answer(judged(samples(canary_bad=0, looks=60), spec, step=1)) == "promote/healthy"


def test_a_verdict_is_strict_json() -> None:
    for verdict in (judged(samples()), judged(samples(canary_bad=3)), judged(replace(samples(), baseline=NOTHING))):
        text = json.dumps(as_json(verdict), allow_nan=False)
        assert json.loads(text)["verdict"] == verdict.decision.value


def test_a_verdict_carries_its_numbers() -> None:
    finding = judged(samples()).findings[0]
    assert (finding.canary.n, finding.canary.x) == (6000, 6)
    assert finding.baseline.rate == pytest.approx(0.001, rel=0.05)
    assert finding.e_promote > finding.promote_threshold == pytest.approx(100)
    assert finding.threshold == pytest.approx(200)
    assert finding.interval[0] < 0.001 < finding.interval[1]


def test_reasons_have_an_order() -> None:
    spec = canary(errors(), errors(name="second"))
    found = {"errors": replace(samples(), baseline=NOTHING), "second": replace(samples(), canary=NOTHING)}
    assert judged(found, spec).reason is Reason.NO_DATA


def test_a_series_missing_at_the_end_of_a_fresh_target_is_stale() -> None:
    found = samples()
    assert answer(judged(replace(found, canary=without(found.canary, "bad", 0, [60])))) == "continue/stale_data"


def test_blocks_before_the_versions_birth_are_no_history() -> None:
    """How much errors vary is a matter of the blocks in which there were requests."""
    rng = np.random.default_rng(4)
    blocks = [rng.poisson(mean, 120).astype(float) for mean in (6, 6000, 6, 6000)]
    whole = BaselineHistory.of(*blocks)
    young = BaselineHistory.of(*(np.concatenate([np.zeros(1000), each]) for each in blocks))
    assert young == whole


def test_what_a_short_history_does_not_tell_is_taken_to_be_bursty() -> None:
    few = BaselineHistory.of(*(np.array([float(each)]) for each in (6, 6000, 6, 6000)))
    assert few.phi == pytest.approx(1 + 0.3 * 12, rel=0.05)
    assert few.cv2 == pytest.approx(0.3, rel=0.05)
    assert few.rate == 0.001
    assert float(few.highest_rate) > 0.0015
    alone = BaselineHistory.of(*(np.full(120, float(each)) for each in (6, 6000, 0, 0)))
    assert alone.phi == pytest.approx(1 + 0.3 * 6), "one target has no half to be compared with"


def test_a_flawless_history_allows_a_few_errors() -> None:
    """None of 400 requests in four seconds does not mean that there will never be one."""
    history = arm(STABLE_PODS, 400, 0, 1, base=0.0)
    assert answer(judged(replace(samples(), history=history))) == "promote/healthy"


def test_a_cold_start_is_not_judged() -> None:
    """Of each pod, also of one that a later step adds; what was there from the beginning is warm."""
    cold = np.concatenate([np.full(6, 5.0), np.full(54, 0.05)])
    second = np.concatenate([np.full(30, np.nan), np.cumsum(np.full(31, 100.0))])
    failed = np.concatenate([np.full(30, np.nan), np.cumsum(np.concatenate([np.full(7, 5.0), np.full(24, 0.05)]))])
    pods = [CANARY_POD, {"instance": "canary-2:80"}]
    series = {"total": (counter(pods[0], [100.0] * 60), CounterSeries(pods[1], second)),
              "bad": (counter(pods[0], cold), CounterSeries(pods[1], failed))}  # fmt: skip
    starting = replace(samples(), canary=ArmSamples(series, 61, ("instance",)))
    assert answer(judged(starting)) == "rollback/harm"
    warm = replace(starting, canary=replace(starting.canary, warm_up=6))
    verdict = judged(warm)
    assert answer(verdict) == "promote/healthy"
    assert verdict.findings[0].canary.n == 53 * 100 + 24 * 100, "the first sample of a pod begins it"
    always = replace(samples(canary_bad=5), canary=replace(samples(canary_bad=5).canary, warm_up=6))
    assert answer(judged(always)) == "rollback/harm"


def test_what_is_cold_for_its_whole_life_is_not_promoted() -> None:
    found = samples()
    cold = replace(found, canary=replace(found.canary, warm_up=100))
    assert answer(judged(cold)) == "continue/no_data"


ASLEEP = canary(hold=Duration.of(minutes=5), when_missing=WhenMissing.PROMOTE)
QUIET = samples(0.0, 0.0, canary_requests=0.2, baseline_requests=4.0)


def test_a_service_asleep_is_promoted_at_the_deadline_where_that_is_wanted() -> None:
    found = judged(QUIET, ASLEEP)
    assert (found.decision, found.reason) == (Decision.PROMOTE, Reason.DEADLINE)
    assert UNSEEN in found.warnings
    assert judged(QUIET, replace(ASLEEP, when_missing=WhenMissing.HOLD)).decision is Decision.CONTINUE
    assert judged(QUIET, ASLEEP, approved=False).decision is Decision.CONTINUE
    early = replace(ASLEEP, steps=(Step(Decimal("0.05"), MINUTE * 20, MINUTE * 40), ASLEEP.steps[1]))
    assert judged(QUIET, early).decision is Decision.CONTINUE


def test_nothing_that_failed_or_cannot_be_seen_is_promoted_for_its_silence() -> None:
    failed = replace(QUIET, canary=samples(0.05, 0.0, canary_requests=0.2).canary)
    assert judged(failed, ASLEEP).decision is Decision.CONTINUE
    stale = replace(QUIET, canary=without_scrapes(QUIET.canary, 0, [60]))
    assert (judged(stale, ASLEEP).decision, judged(stale, ASLEEP).reason) == (Decision.CONTINUE, Reason.STALE_DATA)
    for reason in Reason:
        found = unanswered(reason, "", judged(QUIET, ASLEEP).clock, WhenMissing.PROMOTE)
        promoted = found.decision is Decision.PROMOTE
        assert promoted is (reason in {Reason.NO_DATA, Reason.NO_BASELINE, Reason.INSUFFICIENT_EVIDENCE}), reason


def test_a_metric_that_one_version_calls_otherwise_is_named() -> None:
    found = samples()
    renamed = judged(replace(found, baseline=NOTHING))
    assert answer(renamed) == "continue/no_baseline"
    assert "no sample of the baseline: is `requests_total` called otherwise there?" in renamed.sentence
    other = judged(replace(found, canary=NOTHING))
    assert answer(other) == "continue/no_data"
    assert "no sample of the canary: is `requests_total` called otherwise there?" in other.sentence
    neither = judged(replace(found, canary=NOTHING, baseline=NOTHING))
    assert neither.sentence == "errors: no sample of the canary"
