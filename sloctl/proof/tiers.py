"""Proofs of the tiers of an SLO: from raw series to the alert with all that it says, and at each edge of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Final, TypeAlias

from sloctl import conventions
from sloctl.conventions.inventory import reads_rollups
from sloctl.explain.simulation import RuleEvaluation, Tile, interval
from sloctl.model.alerting import BudgetLeft, Severity, Tier
from sloctl.model.catalogue import ROLLUP_TILES, Inhibition, Slo
from sloctl.model.quantities import MINUTE, Duration
from sloctl.proof.edges import Edge, edges
from sloctl.proof.history import EMPTY, Traffic, continued, traffic_of
from sloctl.proof.proof import A_YEAR_AGO, NEIGHBOUR, Case, Expected, Proof, Rule, SloRules, holds
from sloctl.proof.raw_input import RawInput
from sloctl.proof.recorded import UNAFFECTED, near, own_series, recorded, spent_names, split_of, tile_names, tile_series
from sloctl.proof.scenarios import decisive, outage
from sloctl.proof.series import FewSamples, InputSeries, series_text
from sloctl.proof.texts import SPENT, asked_series, fired

_TILES: Final = Traffic(Decimal(1_000_000))
_CONDITION: Final = "condition"
"""Where the value of an alert's expression is recorded, so that it can be looked at without its `for`."""
_Samples: TypeAlias = dict[int, Decimal]
"""By the number of their tile."""


def tier_proofs(rules: SloRules, derived: RawInput | None) -> Iterator[Proof]:
    """Outages, shared by the tiers of a group, and the edges of each tier."""
    raw = derived if derived is not None and derived.continues_history() else None
    for name, tiers in _groups(rules):
        rolled = reads_rollups(rules.slo, tiers[0])
        if raw is not None and not rolled:
            yield _outage(rules, f"outage{name}", tiers, raw)
        yield _outage(rules, f"ends{name}", tiers, None)
    for tier in rules.slo.tiers:
        if not isinstance(tier.trigger, BudgetLeft):
            yield _edges(rules, tier)


def _groups(rules: SloRules) -> list[tuple[str, list[Tier]]]:
    """Tiers that one history can show together: evaluated together, and none silences or tells another."""
    by_severity = rules.platform.inhibition is Inhibition.RULE

    def group(tier: Tier) -> str:
        kind = "-budget" if isinstance(tier.trigger, BudgetLeft) else ""
        slow = "-slow" if reads_rollups(rules.slo, tier) else ""
        return (kind or slow) + (f"-{tier.severity.value.lower()}" if by_severity else "")

    return [(name, list(tiers)) for name, tiers in groupby(sorted(rules.slo.tiers, key=group), key=group)]


def _outage(rules: SloRules, part: str, tiers: Sequence[Tier], raw: RawInput | None) -> Proof:
    """Evaluated as in production, from raw series or from tiles.

    Kills: a removed or another `for`, another `keep_firing_for`, changed labels and texts.
    """
    slo, step = rules.slo, interval(rules.slo, tiers[0])
    traffic = _TILES if raw is None else traffic_of(slo, raw)
    scenario = outage(slo, tiers, traffic, ends=raw is None)
    if raw is None:
        series, every = tile_series(slo, scenario.tiles, split_of(slo)), slo.sampling.resolution
    else:
        series, every = continued(slo, raw, scenario.tiles, scenario.raw_from), raw.clock.interval
    length = max(len(samples) for samples in series.values())
    by_budget = isinstance(tiers[0].trigger, BudgetLeft)
    series |= asked_series(slo, split_of(slo), length, spent=not by_budget)
    alerts, values = list[Expected](), list[Expected]()
    for tier, evaluations in scenario.evaluations:
        name = conventions.tier_alert(slo, tier)
        alerts += [
            (seen.at, name, [_expected(tier, rules, seen)] if seen.firing else []) for seen in decisive(evaluations)
        ]
        values += _pending(tier, name, evaluations)
    name = "fires in a full outage" + (" and ends after it" if raw is None else "")
    names = [name for tier in tiers for name in _needed(slo, tier, raw)]
    case = Case(name, every, series, alerts, values)
    return rules.proof(part, step, names, [case], tuple(conventions.burn_tier(tier) for tier in tiers))


def _needed(slo: Slo, tier: Tier, raw: RawInput | None) -> list[str]:
    """The rules between what is written and the tier's alert."""
    names = [conventions.error_ratio(window) for window in tier.windows]
    if isinstance(tier.trigger, BudgetLeft):
        names += spent_names(slo)
    if raw is not None:
        names += tile_names(slo.sampling.resolution)
    if reads_rollups(slo, tier):
        names += tile_names(slo.sampling.rollup)
    return [*names, conventions.tier_alert(slo, tier)]


def _expected(tier: Tier, rules: SloRules, seen: RuleEvaluation) -> dict[str, object]:
    spent = seen.value or Decimal(0) if isinstance(tier.trigger, BudgetLeft) else SPENT
    alert = rules.meant[conventions.tier_alert(rules.slo, tier)]
    return fired(rules.slo, alert, split_of(rules.slo), seen.value, spent)


def _pending(tier: Tier, name: str, evaluations: Sequence[RuleEvaluation]) -> Iterator[Expected]:
    """With `for`, the moment at which the alert is pending and nobody is paged yet."""
    expr = f'count(ALERTS{{alertname="{name}", alertstate="pending"}})'
    for before, after in pairwise(evaluations):
        if tier.for_ and after.active and not before.active:
            yield before.at, expr, []
            yield holds(after.at, expr)


@dataclass(frozen=True, slots=True)
class _Moment:
    """One evaluation, and series that have a sample at it."""

    edge: Edge
    more: Mapping[str, Decimal] = field(default_factory=dict)


