"""Proofs of the tiers of an SLO, from raw series to the alert with all that it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from sloctl import conventions
from sloctl.conventions.inventory import reads_rollups
from sloctl.explain.simulation import Evaluation, Tile, interval
from sloctl.model.alerting import BudgetLeft, Severity, Tier
from sloctl.model.catalogue import Inhibition, NewSeries, Platform, Slo
from sloctl.proof.examples import NotDerivableError
from sloctl.proof.proof import Case, Expected, MissingRuleError, Proof, Rules
from sloctl.proof.recorded import path_of, recorded, split_of, tile_series
from sloctl.proof.scenarios import Scenario, Traffic, scenarios
from sloctl.proof.series import Raw, Samples, series_text
from sloctl.proof.texts import asked_series, expanded
from sloctl.proof.world import BUSY, Counts, World
from sloctl.proof.worlds import counts_of, world

_TILES_BUSY: Final = BUSY * 1000
"""Where tiles are written as they are, more events make the guard's part in the threshold smaller still."""


def world_of(slo: Slo) -> World | None:
    """The raw world of an SLO, or None where none can be derived."""
    try:
        return world(slo)
    except NotDerivableError:
        return None


def traffic_of(slo: Slo, raw: World | None) -> Traffic:
    """What its tiles hold in busy scenarios."""
    counts = counts_of(slo)
    match counts:
        case Counts.EVENTS:
            return Traffic(counts, BUSY if raw else _TILES_BUSY)
        case Counts.SAMPLES:
            return Traffic(counts, raw.events if raw else Decimal(1))
        case Counts.SLICES:
            return Traffic(counts, Decimal(1))


def tier_proofs(slo: Slo, rules: Rules) -> Iterator[Proof]:
    """One proof a tier. Tiers over fast windows start at raw series, the others at tiles."""
    derived = world_of(slo)
    for tier in slo.tiers:
        raw = derived if derived is not None and derived.follows and not reads_rollups(slo, tier) else None
        cases = [_case(slo, tier, rules, one, raw) for one in scenarios(slo, tier, traffic_of(slo, raw))]
        cases += _inhibited(rules.platform, slo, tier, cases[0])
        part = conventions.burn_tier(tier)
        every = interval(slo, tier)
        try:
            group = rules.group(_needed(slo, tier, raw))
        except MissingRuleError as error:
            yield Proof(path_of(slo), part, every, refuted=str(error), is_tier=True)
            continue
        yield Proof(path_of(slo), part, every, group, cases, is_tier=True)


def _needed(slo: Slo, tier: Tier, raw: World | None) -> list[str]:
    """The rules between what is written and the tier's alert."""
    resolution, rollup = slo.sampling.resolution, slo.sampling.rollup
    names = [conventions.error_ratio(window) for window in tier.windows]
    if isinstance(tier.trigger, BudgetLeft):
        names.append(conventions.budget_consumed(slo.window))
    if raw is not None:
        names += [conventions.total_tile(resolution), conventions.errors_tile(resolution)]
    if reads_rollups(slo, tier):
        names += [conventions.total_tile(rollup), conventions.errors_tile(rollup)]
    return [*names, conventions.tier_alert(slo, tier)]


def _case(slo: Slo, tier: Tier, rules: Rules, scenario: Scenario, raw: World | None) -> Case:
    split = split_of(slo, "ill")
    name = conventions.tier_alert(slo, tier)
    by_budget = isinstance(tier.trigger, BudgetLeft)
    if raw is not None:
        step = raw.clock.interval
        written = continued(slo, raw, scenario.tiles, scenario.raw_from)
    else:
        step = slo.sampling.resolution
        written = tile_series(slo, scenario.tiles, split)
    for label_text, value in asked_series(slo, recorded(split), spent=not by_budget).items():
        written[label_text] = _late(value, max(len(samples) for samples in written.values()), scenario)
    moments = [scenario.evaluations[index] for index in scenario.moments]
    alerts = [(one.at, name, [_expected(tier, rules.meant[name], one, split)] if one.firing else []) for one in moments]
    return Case(scenario.name, step, written, alerts, _pending(slo, tier, scenario))


