"""Capacity: how full things are, when they will be, and what requests and namespaces cost."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from sloctl import conventions
from sloctl.backends.grafana import panels as p
from sloctl.backends.grafana import shared
from sloctl.backends.grafana.dashboard import DashboardPage, split_variables
from sloctl.backends.grafana.queries import Ask, chosen, equal, legend, like, selector, split_labels
from sloctl.backends.grafana.texts import literal
from sloctl.conventions import inventory
from sloctl.model.catalogue import Platform, Service, Slo
from sloctl.model.indicator import Saturation, Threshold
from sloctl.model.quantities import DAY, number
from sloctl.promql.selectors import one_of


def capacity(platform: Platform) -> DashboardPage:
    """Utilisation with its limits, the forecast, traffic and cost."""
    filled = [slo for slo in platform.slos if inventory.records_value(slo)]
    labels = split_labels(filled)
    ask = Ask(platform, (), chosen(labels))
    panels = [*_utilisation(ask, filled), *_forecasts(ask, filled), *_traffic(platform), *_costs(platform)]
    shows = "How full things are, when they will be, and what requests and namespaces cost."
    return DashboardPage("capacity", shows, panels, split_variables(platform, labels), since="now-7d")


def _values(ask: Ask, metric: str) -> str:
    ids = one_of(slo.id for slo in ask.of)
    return selector([metric], [equal("platform", ask.platform.name), like("slo", ids), *ask.split_matchers])


def _utilisation(ask: Ask, filled: list[Slo]) -> Iterator[p.Panel]:
    """Ratios together; values of thresholds have units of their own."""
    if not filled:
        yield p.note(
            "Utilisation",
            "No SLO of this platform measures how full something is. Write a `saturation` SLO with a `forecast` to see "
            "utilisation and days to the limit here.",
        )
    ratios = [slo for slo in filled if isinstance(slo.indicator, Saturation)]
    others = [slo for slo in filled if slo not in ratios]
    for title, slos, unit in (("Utilisation", ratios, p.PERCENT), ("Measured values", others, p.COUNT)):
        if not slos:
            continue
        of = ask.about(slos)
        value = f"max {of.by} ({_values(of, conventions.VALUE)})"
        limits = [p.Target(f"vector({number(bound)})", f"limit {literal(ids)}") for bound, ids in _bounds(slos)]
        yield p.time_series(
            title,
            "What is used of what there is, and the bounds of the objectives.",
            [p.Target(value, of.legend), *limits],
            unit,
            decimals=0,
            styles=(p.Style("/^limit /", pattern=True, color=p.DARK_RED, dashed=True),),
            width=14,
            height=10,
        )
        yield p.bars(
            f"{title} now",
            "The fullest first.",
            [p.Target(f"sort_desc({value})", of.legend)],
            unit,
            decimals=0,
            steps=_fullness(slos),
            maximum=1 if unit == p.PERCENT else None,
            width=10,
            height=10,
        )


def _bounds(slos: list[Slo]) -> list[tuple[Decimal, str]]:
    """Each distinct bound with the SLOs that have it."""
    found: dict[Decimal, list[str]] = {}
    for slo in slos:
        indicator = slo.indicator
        assert isinstance(indicator, Saturation | Threshold)
        for bound in (indicator.at_most, getattr(indicator, "at_least", None)):
            if bound is not None:
                found.setdefault(bound, []).append(slo.id)
    return [(bound, f"of {ids[0]}" if len(ids) == 1 else f"of {len(ids)} SLOs") for bound, ids in sorted(found.items())]


def _fullness(slos: list[Slo]) -> p.Steps:
    """Orange from the tightest objective on, red when full; values of thresholds have no colour."""
    bounds = [slo.indicator.at_most for slo in slos if isinstance(slo.indicator, Saturation)]
    return p.more_is_worse(orange=min(bounds), red=1) if bounds else p.more_is_worse()


def _forecasts(ask: Ask, filled: list[Slo]) -> Iterator[p.Panel]:
    slos = [slo for slo in filled if slo.forecast]
    if not slos:
        return
    of = ask.about(slos)
    ahead = max(slo.forecast.within for slo in slos if slo.forecast)
    since = max(slo.forecast.since for slo in slos if slo.forecast)
    line = _values(of, conventions.VALUE)
    unit = p.PERCENT if all(isinstance(slo.indicator, Saturation) for slo in slos) else p.COUNT
    columns = {
        "Now": f"max {of.by} ({line})",
        f"In {ahead}": f"max {of.by} (predict_linear({line}[{since}], {number(ahead.seconds)}))",
        "Reaches the limit in": f"min {of.by} ({_values(of, conventions.TIME_TO_LIMIT)})",
    }
    now, then, reaches = columns
    soon = p.more_is_better(orange=(DAY * 3).seconds, green=ahead.seconds)
    yield p.table(
        "Forecast",
        f"A straight line through the last {since}: where it is in {ahead}, and when it reaches the limit. Nothing in "
        "the last column: it does not rise.",
        [p.Target(shared.with_whom(of, expr), name) for name, expr in columns.items()],
        shared.slo_columns(of),
        styles=(
            shared.detail_link(of),
            *shared.hidden_columns(of),
            p.Style(now, unit=unit, decimals=0),
            p.Style(then, unit=unit, decimals=0, steps=_fullness(slos), background=True),
            p.Style(reaches, unit=p.SECONDS, decimals=1, steps=soon, background=True),
        ),
        sort_by=reaches,
    )


def _traffic(platform: Platform) -> Iterator[p.Panel]:
    counted = tuple(slo for slo in platform.slos if not slo.counts_slices)
    if counted:
        seconds = number(max(slo.sampling.resolution for slo in counted).seconds)
        expr = f"topk(10, sum by (slo) ({Ask(platform, slos=counted).total()})) / {seconds}"
        text = "Events a second in each tile; the ten busiest SLOs."
        yield p.time_series("Traffic", text, [p.Target(expr, "{{slo}}")], "cps")


def _costs(platform: Platform) -> Iterator[p.Panel]:
    services = [service for service in platform.services if service.cost]
    if not services:
        return
    yield p.row("Cost")
    hourly = [p.Target(shared.cost(service), service.name) for service in services]
    yield p.time_series("Cost an hour", "What services cost an hour.", hourly, p.DOLLARS, decimals=2)
    each = [
        p.Target(expr, service.name) for service in services if (expr := shared.cost_per_request(platform, service))
    ]
    if each:
        text = "Cost an hour divided by the requests of the last hour."
        yield p.time_series("Cost per request", text, each, p.DOLLARS)
    for service in services:
        yield from _cost_by(service)


def _cost_by(service: Service) -> Iterator[p.Panel]:
    """What a service costs by each of the labels that its query is grouped by."""
    assert service.cost is not None
    if labels := service.cost.grouping:
        title = literal(f"Cost an hour by {', '.join(labels)} ({service.name})")
        text = "What each costs an hour, the dearest first."
        targets = [p.Target(f"sort_desc({literal(service.cost.text)})", legend(labels))]
        yield p.bars(title, text, targets, p.DOLLARS, decimals=2)
