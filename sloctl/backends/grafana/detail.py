"""Detail: one SLO; where the links in its alerts lead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

from sloctl import conventions
from sloctl.backends.grafana import panels as p
from sloctl.backends.grafana import queries, shared
from sloctl.backends.grafana.dashboard import DashboardPage, Variable, label_values, split_variables
from sloctl.backends.grafana.queries import Ask, chosen, constant, equal, limits, only, selector, split_labels
from sloctl.backends.grafana.raw_queries import quantile_of
from sloctl.model.catalogue import Platform, Service, Slo
from sloctl.model.indicator import Latency, Unit
from sloctl.model.quantities import DAY, number
from sloctl.model.selector import Selector
from sloctl.model.window import RollingWindow
from sloctl.promql.build import indent

CHOSEN = equal("slo", "$slo")
RAW_LIMIT = 20
"""More raw histograms than these are read by their metric alone: each line is a query on raw series."""
AHEAD = DAY * 7
_PLACEHOLDER = re.compile(r"\$([a-z_]+)")


def detail(platform: Platform) -> DashboardPage:
    """One SLO, chosen by `var-slo` and by a `var-` of each split label."""
    labels = split_labels(platform.slos)
    ask = Ask(platform, (CHOSEN,), chosen(labels))
    names = label_values([conventions.OBJECTIVE], platform, "slo")
    variables = [Variable("slo", "SLO", names, every=False), *split_variables(platform, labels)]
    logs = platform.dashboards.logs is not None
    if logs:
        variables.append(Variable("correlation_id", "Correlation ID", None))
    panels = [
        *_stats(ask),
        _promise(platform),
        _burn(ask),
        _burn_down(ask),
        _events(ask),
        _contributors(ask),
        _timeline(ask),
        _splits(ask),
        *_traced(platform),
        *([_logs()] if logs else []),
    ]
    return DashboardPage(
        "detail", "One SLO: is its promise kept, what burns it, and how long is left.", panels, variables
    )


def _stats(ask: Ask) -> Iterator[p.Panel]:
    """Large numbers about the chosen SLO: title, description, query, unit and look of each."""
    worst: p.PanelFields = {"words": shared.STATES, "steps": shared.STATE_STEPS, "width": 3}
    ratio: p.PanelFields = {"decimals": 3, "width": 3}
    left: p.PanelFields = {"decimals": 1, "steps": shared.LEFT_STEPS, "width": 3}
    outage: p.PanelFields = {"decimals": 1, "steps": p.more_is_better(green=60), "width": 3}
    events: p.PanelFields = {"decimals": 0, "steps": p.more_is_better(green=1), "width": 3}
    lasts: p.PanelFields = {"decimals": 1, "words": (shared.NEVER, shared.GONE), "steps": shared.SOON_STEPS, "width": 3}
    measured: p.PanelFields = {"decimals": 1, "steps": (p.ColorStep(p.GREY),), "width": 3}
    at_this_rate, until_gone = "Until the budget is gone at the rate of the last hour.", ask.exhaustion_or_never()
    rows = (
        ("State", f"The worst of the chosen series. {shared.MEANING}", f"max({ask.state()})", p.COUNT, worst),
        ("Objective", "The share of good events that is promised.", f"max({ask.info()})", p.PERCENT, ratio),
        (
            "Attained",
            "The share of good events among those counted in the window.",
            f"min({ask.attained()})",
            p.PERCENT,
            ratio,
        ),
        ("Budget left", "Below zero it is overspent.", f"min({ask.left()})", p.PERCENT, left),
        ("Left in time", "A total outage may still last this long.", _time_left(ask), p.SECONDS, outage),
        ("Left in events", "So many bad events may still happen.", _events_left(ask), p.COUNT, events),
        ("Lasts", at_this_rate, f"min({until_gone})", p.SECONDS, lasts),
        ("Measured for", shared.MEASURED_FOR, f"min({ask.measured()})", p.SECONDS, measured),
    )
    return (p.stat(title, description, expr, unit, **look) for title, description, expr, unit, look in rows)


def _about(ask: Ask, slos: Sequence[Slo]) -> Ask:
    """The question for those of these SLOs that are chosen."""
    return ask if len(slos) == len(tuple(ask.platform.slos)) else ask.about(slos)


def _windows(ask: Ask) -> Iterator[tuple[Ask, str, str]]:
    """For the SLOs of each window: the question about them, the window in seconds, and the events in it."""
    for length, slos in queries.rolling(ask.platform):
        of = _about(ask, slos)
        yield of, number(length.seconds), of.total(str(length))
    for calendar, slos in queries.calendars(ask.platform):
        of, (start, end) = _about(ask, slos), queries.period(ask.platform, calendar)
        events = of.total_of_period(str(calendar.longest), f'count_values("period", {start})')
        yield of, f"(scalar({end}) - scalar({start}))", events


def _time_left(ask: Ask) -> str:
    """Seconds of the window times the budget times what is left of it, for SLOs that share a window."""
    parts = ((indent(of.times_budget(f"({of.left()})")), seconds) for of, seconds, _ in _windows(ask))
    return "\nor ".join(f"(min(\n{left}\n) * {seconds})" for left, seconds in parts)


def _events_left(ask: Ask) -> str:
    """Budget times events of the window times what is left."""
    parts = (of.times_budget(f"({of.left()})\n* {events}") for of, _, events in _windows(ask))
    return "\nor ".join(f"(sum(\n{indent(part)}\n))" for part in parts)


def _promise(platform: Platform) -> p.Panel:
    """The specification's own words: constants of this file, shown for the chosen SLO."""
    owners = [(service, slo) for service in platform.services for slo in service.slos]
    promised = tuple(p.Word(slo.description, slo.id) for _, slo in owners if slo.description)
    runbooks = tuple(p.Word(url, slo.id) for _, slo in owners if (url := runbook(slo)))
    files = tuple(p.Word(spec_file(service), slo.id) for service, slo in owners)
    copies = selector([conventions.OBJECTIVE], [equal("platform", platform.name), CHOSEN])
    expr = f"max by (slo, service, team, window) ({copies})"
    for copy in ("promise", "runbook", "specification"):
        expr = f'label_replace({expr}, "{copy}", "$1", "slo", "(.*)")'
    columns = ("slo", "promise", "service", "team", "window", "runbook", "specification")
    return p.table(
        "Promise",
        "What is promised, by whom, where it is written and what to do when it breaks.",
        [p.Target(expr)],
        {column: "SLO" if column == "slo" else column.capitalize() for column in columns},
        styles=(
            p.Style("Promise", words=promised),
            p.Style("Runbook", words=runbooks, link=("Open the runbook", "${__value.text:raw}")),
            p.Style("Specification", words=files, width=180),
            p.Style("Window", width=140),
        ),
        height=3,
    )


