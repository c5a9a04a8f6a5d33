"""Canary: two versions of a service side by side, read from raw series, because recordings know no versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from sloctl import conventions
from sloctl.backends.grafana import panels as p
from sloctl.backends.grafana.dashboard import DashboardPage, Variable
from sloctl.backends.grafana.queries import equal, selector, shown
from sloctl.backends.grafana.raw_queries import cost_each, counted, error_ratio, quantile, raw, requests, unit_of
from sloctl.backends.grafana.texts import literal, markdown
from sloctl.model.canary import BY_POD_HASH, SloCheck, Versions
from sloctl.model.catalogue import Platform, Service, Slo
from sloctl.model.indicator import Latency, Ratio
from sloctl.model.quantities import number
from sloctl.model.selector import Matcher, Selector
from sloctl.promql.selectors import matchers_text

MOST: Final = 12
"""Every line is a query on raw series, so only so many services are shown, those with a `canary` first."""
CHARTS_A_ROW: Final = 4
NEW, OLD = "canary", "baseline"
STYLES: Final = (
    p.Style(f"/^{NEW}/", pattern=True, color=p.ORANGE),
    p.Style(f"/^{OLD}/", pattern=True, color=p.BLUE),
    p.Style("/^limit/", pattern=True, color=p.DARK_RED, dashed=True),
)
PICTURES: Final = p.Style("/: /", pattern=True, link=("Pictures of the evidence", "${__field.labels.page}"))
"""At what a server answered that knows by which address people reach it."""


def canary(platform: Platform) -> DashboardPage:
    """Baseline and canary of each service, the difference, and what it costs."""
    eligible = [service for service in platform.services if _counting(service)]
    ordered = sorted(eligible, key=lambda service: service.canary is None)
    chosen, left_out = ordered[:MOST], ordered[MOST:]
    panels = [panel for service in chosen for panel in _service(platform, service)]
    return DashboardPage(
        "canary",
        "Two versions of a service side by side: errors, latency and cost per request.",
        [p.note("Reading this page", _explanation(chosen, left_out)), *panels],
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


def _service(platform: Platform, service: Service) -> Iterator[p.Panel]:
    yield p.row(literal(service.name))
    for title, description, expr, unit, decimals, steps in _differences(service):
        yield p.stat(title, description, expr, unit, decimals=decimals, steps=steps, height=3, width=6)
    charts = [*_qualities(service), *_loads(service), *_verdicts(platform, service)]
    rows = -(-len(charts) // CHARTS_A_ROW)
    wide = -(-len(charts) // rows)
    for first in range(0, len(charts), wide):
        line = charts[first : first + wide]
        for chart in line:
            yield p.time_series(*chart[:-1], width=24 // len(line), styles=chart.styles, height=7)


def arms(service: Service) -> Versions:
    """The matchers of a service's two versions."""
    return service.canary.arms if service.canary else BY_POD_HASH


def _both(service: Service) -> tuple[tuple[str, tuple[Matcher, ...]], ...]:
    return (NEW, arms(service).canary), (OLD, arms(service).baseline)


def _counting(service: Service) -> Slo | None:
    """The SLO whose events are the service's requests."""
    return _first(service, Ratio) or _first(service, Latency)


def _first(service: Service, kind: type[Ratio] | type[Latency]) -> Slo | None:
    """The SLO of a kind that a check names, else the first one."""
    checked = [check.slo for check in service.canary.checks if isinstance(check, SloCheck)] if service.canary else []
    of_kind = [slo for slo in service.slos if isinstance(slo.indicator, kind)]
    return next((slo for slo in of_kind if slo.name in checked), of_kind[0] if of_kind else None)


