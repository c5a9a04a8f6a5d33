"""Proofs in promtool's engine: sound rules are proven, and broken ones are named with what was seen."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from sloctl import conventions
from sloctl.compiler import load
from sloctl.conventions.inventory import reads_rollups
from sloctl.diagnostics import Diagnostics
from sloctl.explain.detection import RATIOS, pending_time
from sloctl.explain.simulation import interval, simulate
from sloctl.model.alerting import Tier
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import ZERO
from sloctl.proof.edges import edges
from sloctl.proof.proof import Case, Expected, Proof, Rule, rules_of
from sloctl.proof.recorded import tile_series
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


def told(slo: Slo, tier: Tier, ratio: Decimal) -> Case:
    """Clean tiles and then trouble: silent before the moment that `explain` says, and firing at it."""
    step, resolution = interval(slo, tier), slo.sampling.resolution
    group = int(step / resolution)
    begin = -(-int(tier.averaged_over / resolution) // group) * group + group
    said = pending_time(slo, tier, ratio)
    after = int((said or tier.averaged_over) / resolution) + 2 * group
    events = Decimal(10**9)
    tiles = [(events, Decimal(0))] * (begin + 1) + [(events, events * ratio)] * after
    firing = f'count(ALERTS{{alertname="{conventions.tier_alert(slo, tier)}", alertstate="firing"}})'
    fires: Expected = (resolution * begin + (said or ZERO), firing, [{"labels": "{}", "value": 1}])
    silent: Expected = (fires[0] - step if said else resolution * (begin + after - group), firing, [])
    values = [silent, fires] if said else [silent]
    return Case(f"{ratio}", resolution, tile_series(slo, tiles, {}), (), values)


@pytest.mark.server
@pytest.mark.parametrize("alerts", ["google", FINFLOW])
def test_explain_and_promtools_engine_agree_to_the_evaluation(written: Written, prove: Prove, alerts: str) -> None:
    platform, slo = written(RATIO, alerts)
    rules, rollup = rules_of(platform, slo), slo.sampling.rollup
    tiles = [conventions.total_tile(rollup), conventions.errors_tile(rollup)]
    claims = list[Proof]()
    for tier in slo.tiers:
        windows = [conventions.error_ratio(window) for window in (tier.over, tier.also_over) if window is not None]
        names = [*(tiles if reads_rollups(slo, tier) else []), *windows, conventions.tier_alert(slo, tier)]
        cases = [told(slo, tier, ratio) for ratio in (*RATIOS, Decimal("0.002"))]
        claims.append(rules.proof(conventions.burn_tier(tier), interval(slo, tier), names, cases))
    assert [(outcome.proof.part, outcome.failures) for outcome in prove(claims) if outcome.failures] == []


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
