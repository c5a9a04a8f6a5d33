"""Canary: two versions of a service side by side, read from raw series, because recordings know no versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from sloctl import conventions
from sloctl.backends.grafana.dashboard import Page, Variable
from sloctl.backends.grafana.panels import (
    BLUE,
    COUNT,
    DARK_RED,
    GREEN,
    ORANGE,
    PERCENT,
    SECONDS,
    TIMES,
    Panel,
    Step,
    Style,
    Target,
    note,
    row,
    stat,
    time_series,
)
from sloctl.backends.grafana.queries import equal, raw, selector, shown
from sloctl.backends.grafana.texts import literal, markdown
from sloctl.model.canary import Arms, SloCheck
from sloctl.model.catalogue import Platform, Service, Slo
from sloctl.model.indicator import Latency, Ratio, RunningTotal, Unit
from sloctl.model.quantities import number
from sloctl.model.selector import Matcher, MatchOperator, Selector, Selectors
from sloctl.promql.build import indent
from sloctl.promql.expressions import parse_expression
from sloctl.promql.selectors import matchers_text

HASH: Final = "rollouts_pod_template_hash"
DEFAULT_ARMS: Final = Arms(
    (Matcher(HASH, MatchOperator.EQUAL, "$canary"),), (Matcher(HASH, MatchOperator.EQUAL, "$stable"),)
)
"""Argo Rollouts' pod template hash, the default of a specification's `arms`."""
MOST: Final = 12
"""Every line is a query on raw series, so only so many services are shown, those with a `canary` first."""
CHARTS_A_ROW: Final = 4
NEW, OLD = "canary", "baseline"
STYLES: Final = (
    Style(f"/^{NEW}/", pattern=True, color=ORANGE),
    Style(f"/^{OLD}/", pattern=True, color=BLUE),
    Style("/^limit/", pattern=True, color=DARK_RED, dashed=True),
)


def canary(platform: Platform) -> Page:
    """Baseline and canary of each service, the difference, and what it costs."""
    eligible = [service for service in platform.services if _ratio(service) or _latency(service)]
    ordered = sorted(eligible, key=lambda service: service.canary is None)
    chosen, left_out = ordered[:MOST], ordered[MOST:]
    panels = [panel for service in chosen for panel in _service(platform, service)]
    return Page(
        "canary",
        "Two versions of a service side by side: errors, latency and cost per request.",
        [note("Reading this page", _explanation(chosen, left_out)), *panels],
        list(_variables(chosen)),
        since="now-1h",
    )


def _explanation(chosen: Sequence[Service], left_out: Sequence[Service]) -> str:
    if not chosen:
        return "No service of this platform counts events, so there are no versions to compare."
    text = (
        "Choose the label values of the two versions above. The difference counts: what hits both versions alike is no "
        "reason to roll back. The verdict with its evidence is in `sloctl canary history SERVICE`."
    )
    if left_out:
        text += f" Not shown: {', '.join(markdown(service.name) for service in left_out)}."
    return text


def _service(platform: Platform, service: Service) -> Iterator[Panel]:
    yield row(literal(service.name))
    yield from _differences(service)
    yield from _lines(platform, service)


def arms(service: Service) -> Arms:
    """The matchers of a service's two versions."""
    return service.canary.arms if service.canary else DEFAULT_ARMS


def _ratio(service: Service) -> Slo | None:
    return _first(service, Ratio)


def _latency(service: Service) -> Slo | None:
    return _first(service, Latency)


def _first(service: Service, kind: type[Ratio] | type[Latency]) -> Slo | None:
    """The SLO of a kind that a check names, else the first one."""
    checked = [check.slo for check in service.canary.checks if isinstance(check, SloCheck)] if service.canary else []
    of_kind = [slo for slo in service.slos if isinstance(slo.indicator, kind)]
    return next((slo for slo in of_kind if slo.name in checked), of_kind[0] if of_kind else None)


def _both(service: Service) -> tuple[tuple[str, tuple[Matcher, ...]], ...]:
    return (NEW, arms(service).canary), (OLD, arms(service).baseline)


