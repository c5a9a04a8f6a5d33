"""Proofs of slow changes: a limit that will be reached, and a quantile that is worse than it was."""

from __future__ import annotations

from collections.abc import Iterator
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
from sloctl.proof.history import EMPTY, continued, raw_input, traffic_of
from sloctl.proof.proof import Case, Expected, Proof, SloRules, holds
from sloctl.proof.recorded import AFFECTED, UNAFFECTED, near, own_series, recorded, split_of
from sloctl.proof.series import InputSeries, SampleValues, series_text
from sloctl.proof.texts import asked_series, fired


def trend_proofs(rules: SloRules) -> Iterator[Proof]:
    """The forecast and the regression of an SLO."""
    if rules.slo.forecast is not None:
        yield from _forecast_proofs(rules, rules.slo.forecast)
    if rules.slo.regression is not None:
        yield from _regression_proofs(rules, rules.slo.regression)


def _line(slo: Slo, forecast: Forecast, nears: int, count: int) -> list[Decimal]:
    """A straight line whose limit is nearer than `within` from evaluation `nears` on, by half an evaluation."""
    reaches = nears - Decimal("0.5") + forecast.within / slo.sampling.rollup
    falls = isinstance(slo.indicator, Threshold) and slo.indicator.at_most is None
    slope = (abs(forecast.to) or Decimal(1)) / 2 / reaches * (-1 if falls else 1)
    return [forecast.to - slope * (reaches - index) for index in range(count)]