def runbook(slo: Slo) -> str:
    """The link to an SLO's runbook, its placeholders filled in; empty without one."""
    words = {"service": slo.service, "slo": quote(slo.id)}
    return _PLACEHOLDER.sub(lambda found: words.get(found[1], found[0]), slo.runbook or "")


def spec_file(service: Service) -> str:
    """The name of the file that a service is specified in; its folder depends on where the command ran."""
    return PurePosixPath(service.path).name


def _burn(ask: Ask) -> p.Panel:
    burn = ask.times_budget(f"max by (slo, over) ({ask.error_ratios()})", "/")
    return p.time_series(
        "Burn rate by window",
        "An alert fires when the average over its windows is above its line; 1x spends the budget in just its window.",
        [
            p.Target(f"max({ask.burn()})", "last hour"),
            p.Target(f"max by (over) ({burn})", "over {{over}}"),
            *_thresholds(ask.platform),
        ],
        p.TIMES,
        decimals=2,
        styles=shared.severity_styles(ask.platform),
        height=10,
    )


def _thresholds(platform: Platform, *, left: bool = False) -> Iterator[p.Target]:
    """A line for each threshold of the chosen SLO, of tiers by the burn rate or by the budget left."""
    for limit in limits(platform, left=left):
        yield p.Target(constant(limit.value, only(platform, limit.slos, CHOSEN)), limit.name)


def _burn_down(ask: Ask) -> p.Panel:
    return p.time_series(
        "Budget burn-down",
        "The part of the error budget that is left, beside spending it evenly: to the end of the calendar period, or "
        "for a rolling window what was left at the beginning, to the end of the time shown. The forecast says what is "
        "left at the end of the period, or in seven days, if it goes on like now.",
        [p.Target(f"min({ask.left()})", "left"), *_even(ask), *_forecast(ask), *_thresholds(ask.platform, left=True)],
        p.PERCENT,
        decimals=1,
        styles=(
            p.Style("left", color=p.BLUE),
            p.Style("even spending", color=p.GREY, dashed=True),
            p.Style("forecast", color=p.ORANGE, dashed=True),
            *shared.severity_styles(ask.platform),
        ),
        minimum=None,
        maximum=1,
        time_from="30d",
        height=10,
    )


def _even(ask: Ask) -> Iterator[p.Target]:
    for calendar, slos in queries.calendars(ask.platform):
        start, end = (f"scalar({moment})" for moment in queries.period(ask.platform, calendar))
        gate = only(ask.platform, slos, CHOSEN)
        yield p.Target(f"({end} - time()) / ({end} - {start})\n+ 0 * max({gate})", "even spending")
    if rolling := _rolling(ask.platform):
        began = _about(ask, rolling).left_at_start()
        yield p.Target(f"min({began}) * ($__to / 1000 - time()) / $__range_s", "even spending")


