"""Proofs of what an SLO has beside its tiers: its counting, its silence, its Blind alert, its slow changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from sloctl import conventions
from sloctl.model.alerting import Forecast, Regression
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import Latency, Query, Threshold
from sloctl.model.quantities import Duration
from sloctl.proof.examples import NotDerivableError
from sloctl.proof.proof import Case, MissingRuleError, Proof, Rules
from sloctl.proof.series import Raw, Samples
from sloctl.proof.simulation import Tile
from sloctl.proof.texts import asked_series, expanded
from sloctl.proof.tiers import continued, own_series, path_of, recorded, split_of, tier_proofs, tile_series, traffic_of
from sloctl.proof.worlds import Counts, World, world

_BLIND_AFTER: Final = Duration.of(minutes=15)
_NOTHING: Final[Tile] = (Decimal(0), Decimal(0))


def slo_proofs(slo: Slo, rules: Rules) -> Iterator[Proof]:
    """Every proof of one SLO."""
    yield from tier_proofs(slo, rules)
    raw: World | None
    try:
        raw = world(slo)
    except NotDerivableError as error:
        raw = None
        yield Proof(path_of(slo), "counts", slo.sampling.resolution, unproven=str(error))
    else:
        yield _checked(slo, "counts", rules, slo.sampling.resolution, _tile_names(slo), [_counting(slo, raw)])
        if raw.counts is Counts.EVENTS:
            names = [*_tile_names(slo), *_fast_ratios(slo)]
            yield _checked(slo, "quiet", rules, slo.sampling.resolution, names, [_quiet(slo, raw)])
    name = conventions.blind_alert(slo)
    if raw is not None or _blind_by_tile(slo):
        yield _checked(slo, "blind", rules, slo.sampling.rollup, [name], list(_blind(slo, raw, rules)))
    else:
        yield Proof(path_of(slo), "blind", slo.sampling.rollup, unproven="no raw series can be derived")
    if slo.forecast is not None:
        name = conventions.forecast_alert(slo)
        case = _forecast(slo, slo.forecast, rules)
        yield _checked(slo, "forecast", rules, slo.sampling.rollup, [name], [case])
    if slo.regression is not None:
        yield _regressed(slo, slo.regression, rules)


def _checked(slo: Slo, part: str, rules: Rules, every: Duration, names: list[str], cases: list[Case]) -> Proof:
    try:
        return Proof(path_of(slo), part, every, rules.group(names), cases)
    except MissingRuleError as error:
        return Proof(path_of(slo), part, every, refuted=str(error))


def _tile_names(slo: Slo) -> list[str]:
    resolution = slo.sampling.resolution
    return [conventions.total_tile(resolution), conventions.errors_tile(resolution)]


def _fast_ratios(slo: Slo) -> list[str]:
    windows = {window for tier in slo.tiers for window in (tier.over, tier.also_over) if window is not None}
    fast = [window for window in sorted(windows) if window / slo.sampling.resolution < 1440]
    return [conventions.error_ratio(window) for window in fast]


def _counting(slo: Slo, raw: World) -> Case:
    """Tiles to the event: clean, all bad with a birth, clean again; for each split value by itself."""
    traffic = traffic_of(slo, raw)
    tiles = [_NOTHING] * 2 + [traffic.clean] * 4 + [traffic.outage] * 3 + [traffic.clean] * 3
    values = list[tuple[Duration, str, list[Mapping[str, Any]]]]()
    for index in range(3, len(tiles)):
        at = slo.sampling.resolution * index
        for side, name in enumerate(_tile_names(slo)):
            tile = tiles[index]
            seen: list[Mapping[str, Any]] = [_sample(slo, name, "ill", tile[side])]
            if slo.by:
                seen.append(_sample(slo, name, "calm", tile[0] if side == 0 else Decimal(0)))
            values.append((at, name, seen))
    return Case("counts to the event", raw.clock.interval, continued(slo, raw, tiles, 2), (), values)


def _sample(slo: Slo, metric: str, value: str, number: Decimal) -> dict[str, Any]:
    return {"labels": own_series(slo, metric, split_of(slo, value)), "value": float(number)}


def _quiet(slo: Slo, raw: World) -> Case:
    """No traffic: counters stand still, and there is no ratio, so no NaN and no alert."""
    tiles = [_NOTHING] * 30
    expr = '{__name__=~"slo:sli_error:ratio_.*"}'
    at = slo.sampling.resolution * 25
    series = continued(slo, raw, [_NOTHING, _NOTHING, *tiles], 2)
    return Case("no traffic gives no ratio", raw.clock.interval, series, (), [(at, expr, [])])


def _blind_by_tile(slo: Slo) -> bool:
    """Where only the user's PromQL reads raw series, the tile tells that they are gone."""
    return isinstance(slo.indicator, Query | Threshold)


