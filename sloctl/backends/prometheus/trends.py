"""Slow changes: a limit that will be reached, and a quantile that is worse than it was."""

from __future__ import annotations

from dataclasses import dataclass

from sloctl import conventions
from sloctl.backends.prometheus import raw
from sloctl.backends.prometheus.rules import AlertingRule
from sloctl.backends.prometheus.slices import utilisation
from sloctl.backends.prometheus.texts import forecast_annotations, regression_annotations
from sloctl.conventions.inventory import Alert
from sloctl.model.alerting import Forecast, Regression
from sloctl.model.catalogue import Platform, Slo
from sloctl.model.indicator import Latency, RunningTotal, Saturation, Threshold
from sloctl.model.quantities import SECOND, ZERO, Duration, number
from sloctl.model.selector import Matcher, MatchOperator
from sloctl.promql.build import indent, over_time
from sloctl.promql.selectors import selector_text


def measured(slo: Slo) -> str:
    """What a forecast looks at: the utilisation, or the worst value of a threshold; recorded, because raw is costly."""
    if isinstance(slo.indicator, Saturation):
        return utilisation(slo, slo.indicator)
    assert isinstance(slo.indicator, Threshold)
    return raw.aggregated(slo, "min" if _falls(slo) else "max", raw.numbers(f"({slo.indicator.value.text})"))


def time_to_limit(slo: Slo) -> str:
    """Seconds until a straight line reaches the limit."""
    assert slo.forecast is not None
    value = raw.own(slo, conventions.VALUE)
    distance = f"{number(slo.forecast.to)} - {selector_text(value)}"
    line = raw.past(slo, "max", f"deriv({selector_text(value, slo.forecast.since)})")
    slope = f"{line} {'<' if _falls(slo) else '>'} 0"
    to_limit = f"({distance})\n/ ({slope})"
    return f"clamp_min(\n{indent(to_limit)},\n  0\n)"


def forecast_rule(platform: Platform, slo: Slo, alert: Alert, forecast: Forecast) -> AlertingRule:
    """The alert on a limit that is reached soon; a line through less than a quarter of its history proves nothing."""
    value = raw.own(slo, conventions.VALUE)
    history, limit = selector_text(value, forecast.since), number(forecast.to)
    reaches = "<=" if _falls(slo) else ">="
    enough = int(forecast.since / slo.sampling.rollup / 4)
    expr = (
        f"{raw.past(slo, 'max', f'predict_linear({history}, {number(forecast.within.seconds)})')} {reaches} {limit}\n"
        f"and {raw.past(slo, 'sum', over_time('count', value, forecast.since))} >= {enough}"
    )
    return AlertingRule(alert, expr, forecast_annotations(platform, slo, forecast))


def _falls(slo: Slo) -> bool:
    """Whether the limit lies below."""
    return isinstance(slo.indicator, Threshold) and slo.indicator.at_most is None


def regression_rule(platform: Platform, slo: Slo, alert: Alert, regression: Regression) -> AlertingRule:
    """The alert on a quantile that is worse than the same time earlier."""
    latency = slo.indicator
    assert isinstance(latency, Latency)
    observed = _native if latency.native else _classic
    now, before = observed(slo, latency, regression, ZERO), observed(slo, latency, regression, regression.earlier)
    expr = (
        f"{now.quantile}\n> {number(1 + regression.worse_by)} * {before.quantile}\n"
        f"and {now.count} >= {regression.min_events}"
    )
    return AlertingRule(alert, expr, regression_annotations(platform, slo, regression))


@dataclass(frozen=True, slots=True)
class _Observed:
    """A quantile over some time, and how many events it stands for."""

    quantile: str
    count: str


def buckets(slo: Slo) -> str:
    """All buckets in pieces of four tiles, so that a day of them is cheap to read."""
    assert isinstance(slo.indicator, Latency)
    selectors = [selector.named(f"{selector.metric}_bucket") for selector in slo.indicator.histogram]
    parts = [raw.events(slo, RunningTotal(), selector, slo.sampling.rollup) for selector in selectors]
    return raw.aggregated(slo, "sum", raw.union(parts), extra=("le",))


def _classic(slo: Slo, latency: Latency, regression: Regression, offset: Duration) -> _Observed:
    assert not latency.native
    tile = raw.own(slo, conventions.bucket_tile(slo.sampling.rollup))
    infinite = tile.narrowed(Matcher("le", MatchOperator.EQUAL, "+Inf"))
    over = regression.over - SECOND
    summed = raw.past(slo, "sum", over_time("sum", tile, over, offset), "le")
    quantile = f"histogram_quantile({number(regression.quantile)}, {summed})"
    return _Observed(quantile, raw.past(slo, "sum", over_time("sum", infinite, over)))


def _native(slo: Slo, latency: Latency, regression: Regression, offset: Duration) -> _Observed:
    increases = raw.union(
        [
            f"increase({selector_text(raw.split(slo, histogram), regression.over, offset)})"
            for histogram in latency.histogram
        ]
    )
    summed = raw.aggregated(slo, "sum", increases)
    return _Observed(f"histogram_quantile({number(regression.quantile)}, {summed})", f"histogram_count({summed})")
