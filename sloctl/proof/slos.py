"""All proofs of a catalogue and of an SLO, and those of its counting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from decimal import Decimal
from typing import Any

from sloctl import conventions
from sloctl.backends.prometheus.backend import platform_groups, repair_groups
from sloctl.conventions.inventory import error_ratio_windows
from sloctl.explain.simulation import Tile
from sloctl.model.catalogue import Catalogue, Platform, Slo
from sloctl.model.quantities import MINUTE
from sloctl.model.selector import Expression
from sloctl.promql.expressions import comparison, may_hold_without_data
from sloctl.promql.selectors import parse_selector
from sloctl.proof.births import birth_proofs
from sloctl.proof.blind import blind_proofs
from sloctl.proof.budgets import budget_proofs
from sloctl.proof.compared import SeenGroups, differences
from sloctl.proof.examples import NotDerivableError, selected
from sloctl.proof.history import EMPTY, continued, raw_input, traffic_of
from sloctl.proof.platforms import calendar_proofs, health_proofs
from sloctl.proof.proof import Case, Expected, Proof, SloRules, holds, rules_of
from sloctl.proof.raw_input import RawInput
from sloctl.proof.recorded import AFFECTED, UNAFFECTED, check_split, near, own_series, split_of, tile_names
from sloctl.proof.series import InputSeries, series_text
from sloctl.proof.shape import shape_of, substituted
from sloctl.proof.tiers import tier_proofs
from sloctl.proof.trends import trend_proofs


def proofs(catalogue: Catalogue, seen: SeenGroups | None = None, *, each: bool = False) -> Iterator[Proof]:
    """Every claim about every SLO.

    Args:
        catalogue: all SLOs.
        seen: the groups of rule files, by default what compiles now.
        each: prove every SLO by itself, not one of each shape.
    """
    yield from _superfluous(catalogue, seen or {})
    shapes = dict[str, list[SloRules]]()
    for platform in catalogue.platforms:
        yield from _shared_proofs(platform, seen)
        for slo in platform.slos:
            rules = rules_of(platform, slo, seen)
            if each or rules.differences:
                yield from rules.compared()
                yield from slo_proofs(rules)
                continue
            proven = shapes.setdefault(shape_of(platform, slo), [])
            if like := _like(rules, proven):
                yield like
            else:
                proven.append(rules)
                yield from slo_proofs(rules)


def _superfluous(catalogue: Catalogue, seen: SeenGroups) -> Iterator[Proof]:
    """Groups of the catalogue's services, by the labels of their rules, that no SLO compiles to."""
    meant = {name for slo in catalogue.slos for name in (conventions.fast_group(slo), conventions.slow_group(slo))}
    meant |= {group["name"] for platform in catalogue.platforms for group in _repairs(platform)}
    services = {(slo.platform, slo.service) for slo in catalogue.slos}
    for name in [name for name in seen if name not in meant]:
        labels = [rule.get("labels", {}) for group in seen[name] for rule in group["rules"]]
        owners = {(found.get("platform"), found.get("service")) for found in labels} & services
        for platform, service in sorted(owners):
            why = f"group {name} is none that the specifications compile to"
            yield Proof(f"{platform}/{service}", "rules", MINUTE, refuted=why)


def _like(rules: SloRules, proven: Sequence[SloRules]) -> Proof | None:
    """The claim that rules are those of an SLO that is proven, but for names and what follows from numbers."""
    for known in proven:
        if (given := substituted(known, rules)) is not None:
            tiers = tuple(conventions.burn_tier(tier) for tier in rules.slo.tiers)
            every = rules.slo.sampling.resolution
            return Proof(rules.path, "shape", every, tiers=tiers, like=known.path, given=str(given))
    return None


def _shared_proofs(platform: Platform, seen: SeenGroups | None) -> Iterator[Proof]:
    """What the SLOs of a platform share: its calendars, and the alerts about its rules."""
    meant = [group.value() for group in platform_groups(platform)]
    found = meant if seen is None else [group for wanted in meant for group in seen.get(wanted["name"], ())]
    rules = [rule for group in found for rule in group["rules"]]
    compared = [*meant, *_repairs(platform)]
    differing = [] if seen is None else [sentence for group in compared for sentence in differences(group, seen)]
    yield from (Proof(platform.name, "rules", MINUTE, refuted=sentence) for sentence in differing)
    yield from calendar_proofs(platform, rules)
    yield from health_proofs(platform, rules)


def _repairs(platform: Platform) -> list[Mapping[str, Any]]:
    """The groups that repair what services missed; rules of several SLOs, which are compared and not run."""
    return [group.value() for service in platform.services for group in repair_groups(platform, service)]


def slo_proofs(rules: SloRules) -> list[Proof]:
    """Every proof of one SLO; a rule that none of them runs is named."""
    found = list(_slo_proofs(rules))
    run = {rule.get("record") or rule["alert"] for proof in found for rule in proof.rules}
    known = {proof.part for proof in found}
    return [*found, *(rules.unrun(name) for name in rules.meant if name not in run and name not in known)]


def _slo_proofs(rules: SloRules) -> Iterator[Proof]:
    raw, why = _derived(rules.slo)
    yield from tier_proofs(rules, raw)
    if raw is None:
        yield from (rules.unrun(name, why) for name in tile_names(rules.slo.sampling.resolution))
    else:
        yield from _counting_proofs(rules, raw)
    yield from blind_proofs(rules, raw)
    yield from budget_proofs(rules)
    yield from trend_proofs(rules)