def _edges(rules: SloRules, tier: Tier) -> Proof:
    """All edges one after the other, each further apart than the longest window, and evaluated at nothing else."""
    slo, split, alert = rules.slo, split_of(rules.slo), conventions.tier_alert(rules.slo, tier)
    moments = [_Moment(edge) for edge in edges(slo, tier)]
    moments += _inhibited(rules, tier, moments[0].edge)
    resolution, names = slo.sampling.resolution, [conventions.error_ratio(window) for window in tier.windows]
    apart_tiles = (int(max(tier.averaged_over, MINUTE * 5) / slo.sampling.rollup) + 3) * ROLLUP_TILES
    every = resolution * apart_tiles
    values = list[Expected]()
    for number, moment in enumerate(moments, start=1):
        seen = [{"labels": own_series(slo, "", split), "value": 1}] if moment.edge.fires else []
        expr = near(_CONDITION, moment.edge.ratio) if moment.edge.fires and moment.edge.ratio else _CONDITION
        values.append((every * number, expr, seen))
    shown = {every * number: moment.edge.name for number, moment in enumerate(moments, start=1)}
    case = Case(alert, resolution, _laid_out(slo, tier, moments, apart_tiles), (), values, shown)
    proof = rules.proof(conventions.burn_tier(tier), every, [*names, alert], [case], (conventions.burn_tier(tier),))
    return replace(proof, rules=[_condition(rule) for rule in proof.rules])


def _condition(rule: Rule) -> Rule:
    return {"record": _CONDITION, "expr": rule["expr"]} if "alert" in rule else rule


def _laid_out(slo: Slo, tier: Tier, moments: Sequence[_Moment], apart: int) -> InputSeries:
    """The series of every moment: tiles, roll-ups, and since when is measured."""
    now = [apart * number for number in range(1, len(moments) + 1)]
    samples = _told(slo, dict(zip(now, moments, strict=True)))
    tiles, rollups = _placed(dict(zip(now, moments, strict=True)))
    beside = [at - age for at in now for age in (0, ROLLUP_TILES)]
    samples |= _tiles(slo, slo.sampling.resolution, tiles, beside)
    if reads_rollups(slo, tier):
        samples |= _tiles(slo, slo.sampling.rollup, rollups, beside)
    return {name: FewSamples(found, now[-1] + 1) for name, found in samples.items()}


def _told(slo: Slo, moments: Mapping[int, _Moment]) -> dict[str, _Samples]:
    """What has a sample at a moment itself, and since when is measured."""
    found, since = dict[str, _Samples](), own_series(slo, conventions.MEASURED_SINCE, split_of(slo))
    for now, moment in moments.items():
        for name, value in moment.more.items():
            found.setdefault(name, {})[now] = value
        if moment.edge.is_known:
            at, measured = (slo.sampling.resolution * now).seconds, moment.edge.measured
            began = A_YEAR_AGO if measured is None else at - measured.seconds
            found.setdefault(since, {})[now] = began
    return found


def _placed(moments: Mapping[int, _Moment]) -> tuple[dict[int, Tile], dict[int, Tile]]:
    """Tiles, and the roll-ups that hold them."""
    tiles, rollups = dict[int, Tile](), dict[int, Tile]()
    for now, moment in moments.items():
        for age, total, bad in moment.edge.tiles:
            at = now - age
            for place, found in ((at, tiles), ((at // ROLLUP_TILES + 1) * ROLLUP_TILES, rollups)):
                known = found.get(place, EMPTY)
                found[place] = known[0] + total, known[1] + bad
    return tiles, rollups


def _tiles(slo: Slo, length: Duration, tiles: Mapping[int, Tile], beside: Sequence[int]) -> dict[str, _Samples]:
    """Tiles of one length, and those of a split value without a bad event."""
    labels, found = dict(conventions.series_labels(slo)), dict[str, _Samples]()
    if slo.calendar is not None and length != slo.sampling.resolution:
        labels["period"] = "0"
    for side, name in enumerate(tile_names(length)):
        own = {**labels, **recorded(split_of(slo))}
        found[series_text(name, own)] = {at: tile[side] for at, tile in tiles.items()}
        if slo.by:
            calm = {**labels, **recorded(split_of(slo, UNAFFECTED))}
            found[series_text(name, calm)] = dict.fromkeys(beside, _TILES.clean[side])
    return found


def _inhibited(rules: SloRules, tier: Tier, full: Edge) -> Iterator[_Moment]:
    """With `inhibition: rule`: silent while a higher tier fires, but not because of anything else that fires.

    Kills: a removed inhibition, and one that another SLO's alert fulfils.
    """
    slo, own = rules.slo, tier.severity.value
    higher = [severity.value for severity in Severity if severity.value < own]
    if rules.platform.inhibition is not Inhibition.RULE or not higher:
        return
    split = recorded(split_of(slo))
    labels = {"platform": slo.platform, "slo": slo.id, "alertstate": "firing", "burn_tier": f"{higher[-1].lower()}-1h"}
    differing = [{"platform": NEIGHBOUR}, {"slo": NEIGHBOUR}, {"alertstate": "pending"}]
    differing += [{"burn_tier": f"{own.lower()}-1h"}, *({label: UNAFFECTED} for label in split)]
    others = {series_text("ALERTS", {**labels, **split, **other}): Decimal(1) for other in differing}
    yield _Moment(replace(full, name="all is bad, whatever else fires"), others)
    for severity in higher:
        firing = series_text("ALERTS", {**labels, **split, "burn_tier": f"{severity.lower()}-1h"})
        yield _Moment(replace(full, name=f"a {severity} fires", fires=False), {firing: Decimal(1)})