def _forecast_proofs(rules: SloRules, forecast: Forecast) -> Iterator[Proof]:
    slo, step, name = rules.slo, rules.slo.sampling.rollup, conventions.forecast_alert(rules.slo)
    enough = int(forecast.since / step / 4)
    nears = enough + 20
    line, steep = _line(slo, forecast, nears, nears + 3), _line(slo, forecast, -1, enough + 3)
    cases = [
        _forecast(rules, "fires when the line reaches the limit in time", line, nears),
        _forecast(rules, "is silent until its history suffices", steep, enough - 1),
    ]
    yield rules.proof("forecast", step, [name], cases)
    yield rules.proof("forecast-since", forecast.since * 2, [name], [_since(rules, forecast)])
    left = near(
        own_series(slo, conventions.TIME_TO_LIMIT, split_of(slo)),
        (forecast.within - step // 2).seconds,
        Decimal("1e-6"),
    )
    values = [holds(step * nears, left, own_series(slo, "", split_of(slo)))]
    case = Case(
        "tells the time to the limit", step, {own_series(slo, conventions.VALUE, split_of(slo)): line}, (), values
    )
    yield rules.proof("time-to-limit", step, [conventions.TIME_TO_LIMIT], [case])


def _forecast(rules: SloRules, what: str, values: SampleValues, fires: int) -> Case:
    """Silent one evaluation before."""
    name, step = conventions.forecast_alert(rules.slo), rules.slo.sampling.rollup
    alerts: list[Expected] = [(step * (fires - 1), name, []), (step * fires, name, [_told(rules)])]
    return Case(what, step, _measured(rules.slo, values), alerts)


def _since(rules: SloRules, forecast: Forecast) -> Case:
    """What lies before the history plays no part, however wild; looked at once, as it is long."""
    slo, step = rules.slo, rules.slo.sampling.rollup
    count = int(forecast.since / step)
    line = _line(slo, forecast, count - 1, count)
    wild = forecast.to + (forecast.to - line[0]) * 1000
    values = [*([None] * (count - 1)), wild, None, *line]
    alerts: list[Expected] = [(forecast.since * 2, conventions.forecast_alert(slo), [_told(rules)])]
    return Case("looks at its history only", step, _measured(slo, values), alerts)


def _measured(slo: Slo, values: SampleValues) -> InputSeries:
    """The recorded values, and what the texts ask for."""
    series: InputSeries = {own_series(slo, conventions.VALUE, split_of(slo)): values}
    return series | asked_series(slo, split_of(slo), len(values))


def _told(rules: SloRules) -> dict[str, Any]:
    return fired(rules.slo, rules.meant[conventions.forecast_alert(rules.slo)], split_of(rules.slo))


def _regression_proofs(rules: SloRules, regression: Regression) -> Iterator[Proof]:
    slo, name, step = rules.slo, conventions.regression_alert(rules.slo), rules.slo.sampling.rollup
    assert isinstance(slo.indicator, Latency)
    if slo.indicator.native:
        yield rules.unrun(name, "promtool 2.42 cannot write native histograms")
        return
    bucket = conventions.bucket_tile(step)
    try:
        yield rules.proof("buckets", step, [bucket], [_buckets(slo, slo.indicator)])
    except NotDerivableError as error:
        yield rules.unrun(bucket, str(error))
    if not _is_linear(regression):
        why = f"a quantile of {regression.quantile} that is worse by {regression.worse_by} leaves the proof's bucket"
        yield rules.unrun(name, why)
        return
    busy = Decimal(max(1000, 2 * regression.min_events))
    cases = [_regression(rules, regression, "fires when the quantile is worse by more than it may", busy)]
    if regression.min_events:
        few = (regression.min_events - Decimal("0.5")) / _rollups(slo, regression.over)  # a window holds just too few
        cases.append(_regression(rules, regression, "is silent for too few events", few, fires=False))
    yield rules.proof("regression", step, [name], cases)


def _is_linear(regression: Regression) -> bool:
    """Whether the worsened quantile still falls into the first test bucket, where interpolation is linear.

    0.99 is slack.
    """
    return regression.quantile < 1 / (1 + regression.worse_by) * Decimal("0.99")


def _buckets(slo: Slo, latency: Latency) -> Case:
    """The increase of each bucket in a roll-up, for one split value."""
    sampling, step = slo.sampling, slo.sampling.rollup
    rolled = replace(slo, sampling=replace(sampling, resolution=step))  # raw series with tiles as long as a roll-up
    raw = raw_input(rolled)
    traffic = traffic_of(rolled, raw)
    tiles: list[Tile] = [EMPTY] * 2 + [traffic.clean] * 2 + [traffic.outage] * 2 + [traffic.clean]
    metric, values = conventions.bucket_tile(step), list[Expected]()
    for index in range(3, len(tiles)):
        total, bad = tiles[index]
        slow = bad / 2 if latency.bad_if else bad  # the others are fast failures
        fast = {AFFECTED: total - slow} | ({UNAFFECTED: total} if slo.by else {})
        seen = [
            {"labels": _bucket(slo, value, edge), "value": float(events)}
            for value, within in fast.items()
            for edge, events in ((number(latency.at_most), within), ("+Inf", total))
        ]
        values.append((step * index, metric, seen))
    return Case("counts each bucket to the event", raw.clock.interval, continued(rolled, raw, tiles, 2), (), values)


def _bucket(slo: Slo, value: str, edge: str) -> str:
    labels = {**conventions.series_labels(slo), **recorded(split_of(slo, value)), "le": edge}
    return series_text(conventions.bucket_tile(slo.sampling.rollup), labels)


def _rollups(slo: Slo, length: Duration) -> int:
    """How many roll-ups a length of time holds that begins with one."""
    return -(-length.milliseconds // slo.sampling.rollup.milliseconds)


def _regression(rules: SloRules, regression: Regression, what: str, events: Decimal, *, fires: bool = True) -> Case:
    """Half of the events move from the first bucket to the second; the quantile is a straight line within a bucket.

    Args:
        rules: of the SLO.
        regression: of the SLO.
        what: is shown.
        events: in each roll-up.
        fires: whether the alert fires once enough events moved.
    """
    slo, name, step = rules.slo, conventions.regression_alert(rules.slo), rules.slo.sampling.rollup
    window, earlier = _rollups(slo, regression.over), int(regression.earlier / step)
    needed = int(Decimal(window) * 2 * (1 - 1 / (1 + regression.worse_by))) + 1
    before = earlier + window
    count = before + needed + 2
    first = [events if index < before else events / 2 for index in range(count)]
    edges: dict[str, SampleValues] = {"1": first, "2": [events] * count, "+Inf": [events] * count}
    series: InputSeries = {_bucket(slo, AFFECTED, edge): samples for edge, samples in edges.items()}
    quantile = regression.quantile / (1 - Decimal(needed) / (2 * window))
    told = [fired(slo, rules.meant[name], split_of(slo), quantile)] if fires else []
    last = step * (before + needed - 1)
    return Case(what, step, series, [(last - step, name, []), (last, name, told)])
