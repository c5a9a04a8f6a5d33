"""Proofs of the tiers of an SLO, from raw series to the alert with all that it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from sloctl import conventions
from sloctl.model.alerting import BudgetLeft, Tier
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import ZERO, Duration
from sloctl.model.window import CalendarWindow
from sloctl.proof.examples import NotDerivableError
from sloctl.proof.proof import Case, MissingRuleError, Proof, Rules
from sloctl.proof.scenarios import Scenario, Traffic, scenarios
from sloctl.proof.series import Raw, Samples, series_text
from sloctl.proof.simulation import Evaluation, Tile, interval, slow
from sloctl.proof.texts import asked_series, expanded
from sloctl.proof.worlds import BUSY, Counts, World, counts_of, world

_TILES_BUSY: Final = BUSY * 1000
"""Where tiles are written as they are, more events make the guard's part in the threshold smaller still."""


def path_of(slo: Slo) -> str:
    """`platform/service/slo`, as people find it."""
    return f"{slo.platform}/{slo.service}/{slo.name}"


def own_series(slo: Slo, metric: str, split: Mapping[str, str]) -> str:
    """A recording of the SLO, as a series."""
    return series_text(metric, {**conventions.series_labels(slo), **recorded(split)})


def recorded(split: Mapping[str, str]) -> dict[str, str]:
    """Split labels by the names that recordings give them."""
    return {conventions.recorded_label(name): value for name, value in split.items()}


def split_of(slo: Slo, value: str) -> dict[str, str]:
    """One value of each split label."""
    return dict.fromkeys(slo.by, value)


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
        raw = None if slow(slo, tier) else derived
        cases = [_case(slo, tier, rules, one, raw) for one in scenarios(slo, tier, traffic_of(slo, raw))]
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
    windows = [window for window in (tier.over, tier.also_over) if window is not None]
    names = [conventions.error_ratio(window) for window in windows]
    if isinstance(tier.trigger, BudgetLeft):
        names.append(conventions.budget_consumed(slo.window))
    if raw is not None:
        names += [conventions.total_tile(resolution), conventions.errors_tile(resolution)]
    if slow(slo, tier):
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


def _pending(slo: Slo, tier: Tier, scenario: Scenario) -> list[tuple[Duration, str, list[Mapping[str, Any]]]]:
    """With `for`, the moment at which the alert is pending and nobody is paged yet."""
    if not tier.for_:
        return []
    found = list[tuple[Duration, str, list[Mapping[str, Any]]]]()
    name = conventions.tier_alert(slo, tier)
    expr = f'count(ALERTS{{alertname="{name}", alertstate="pending"}})'
    for before, after in pairwise(scenario.evaluations):
        if after.active and not before.active:
            found += [(before.at, expr, []), (after.at, expr, [{"labels": "{}", "value": 1}])]
    return found


def tile_series(slo: Slo, tiles: Sequence[Tile], split: Mapping[str, str], *, length: Duration = ZERO) -> Raw:
    """A history written as tiles, with the period of a calendar that has just one."""
    resolution = length or slo.sampling.resolution
    raw: Raw = {
        own_series(slo, conventions.total_tile(resolution), split): [total if total else None for total, _ in tiles],
        own_series(slo, conventions.errors_tile(resolution), split): [bad if total else None for total, bad in tiles],
    }
    if slo.calendar is not None:
        raw |= period_series(slo, slo.calendar, [Decimal(0)] * len(tiles))
    return raw


def period_series(slo: Slo, calendar: CalendarWindow, starts: Sequence[Decimal]) -> Raw:
    """The table of periods, as a series."""
    labels = {"platform": slo.platform, "calendar": conventions.calendar_name(calendar)}
    return {series_text(conventions.PERIOD_START, labels): list(starts)}


def continued(slo: Slo, raw: World, tiles: Sequence[Tile], raw_from: int) -> Raw:
    """Tiles until `raw_from`, and from there on raw series."""
    clock, found = raw.clock, dict[str, Samples]()
    for split, history in _histories(slo, tiles[:raw_from]):
        for name, samples in tile_series(slo, history, split).items():
            found[name] = spread(samples, clock.per_tile)
    if raw_from >= len(tiles):
        return found
    begins = raw_from - 1 if raw.counters else raw_from
    for name, samples in _raw_series(slo, raw, tiles).items():
        found[name] = [value if clock.tile(sample) >= begins else None for sample, value in enumerate(samples)]
    return found


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
