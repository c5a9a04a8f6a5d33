"""Proofs in promtool's engine: sound rules are proven, and broken ones are named with what was seen."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal
from itertools import pairwise
from typing import Any

import pytest

from sloctl import conventions
from sloctl.compiler import load
from sloctl.diagnostics import Diagnostics
from sloctl.explain.detection import explain_slo, pending_time, smallest_ratio
from sloctl.explain.simulation import interval, simulate
from sloctl.model.alerting import Tier
from sloctl.model.quantities import MINUTE, ZERO
from sloctl.proof.edges import edges
from sloctl.proof.proof import Case, Expected, Proof, Rule, SloRules, holds, rules_of
from sloctl.proof.recorded import own_series, tile_series
from sloctl.proof.slos import proofs, slo_proofs
from tests.conftest import TESTS
from tests.proof.conftest import FINFLOW, RATIO, Prove, Written

KINDS = {
    "ratio of two metrics": "{ratio: {total: requests_total, bad: failures_total}}",
    "ratio by good events": "{ratio: {total: requests_total, good: 'requests_total{code!~\"5..\"}'}}",
    "rates": "{ratio: {total: requests, bad: failures, counts: per_second}}",
    "latency": "{latency: {histogram: 'lat_seconds{job=\"api\"}', at_most: 300ms, bad_if: 'code=\"500\"'}}",
    "probe": "{probe: {gauge: 'probe{point=~\"eu|us\"}'}}",
    "freshness": "{freshness: {timestamp: seen, max_age: 5m, across: all}}",
    "throughput": "{throughput: {counter: 'done{job=\"api\"}', at_least: 10/min}}",
    "saturation": "{saturation: {used: used, capacity: size, at_most: 85%}}",
    "threshold": "{threshold: {value: max(lag_seconds), at_most: 10s}}",
}


@pytest.mark.server
@pytest.mark.parametrize("kind", list(KINDS))
def test_the_rules_of_every_kind_are_proven_from_raw_series_to_the_alert(
    written: Written, prove: Prove, kind: str
) -> None:
    platform, slo = written(KINDS[kind], "[{severity: P1, burn: 14.4, over: 30m, also_over: 5m}]")
    outcomes = prove(list(slo_proofs(rules_of(platform, slo))))
    assert {outcome.proof.part for outcome in outcomes} >= {"p1-30m", "counts", "blind"}
    assert [failure for outcome in outcomes for failure in outcome.failures] == []


@pytest.mark.server
def test_a_split_is_proven_for_each_value_and_pages_for_the_affected_one_only(written: Written, prove: Prove) -> None:
    platform, slo = written(RATIO, FINFLOW, "    by: [tenant]\n")
    outcomes = prove(list(slo_proofs(rules_of(platform, slo))))
    assert [failure for outcome in outcomes for failure in outcome.failures] == []


@pytest.mark.server
def test_a_roll_up_tier_is_proven_from_tiles(written: Written, prove: Prove) -> None:
    platform, slo = written(RATIO, "[{severity: P3, burn: 3, over: 1d, also_over: 2h}]")
    outcomes = prove([proof for proof in slo_proofs(rules_of(platform, slo)) if proof.tiers])
    assert [failure for outcome in outcomes for failure in outcome.failures] == []


def edited(rules: list[dict[str, Any]], name: str, old: str, new: str) -> list[Rule]:
    return [
        rule | {"expr": rule["expr"].replace(old, new)} if (rule.get("alert") or rule.get("record")) == name else rule
        for rule in rules
    ]


@pytest.mark.server
@pytest.mark.parametrize(
    ("rule", "old", "new", "says"),
    [
        ("ApiOkBudgetBurnP1Over5m", "> 0.0142", "> 0.01704", "just above its threshold: expected firing, seen silent"),
        ("ApiOkBudgetBurnP1Over5m", "\nand ", "\nor ", "expected silent, seen firing"),
        ("slo:sli_error:ratio_increase5m", "4m59s", "5m59s", "just below its threshold: expected silent, seen firing"),
        ("slo:sli_errors:increase1m", 'code=~"5.."', 'code=~".*"', "ApiOkBudgetBurnP1Over5m expected firing at"),
    ],
)
def test_a_hand_edited_rule_is_named_with_the_expected_and_the_seen_moment(
    written: Written, prove: Prove, rule: str, old: str, new: str, says: str
) -> None:
    platform, slo = written()
    sound = rules_of(platform, slo)
    broken = edited([dict(found) for found in sound.meant.values()], rule, old, new)
    seen = {(found.get("record") or found["alert"]): found for found in broken}
    assert seen != sound.meant
    about = [proof for proof in slo_proofs(replace(sound, seen=seen)) if "p1-5m" in proof.tiers]
    assert says in " ".join(failure for outcome in prove(about) for failure in outcome.failures)


def test_a_rule_that_is_gone_fails_its_proof_by_name(written: Written) -> None:
    platform, slo = written()
    sound = rules_of(platform, slo)
    without = {name: rule for name, rule in sound.meant.items() if name != "ApiOkBlind"}
    (blind,) = [proof for proof in slo_proofs(replace(sound, seen=without)) if proof.part == "blind"]
    assert blind.refuted == "the rule file has no rule ApiOkBlind"


def test_what_cannot_be_derived_says_why(written: Written) -> None:
    platform, slo = written(
        "{query: {total: 'sum(increase(a[$window]))', bad: 'sum(increase(b[$window]))'}}",
        "[{severity: P1, burn: 14.4, over: 30m, guard: none}]",
    )
    reasons = {proof.part: proof.unproven for proof in slo_proofs(rules_of(platform, slo))}
    assert "user's own PromQL" in reasons["slo:sli_total:increase1m"]
    assert reasons["p1-30m"] == ""


BUDGET_LEFT = "[{severity: P2, budget_left: 50%}, {severity: P3, budget_left: 0%}]"


@pytest.mark.parametrize("alerts", ["google", FINFLOW, BUDGET_LEFT])
def test_explain_and_the_simulated_engine_agree_to_the_evaluation(written: Written, alerts: str) -> None:
    _, slo = written(RATIO, alerts, "    window: 1d\n" if alerts is BUDGET_LEFT else "")
    events = Decimal(10**9)
    for tier in slo.tiers:
        step = interval(slo, tier)
        group = int(step / slo.sampling.resolution)
        for ratio in (Decimal(1), Decimal("0.1"), Decimal("0.05"), Decimal("0.01"), Decimal("0.005")):
            history = int((tier.over or slo.window.length) / slo.sampling.resolution) + 2 * group
            begin = -(-history // group) * group
            tiles = [(events, Decimal(0))] * (begin + 1)  # the last clean tile is recorded at an evaluation
            tiles += [(events, events * ratio)] * (history + group)
            fired = next((evaluation.at for evaluation in simulate(slo, tier, tiles) if evaluation.active), None)
            said = pending_time(slo, tier, ratio)
            seen = None if fired is None else fired - slo.sampling.resolution * begin
            assert seen == said, (tier, ratio)


def told(rules: SloRules, tier: Tier, ratio: Decimal, looks: int) -> Case:
    """Clean tiles and then trouble: silent before the moment that `explain` says, and firing at it.

    Looked at there only: recordings that the alert reads are written into its expression.
    """
    slo, resolution, rollup = rules.slo, rules.slo.sampling.resolution, rules.slo.sampling.rollup
    step, said = interval(slo, tier), pending_time(slo, tier, ratio)
    over, group = int((tier.over or slo.window.length) / resolution), int(step / resolution)
    begin = -(-over // group) * group + group
    after = int((said or resolution * over) / resolution) + 4 * group
    events = Decimal(looks or 10**9)
    exact = [events * ratio * tile for tile in range(after + 1)]
    counted = [bad.to_integral_value(ROUND_FLOOR) for bad in exact] if looks else exact
    tiles = [(events, Decimal(0))] * (begin + 1) + [(events, now - before) for before, now in pairwise(counted)]
    series = tile_series(slo, tiles, {})
    for side, name in enumerate((conventions.total_tile(rollup), conventions.errors_tile(rollup))):
        rolled = [sum(tile[side] for tile in tiles[max(0, at - 4) : at]) for at in range(len(tiles))]
        series[own_series(slo, name, {})] = [
            Decimal(value) if at and at % 4 == 0 else None for at, value in enumerate(rolled)
        ]
    expr = rules.seen[conventions.tier_alert(slo, tier)]["expr"]
    for name, rule in reversed(rules.seen.items()):  # what is read stands before what reads it
        if "record" in rule and (":ratio_" in name or name == conventions.window_total(slo.window)):
            expr = expr.replace(f'{name}{{platform="default", service="api", slo="api-ok"}}', f"({rule['expr']})")
    fires = resolution * begin + (said or ZERO)
    silent = fires - step if said else resolution * (begin + after - group)
    values: list[Expected] = [(silent, f"count({expr})", [])]
    values += [holds(fires, f"count({expr})")] if said else []
    return Case(f"{conventions.burn_tier(tier)} at {ratio}", resolution, series, (), values)


SLICES = ["probe", "freshness", "throughput", "saturation", "threshold"]
LOW = (
    "[{severity: P1, burn: 14.4, over: 30m, also_over: 5m, min_bad: 3}, "
    "{severity: P3, burn: 1, over: 1d, also_over: 2h}]"
)


@pytest.mark.server
def test_explain_and_promtools_engine_agree_to_the_evaluation_at_every_ratio_that_explain_prints(
    written: Written, prove: Prove
) -> None:
    """All SLOs in two processes: nothing is evaluated but the moments that `explain` tells."""
    claims = list[Proof]()
    for number, (kind, alerts) in enumerate(
        [("ratio of two metrics", "google"), ("ratio of two metrics", FINFLOW), ("latency", LOW)]
        + [(kind, alerts) for kind in SLICES for alerts in (LOW, FINFLOW)]
        + [("probe", BUDGET_LEFT)]
    ):
        platform, slo = written(KINDS[kind], alerts, "    window: 1d\n" if alerts is BUDGET_LEFT else "")
        looks = 2 if kind == "probe" else 1
        rules = rules_of(platform, slo)
        cases = [
            told(rules, tier.tier, ratio, looks if slo.counts_slices else 0)
            for tier in explain_slo(slo).tiers
            for ratio in dict.fromkeys(detection.ratio for detection in tier.detections)
        ]
        claims.append(Proof(kind, str(number), MINUTE, (), cases))
    assert [(outcome.proof.name, outcome.failures) for outcome in prove(claims) if outcome.failures] == []


def test_explain_promises_no_page_where_too_few_bad_slices_fit_into_a_window(written: Written) -> None:
    _, slo = written(KINDS["probe"], "[{severity: P1, burn: 14.4, over: 5m, min_bad: 3}]")
    (tier,) = slo.tiers
    assert pending_time(slo, tier, Decimal("0.05")) is None
    assert pending_time(slo, tier, Decimal("0.1")) is None
    assert pending_time(slo, tier, Decimal("0.3")) == MINUTE * 5
    assert smallest_ratio(slo, tier) == Decimal("0.3")


@pytest.mark.parametrize("alerts", ["google", FINFLOW])
def test_every_tier_has_a_history_on_which_it_fires_and_one_on_which_it_is_silent(
    written: Written, alerts: str
) -> None:
    _, slo = written(RATIO, alerts)
    for tier in slo.tiers:
        shown = {edge.name: edge.fires for edge in edges(slo, tier)}
        assert shown["just above its threshold"]
        assert not shown["just below its threshold"]
        assert shown["just above what chance explains"]
        assert not shown["just below what chance explains"]


@pytest.mark.server
@pytest.mark.parametrize("case", ["kinds", "ratios"])
def test_every_form_of_an_sli_that_the_golden_cases_hold_is_proven(prove: Prove, case: str) -> None:
    found = Diagnostics()
    catalogue = load([str(TESTS / "golden" / case / "spec")], found)
    quick = [proof for proof in proofs(catalogue) if proof.part in {"p1-5m", "counts", "quiet", "buckets", "credits"}]
    assert len(quick) > 20
    assert [(outcome.proof.name, outcome.failures) for outcome in prove(quick) if outcome.failures] == []
