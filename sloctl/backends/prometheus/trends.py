"""Slow changes: a limit that will be reached, and a quantile that is worse than it was."""

from __future__ import annotations

from dataclasses import dataclass

from sloctl import conventions
from sloctl.backends.prometheus import raw
from sloctl.backends.prometheus.rules import Alert, Recording
from sloctl.backends.prometheus.slices import utilisation
from sloctl.backends.prometheus.texts import forecast_annotations, regression_annotations
from sloctl.model.alerting import Forecast, Regression
from sloctl.model.catalogue import Platform, Slo
from sloctl.model.indicator import Latency, RunningTotal, Saturation, Threshold
from sloctl.model.quantities import SECOND, ZERO, Duration, number
from sloctl.model.selector import Matcher, MatchOperator
from sloctl.promql.build import indent, over_time
from sloctl.promql.selectors import selector_text


def measured(slo: Slo) -> list[Recording]:
    """What a forecast looks at: the utilisation, or the worst value of a threshold; recorded, because raw is costly."""
    match slo.indicator:
        case Saturation() as saturation:
            expr = utilisation(slo, saturation)
        case Threshold(value=value, at_most=at_most) if slo.forecast is not None:
            expr = raw.aggregated(slo, "min" if at_most is None else "max", value.text)
        case _:
            return []
    return [Recording(conventions.VALUE, expr, conventions.series_labels(slo))]


def forecast_rules(platform: Platform, slo: Slo, forecast: Forecast) -> tuple[Recording, Alert]:
    """Seconds until a straight line reaches the limit, and the alert when that is soon.

    A line through less than a quarter of the wanted history proves nothing.
    """
    value = raw.own(slo, conventions.VALUE)
    history, limit = selector_text(value, forecast.since), number(forecast.to)
    reaches, steep = ("<=", "<") if _falls(slo) else (">=", ">")
    to_limit = f"({limit} - {selector_text(value)})\n/ (deriv({history}) {steep} 0)"
    enough = int(forecast.since / slo.sampling.rollup / 4)
    expr = (
        f"predict_linear({history}, {number(forecast.within.seconds)}) {reaches} {limit}\n"
        f"and {over_time('count', value, forecast.since)} >= {enough}"
    )
    severity = conventions.severity_word(platform, forecast.severity)
    alert = Alert(
        conventions.forecast_alert(slo),
        expr,
        conventions.alert_labels(slo, severity, conventions.FORECAST),
        forecast_annotations(platform, slo, forecast),
    )
    record = Recording(
        conventions.TIME_TO_LIMIT, f"clamp_min(\n{indent(to_limit)},\n  0\n)", conventions.series_labels(slo)
    )
    return record, alert


def _falls(slo: Slo) -> bool:
    """Whether the limit lies below."""
    return isinstance(slo.indicator, Threshold) and slo.indicator.at_most is None


def regression_rules(platform: Platform, slo: Slo, regression: Regression) -> list[Recording | Alert]:
    """Buckets rolled up, and the alert when a quantile is worse than the same time earlier."""
    latency = slo.indicator
    assert isinstance(latency, Latency)
    observed = _native if latency.native else _classic
    now, before = observed(slo, latency, regression, ZERO), observed(slo, latency, regression, regression.earlier)
    expr = (
        f"{now.quantile}\n> {number(1 + regression.worse_by)} * {before.quantile}\n"
        f"and {now.count} >= {regression.min_events}"
    )
    severity = conventions.severity_word(platform, regression.severity)
    alert = Alert(
        conventions.regression_alert(slo),
        expr,
        conventions.alert_labels(slo, severity, conventions.REGRESSION),
        regression_annotations(platform, slo, regression),
    )
    return [alert] if latency.native else [_buckets(slo, latency), alert]


@dataclass(frozen=True, slots=True)
class _Observed:
    """A quantile over some time, and how many events it stands for."""

    quantile: str
    count: str


def _buckets(slo: Slo, latency: Latency) -> Recording:
    """All buckets in pieces of four tiles, so that a day of them is cheap to read."""
    tile = slo.sampling.rollup
    selectors = [one.named(f"{one.metric}_bucket") for one in latency.histogram]
    parts = [raw.events(slo, one, RunningTotal(), tile) for one in selectors]
    expr = raw.aggregated(slo, "sum", raw.union(parts), extra=("le",))
    return Recording(conventions.bucket_tile(tile), expr, conventions.series_labels(slo))


def _classic(slo: Slo, latency: Latency, regression: Regression, offset: Duration) -> _Observed:
    assert not latency.native
    tile = raw.own(slo, conventions.bucket_tile(slo.sampling.rollup))
    infinite = tile.narrowed(Matcher("le", MatchOperator.EQUAL, "+Inf"))
    over = regression.over - SECOND
    quantile = f"histogram_quantile({number(regression.quantile)}, {over_time('sum', tile, over, offset)})"
    return _Observed(quantile, f"sum without (le) ({over_time('sum', infinite, over)})")


def _native(slo: Slo, latency: Latency, regression: Regression, offset: Duration) -> _Observed:
    increases = raw.union(
        [f"increase({selector_text(raw.split(slo, one), regression.over, offset)})" for one in latency.histogram]
    )
    summed = raw.aggregated(slo, "sum", increases)
    return _Observed(f"histogram_quantile({number(regression.quantile)}, {summed})", f"histogram_count({summed})")
