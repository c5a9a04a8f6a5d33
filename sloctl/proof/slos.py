"""All proofs of a catalogue and of an SLO, and those of its counting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from decimal import Decimal

from sloctl import conventions
from sloctl.backends.prometheus.backend import platform_groups
from sloctl.conventions.inventory import error_ratio_windows
from sloctl.explain.simulation import Tile
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.model.selector import Expression
from sloctl.promql.expressions import comparison
from sloctl.promql.selectors import parse_selector
from sloctl.proof.blind import blind_proofs
from sloctl.proof.budgets import budget_proofs
from sloctl.proof.examples import NotDerivableError, selected
from sloctl.proof.history import EMPTY, continued, raw_input, traffic_of
from sloctl.proof.platforms import calendar_proofs, health_proofs
from sloctl.proof.proof import Case, Expected, Proof, Rule, SloRules, holds, rules_of
from sloctl.proof.raw_input import RawInput
from sloctl.proof.recorded import AFFECTED, UNAFFECTED, near, own_series, split_of, tile_names
from sloctl.proof.series import InputSeries, series_text
from sloctl.proof.tiers import tier_proofs
from sloctl.proof.trends import trend_proofs


def proofs(catalogue: Catalogue, seen: Mapping[str, Sequence[Rule]] | None = None) -> Iterator[Proof]:
    """Every claim about every SLO; `seen` are the groups of rule files by name, by default what compiles now."""
    for platform in catalogue.platforms:
        compiled = {group.name: group.value()["rules"] for group in platform_groups(platform)}
        shared = compiled if seen is None else {name: seen.get(name, []) for name in compiled}
        rules = [rule for group in shared.values() for rule in group]
        yield from calendar_proofs(platform, rules)
        yield from health_proofs(platform, rules)
        for slo in platform.slos:
            yield from slo_proofs(rules_of(platform, slo, seen))


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
    if not all(condition.selectors for condition in slo.exclude_when):
        return None, "a test begins at midnight of 1970-01-01, and what is excluded depends on the clock"
    try:
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
    expr = f'{{__name__=~"{conventions.ERROR_RATIO}.*"}}'
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