def _inhibited(platform: Platform, slo: Slo, tier: Tier, outage: Case) -> Iterator[Case]:
    """With `inhibition: rule`: silent while a higher tier fires, but not because of anything else that fires."""
    higher = [one.value.lower() for one in Severity if one.value < tier.severity.value]
    if platform.inhibition is not Inhibition.RULE or not higher:
        return
    count = max(len(samples) for samples in outage.series.values())
    firing = {"platform": slo.platform, "slo": slo.id, "alertstate": "firing", "burn_tier": f"{higher[-1]}-1h"}
    split, own = recorded(split_of(slo, "ill")), {"burn_tier": f"{tier.severity.value.lower()}-1h"}
    others = [{"slo": "another"}, {"alertstate": "pending"}, own, *({label: "calm"} for label in split)]
    names = [series_text("ALERTS", {**firing, **split, **other}) for other in others]
    decoys: Raw = {name: [Decimal(1)] * count for name in names}
    yield replace(outage, name="fires whatever else fires", series={**outage.series, **decoys})
    higher_fires: Raw = {series_text("ALERTS", {**firing, **split}): [Decimal(1)] * count}
    silent: list[Expected] = [(at, name, []) for at, name, _ in outage.alerts]
    series = {**outage.series, **higher_fires}
    yield replace(outage, name="is silent while a higher tier fires", series=series, alerts=silent, values=())


def _late(value: Decimal, count: int, scenario: Scenario) -> Samples:
    """A constant from shortly before the alert fires; more samples would only cost time."""
    share = scenario.fires / scenario.evaluations[-1].at if scenario.fires else Decimal(1)
    begin = max(0, int(count * share) - 20)
    return [None if index < begin else value for index in range(count)]


def _expected(tier: Tier, alert: Mapping[str, Any], seen: Evaluation, split: Mapping[str, str]) -> dict[str, Any]:
    labels = recorded(split)
    if isinstance(tier.trigger, BudgetLeft):
        texts = expanded(alert["annotations"], seen.value, labels, spent=seen.value or Decimal(0))
    else:
        texts = expanded(alert["annotations"], seen.value, labels)
    return {"exp_labels": {**alert["labels"], **labels}, "exp_annotations": texts}


def _pending(slo: Slo, tier: Tier, scenario: Scenario) -> list[Expected]:
    """With `for`, the moment at which the alert is pending and nobody is paged yet."""
    if not tier.for_:
        return []
    found = list[Expected]()
    name = conventions.tier_alert(slo, tier)
    expr = f'count(ALERTS{{alertname="{name}", alertstate="pending"}})'
    for before, after in pairwise(scenario.evaluations):
        if after.active and not before.active:
            found += [(before.at, expr, []), (after.at, expr, [{"labels": "{}", "value": 1}])]
    return found


def continued(slo: Slo, raw: World, tiles: Sequence[Tile], raw_from: int) -> Raw:
    """Tiles until `raw_from`, and from there on raw series."""
    clock, found = raw.clock, dict[str, Samples]()
    for split, history in _histories(slo, tiles[:raw_from]):
        for name, samples in tile_series(slo, history, split).items():
            found[name] = spread(samples, clock.per_tile)
    if raw_from >= len(tiles):
        return found
    begins = raw_from - 1 if raw.counters else raw_from
    starts_anew = raw.counters and slo.sampling.new_series is NewSeries.COUNT
    for name, samples in _raw_series(slo, raw, tiles).items():
        kept = [value if clock.tile(sample) >= begins else None for sample, value in enumerate(samples)]
        found[name] = _anew(samples, kept) if starts_anew and not name.startswith("up{") else kept
    return found


def _anew(samples: Samples, kept: Samples) -> Samples:
    """A counter without what it counted before its first kept sample, where first samples count as events."""
    first = next((index for index, value in enumerate(kept) if value is not None), 0)
    before = (samples[first - 1] if first else None) or Decimal(0)
    return [None if one is None else one - before for one in kept]


def _histories(slo: Slo, tiles: Sequence[Tile]) -> list[tuple[dict[str, str], Sequence[Tile]]]:
    """The tiles of each split value."""
    if not slo.by:
        return [({}, tiles)]
    return [(split_of(slo, "ill"), tiles), (split_of(slo, "calm"), [(total, Decimal(0)) for total, _ in tiles])]


def spread(samples: Samples, every: int) -> Samples:
    """Tiles on a clock that ticks so many times as often, each nearly a tile early.

    promtool refuses a rule's sample at the moment of a written one. This early, a tile lies in the same windows,
    and no lookup of the latest tile sees it.
    """
    early = list(samples[1:])
    return [early[index // every] if index % every == 1 else None for index in range(len(early) * every)]


def _raw_series(slo: Slo, raw: World, tiles: Sequence[Tile]) -> Raw:
    """The history of one split value, a calm one beside it, and events that belong to none."""
    if not slo.by:
        return raw.write(tiles, {})
    calm = [(total, Decimal(0)) for total, _ in tiles]
    return raw.write(tiles, split_of(slo, "ill")) | raw.write(calm, split_of(slo, "calm")) | raw.write(tiles, {})
