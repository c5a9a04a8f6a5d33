"""Proofs of slow changes: a limit that will be reached, and a quantile that is worse than it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sloctl import conventions
from sloctl.explain.simulation import Tile
from sloctl.model.alerting import Forecast, Regression
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import Latency, Threshold
from sloctl.model.quantities import Duration, number
from sloctl.proof.examples import NotDerivableError
from sloctl.proof.proof import Case, Expected, Proof, Rules
from sloctl.proof.recorded import checked, near, own_series, recorded, split_of, unproven
from sloctl.proof.series import Raw, Samples, series_text
from sloctl.proof.texts import asked_series, expanded
from sloctl.proof.tiers import continued, traffic_of
from sloctl.proof.worlds import world


def trend_proofs(slo: Slo, rules: Rules) -> Iterator[Proof]:
    """The forecast and the regression of an SLO."""
    if slo.forecast is not None:
        yield from _forecast_proofs(slo, slo.forecast, rules)
    if slo.regression is not None:
        yield from _regression_proofs(slo, slo.regression, rules)


def _line(slo: Slo, forecast: Forecast, nears: int, count: int) -> list[Decimal]:
    """A straight line whose limit is nearer than `within` from evaluation `nears` on, by half an evaluation."""
    reaches = nears - Decimal("0.5") + forecast.within / slo.sampling.rollup
    falls = isinstance(slo.indicator, Threshold) and slo.indicator.at_most is None
    slope = (abs(forecast.to) or Decimal(1)) / 2 / reaches * (-1 if falls else 1)
    return [forecast.to - slope * (reaches - index) for index in range(count)]


def _forecast_proofs(slo: Slo, forecast: Forecast, rules: Rules) -> Iterator[Proof]:
    step, name = slo.sampling.rollup, conventions.forecast_alert(slo)
    enough, nears = int(forecast.since / step / 4), int(forecast.since / step / 4) + 20
    line, steep = _line(slo, forecast, nears, nears + 3), _line(slo, forecast, -1, enough + 3)
    cases = [
        _forecast(slo, rules, "fires when the line reaches the limit in time", line, nears),
        _forecast(slo, rules, "is silent until its history suffices", steep, enough - 1),
    ]
    yield checked(slo, "forecast", rules, step, [name], cases)
    yield checked(slo, "forecast-since", rules, forecast.since * 2, [name], [_since(slo, forecast, rules)])
    case = _time_to_limit(slo, line, (forecast.within - step // 2).seconds, nears)
    yield checked(slo, "time-to-limit", rules, step, [conventions.TIME_TO_LIMIT], [case])


def _forecast(slo: Slo, rules: Rules, what: str, values: Samples, fires: int) -> Case:
    """Silent one evaluation before."""
    step, told = slo.sampling.rollup, _told(slo, rules)
    name = conventions.forecast_alert(slo)
    alerts: list[Expected] = [(step * (fires - 1), name, []), (step * fires, name, [told])]
    return Case(what, step, _measured(slo, values), alerts)


def _since(slo: Slo, forecast: Forecast, rules: Rules) -> Case:
    """What lies before the history plays no part, however wild; looked at once, as it is long."""
    count = int(forecast.since / slo.sampling.rollup)
    line = _line(slo, forecast, count - 1, count)
    wild = forecast.to + (forecast.to - line[0]) * 1000
    values = [*([None] * (count - 1)), wild, None, *line]
    alerts: list[Expected] = [(forecast.since * 2, conventions.forecast_alert(slo), [_told(slo, rules)])]
    return Case("looks at its history only", slo.sampling.rollup, _measured(slo, values), alerts)


def _measured(slo: Slo, values: Samples) -> Raw:
    """The recorded values, and what the texts ask for."""
    split = split_of(slo, "ill")
    series: Raw = {own_series(slo, conventions.VALUE, split): values}
    return series | _constant(asked_series(slo, recorded(split)), len(values))


def _told(slo: Slo, rules: Rules) -> dict[str, Any]:
    alert, split = rules.meant[conventions.forecast_alert(slo)], recorded(split_of(slo, "ill"))
    return {"exp_labels": {**alert["labels"], **split}, "exp_annotations": expanded(alert["annotations"], None, split)}


def _time_to_limit(slo: Slo, values: Samples, left: Decimal, index: int) -> Case:
    step, split = slo.sampling.rollup, split_of(slo, "ill")
    name = own_series(slo, conventions.TIME_TO_LIMIT, split)
    expected = [{"labels": own_series(slo, "", split), "value": 1}]
    seen: list[Expected] = [(step * index, near(name, left, Decimal("1e-6")), expected)]
    return Case("tells the time to the limit", step, {own_series(slo, conventions.VALUE, split): values}, (), seen)


def _constant(values: Mapping[str, Decimal], count: int) -> dict[str, Samples]:
    return {name: [value] * count for name, value in values.items()}


def _regression_proofs(slo: Slo, regression: Regression, rules: Rules) -> Iterator[Proof]:
    assert isinstance(slo.indicator, Latency)
    name, step = conventions.regression_alert(slo), slo.sampling.rollup
    if slo.indicator.native:
        yield unproven(slo, rules, name, "promtool 2.42 cannot write native histograms")
        return
    try:
        case = _buckets(slo, slo.indicator)
    except NotDerivableError as error:
        yield unproven(slo, rules, conventions.bucket_tile(step), str(error))
    else:
        yield checked(slo, "buckets", rules, step, [conventions.bucket_tile(step)], [case])
    if _within_first(regression):
        busy = Decimal(max(1000, 2 * regression.min_events))
        cases = [
            _regression(slo, regression, rules, "fires when the quantile is worse by more than it may", busy),
            _regression(slo, regression, rules, "is silent for too few events", _too_few(slo, regression), few=True),
        ]
        yield checked(slo, "regression", rules, step, [name], cases[: 1 + bool(regression.min_events)])
        return
    why = f"a quantile of {regression.quantile} that is worse by {regression.worse_by} leaves the proof's bucket"
    yield unproven(slo, rules, name, why)


def _buckets(slo: Slo, latency: Latency) -> Case:
    """The increase of each bucket in a roll-up, for one split value."""
    sampling, step = slo.sampling, slo.sampling.rollup
    rolled = replace(slo, sampling=replace(sampling, resolution=step))  # raw series with tiles as long as a roll-up
    raw = world(rolled)
    traffic = traffic_of(rolled, raw)
    tiles: list[Tile] = [(Decimal(0), Decimal(0))] * 2 + [traffic.clean] * 2 + [traffic.outage] * 2 + [traffic.clean]
    metric, values = conventions.bucket_tile(step), list[Expected]()
    for index in range(3, len(tiles)):
        total, bad = tiles[index]
        slow = bad / 2 if latency.bad_if else bad  # the others are fast failures
        good = {"ill": total - slow, "calm": total} if slo.by else {"ill": total - slow}
        seen = [
            {"labels": _bucket(slo, metric, value, edge), "value": float(events)}
            for value, fast in good.items()
            for edge, events in ((number(latency.at_most), fast), ("+Inf", total))
        ]
        values.append((step * index, metric, seen))
    return Case("counts each bucket to the event", raw.clock.interval, continued(rolled, raw, tiles, 2), (), values)


def _bucket(slo: Slo, metric: str, value: str, edge: str) -> str:
    labels = {**conventions.series_labels(slo), **recorded(split_of(slo, value)), "le": edge}
    return series_text(metric, labels)


def _within_first(regression: Regression) -> bool:
    return regression.quantile < 1 / (1 + regression.worse_by) * Decimal("0.99")


def _too_few(slo: Slo, regression: Regression) -> Decimal:
    """Events in each roll-up, of which a window holds just too few."""
    return (regression.min_events - Decimal("0.5")) / _rollups(slo, regression.over)


def _rollups(slo: Slo, length: Duration) -> int:
    """How many roll-ups a length of time holds that begins with one."""
    return -(-length.milliseconds // slo.sampling.rollup.milliseconds)


def _regression(
    slo: Slo, regression: Regression, rules: Rules, what: str, a_tile: Decimal, *, few: bool = False
) -> Case:
    """Half of the events move from the first bucket to the second; the quantile is a straight line within a bucket."""
    name, step = conventions.regression_alert(slo), slo.sampling.rollup
    window, earlier = _rollups(slo, regression.over), int(regression.earlier / step)
    moved = Decimal(window) * 2 * (1 - 1 / (1 + regression.worse_by))
    needed = int(moved) + 1
    before = earlier + window
    count = before + needed + 2
    split, metric = split_of(slo, "ill"), conventions.bucket_tile(step)
    first = [a_tile if index < before else a_tile / 2 for index in range(count)]
    edges: dict[str, Samples] = {"1": first, "2": [a_tile] * count, "+Inf": [a_tile] * count}
    series: Raw = {_bucket(slo, metric, "ill", edge): samples for edge, samples in edges.items()}
    moments = [before + needed - 2, before + needed - 1]
    alert = rules.meant[name]
    bad = Decimal(needed)
    quantile = regression.quantile / (1 - bad / (2 * window))
    labels = {**alert["labels"], **recorded(split)}
    texts = expanded(alert["annotations"], quantile, recorded(split))
    alerts: list[Expected] = [
        (step * moments[0], name, []),
        (step * moments[1], name, [] if few else [{"exp_labels": labels, "exp_annotations": texts}]),
    ]
    return Case(what, step, series, alerts)
