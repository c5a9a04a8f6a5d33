"""Proofs of the tiers of an SLO, from raw series to the alert with all that it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

from sloctl import conventions
from sloctl.conventions.inventory import reads_rollups
from sloctl.explain.simulation import RuleEvaluation, interval
from sloctl.model.alerting import BudgetLeft, Severity, Tier
from sloctl.model.catalogue import Inhibition, Slo
from sloctl.proof.history import continued, traffic_of
from sloctl.proof.proof import Case, Expected, Proof, SloRules, holds
from sloctl.proof.raw_input import RawInput
from sloctl.proof.recorded import UNAFFECTED, recorded, split_of, tile_names, tile_series
from sloctl.proof.scenarios import Scenario, scenarios
from sloctl.proof.series import InputSeries, series_text
from sloctl.proof.texts import SPENT, asked_series, fired


def tier_proofs(rules: SloRules, derived: RawInput | None) -> Iterator[Proof]:
    """One proof per tier. Tiers over fast windows start at raw series, the others at tiles."""
    slo = rules.slo
    for tier in slo.tiers:
        raw = derived if derived is not None and derived.continues_history() and not reads_rollups(slo, tier) else None
        cases = [_case(tier, rules, scenario, raw) for scenario in scenarios(slo, tier, traffic_of(slo, raw))]
        cases += _inhibited(rules, tier, cases[0])
        names = _needed(slo, tier, raw)
        yield rules.proof(conventions.burn_tier(tier), interval(slo, tier), names, cases, is_tier=True)


def _needed(slo: Slo, tier: Tier, raw: RawInput | None) -> list[str]:
    """The rules between what is written and the tier's alert."""
    names = [conventions.error_ratio(window) for window in tier.windows]
    if isinstance(tier.trigger, BudgetLeft):
        names.append(conventions.budget_consumed(slo.window))
    if raw is not None:
        names += tile_names(slo.sampling.resolution)
    if reads_rollups(slo, tier):
        names += tile_names(slo.sampling.rollup)
    return [*names, conventions.tier_alert(slo, tier)]


def _case(tier: Tier, rules: SloRules, scenario: Scenario, raw: RawInput | None) -> Case:
    slo, split, name = rules.slo, split_of(rules.slo), conventions.tier_alert(rules.slo, tier)
    if raw is not None:
        step = raw.clock.interval
        series = continued(slo, raw, scenario.tiles, scenario.raw_from)
    else:
        step = slo.sampling.resolution
        series = tile_series(slo, scenario.tiles, split)
    series |= _asked(slo, tier, scenario, _length(series))
    alerts: list[Expected] = [
        (seen.at, name, [_expected(tier, rules, seen)] if seen.firing else []) for seen in scenario.decisive
    ]
    return Case(scenario.name, step, series, alerts, list(_pending(tier, name, scenario)))


def _length(series: InputSeries) -> int:
    return max(len(samples) for samples in series.values())


def _asked(slo: Slo, tier: Tier, scenario: Scenario, count: int) -> InputSeries:
    """What annotations ask for, from shortly before the alert fires; more samples would only cost time."""
    share = scenario.fires / scenario.evaluations[-1].at if scenario.fires else Decimal(1)
    begin = max(0, int(count * share) - 20)
    asked = asked_series(slo, split_of(slo), count - begin, spent=not isinstance(tier.trigger, BudgetLeft))
    return {name: [*([None] * begin), *samples] for name, samples in asked.items()}


def _expected(tier: Tier, rules: SloRules, seen: RuleEvaluation) -> dict[str, object]:
    spent = seen.value or Decimal(0) if isinstance(tier.trigger, BudgetLeft) else SPENT
    alert = rules.meant[conventions.tier_alert(rules.slo, tier)]
    return fired(rules.slo, alert, split_of(rules.slo), seen.value, spent)


def _pending(tier: Tier, name: str, scenario: Scenario) -> Iterator[Expected]:
    """With `for`, the moment at which the alert is pending and nobody is paged yet."""
    expr = f'count(ALERTS{{alertname="{name}", alertstate="pending"}})'
    for before, after in pairwise(scenario.evaluations):
        if tier.for_ and after.active and not before.active:
            yield before.at, expr, []
            yield holds(after.at, expr)


def _inhibited(rules: SloRules, tier: Tier, outage: Case) -> Iterator[Case]:
    """With `inhibition: rule`: silent while a higher tier fires, but not because of anything else that fires.

    Kills: a removed inhibition, and one that another SLO's alert fulfils.
    """
    slo, own = rules.slo, tier.severity.value
    higher = [severity.value for severity in Severity if severity.value < own]
    if rules.platform.inhibition is not Inhibition.RULE or not higher:
        return
    firing = [Decimal(1)] * _length(outage.series)
    split = recorded(split_of(slo))
    labels = {"platform": slo.platform, "slo": slo.id, "alertstate": "firing", "burn_tier": f"{higher[-1].lower()}-1h"}
    differing = [{"slo": "another"}, {"alertstate": "pending"}, {"burn_tier": f"{own.lower()}-1h"}]
    differing += [{label: UNAFFECTED} for label in split]
    others: InputSeries = {series_text("ALERTS", {**labels, **split, **other}): firing for other in differing}
    yield replace(outage, name="fires whatever else fires", series={**outage.series, **others})
    series = {**outage.series, series_text("ALERTS", {**labels, **split}): firing}
    silent: list[Expected] = [(at, name, []) for at, name, _ in outage.alerts]
    yield replace(outage, name="is silent while a higher tier fires", series=series, alerts=silent, values=())
