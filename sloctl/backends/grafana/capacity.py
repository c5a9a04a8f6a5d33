"""Capacity: how full things are, when they will be, and what requests and namespaces cost."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from sloctl import conventions
from sloctl.backends.grafana.dashboard import Page, split_variables
from sloctl.backends.grafana.panels import (
    COUNT,
    DARK_RED,
    GREEN,
    ORANGE,
    PERCENT,
    SECONDS,
    Panel,
    Step,
    Style,
    Target,
    bars,
    note,
    row,
    table,
    time_series,
)
from sloctl.backends.grafana.queries import Ask, equal, like, selector
from sloctl.backends.grafana.shared import cost, cost_per_request, detail_link, hidden_columns, slo_columns, with_whom
from sloctl.backends.grafana.texts import literal
from sloctl.conventions import inventory
from sloctl.model.catalogue import Platform, Service, Slo
from sloctl.model.indicator import Saturation, Threshold, Throughput
from sloctl.model.quantities import DAY, number
from sloctl.model.selector import Matcher


def capacity(platform: Platform) -> Page:
    """Utilisation with its limits, the forecast, traffic and cost."""
    filled = tuple(slo for slo in platform.slos if inventory.records_value(slo))
    labels = sorted({label for slo in filled for label in slo.split_labels})
    matchers = tuple(like(label, f"${label}") for label in labels)
    foreseen = tuple(slo for slo in filled if slo.forecast)
    services = [service for service in platform.services if service.cost]
    panels = [
        *(_utilisation(platform, filled, matchers) if filled else [_more()]),
        *(_forecasts(platform, foreseen, matchers) if foreseen else []),
        *_traffic(platform),
        *([row("Cost"), *_costs(platform, services)] if services else []),
    ]
    shows = "How full things are, when they will be, and what requests and namespaces cost."
    return Page("capacity", shows, panels, split_variables(platform, labels), since="now-7d")


def _more() -> Panel:
    return note(
        "Utilisation",
        "No SLO of this platform measures how full something is. Write a `saturation` SLO with a `forecast` to see "
        "utilisation and days to the limit here.",
    )


def _values(platform: Platform, slos: tuple[Slo, ...], matchers: tuple[Matcher, ...], metric: str) -> str:
    ids = "|".join(sorted(slo.id for slo in slos))
    return selector([metric], [equal("platform", platform.name), like("slo", ids), *matchers])


def _legend(ask: Ask) -> str:
    return " ".join(["{{slo}}", *(f"{{{{{label}}}}}" for label in ask.labels[2:])])


def _utilisation(platform: Platform, slos: tuple[Slo, ...], matchers: tuple[Matcher, ...]) -> Iterator[Panel]:
    """Ratios together; values of thresholds have units of their own."""
    ratios = tuple(slo for slo in slos if isinstance(slo.indicator, Saturation))
    others = tuple(slo for slo in slos if slo not in ratios)
    for title, some, unit in (("Utilisation", ratios, PERCENT), ("Measured values", others, COUNT)):
        if not some:
            continue
        ask = Ask(platform, slos=some)
        value = f"max {ask.by} ({_values(platform, some, matchers, conventions.VALUE)})"
        limits = [Target(f"vector({number(bound)})", f"limit {literal(ids)}") for bound, ids in _bounds(some)]
        yield time_series(
            title,
            "What is used of what there is, and the bounds of the objectives.",
            [Target(value, _legend(ask)), *limits],
            unit,
            decimals=0,
            styles=(Style("/^limit /", pattern=True, color=DARK_RED, dashed=True),),
            minimum=Decimal(0),
            width=14,
            height=10,
        )
        yield bars(
            f"{title} now",
            "The fullest first.",
            [Target(f"sort_desc({value})", _legend(ask))],
            unit,
            decimals=0,
            steps=_fullness(some),
            minimum=Decimal(0),
            maximum=Decimal(1) if unit == PERCENT else None,
            width=10,
            height=10,
        )


def _bounds(slos: tuple[Slo, ...]) -> list[tuple[Decimal, str]]:
    """Each distinct bound with the SLOs that have it."""
    found: dict[Decimal, list[str]] = {}
    for slo in slos:
        indicator = slo.indicator
        assert isinstance(indicator, Saturation | Threshold)
        for bound in (indicator.at_most, getattr(indicator, "at_least", None)):
            if bound is not None:
                found.setdefault(bound, []).append(slo.id)
    return [(bound, f"of {ids[0]}" if len(ids) == 1 else f"of {len(ids)} SLOs") for bound, ids in sorted(found.items())]


def _fullness(slos: tuple[Slo, ...]) -> tuple[Step, ...]:
    bounds = [slo.indicator.at_most for slo in slos if isinstance(slo.indicator, Saturation)]
    if not bounds:
        return (Step(GREEN),)
    return (Step(GREEN), Step(ORANGE, min(bounds)), Step(DARK_RED, Decimal(1)))


def _forecasts(platform: Platform, slos: tuple[Slo, ...], matchers: tuple[Matcher, ...]) -> Iterator[Panel]:
    ask = Ask(platform, slos=slos)
    left = f"min {ask.by} ({_values(platform, slos, matchers, conventions.TIME_TO_LIMIT)})"
    value = f"max {ask.by} ({_values(platform, slos, matchers, conventions.VALUE)})"
    ahead = max(slo.forecast.within for slo in slos if slo.forecast)
    since = max(slo.forecast.since for slo in slos if slo.forecast)
    line = _values(platform, slos, matchers, conventions.VALUE)
    predicted = f"max {ask.by} (predict_linear({line}[{since}], {number(ahead.seconds)}))"
    saturated = all(isinstance(slo.indicator, Saturation) for slo in slos)
    unit = PERCENT if saturated else COUNT
    yield table(
        "Forecast",
        f"A straight line through the last {since}: where it is in {ahead}, and when it reaches the limit. Nothing in "
        "the last column: it does not rise.",
        [
            Target(with_whom(ask, value), "Now"),
            Target(with_whom(ask, predicted), f"In {ahead}"),
            Target(with_whom(ask, left), "Reaches the limit in"),
        ],
        slo_columns(ask),
        styles=(
            detail_link(ask),
            *hidden_columns(ask),
            Style("Now", unit=unit, decimals=0),
            Style(f"In {ahead}", unit=unit, decimals=0, steps=_fullness(slos), background=True),
            Style(
                "Reaches the limit in",
                unit=SECONDS,
                decimals=1,
                steps=(Step(DARK_RED), Step(ORANGE, (DAY * 3).seconds), Step(GREEN, ahead.seconds)),
                background=True,
            ),
        ),
        sort_by="Reaches the limit in",
        width=24,
    )


def _traffic(platform: Platform) -> Iterator[Panel]:
    events = tuple(slo for slo in platform.slos if not slo.counts_slices or isinstance(slo.indicator, Throughput))
    counted = tuple(slo for slo in events if not slo.counts_slices)
    if counted:
        ask = Ask(platform, slos=counted)
        resolution = max(slo.sampling.resolution for slo in counted)
        yield time_series(
            "Traffic",
            "Events a second in each tile; the ten busiest SLOs.",
            [Target(f"topk(10, sum by (slo) ({ask.total()})) / {number(resolution.seconds)}", "{{slo}}")],
            "cps",
            minimum=Decimal(0),
        )


def _costs(platform: Platform, services: list[Service]) -> Iterator[Panel]:
    hourly = [Target(cost(service), service.name) for service in services]
    yield time_series(
        "Cost an hour", "What services cost an hour.", hourly, "currencyUSD", decimals=2, minimum=Decimal(0)
    )
    each = [Target(expr, service.name) for service in services if (expr := cost_per_request(platform, service))]
    if each:
        yield time_series(
            "Cost per request",
            "Cost an hour divided by the requests of the last hour.",
            each,
            "currencyUSD",
            minimum=Decimal(0),
        )
    for service in services:
        assert service.cost is not None
        labels = service.cost.grouping
        if labels:
            yield bars(
                literal(f"Cost an hour by {', '.join(labels)} ({service.name})"),
                "What each costs an hour, the dearest first.",
                [Target(f"sort_desc({literal(service.cost.text)})", " ".join(f"{{{{{label}}}}}" for label in labels))],
                "currencyUSD",
                decimals=2,
                minimum=Decimal(0),
            )