def _differences(service: Service) -> Iterator[Panel]:
    """One number each: the canary against the baseline."""
    worse = (Step(GREEN), Step(ORANGE, Decimal("1.1")), Step(DARK_RED, Decimal("1.3")))
    both = arms(service)
    if slo := _ratio(service):
        expr = f"{error_ratio(slo, both.canary)}\n- {error_ratio(slo, both.baseline)}"
        steps = (Step(GREEN), Step(ORANGE, Decimal("0.0005")), Step(DARK_RED, Decimal("0.005")))
        yield stat(
            "Errors, difference", f"Error ratio of the canary minus the baseline's, {slo.id}.", expr, PERCENT,
            decimals=2, steps=steps, height=3, width=6,
        )  # fmt: skip
    if slo := _latency(service):
        expr = f"{quantile(slo, '0.99', both.canary)}\n/ ({quantile(slo, '0.99', both.baseline)} > 0)"
        yield stat(
            "p99, ratio", f"The canary's p99 divided by the baseline's, {slo.id}.", expr, TIMES,
            decimals=2, steps=worse, height=3, width=6,
        )  # fmt: skip
    if service.cost and (slo := _ratio(service) or _latency(service)):
        expr = f"{cost_each(service, slo, both.canary)}\n/ ({cost_each(service, slo, both.baseline)} > 0)"
        yield stat(
            "Cost per request, ratio", "The canary's cost per request divided by the baseline's.", expr, TIMES,
            decimals=2, steps=worse, height=3, width=6,
        )  # fmt: skip
    if slo := _ratio(service) or _latency(service):
        total = " + ".join(f"({requests(slo, matchers)})" for _, matchers in _both(service))
        yield stat(
            "Canary's share", "The part of both versions' requests that the canary answers.",
            f"{requests(slo, both.canary)}\n/ ({total} > 0)", PERCENT, decimals=1, height=3, width=6,
        )  # fmt: skip


class Chart(NamedTuple):
    """Lines of both versions over time."""

    title: str
    description: str
    targets: list[Target]
    unit: str = COUNT