def _differences(service: Service) -> Iterator[tuple[str, str, str, str, int, p.Steps]]:
    """One number each, the canary against the baseline: title, description, query, unit, decimals and colours."""
    errors, latency, counting = _first(service, Ratio), _first(service, Latency), _counting(service)
    (_, new), (_, old) = _both(service)
    worse = p.more_is_worse(orange="1.1", red="1.3")
    if errors:
        text = f"Error ratio of the canary minus the baseline's, {errors.id}."
        expr = f"{error_ratio(errors, new)}\n- {error_ratio(errors, old)}"
        yield "Errors, difference", text, expr, p.PERCENT, 2, p.more_is_worse(orange="0.0005", red="0.005")
    if latency:
        text = f"The canary's p99 divided by the baseline's, {latency.id}."
        expr = f"{quantile(latency, '0.99', new)}\n/ ({quantile(latency, '0.99', old)} > 0)"
        yield "p99, ratio", text, expr, p.TIMES, 2, worse
    if service.cost and counting:
        text = "The canary's cost per request divided by the baseline's."
        expr = f"{cost_each(service, counting, new)}\n/ ({cost_each(service, counting, old)} > 0)"
        yield "Cost per request, ratio", text, expr, p.TIMES, 2, worse
    if counting:
        text = "The part of both versions' requests that the canary answers."
        total = f"({requests(counting, new)}) + ({requests(counting, old)})"
        yield "Canary's share", text, f"{requests(counting, new)}\n/ ({total} > 0)", p.PERCENT, 1, ()


class Chart(NamedTuple):
    """Lines of both versions over time."""

    title: str
    description: str
    targets: list[p.Target]
    unit: str = p.COUNT
    styles: tuple[p.Style, ...] = STYLES


def _qualities(service: Service) -> Iterator[Chart]:
    """What users of each version see."""
    if slo := _first(service, Ratio):
        targets = [p.Target(error_ratio(slo, matchers), name) for name, matchers in _both(service)]
        targets += _limits(service, slo)
        yield Chart("Errors", f"Error ratio of both versions, {slo.id}.", targets, p.PERCENT)
    if slo := _first(service, Latency):
        targets = [
            p.Target(quantile(slo, q, matchers), f"{name} p{number(Decimal(q) * 100)}", exemplar=True)
            for name, matchers in _both(service)
            for q in ("0.5", "0.95", "0.99")
        ]
        yield Chart("Latency", f"Median, p95 and p99 of both versions, {slo.id}.", targets, unit_of(slo))


def _loads(service: Service) -> Iterator[Chart]:
    """What each version does, and what it takes."""
    slo = _counting(service)
    if slo is None:
        return
    if service.cost:
        targets = [p.Target(cost_each(service, slo, matchers), name) for name, matchers in _both(service)]
        yield Chart("Cost per request", "What one request costs on each version.", targets, p.DOLLARS)
    targets = [p.Target(requests(slo, matchers), name) for name, matchers in _both(service)]
    yield Chart("Requests", "Requests a second of both versions.", targets, "reqps")
    if target := counted(slo)[0].on(slo.sampling.target_labels):
        processes = Selector("process_cpu_seconds_total", target)
        targets = [
            p.Target(f"avg(rate({raw(processes, *matchers)}[$__rate_interval]))", name)
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
    expr = f"sum by (verdict, reason, page) ({counts}) > 0"
    text = "What the canary server answered, and why; a click leads to pictures of the evidence."
    yield Chart("Verdicts", text, [p.Target(expr, "{{verdict}}: {{reason}}")], styles=(PICTURES,))


def _limits(service: Service, slo: Slo) -> list[p.Target]:
    checks = service.canary.checks if service.canary else ()
    rates = {
        check.error_rate
        for check in checks
        if isinstance(check, SloCheck) and check.slo == slo.name and check.error_rate
    }
    return [p.Target(f"vector({number(rate)})", f"limit {shown(rate * 100)} %") for rate in sorted(rates)]


def _variables(services: Sequence[Service]) -> Iterator[Variable]:
    """A choice for each placeholder that the matchers of the versions hold."""
    for name in ("canary", "stable"):
        query = next((query for service in services if (query := _values(service, name))), None)
        if query:
            yield Variable(name, name.capitalize(), query, every=False, last_first=name == "canary")


def _values(service: Service, placeholder: str) -> str | None:
    """The query for the values of the label that holds a placeholder, on the series that count requests."""
    slo = _counting(service)
    matchers = [matcher for _, version in _both(service) for matcher in version]
    label = next((matcher.label for matcher in matchers if f"${placeholder}" in matcher.value), None)
    if slo is None or label is None:
        return None
    series = counted(slo)[0]
    return f"label_values({series.metric}{{{literal(matchers_text(series.matchers))}}}, {label})"