def _blind(slo: Slo, raw: World | None, rules: Rules) -> Iterator[Case]:
    """All raw series vanish; and a metric that is quiet does not."""
    name = conventions.blind_alert(slo)
    alert = rules.meant[name]
    labels, texts = dict(alert["labels"]), expanded(alert["annotations"], None, recorded(split_of(slo, "")))
    step, resolution = slo.sampling.rollup, slo.sampling.resolution
    present = max(2, -(-_BLIND_AFTER.milliseconds // step.milliseconds)) + 1
    ends = (step * present).milliseconds // resolution.milliseconds
    tiles = [_NOTHING, _NOTHING, *([traffic_of(slo, raw).clean] * ends)]
    if raw is None or _blind_by_tile(slo):
        interval, series = resolution, tile_series(slo, tiles, split_of(slo, "ill"))
    else:
        interval, series = raw.clock.interval, continued(slo, raw, tiles, 2)
    last = max(len(samples) - 1 for samples in series.values()) * interval.milliseconds
    gone = last + _BLIND_AFTER.milliseconds + 1
    pending = step * (-(-gone // step.milliseconds))
    fires = pending + step
    seen = [{"exp_labels": labels, "exp_annotations": texts}]
    alerts: list[tuple[Duration, str, list[dict[str, Any]]]] = [
        (step * present, name, []),
        (pending, name, []),
        (fires, name, seen),
    ]
    yield Case("a vanished metric is blind", interval, series, alerts)


# forecast


def _forecast(slo: Slo, forecast: Forecast, rules: Rules) -> Case:
    """A straight line that reaches the limit a little later than `within` after enough history."""
    name = conventions.forecast_alert(slo)
    step = slo.sampling.rollup
    enough = int(forecast.since / step / 4)
    fires = enough + 20
    limit, slope = _line(slo, forecast, fires, step)
    count = fires + 3
    line = [
        limit - slope * (Decimal(fires) - Decimal("0.5") + forecast.within / step - index) for index in range(count)
    ]
    split = split_of(slo, "ill")
    series: Raw = {own_series(slo, conventions.VALUE, split): line}
    series |= _constant(asked_series(slo, recorded(split)), count)
    alert = rules.meant[name]
    texts = expanded(alert["annotations"], line[-1], recorded(split))
    seen = [{"exp_labels": {**alert["labels"], **recorded(split)}, "exp_annotations": texts}]
    alerts: list[tuple[Duration, str, list[dict[str, Any]]]] = [
        (step * (fires - 1), name, []),
        (step * fires, name, seen),
    ]
    return Case("fires when the line reaches the limit in time", step, series, alerts)


def _line(slo: Slo, forecast: Forecast, fires: int, step: Duration) -> tuple[Decimal, Decimal]:
    """The limit and a slope for each evaluation, falling where the limit lies below."""
    falls = isinstance(slo.indicator, Threshold) and slo.indicator.at_most is None
    slope = Decimal(1) / (fires + int(forecast.within / step))
    size = abs(forecast.to) or Decimal(1)
    return forecast.to, (-slope if falls else slope) * size / 2


def _constant(values: Mapping[str, Decimal], count: int) -> dict[str, Samples]:
    return {name: [value] * count for name, value in values.items()}


# regression


def _regressed(slo: Slo, regression: Regression, rules: Rules) -> Proof:
    assert isinstance(slo.indicator, Latency)
    step = slo.sampling.rollup
    if slo.indicator.native:
        return Proof(path_of(slo), "regression", step, unproven="promtool 2.42 cannot write native histograms")
    if not _within_first(regression):
        why = f"a quantile of {regression.quantile} that is worse by {regression.worse_by} leaves the proof's bucket"
        return Proof(path_of(slo), "regression", step, unproven=why)
    case = _regression(slo, regression, rules)
    return _checked(slo, "regression", rules, step, [conventions.regression_alert(slo)], [case])


def _within_first(regression: Regression) -> bool:
    return regression.quantile < 1 / (1 + regression.worse_by) * Decimal("0.99")


def _regression(slo: Slo, regression: Regression, rules: Rules) -> Case:
    """Half of the events move from the first bucket to the second; the quantile is a straight line within a bucket."""
    name, step = conventions.regression_alert(slo), slo.sampling.rollup
    window, earlier = int(regression.over / step), int(regression.earlier / step)
    a_tile = Decimal(max(1000, 2 * regression.min_events))
    moved = Decimal(window) * 2 * (1 - 1 / (1 + regression.worse_by))
    needed = int(moved) + 1
    before = earlier + window
    count = before + needed + 2
    split = split_of(slo, "ill")
    metric = conventions.bucket_tile(step)

    def bucket(le: str) -> str:
        return own_series(slo, metric, split).removesuffix("}") + f', le="{le}"}}'

    first = [a_tile if index < before else a_tile / 2 for index in range(count)]
    series: Raw = {bucket("1"): first, bucket("2"): [a_tile] * count, bucket("+Inf"): [a_tile] * count}
    moments = [before + needed - 2, before + needed - 1]
    alert = rules.meant[name]
    bad = Decimal(needed)
    quantile = regression.quantile / (1 - bad / (2 * window))
    labels = {**alert["labels"], **recorded(split)}
    texts = expanded(alert["annotations"], quantile, recorded(split))
    alerts: list[tuple[Duration, str, list[dict[str, Any]]]] = [
        (step * moments[0], name, []),
        (step * moments[1], name, [{"exp_labels": labels, "exp_annotations": texts}]),
    ]
    return Case("fires when the quantile is worse by more than it may", step, series, alerts)