def _lines(platform: Platform, service: Service) -> Iterator[Panel]:
    charts = [*_qualities(service), *_loads(service), *_verdicts(platform, service)]
    rows = -(-len(charts) // CHARTS_A_ROW)
    wide = -(-len(charts) // rows)
    for first in range(0, len(charts), wide):
        line = charts[first : first + wide]
        for chart in line:
            yield time_series(*chart, width=24 // len(line), styles=STYLES, minimum=Decimal(0), height=7)


def _qualities(service: Service) -> Iterator[Chart]:
    """What users of each version see."""
    if slo := _ratio(service):
        targets = [Target(error_ratio(slo, matchers), name) for name, matchers in _both(service)]
        targets += _limits(service, slo)
        yield Chart("Errors", f"Error ratio of both versions, {slo.id}.", targets, PERCENT)
    if slo := _latency(service):
        targets = [
            Target(quantile(slo, q, matchers), f"{name} p{number(Decimal(q) * 100)}", exemplar=True)
            for name, matchers in _both(service)
            for q in ("0.5", "0.95", "0.99")
        ]
        yield Chart("Latency", f"Median, p95 and p99 of both versions, {slo.id}.", targets, unit_of(slo))


def _loads(service: Service) -> Iterator[Chart]:
    """What each version does, and what it takes."""
    slo = _ratio(service) or _latency(service)
    if slo is None:
        return
    if service.cost:
        targets = [Target(cost_each(service, slo, matchers), name) for name, matchers in _both(service)]
        yield Chart("Cost per request", "What one request costs on each version.", targets, "currencyUSD")
    targets = [Target(requests(slo, matchers), name) for name, matchers in _both(service)]
    yield Chart("Requests", "Requests a second of both versions.", targets, "reqps")
    if target := counted(slo)[0].on(slo.sampling.target_labels):
        processes = Selector("process_cpu_seconds_total", target)
        targets = [
            Target(f"avg(rate({raw(processes, *matchers)}[$__rate_interval]))", name)
            for name, matchers in _both(service)
        ]
        # What a saturation SLO watches, such as a table or a stream, is mostly shared by both versions.
        yield Chart("Saturation", "CPU cores that a process of each version keeps busy, on average.", targets)


def _verdicts(platform: Platform, service: Service) -> Iterator[Chart]:
    """What the canary server answered, and why."""
    if service.canary is None:
        return
    matchers = (equal("platform", platform.name), equal("service", service.name))
    counts = f"increase({selector([conventions.CANARY_VERDICTS], matchers, '$__rate_interval')})"
    expr = f"sum by (verdict, reason) ({counts}) > 0"
    text = "What the canary server answered, and why; its history holds the evidence."
    yield Chart("Verdicts", text, [Target(expr, "{{verdict}}: {{reason}}")])


def _limits(service: Service, slo: Slo) -> list[Target]:
    checks = service.canary.checks if service.canary else ()
    rates = {
        check.error_rate
        for check in checks
        if isinstance(check, SloCheck) and check.slo == slo.name and check.error_rate
    }
    return [Target(f"vector({number(rate)})", f"limit {shown(rate * 100)} %") for rate in sorted(rates)]


def unit_of(slo: Slo) -> str:
    """Grafana's unit of a histogram's bounds."""
    assert isinstance(slo.indicator, Latency)
    return {Unit.SECONDS: SECONDS, Unit.MILLISECONDS: "ms", Unit.NONE: COUNT}[slo.indicator.unit]


def requests(slo: Slo, matchers: Sequence[Matcher]) -> str:
    """Events a second of one version."""
    match slo.indicator:
        case Ratio() as ratio:
            return _summed(ratio, counted(slo), matchers)
        case Latency() as latency:
            counts = [f"rate({raw(one, *matchers)}[$__rate_interval])" for one in counted(slo)]
            summed = [f"sum(histogram_count({one}))" if latency.native else f"sum({one})" for one in counts]
            return " + ".join(summed)
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
    return " + ".join(f"sum({_a_second(ratio, raw(one, *matchers))})" for one in selectors)


def _a_second(ratio: Ratio, selector: str) -> str:
    return f"rate({selector}[$__rate_interval])" if isinstance(ratio.counts, RunningTotal) else selector


def quantile(slo: Slo, q: str, matchers: Sequence[Matcher] = (), by: str = "") -> str:
    """A quantile of the raw histogram of one version."""
    latency = slo.indicator
    assert isinstance(latency, Latency)
    name = "" if latency.native else "_bucket"
    labels = [label for label in (by, "" if latency.native else "le") if label]
    rates = [f"rate({raw(one, *matchers, name=one.metric + name)}[$__rate_interval])" for one in latency.histogram]
    grouping = f" by ({', '.join(labels)})" if labels else ""
    return f"histogram_quantile({q}, sum{grouping} ({' or '.join(rates)}))"


def cost_each(service: Service, slo: Slo, matchers: Sequence[Matcher]) -> str:
    """What one request on a version costs, from the cost series that carry the version's labels."""
    assert service.cost is not None
    narrowed = parse_expression(service.cost.text, tuple(matchers))
    return f"sum(\n{indent(narrowed.text)}\n) / (3600 * ({requests(slo, matchers)}) > 0)"


def _variables(services: Sequence[Service]) -> Iterator[Variable]:
    """A choice for each placeholder that the matchers of the versions hold."""
    for name in ("canary", "stable"):
        for service in services:
            both = arms(service)
            label = next((one.label for one in (*both.canary, *both.baseline) if f"${name}" in one.value), None)
            metric = _metric(service)
            if label and metric:
                yield Variable(
                    name,
                    name.capitalize(),
                    f"label_values({metric}, {label})",
                    every=False,
                    last_first=name == "canary",
                )
                break


def _metric(service: Service) -> str | None:
    slo = _ratio(service) or _latency(service)
    if slo is None:
        return None
    one = counted(slo)[0]
    return f"{one.metric}{{{literal(matchers_text(one.matchers))}}}"


def counted(slo: Slo) -> Selectors:
    """The series that count the events of an SLO."""
    return slo.indicator.reads().required[0]