def _rolling(platform: Platform) -> list[Slo]:
    return [slo for slo in platform.slos if isinstance(slo.window, RollingWindow)]


def _forecast(ask: Ask) -> Iterator[p.Target]:
    matchers = [equal("platform", ask.platform.name), *ask.matchers, *ask.split_matchers]
    if queries.calendars(ask.platform):
        predicted = selector([conventions.BUDGET_PREDICTED], matchers)
        yield p.Target(f"clamp_min(1 - max({predicted}), -1)", "forecast")
    if rolling := _rolling(ask.platform):
        consumed = _about(ask, rolling).consumed_in(AHEAD)
        yield p.Target(f"clamp(1 - max({consumed}), -1, 1)", "forecast")


def _events(ask: Ask) -> p.Panel:
    good = f"sum({ask.total()}) - sum({ask.errors()})"
    return p.time_series(
        "Events in each tile",
        "Good and bad events as they were counted; a slice that is judged is one event.",
        [p.Target(f"sum({ask.errors()})", "bad"), p.Target(good, "good")],
        styles=(p.Style("bad", color=p.DARK_RED), p.Style("good", color=p.GREEN)),
        stacked=True,
    )


def _contributors(ask: Ask) -> p.Panel:
    return p.bars(
        "Where bad events come from",
        "Bad events in the time shown by the labels that the SLO is split by; one bar where it is not split.",
        [p.Target(f"topk(10, {ask.errors('$__range')} >= 0)", ask.legend)],
        steps=p.more_is_worse(orange=1),
        decimals=0,
        no_value="no events",
    )


def _timeline(ask: Ask) -> p.Panel:
    fixed = [equal("platform", ask.platform.name), equal("sloctl", conventions.ALERT_VERSION), *ask.matchers]
    firing = selector(["ALERTS"], [*fixed, equal("alertstate", "firing")])
    pending = selector(["ALERTS"], [*fixed, equal("alertstate", "pending")])
    by = "max by (alertname, severity)"
    return p.states(
        "Alerts",
        "When each alert of the SLO was pending and fired; empty is good.",
        [p.Target(f"2 * {by} ({firing})\nor {by} ({pending})", "{{severity}} {{alertname}}")],
        words=(p.Word("pending", "1", p.ORANGE), p.Word("firing", "2", p.DARK_RED)),
        steps=p.more_is_worse(orange=1, red=2),
        no_value="no alert",
        height=7,
    )


def _splits(ask: Ask) -> p.Panel:
    return p.time_series(
        "Good events, last hour",
        "Share of good events of each series of the SLO; the ten lowest.",
        [p.Target(f"bottomk(10, {ask.sli()})", ask.legend)],
        p.PERCENT,
        decimals=2,
        minimum=None,
        maximum=1,
        height=7,
    )


def _traced(platform: Platform) -> Iterator[p.Panel]:
    """Raw latency, whose exemplars lead to traces; recordings have none."""
    targets = [p.Target(expr, name, exemplar=True) for name, expr in raw_latencies(platform)]
    if targets:
        yield p.row("Traces and logs")
        yield p.time_series(
            "Slowest percent, with exemplars",
            "p99 of the raw histogram of the chosen SLO; a dot is a request, and a click on it leads to its trace.",
            targets,
            p.SECONDS,
            no_value="the chosen SLO reads no histogram in seconds",
            width=24,
        )


def raw_latencies(platform: Platform) -> list[tuple[str, str]]:
    """Name and p99 of each raw histogram, shown only while an SLO that reads it is chosen."""
    read = [
        (histogram, slo, slo.indicator.native)
        for slo in platform.slos
        if isinstance(slo.indicator, Latency) and slo.indicator.unit is Unit.SECONDS
        for histogram in slo.indicator.histogram
    ]
    if len({histogram for histogram, _, _ in read}) > RAW_LIMIT:
        read = [(Selector(histogram.metric), slo, native) for histogram, slo, native in read]
    found = []
    for histogram in dict.fromkeys(histogram for histogram, _, _ in read):
        readers = [(slo, native) for selected, slo, native in read if selected == histogram]
        p99 = quantile_of((histogram,), "0.99", native=all(native for _, native in readers))
        gate = only(platform, [slo for slo, _ in readers], CHOSEN)
        found.append((histogram.metric, f"{p99}\nand on () {gate}"))
    return found


def _logs() -> p.Panel:
    return p.Panel(
        "logs",
        "Logs of one request",
        "Every log line that holds the correlation ID, from every service.",
        (p.Target('{service_name=~".+"} |= "$correlation_id"'),),
        width=24,
        height=9,
        no_value="no log line",
    )
