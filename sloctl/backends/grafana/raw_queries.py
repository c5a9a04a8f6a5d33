"""PromQL over the raw series that an SLI reads: what recordings cannot tell, such as versions and exemplars."""

from __future__ import annotations

from collections.abc import Sequence

from sloctl.backends.grafana.panels import COUNT, SECONDS
from sloctl.backends.grafana.queries import selector
from sloctl.backends.grafana.texts import literal
from sloctl.model.catalogue import Service, Slo
from sloctl.model.indicator import Latency, Ratio, RunningTotal, Unit
from sloctl.model.selector import Matcher, Selector, Selectors
from sloctl.promql.build import indent
from sloctl.promql.expressions import parse_expression


def raw(selected: Selector, *more: Matcher, suffix: str = "") -> str:
    """A user's own selector, literally, then matchers of ours that may hold Grafana's variables."""
    own = [Matcher(matcher.label, matcher.operator, literal(matcher.value)) for matcher in selected.matchers]
    return selector([selected.metric + suffix], [*own, *more])


def counted(slo: Slo) -> Selectors:
    """The series that count the events of an SLO."""
    match slo.indicator:
        case Ratio(total=total, bad=bad, good=good):
            return total or bad or good or ()
        case Latency() as latency:
            suffix = "" if latency.native else "_count"
            return tuple(histogram.named(histogram.metric + suffix) for histogram in latency.histogram)
        case _:
            raise TypeError(f"{slo.id} counts no events")


def requests(slo: Slo, matchers: Sequence[Matcher]) -> str:
    """Events per second of one version."""
    match slo.indicator:
        case Ratio() as ratio:
            sides = ratio.total if ratio.total is not None else (ratio.bad or ()) + (ratio.good or ())
            return _summed(ratio, sides, matchers)
        case Latency(native=native):
            counts = [f"rate({raw(series, *matchers)}[$__rate_interval])" for series in counted(slo)]
            return " + ".join(f"sum(histogram_count({count}))" if native else f"sum({count})" for count in counts)
        case _:
            raise TypeError(f"{slo.id} counts no events")


def error_ratio(slo: Slo, matchers: Sequence[Matcher]) -> str:
    """Bad events among all of one version; absent without events."""
    ratio = slo.indicator
    assert isinstance(ratio, Ratio)
    total = requests(slo, matchers)
    if ratio.bad is not None:
        bad = _summed(ratio, ratio.bad, matchers)
        return f"(({bad} or 0 * ({total})) / (({total}) > 0))"
    assert ratio.good is not None
    return f"(1 - ({_summed(ratio, ratio.good, matchers)} or 0 * ({total})) / (({total}) > 0))"


def _summed(ratio: Ratio, selectors: Selectors, matchers: Sequence[Matcher]) -> str:
    """Events per second: a counter's rate, and what else the series hold as it is."""
    series = [raw(selected, *matchers) for selected in selectors]
    if isinstance(ratio.counts, RunningTotal):
        series = [f"rate({counter}[$__rate_interval])" for counter in series]
    return " + ".join(f"sum({rate})" for rate in series)


def cost_each(service: Service, slo: Slo, matchers: Sequence[Matcher]) -> str:
    """What one request on a version costs, from the cost series that carry the version's labels."""
    assert service.cost is not None
    narrowed = parse_expression(service.cost.text, tuple(matchers))
    return f"sum(\n{indent(narrowed.text)}\n) / (3600 * ({requests(slo, matchers)}) > 0)"


def quantile(slo: Slo, q: str, matchers: Sequence[Matcher] = ()) -> str:
    """A quantile of an SLO's raw histograms, by default of all versions."""
    latency = slo.indicator
    assert isinstance(latency, Latency)
    return quantile_of(latency.histogram, q, matchers, native=latency.native)


def quantile_of(histograms: Selectors, q: str, matchers: Sequence[Matcher] = (), *, native: bool) -> str:
    """A quantile of several raw histograms together."""
    suffix = "" if native else "_bucket"
    rates = [f"rate({raw(histogram, *matchers, suffix=suffix)}[$__rate_interval])" for histogram in histograms]
    return histogram_quantile(q, () if native else ("le",), " or ".join(rates))


def histogram_quantile(q: str, labels: Sequence[str], histograms: str) -> str:
    """A quantile of histograms, one for each set of these labels."""
    grouping = f" by ({', '.join(labels)})" if labels else ""
    return f"histogram_quantile({q}, sum{grouping} ({histograms}))"


def unit_of(slo: Slo) -> str:
    """Grafana's unit of a histogram's bounds."""
    assert isinstance(slo.indicator, Latency)
    names = {Unit.SECONDS: SECONDS, Unit.MICROSECONDS: "µs", Unit.NONE: COUNT}
    return names.get(slo.indicator.unit, slo.indicator.unit.value)