def _derived(slo: Slo) -> tuple[RawInput | None, str]:
    """Its raw input, or why there is none."""
    if slo.sampling.scrape_interval > slo.sampling.resolution:
        return None, "not every tile has a scrape, so no series shows each of them"
    if clock := next((condition for condition in slo.exclude_when if may_hold_without_data(condition)), None):
        return None, f"`{clock.text}` may exclude at any moment, whatever the series say"
    try:
        check_split(slo)
        return raw_input(slo), ""
    except NotDerivableError as error:
        return None, str(error)


def _counting_proofs(rules: SloRules, raw: RawInput) -> Iterator[Proof]:
    slo, resolution, names = rules.slo, rules.slo.sampling.resolution, tile_names(rules.slo.sampling.resolution)
    traffic = traffic_of(slo, raw)
    tiles = [EMPTY] * 2 + [traffic.clean] * 4 + [traffic.outage] * 3 + [traffic.clean] * 3
    measured = [conventions.VALUE] if raw.measured(EMPTY) is not None and conventions.VALUE in rules.meant else []
    case = _counting(slo, raw, tiles, is_measured=bool(measured))
    yield rules.proof("counts", resolution, [*names, *measured], [case])
    yield from birth_proofs(rules, raw)
    if not slo.counts_slices:
        yield rules.proof("quiet", resolution, [*names, *_fast_ratios(slo)], [_quiet(slo, raw)])
    read = {parse_selector(name).metric for name in raw.series(tiles, {})}
    for number, condition in enumerate(slo.exclude_when, start=1):
        if (holding := _holding(slo, condition, read)) is None:
            why = f"no series can be derived from `{condition.text}`, which excludes"
            yield rules.unproven(f"excluded-{number}", why)
        else:
            yield rules.proof(f"excluded-{number}", resolution, names, [_excluded(slo, raw, tiles, holding)])


def _fast_ratios(slo: Slo) -> list[str]:
    windows = (window for window in error_ratio_windows(slo) if not slo.sampling.reads_rollups(window))
    return [conventions.error_ratio(window) for window in windows]


def _counting(slo: Slo, raw: RawInput, tiles: Sequence[Tile], *, is_measured: bool) -> Case:
    """Tiles to the event, with the creation of bad and of good series; for each split value by itself."""
    values = list[Expected]()
    for index in range(3, len(tiles)):
        at = slo.sampling.resolution * index
        expected = {AFFECTED: tiles[index]} | ({UNAFFECTED: (tiles[index][0], Decimal(0))} if slo.by else {})
        for side, name in enumerate(tile_names(slo.sampling.resolution)):
            seen = [
                {"labels": own_series(slo, name, split_of(slo, value)), "value": float(tile[side])}
                for value, tile in expected.items()
            ]
            values.append((at, name, seen))
        if is_measured and (measured := raw.measured(tiles[index])) is not None:
            value = near(own_series(slo, conventions.VALUE, split_of(slo)), measured)
            values.append(holds(at, value, own_series(slo, "", split_of(slo))))
    return Case("counts to the event", raw.clock.interval, continued(slo, raw, tiles, 2), (), values)


def _quiet(slo: Slo, raw: RawInput) -> Case:
    """No traffic: counters stand still, and there is no ratio, so no NaN and no alert."""
    expr = f'{{__name__=~"{conventions.ERROR_RATIO}.*", platform="{slo.platform}", slo="{slo.id}"}}'
    at = slo.sampling.resolution * 25
    series = continued(slo, raw, [EMPTY] * 32, 2)
    return Case("no traffic gives no ratio", raw.clock.interval, series, (), [(at, expr, [])])


def _holding(slo: Slo, condition: Expression, read: Set[str]) -> InputSeries | None:
    """One sample of each series with which a condition of `exclude_when` holds, for all split values.

    Args:
        slo: whose condition it is.
        condition: of the form `max(queue_length) > 1000`; for others no series are known.
        read: metrics that the SLI reads itself; series of these cannot be made up beside its own.
    """
    found = comparison(condition)
    if found is None or found.selector.metric in read:
        return None
    try:
        labels = selected(found.selector)
    except NotDerivableError:
        return None
    grouped = [label for label in slo.by if label in (condition.grouping or ())]
    splits = [{label: split_of(slo, value)[label] for label in grouped} for value in (AFFECTED, UNAFFECTED)]
    return {series_text(found.selector.metric, labels | split): [found.holds_at] for split in splits}


def _excluded(slo: Slo, raw: RawInput, tiles: Sequence[Tile], condition: InputSeries) -> Case:
    """An outage during which a condition of `exclude_when` holds counts neither as good nor as bad."""
    series = continued(slo, raw, tiles, 2)
    longest = max(len(samples) for samples in series.values())
    series |= {name: list(samples) * longest for name, samples in condition.items()}
    moments = [slo.sampling.resolution * index for index in range(3, len(tiles))]
    values: list[Expected] = [(at, name, []) for at in moments for name in tile_names(slo.sampling.resolution)]
    return Case("counts nothing while it is excluded", raw.clock.interval, series, (), values)
