"""Proofs of what tells that nothing is measured any more, or too much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from sloctl import conventions
from sloctl.conventions.inventory import BLIND_AFTER
from sloctl.explain.simulation import Tile
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import DAY, Duration
from sloctl.model.selector import Selectors
from sloctl.promql.selectors import parse_selector
from sloctl.proof.examples import NotDerivableError, matches, selected
from sloctl.proof.proof import Case, Expected, Proof, Rules
from sloctl.proof.recorded import checked, own_series, recorded, split_of, tile_series, unproven
from sloctl.proof.series import Raw, Samples, series_text
from sloctl.proof.texts import expanded
from sloctl.proof.tiers import continued, traffic_of
from sloctl.proof.world import World

_NOTHING: Final[Tile] = (Decimal(0), Decimal(0))


def blind_proofs(slo: Slo, rules: Rules, raw: World | None) -> Iterator[Proof]:
    """The alert on a metric that vanished, and with `by` the one on too many values."""
    name, step = conventions.blind_alert(slo), slo.sampling.rollup
    try:
        yield checked(slo, "blind", rules, step, [name], list(_blind(slo, rules, raw)))
    except NotDerivableError as error:
        yield unproven(slo, rules, name, str(error))
    if slo.by:
        many = conventions.too_many_series_alert(slo)
        yield checked(slo, "too-many-series", rules, slo.sampling.resolution, [many], [_too_many(slo, rules)])


def _tells_by_tile(slo: Slo) -> bool:
    """Where only the user's PromQL reads raw series, the tile tells that they are gone."""
    return not slo.indicator.reads().required


def _blind(slo: Slo, rules: Rules, raw: World | None) -> Iterator[Case]:
    step, resolution = slo.sampling.rollup, slo.sampling.resolution
    present = max(2, -(-BLIND_AFTER.milliseconds // step.milliseconds)) + 1
    count = (step * present).milliseconds // resolution.milliseconds
    tiles = [_NOTHING] * 2 + [traffic_of(slo, raw).clean] * count
    if raw is None or _tells_by_tile(slo):
        series = _plain(slo, len(tiles)) or tile_series(slo, tiles, split_of(slo, "ill"))
        yield _vanished(slo, rules, "a vanished metric is blind", resolution, series, frozenset(series))
        return
    series, interval = continued(slo, raw, tiles, 2), raw.clock.interval
    yield _vanished(slo, rules, "a vanished metric is blind", interval, series, frozenset(series))
    needed = [_selected(series, selectors) for selectors in slo.indicator.reads().groups]
    for gone in needed if len(needed) > 1 else ():
        yield _vanished(slo, rules, "a part of it that vanished is blind", interval, series, gone)
    if slo.by:
        yield _value(slo, rules, raw)


def _plain(slo: Slo, count: int) -> Raw:
    """One series for each selector of the SLI, whatever its samples mean; they need only be there."""
    split = split_of(slo, "ill")
    selectors = (selector for group in slo.indicator.reads().groups for selector in group)
    return {series_text(one.metric, {**selected(one), **split}): [Decimal(1)] * count for one in selectors}


def _selected(series: Raw, selectors: Selectors) -> frozenset[str]:
    """The series that one of the selectors selects."""
    known = {name: parse_selector(name) for name in series}
    return frozenset(
        name
        for name, one in known.items()
        for selector in selectors
        if one.metric == selector.metric and matches(selector, {label.label: label.value for label in one.matchers})
    )


def _vanished(slo: Slo, rules: Rules, name: str, interval: Duration, series: Raw, gone: frozenset[str]) -> Case:
    """Some series end, the others go on; the alert is pending after 15 min and fires an evaluation later."""
    alert, step = conventions.blind_alert(slo), slo.sampling.rollup
    last = max(len(samples) for samples in series.values()) - 1
    until = last * interval.milliseconds
    pending = step * (-(-(until + BLIND_AFTER.milliseconds + 1) // step.milliseconds))
    more = (pending + step * 2).milliseconds // interval.milliseconds - last
    kept = {text: samples if text in gone else _going_on(samples, more) for text, samples in series.items()}
    alerts: list[Expected] = [
        (step * (until // step.milliseconds), alert, []),
        (pending, alert, []),
        (pending + step, alert, [_told(slo, rules, {})]),
    ]
    return Case(name, interval, kept, alerts)


def _going_on(samples: Samples, more: int) -> Samples:
    return [*samples, *([samples[-1]] * more)]


def _told(slo: Slo, rules: Rules, split: Mapping[str, str]) -> dict[str, Any]:
    alert = rules.meant[conventions.blind_alert(slo)]
    texts = expanded(alert["annotations"], None, recorded(split or split_of(slo, "")))
    return {"exp_labels": {**alert["labels"], **recorded(split)}, "exp_annotations": texts}


def _value(slo: Slo, rules: Rules, raw: World) -> Case:
    """One split value was counted a day ago and has no raw series now, while another one has."""
    alert, step = conventions.blind_alert(slo), slo.sampling.rollup
    day = -(-DAY.milliseconds // step.milliseconds)
    count = day + 4
    ill, calm = (own_series(slo, conventions.total_tile(step), split_of(slo, value)) for value in ("ill", "calm"))
    series: Raw = {ill: [Decimal(1)] * 4, calm: [Decimal(1)] * count}
    tile = [traffic_of(slo, raw).clean] * 8
    for name, samples in raw.write(tile, split_of(slo, "calm")).items():
        series[name] = [samples[-1]] * count
    alerts: list[Expected] = [
        (step * (day - 1), alert, []),
        (step * (day + 1), alert, [_told(slo, rules, split_of(slo, "ill"))]),
    ]
    return Case("a value that vanished is blind, and only that", step, series, alerts)


def _too_many(slo: Slo, rules: Rules) -> Case:
    """As many values as there may be, and then one more."""
    alert, resolution = conventions.too_many_series_alert(slo), slo.sampling.resolution
    name = conventions.total_tile(resolution)
    series: Raw = {
        own_series(slo, name, split_of(slo, str(number))): [Decimal(1)] * 8 for number in range(slo.max_series)
    }
    series[own_series(slo, name, split_of(slo, "more"))] = [None] * 4 + [Decimal(1)] * 4
    rule = rules.meant[alert]
    texts = expanded(rule["annotations"], None, recorded(split_of(slo, "")))
    told = {"exp_labels": dict(rule["labels"]), "exp_annotations": texts}
    alerts: list[Expected] = [(resolution * 3, alert, []), (resolution * 4, alert, [told])]
    return Case("is told of one value too many", resolution, series, alerts)
