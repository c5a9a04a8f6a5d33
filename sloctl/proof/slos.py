"""All proofs of one SLO, and those of its counting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from sloctl import conventions
from sloctl.conventions.inventory import error_ratio_windows
from sloctl.explain.simulation import Tile
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import Duration
from sloctl.promql.selectors import parse_selector
from sloctl.proof.blind import blind_proofs
from sloctl.proof.budgets import budget_proof, credit_proof, window_proof
from sloctl.proof.calendars import rollover_proof
from sloctl.proof.conditions import excluding
from sloctl.proof.examples import NotDerivableError
from sloctl.proof.proof import Case, Expected, Proof, Rules
from sloctl.proof.recorded import checked, near, own_series, path_of, split_of, unproven
from sloctl.proof.series import Raw
from sloctl.proof.tiers import continued, tier_proofs, traffic_of
from sloctl.proof.trends import trend_proofs
from sloctl.proof.world import Counts, World
from sloctl.proof.worlds import world

_NOTHING: Final[Tile] = (Decimal(0), Decimal(0))


def slo_proofs(slo: Slo, rules: Rules) -> list[Proof]:
    """Every proof of one SLO; a rule that none of them runs is named."""
    found = list(_slo_proofs(slo, rules))
    run = {rule.get("record") or rule["alert"] for proof in found for rule in proof.rules}
    known = {proof.part for proof in found}
    return [*found, *(unproven(slo, rules, name) for name in rules.meant if name not in run and name not in known)]


def _slo_proofs(slo: Slo, rules: Rules) -> Iterator[Proof]:
    yield from tier_proofs(slo, rules)
    raw, why = _derived(slo)
    if raw is None:
        yield from (unproven(slo, rules, name, why) for name in _tile_names(slo))
    else:
        yield from _counting_proofs(slo, rules, raw)
    yield from blind_proofs(slo, rules, raw)
    yield budget_proof(slo, rules)
    yield window_proof(slo, rules)
    if slo.sla is not None and (proof := credit_proof(slo, slo.sla, rules)) is not None:
        yield proof
    if (rollover := rollover_proof(slo, rules)) is not None:
        yield rollover
    yield from trend_proofs(slo, rules)


def _derived(slo: Slo) -> tuple[World | None, str]:
    """Its raw world, or why there is none."""
    try:
        return world(slo), ""
    except NotDerivableError as error:
        return None, str(error)


def _tile_names(slo: Slo) -> list[str]:
    resolution = slo.sampling.resolution
    return [conventions.total_tile(resolution), conventions.errors_tile(resolution)]


def _counting_proofs(slo: Slo, rules: Rules, raw: World) -> Iterator[Proof]:
    resolution, names = slo.sampling.resolution, _tile_names(slo)
    value = [conventions.VALUE] if raw.measured is not None and conventions.VALUE in rules.meant else []
    yield checked(slo, "counts", rules, resolution, [*names, *value], [_counting(slo, raw, measured=bool(value))])
    if raw.counts is Counts.EVENTS:
        yield checked(slo, "quiet", rules, resolution, [*names, *_fast_ratios(slo)], [_quiet(slo, raw)])
    read = {parse_selector(name).metric for name in raw.write(_busy(slo, raw), {})}
    for number, condition in enumerate(slo.exclude_when):
        part = f"excluded-{number + 1}"
        series = excluding(slo, condition, read)
        if series is None:
            why = f"no series can be derived from `{condition.text}`, which excludes"
            yield Proof(path_of(slo), part, resolution, unproven=why)
        else:
            yield checked(slo, part, rules, resolution, names, [_excluded(slo, raw, series)])


def _fast_ratios(slo: Slo) -> list[str]:
    windows = (window for window in error_ratio_windows(slo) if not slo.sampling.reads_rollups(window))
    return [conventions.error_ratio(window) for window in windows]


def _busy(slo: Slo, raw: World) -> list[Tile]:
    """Clean, all bad, clean again."""
    traffic = traffic_of(slo, raw)
    return [_NOTHING] * 2 + [traffic.clean] * 4 + [traffic.outage] * 3 + [traffic.clean] * 3


def _counting(slo: Slo, raw: World, *, measured: bool) -> Case:
    """Tiles to the event, with births of bad and of good series; for each split value by itself."""
    tiles, values = _busy(slo, raw), list[Expected]()
    for index in range(3, len(tiles)):
        at, tile = slo.sampling.resolution * index, tiles[index]
        for side, name in enumerate(_tile_names(slo)):
            seen = [_sample(slo, name, "ill", tile[side])]
            if slo.by:
                seen.append(_sample(slo, name, "calm", tile[0] if side == 0 else Decimal(0)))
            values.append((at, name, seen))
        if measured and raw.measured is not None:
            values.append(_measured(slo, at, raw.measured[1 if tile[1] else 0]))
    return Case("counts to the event", raw.clock.interval, continued(slo, raw, tiles, 2), (), values)


def _sample(slo: Slo, metric: str, value: str, number: Decimal) -> Mapping[str, Any]:
    return {"labels": own_series(slo, metric, split_of(slo, value)), "value": float(number)}


def _measured(slo: Slo, at: Duration, value: Decimal) -> Expected:
    """What a forecast looks at, of the ill value."""
    series = own_series(slo, conventions.VALUE, split_of(slo, "ill"))
    return at, near(series, value), [{"labels": series.removeprefix(conventions.VALUE), "value": 1}]


def _quiet(slo: Slo, raw: World) -> Case:
    """No traffic: counters stand still, and there is no ratio, so no NaN and no alert."""
    tiles = [_NOTHING] * 30
    expr = f'{{__name__=~"{conventions.ERROR_RATIO}.*"}}'
    at = slo.sampling.resolution * 25
    series = continued(slo, raw, [_NOTHING, _NOTHING, *tiles], 2)
    return Case("no traffic gives no ratio", raw.clock.interval, series, (), [(at, expr, [])])


def _excluded(slo: Slo, raw: World, condition: Raw) -> Case:
    """Trouble during which a condition of `exclude_when` holds counts neither as good nor as bad."""
    tiles = _busy(slo, raw)
    series = continued(slo, raw, tiles, 2)
    longest = max(len(samples) for samples in series.values())
    series |= {name: list(samples) * longest for name, samples in condition.items()}
    moments: Sequence[Duration] = [slo.sampling.resolution * index for index in range(3, len(tiles))]
    values: list[Expected] = [(at, name, []) for at in moments for name in _tile_names(slo)]
    return Case("counts nothing while it is excluded", raw.clock.interval, series, (), values)
