"""Proofs of slow changes: a limit that will be reached, and a quantile that is worse than it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from sloctl import conventions
from sloctl.model.alerting import Forecast, Regression
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import Latency, Threshold
from sloctl.model.quantities import number
from sloctl.proof.examples import NotDerivableError
from sloctl.proof.proof import Case, Expected, Proof, Rules
from sloctl.proof.recorded import checked, near, own_series, recorded, split_of, unproven
from sloctl.proof.series import Raw, Samples
from sloctl.proof.simulation import Tile
from sloctl.proof.texts import asked_series, expanded
from sloctl.proof.tiers import continued, traffic_of
from sloctl.proof.worlds import world


def trend_proofs(slo: Slo, rules: Rules) -> Iterator[Proof]:
    """The forecast and the regression of an SLO."""
    step = slo.sampling.rollup
    if slo.forecast is not None:
        line = _line(slo, slo.forecast)
        yield checked(slo, "forecast", rules, step, [conventions.forecast_alert(slo)], [_forecast(slo, line, rules)])
        yield checked(slo, "time-to-limit", rules, step, [conventions.TIME_TO_LIMIT], [_time_to_limit(slo, line)])
    if slo.regression is not None:
        yield from _regression_proofs(slo, slo.regression, rules)


@dataclass(frozen=True, slots=True)
class _Line:
    """A straight line through recorded values that reaches the limit.

    Attributes:
        fires: the evaluation at which the limit is nearer than `within` for the first time, by half an evaluation.
        left: seconds to the limit at that evaluation.
    """

    samples: Sequence[Decimal]
    fires: int
    left: Decimal


def _line(slo: Slo, forecast: Forecast) -> _Line:
    """It begins long enough before that its history suffices, and falls where the limit lies below."""
    step = slo.sampling.rollup
    fires = int(forecast.since / step / 4) + 20
    reaches = fires - Decimal("0.5") + forecast.within / step
    falls = isinstance(slo.indicator, Threshold) and slo.indicator.at_most is None
    slope = (abs(forecast.to) or Decimal(1)) / 2 / reaches * (-1 if falls else 1)
    samples = [forecast.to - slope * (reaches - index) for index in range(fires + 3)]
    return _Line(samples, fires, (reaches - fires) * step.seconds)


def _forecast(slo: Slo, line: _Line, rules: Rules) -> Case:
    name, step, split = conventions.forecast_alert(slo), slo.sampling.rollup, split_of(slo, "ill")
    series: Raw = {own_series(slo, conventions.VALUE, split): line.samples}
    series |= _constant(asked_series(slo, recorded(split)), len(line.samples))
    alert = rules.meant[name]
    texts = expanded(alert["annotations"], line.samples[line.fires], recorded(split))
    seen = [{"exp_labels": {**alert["labels"], **recorded(split)}, "exp_annotations": texts}]
    alerts: list[Expected] = [(step * (line.fires - 1), name, []), (step * line.fires, name, seen)]
    return Case("fires when the line reaches the limit in time", step, series, alerts)


def _time_to_limit(slo: Slo, line: _Line) -> Case:
    step, split = slo.sampling.rollup, split_of(slo, "ill")
    series: Raw = {own_series(slo, conventions.VALUE, split): line.samples}
    left = own_series(slo, conventions.TIME_TO_LIMIT, split)
    expected = [{"labels": left.removeprefix(conventions.TIME_TO_LIMIT), "value": 1}]
    values: list[Expected] = [(step * line.fires, near(left, line.left, Decimal("1e-6")), expected)]
    return Case("tells the time to the limit", step, series, (), values)


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
        yield checked(slo, "regression", rules, step, [name], [_regression(slo, regression, rules)])
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
        for edge, events in ((number(latency.at_most), total - bad), ("+Inf", total)):
            series = own_series(slo, metric, split_of(slo, "ill")).removesuffix("}") + f', le="{edge}"}}'
            values.append((step * index, series, [{"labels": series, "value": float(events)}]))
    return Case("counts each bucket to the event", raw.clock.interval, continued(rolled, raw, tiles, 2), (), values)


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
    alerts: list[Expected] = [
        (step * moments[0], name, []),
        (step * moments[1], name, [{"exp_labels": labels, "exp_annotations": texts}]),
    ]
    return Case("fires when the quantile is worse by more than it may", step, series, alerts)
