"""Proofs of what an SLO has beside its tiers: each holds for sound rules and fails for a broken one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sloctl import conventions
from sloctl.backends.prometheus.alerts import health_group
from sloctl.model.catalogue import Inhibition
from sloctl.proof.platforms import health_proofs
from sloctl.proof.proof import Proof, SloRules, rules_of
from sloctl.proof.slos import slo_proofs
from tests.proof.conftest import FINFLOW, RATIO, Prove, Written

SPLIT = "    by: [tenant]\n    max_series: 3\n"
SLA = (
    "    sla: {window: 30d, value: 'contract_usd{plan=\"gold\"}', currency: USD,"
    " credits: [{below: 99.9%, credit: 10%}, {below: 99%, credit: 25%}]}\n"
)
MONTH = "    window: {calendar: month, time_zone: Asia/Kolkata}\n"
LATENCY = "{latency: {histogram: 'lat_seconds{job=\"api\"}', at_most: 300ms}}"
SATURATION = "{saturation: {used: used, capacity: size, at_most: 85%}}"
REGRESSION = "    regression: {quantile: 75%, over: 1d, earlier: 7d, worse_by: 10%, severity: P2, min_events: 100}\n"

PARTS = {
    "births": (RATIO, ""),
    "roll-ups": (RATIO, ""),
    "budget": (RATIO, ""),
    "window": (RATIO, ""),
    "credits": (RATIO, SLA),
    "excluded-1": (RATIO, "    exclude_when: ['max(maintenance) == 1']\n"),
    "blind": (RATIO, SPLIT),
    "too-many-series": (RATIO, SPLIT),
    "forecast": (SATURATION, "    forecast: {within: 15d}\n"),
    "forecast-since": (SATURATION, "    forecast: {within: 15d}\n"),
    "time-to-limit": (SATURATION, "    forecast: {within: 15d}\n"),
    "counts": (SATURATION, "    forecast: {within: 15d}\n"),
    "buckets": (LATENCY, REGRESSION),
    "regression": (LATENCY, REGRESSION),
}
TOTAL, ROLLED = "slo:sli_total:increase1m", "slo:sli_total:increase4m"
BREAKS = [
    ("births", TOTAL, "> 100 and on", "> 1e9 and on"),  # the relabel guard
    ("births", TOTAL, "== 1 or", ">= 0 or"),  # a target that was down has no new events
    ("births", TOTAL, "== 1 or", "== 2 or"),
    ("births", TOTAL, "<= 100 unless", "<= 101 unless"),
    ("births", TOTAL, "<= 100 unless", "<= 99 unless"),
    ("births", TOTAL, "<= 100 unless", "<= 1e9 unless"),
    ("births", TOTAL, "/ 2, 100", "/ 1, 100"),
    ("roll-ups", ROLLED, "[8m]", "[9m]"),
    ("roll-ups", ROLLED, "[16m]", "[12m]"),
    ("roll-ups", ROLLED, "offset 30s", ""),
    ("budget", "slo:error_budget_consumed:ratio_increase30d", 'platform="default", ', ""),
    ("budget", "slo:time_to_exhaustion:seconds", ', slo="api-ok"', ""),
    ("blind", "ApiOkBlind", 'requests_total{job="api"', 'requests_total{job!=""'),
    ("budget", "slo:time_to_exhaustion:seconds", "[59m59s]", "[1h3m59s]"),
    ("budget", "slo:objective:info", "0.999", "0.99"),
    ("window", "slo:error_budget_consumed:ratio_increase30d", "[29d23h59m59s]", "[30d3m59s]"),
    ("credits", "slo:sla_credits_at_risk:currency", "> bool 0.01", "> bool 0.011"),
    ("excluded-1", "slo:sli_errors:increase1m", "== 1", "== 2"),
    ("blind", "ApiOkBlind", "unless on (tenant)", "and on (tenant)"),
    ("too-many-series", "ApiOkTooManySeries", "> 3", ">= 3"),
    ("forecast", "ApiOkReachesLimit", ">= 1\n", ">= 1.01\n"),
    ("time-to-limit", "slo:time_to_limit:seconds", "(1 - ", "(1.001 - "),
    ("counts", "slo:sli_value:last", "max_over_time(used", "2 * max_over_time(used"),
    ("buckets", "slo:sli_bucket:increase4m", 'job="api"', 'job!="api"'),
    ("regression", "ApiOkRegression", "> 1.1 *", "> 1.12 *"),
    ("regression", "ApiOkRegression", ">= 100", ">= 0"),
]


def proof_of(rules: SloRules, part: str) -> Proof:
    (found,) = (proof for proof in slo_proofs(rules) if proof.part == part)
    return found


@pytest.mark.server
def test_everything_beside_the_tiers_is_proven(written: Written, prove: Prove) -> None:
    proofs = list[Proof]()
    for part, (sli, more) in PARTS.items():
        platform, slo = written(sli, FINFLOW, more)
        proofs.append(replace(proof_of(rules_of(platform, slo), part), slo=part))
    assert [(outcome.proof.name, outcome.failures) for outcome in prove(proofs) if outcome.failures] == []


@pytest.mark.server
@pytest.mark.parametrize(
    ("sli", "trend"),
    [
        (SATURATION, "forecast: {within: 16m, from: 64m}"),
        (SATURATION, "forecast: {within: 17m, from: 70m}"),
        (LATENCY, "regression: {quantile: 75%, over: 16m, earlier: 16m, worse_by: 10%, severity: P2}"),
        (LATENCY, "regression: {quantile: 75%, over: 17m, earlier: 63m, worse_by: 10%, severity: P2}"),
    ],
)
def test_the_shortest_trends_are_proven_and_those_that_are_no_whole_roll_ups(
    written: Written, prove: Prove, sli: str, trend: str
) -> None:
    platform, slo = written(sli, FINFLOW, f"    {trend}\n")
    outcomes = prove(slo_proofs(rules_of(platform, slo)))
    assert [(outcome.proof.name, outcome.failures) for outcome in outcomes if outcome.failures] == []


@pytest.mark.server
def test_a_broken_rule_fails_its_proof(written: Written, prove: Prove) -> None:
    """All of them in one promtool."""
    claims = list[Proof]()
    for number, (part, name, old, new) in enumerate(BREAKS):
        platform, slo = written(PARTS[part][0], FINFLOW, PARTS[part][1])
        sound = rules_of(platform, slo)
        broken = dict(sound.meant[name])
        broken["expr"] = broken["expr"].replace(old, new)
        assert broken != sound.meant[name], (part, old)
        proof = proof_of(replace(sound, seen={**sound.seen, name: broken}), part)
        claims.append(replace(proof, slo=str(number)))
    failed = {int(outcome.proof.slo) for outcome in prove(claims, explains=False) if outcome.failures}
    assert [row for number, row in enumerate(BREAKS) if number not in failed] == []


BIRTHS = {
    "latency": (LATENCY, ""),
    "split-latency": (LATENCY.replace("}}", ", bad_if: 'code=\"500\"'}}"), SPLIT),
    "throughput": ("{throughput: {counter: 'done_total{job=\"api\"}', at_least: 101/min}}", ""),
    "pushed": (RATIO, "    new_series: count\n"),
    "federated": (RATIO, "    new_series: ignore\n"),
    "slices": (RATIO, "    timeslices: {target: 99%}\n"),
}
ERRORS = "slo:sli_errors:increase1m"
BROKEN_BIRTHS = [
    ("latency", "births", TOTAL, "> 100 and on", "> 1e9 and on"),
    ("latency", "births", ERRORS, "<= 100 unless", "<= 1e9 unless"),
    ("latency", "births-good", ERRORS, "0.3", "0.31"),
    ("split-latency", "births", TOTAL, "== 1 or", ">= 0 or"),
    ("throughput", "births", ERRORS, "> 100 and on", "> 1e9 and on"),
    ("throughput", "births", ERRORS, "<= 100 unless", "<= 1e9 unless"),
    ("pushed", "births", TOTAL, "<= 100 unless", "<= 99 unless"),
    ("federated", "births", TOTAL, "/ 2, 100", "/ 1, 100"),
    ("slices", "births", ERRORS, "> 100 and on", "> 1e9 and on"),
]


@pytest.mark.server
def test_first_values_are_proven_for_every_kind_that_reads_counters(written: Written, prove: Prove) -> None:
    """Sound rules and broken ones, all of them in one promtool."""
    sound = {kind: rules_of(*written(sli, FINFLOW, more)) for kind, (sli, more) in BIRTHS.items()}
    claims = [
        replace(proof, slo=kind, part="sound")
        for kind, rules in sound.items()
        for proof in slo_proofs(rules)
        if proof.part.startswith("births")
    ]
    assert [claim.slo for claim in claims] == [
        *("latency", "latency", "split-latency", "split-latency"),
        *("throughput", "pushed", "federated", "slices"),
    ]
    for number, (kind, part, name, old, new) in enumerate(BROKEN_BIRTHS):
        broken = dict(sound[kind].meant[name])
        broken["expr"] = broken["expr"].replace(old, new)
        assert broken != sound[kind].meant[name], (kind, old)
        proof = proof_of(replace(sound[kind], seen={**sound[kind].seen, name: broken}), part)
        claims.append(replace(proof, slo=str(number), part="broken"))
    failed = {outcome.proof.name for outcome in prove(claims, explains=False) if outcome.failures}
    assert failed == {f"{number} broken" for number in range(len(BROKEN_BIRTHS))}


MATCHED = "{{ratio: {{total: 'requests_total{{job=\"p\", handler{}}}', bad_if: 'code=~\"5..\"'}}}}"


@pytest.mark.server
@pytest.mark.parametrize("matcher", ['=~"/api/v1/query.*"', '!~"/health|/metrics"'])
def test_a_split_by_a_label_that_the_selector_narrows_is_proven(written: Written, prove: Prove, matcher: str) -> None:
    found = slo_proofs(rules_of(*written(MATCHED.format(matcher), FINFLOW, "    by: [handler]\n")))
    assert [proof.name for proof in found if proof.unproven] == []
    assert [(outcome.proof.name, outcome.failures) for outcome in prove(found) if outcome.failures] == []


@pytest.mark.server
def test_hours_that_are_excluded_are_not_provable_and_never_red(written: Written, prove: Prove) -> None:
    excluded = "    exclude_when: ['hour() < 8 or hour() >= 18']\n"
    found = slo_proofs(rules_of(*written(RATIO, FINFLOW, excluded)))
    assert {"slo:sli_total:increase1m", "slo:sli_errors:increase1m"} <= {
        finding.part for finding in found if finding.unproven
    }
    assert [(outcome.proof.name, outcome.failures) for outcome in prove(found) if outcome.failures] == []


@pytest.mark.server
def test_a_calendars_budget_is_proven_with_its_prediction(written: Written, prove: Prove) -> None:
    platform, slo = written(RATIO, FINFLOW, MONTH)
    proof = proof_of(rules_of(platform, slo), "budget")
    assert conventions.BUDGET_PREDICTED in {rule.get("record") for rule in proof.rules}
    (outcome,) = prove([proof])
    assert outcome.failures == ()


@pytest.mark.server
def test_a_lower_tier_is_silent_while_a_higher_one_fires_where_rules_inhibit(written: Written, prove: Prove) -> None:
    platform, slo = written(RATIO, FINFLOW, SPLIT)
    inhibiting = replace(platform, inhibition=Inhibition.RULE)
    proof = proof_of(rules_of(inhibiting, slo), "p3-30m")
    without = proof_of(replace(rules_of(inhibiting, slo), seen=rules_of(platform, slo).meant), "p3-30m")
    sound, broken = sorted(prove([proof, replace(without, slo="broken")]), key=lambda outcome: len(outcome.failures))
    assert sound.failures == ()
    assert broken.failures == ("ApiOkBudgetBurnP3Over30m: a P1 fires: expected silent, seen firing",)


@pytest.mark.server
def test_alerts_about_the_rules_themselves_are_proven(written: Written, prove: Prove) -> None:
    platform, _ = written()
    rules = health_group(platform).value()["rules"]
    outcomes = prove(list(health_proofs(platform, rules)))
    assert {outcome.proof.part for outcome in outcomes} == {
        "SloctlRuleFailures",
        "SloctlMissedEvaluations",
        "SloctlWatchdog",
    }
    assert [outcome.failures for outcome in outcomes if outcome.failures] == []
    blunt = [rule | {"expr": rule["expr"].replace("slo-default-", "")} for rule in rules]
    failed = {outcome.proof.part for outcome in prove(list(health_proofs(platform, blunt))) if outcome.failures}
    assert failed == {"SloctlRuleFailures", "SloctlMissedEvaluations"}


def test_an_alert_about_the_rules_that_is_gone_is_named(written: Written) -> None:
    platform, _ = written()
    assert "the rule file has no rule SloctlWatchdog" in {proof.refuted for proof in health_proofs(platform, [])}


def test_every_rule_of_an_slo_is_run_by_a_proof_or_named(written: Written) -> None:
    platform, slo = written(RATIO, FINFLOW, SPLIT + SLA + MONTH)
    rules = rules_of(platform, slo)
    found = slo_proofs(rules)
    run = {rule.get("record") or rule["alert"] for proof in found for rule in proof.rules}
    assert run >= set(rules.meant)
    assert not [proof for proof in found if proof.unproven]


def test_a_rule_that_cannot_be_run_must_at_least_be_as_compiled(written: Written) -> None:
    query = "{query: {total: 'sum(increase(a[$window]))', bad: 'sum(increase(b[$window]))'}}"
    platform, slo = written(query, FINFLOW)
    sound = rules_of(platform, slo)
    name = conventions.errors_tile(slo.sampling.resolution)
    assert "the user's own PromQL" in proof_of(sound, name).unproven
    broken = {**sound.meant[name], "expr": "vector(0)"}
    refuted = proof_of(replace(sound, seen={**sound.seen, name: broken}), name).refuted
    assert refuted.startswith(f"{name} is not what the specification compiles to: expected ")
    assert refuted.endswith("seen vector(0)")


REQUESTS = "{{ratio: {{total: 'requests_total{{{}}}', bad_if: 'code=~\"5..\"'}}}}"
BY = {
    "a label of the proof's own": (REQUESTS.format('job="api"'), "    by: [replica]\n"),
    "a label that a matcher narrows": (REQUESTS.format('tenant!="test"'), "    by: [tenant]\n"),
    "a label with two values": (REQUESTS.format('tenant=~"a|b"'), "    by: [tenant]\n"),
    "a threshold": ("{threshold: {value: 'max by (cluster) (lag_seconds)', at_most: 10s}}", "    by: [cluster]\n"),
    "a histogram": (LATENCY, "    by: [replica]\n"),
    "a throughput": ("{throughput: {counter: 'events_total{queue!=\"dead\"}', at_least: 1/s}}", "    by: [queue]\n"),
}
UNSHOWN = {
    "the time": (RATIO, "    exclude_when: ['hour() < 6']\n"),
    "what is absent": (RATIO, "    exclude_when: ['absent(up{job=\"api\"})']\n"),
    "one value": (REQUESTS.format('tenant=~"a"'), "    by: [tenant]\n"),
}


@pytest.mark.server
@pytest.mark.parametrize("cases", [BY, UNSHOWN], ids=["by", "unshown"])
def test_sound_rules_are_proven_or_not_provable_but_never_refuted(
    written: Written, prove: Prove, cases: dict[str, tuple[str, str]]
) -> None:
    proofs = list[Proof]()
    for name, (sli, more) in cases.items():
        found = slo_proofs(rules_of(*written(sli, "[{severity: P1, burn: 14.4, over: 30m, also_over: 5m}]", more)))
        proofs += [replace(proof, slo=name) for proof in found]
        counts = conventions.total_tile(rules_of(*written(sli, "none", more)).slo.sampling.resolution)
        assert any(proof.part == counts and proof.unproven for proof in found) == (cases is UNSHOWN), name
    assert [(outcome.proof.name, outcome.failures) for outcome in prove(proofs) if outcome.failures] == []
