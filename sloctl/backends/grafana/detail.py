"""Detail: one SLO; where the links in its alerts lead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import PurePosixPath

from sloctl import conventions
from sloctl.backends.grafana import queries
from sloctl.backends.grafana.dashboard import Page, Variable, label_values, split_variables
from sloctl.backends.grafana.panels import (
    BLUE,
    DARK_RED,
    GREEN,
    GREY,
    ORANGE,
    PERCENT,
    SECONDS,
    TIMES,
    Panel,
    Step,
    Style,
    Target,
    Word,
    bars,
    row,
    stat,
    states,
    table,
    time_series,
)
from sloctl.backends.grafana.queries import Ask, constant, equal, like, limits, only, selector
from sloctl.backends.grafana.shared import (
    GONE,
    LEFT_STEPS,
    MEANING,
    NEVER,
    SOON_STEPS,
    STATE_STEPS,
    STATES,
    severity_styles,
)
from sloctl.model.catalogue import Platform, Service, Slo
from sloctl.model.indicator import Latency
from sloctl.model.quantities import DAY, Duration, number
from sloctl.model.selector import Selector
from sloctl.model.window import RollingWindow
from sloctl.promql.build import indent

CHOSEN = equal("slo", "$slo")
RAW_LIMIT = 20
"""More raw histograms than these are read by their metric alone: each line is a query on raw series."""
AHEAD = DAY * 7
_PLACEHOLDER = re.compile(r"\$([a-z_]+)")


def detail(platform: Platform) -> Page:
    """One SLO, chosen by `var-slo` and by a `var-` of each split label."""
    labels = queries.splits(platform)
    ask = Ask(platform, (CHOSEN,), tuple(like(label, f"${label}") for label in labels))
    names = label_values([conventions.OBJECTIVE], platform, "slo")
    variables = [Variable("slo", "SLO", names, every=False), *split_variables(platform, labels)]
    logs = platform.dashboards.logs is not None
    if logs:
        variables.append(Variable("correlation_id", "Correlation ID", None))
    panels = [
        *_stats(platform, ask),
        _promise(platform),
        _burn(platform, ask),
        _burn_down(platform, ask),
        _events(ask),
        _contributors(ask),
        _timeline(platform, ask),
        _splits(ask),
        *_traced(platform),
        *([_logs()] if logs else []),
    ]
    return Page("detail", "One SLO: is its promise kept, what burns it, and how long is left.", panels, variables)


def _stats(platform: Platform, ask: Ask) -> list[Panel]:
    attained = f"min({ask.attained()})"
    return [
        stat(
            "State",
            f"The worst of the chosen series. {MEANING}",
            f"max({ask.state()})",
            words=STATES,
            steps=STATE_STEPS,
            width=3,
        ),
        stat(
            "Objective",
            "The share of good events that is promised.",
            f"max({ask.info()})",
            PERCENT,
            decimals=3,
            width=3,
        ),
        stat("Attained", "The share of good events in the SLO's window.", attained, PERCENT, decimals=3, width=3),
        stat(
            "Budget left",
            "Below zero it is overspent.",
            f"min({ask.left()})",
            PERCENT,
            decimals=1,
            steps=LEFT_STEPS,
            width=3,
        ),
        stat(
            "Left in time",
            "A total outage may still last this long.",
            _time_left(platform, ask),
            SECONDS,
            decimals=1,
            steps=(Step(DARK_RED), Step(GREEN, Decimal(60))),
            width=4,
        ),
        stat(
            "Left in events",
            "So many bad events may still happen.",
            _events_left(platform, ask),
            decimals=0,
            steps=(Step(DARK_RED), Step(GREEN, Decimal(1))),
            width=4,
        ),
        stat(
            "Lasts",
            "Until the budget is gone at the rate of the last hour.",
            f"min({ask.exhaustion_or_never()})",
            SECONDS,
            decimals=1,
            words=(NEVER, GONE),
            steps=SOON_STEPS,
            width=4,
        ),
    ]


def _windows(platform: Platform) -> Iterator[tuple[list[Slo], str]]:
    """SLOs that share a window, with its length in seconds as an expression."""
    rolling: dict[Duration, list[Slo]] = {}
    for slo in platform.slos:
        if isinstance(slo.window, RollingWindow):
            rolling.setdefault(slo.window.length, []).append(slo)
    yield from ((rolling[length], number(length.seconds)) for length in sorted(rolling))
    for calendar, slos in queries.calendars(platform):
        end = queries.boundary(platform, calendar, conventions.PERIOD_END)
        start = queries.boundary(platform, calendar, conventions.PERIOD_START)
        yield slos, f"({end} - {start})"


def _gated(platform: Platform, ask: Ask, slos: list[Slo]) -> Ask:
    """The question for those of these SLOs that are chosen."""
    if len(slos) == len(tuple(platform.slos)):
        return ask
    return Ask(platform, ask.matchers, ask.split_matchers, slos=tuple(slos))


def _time_left(platform: Platform, ask: Ask) -> str:
    parts = []
    for slos, seconds in _windows(platform):
        of = _gated(platform, ask, slos)
        left = of.times_budget(f"({of.left()})")
        parts.append(f"min(\n{indent(left)}\n) * {seconds}")
    return "\nor ".join(f"({part})" for part in parts)


def _events_left(platform: Platform, ask: Ask) -> str:
    """Budget times events of the window times what is left."""
    parts = []
    rolling: dict[Duration, list[Slo]] = {}
    for slo in platform.slos:
        if isinstance(slo.window, RollingWindow):
            rolling.setdefault(slo.window.length, []).append(slo)
    for length, slos in sorted(rolling.items()):
        of = _gated(platform, ask, slos)
        parts.append(_allowed(of, of.total(str(length))))
    for calendar, slos in queries.calendars(platform):
        of = _gated(platform, ask, slos)
        labels = [equal(*label) for label in conventions.calendar_labels(platform.name, calendar).items()]
        period = f'count_values("period", {selector([conventions.PERIOD_START], labels)})'
        parts.append(_allowed(of, of.total_of_period(str(calendar.longest), period)))
    return "\nor ".join(f"({part})" for part in parts)


def _allowed(ask: Ask, total: str) -> str:
    inner = ask.times_budget(f"({ask.left()})\n* {total}")
    return f"sum(\n{indent(inner)}\n)"


def _promise(platform: Platform) -> Panel:
    """The specification's own words: constants of this file, shown for the chosen SLO."""
    owners = {slo.id: (service, slo) for service in platform.services for slo in service.slos}
    promised = tuple(Word(slo.description, id_) for id_, (_, slo) in owners.items() if slo.description)
    runbooks = tuple(Word(url, id_) for id_, (_, slo) in owners.items() if (url := runbook(slo)))
    files = tuple(Word(spec_file(service), id_) for id_, (service, _) in owners.items())
    labels = ("slo", "service", "team", "window")
    copies = selector([conventions.OBJECTIVE], [equal("platform", platform.name), CHOSEN])
    expr = f"max by ({', '.join(labels)}) ({copies})"
    for copy in ("promise", "runbook", "specification"):
        expr = f'label_replace({expr}, "{copy}", "$1", "slo", "(.*)")'
    return table(
        "Promise",
        "What is promised, by whom, where it is written and what to do when it breaks.",
        [Target(expr, "")],
        {
            "slo": "SLO",
            "promise": "Promise",
            "service": "Service",
            "team": "Team",
            "window": "Window",
            "runbook": "Runbook",
            "specification": "Specification",
        },
        styles=(
            Style("Promise", words=promised),
            Style("Runbook", words=runbooks, link=("Open the runbook", "${__value.text:raw}")),
            Style("Specification", words=files, width=180),
            Style("Window", width=140),
        ),
        height=3,
    )


def runbook(slo: Slo) -> str:
    """The link to an SLO's runbook, its placeholders filled in; empty without one."""
    words = {"service": slo.service, "slo": slo.id}
    return _PLACEHOLDER.sub(lambda found: words.get(found[1], found[0]), slo.runbook or "")


def spec_file(service: Service) -> str:
    """The name of the file that a service is specified in; its folder depends on where the command ran."""
    return PurePosixPath(service.path).name


def _burn(platform: Platform, ask: Ask) -> Panel:
    burn = ask.times_budget(f"max by (slo, over) ({ask.error_ratios()})", "/")
    lines = [
        Target(constant(limit.value, only(platform, limit.slos, CHOSEN)), limit.name) for limit in limits(platform)
    ]
    return time_series(
        "Burn rate by window",
        "An alert fires when the average over its windows is above its line; 1x spends the budget in just its window.",
        [Target(f"max({ask.burn()})", "last hour"), Target(f"max by (over) ({burn})", "over {{over}}"), *lines],
        TIMES,
        decimals=2,
        styles=severity_styles(platform),
        minimum=Decimal(0),
        height=10,
    )


def _burn_down(platform: Platform, ask: Ask) -> Panel:
    lines = [
        Target(constant(limit.value, only(platform, limit.slos, CHOSEN)), limit.left_name)
        for limit in limits(platform, left=True)
    ]
    return time_series(
        "Budget burn-down",
        "The part of the error budget that is left, beside spending it evenly: to the end of the calendar period, or "
        "for a rolling window what was left at the beginning, to the end of the time shown. The forecast says what is "
        "left at the end of the period, or in seven days, if it goes on like now.",
        [Target(f"min({ask.left()})", "left"), *_even(platform, ask), *_forecast(platform, ask), *lines],
        PERCENT,
        decimals=1,
        styles=(
            Style("left", color=BLUE),
            Style("even spending", color=GREY, dashed=True),
            Style("forecast", color=ORANGE, dashed=True),
            *severity_styles(platform),
        ),
        maximum=Decimal(1),
        time_from="30d",
        height=10,
    )


def _even(platform: Platform, ask: Ask) -> Iterator[Target]:
    for calendar, slos in queries.calendars(platform):
        end = queries.boundary(platform, calendar, conventions.PERIOD_END)
        start = queries.boundary(platform, calendar, conventions.PERIOD_START)
        yield Target(
            f"({end} - time()) / ({end} - {start})\n+ 0 * max({only(platform, slos, CHOSEN)})", "even spending"
        )
    rolling = [slo for slo in platform.slos if isinstance(slo.window, RollingWindow)]
    if rolling:
        of = _gated(platform, ask, rolling)
        began = of.left_at_start()
        yield Target(f"min({began}) * ($__to / 1000 - time()) / $__range_s", "even spending")


def _forecast(platform: Platform, ask: Ask) -> Iterator[Target]:
    predicted = selector(
        [conventions.BUDGET_PREDICTED], [equal("platform", platform.name), *ask.matchers, *ask.split_matchers]
    )
    if queries.calendars(platform):
        yield Target(f"clamp_min(1 - max({predicted}), -1)", "forecast")
    rolling = [slo for slo in platform.slos if isinstance(slo.window, RollingWindow)]
    if rolling:
        of = _gated(platform, ask, rolling)
        yield Target(f"clamp(1 - max({of.consumed_in(AHEAD)}), -1, 1)", "forecast")


def _events(ask: Ask) -> Panel:
    good = f"sum({ask.total()}) - sum({ask.errors()})"
    return time_series(
        "Events in each tile",
        "Good and bad events as they were counted; a slice that is judged is one event.",
        [Target(f"sum({ask.errors()})", "bad"), Target(good, "good")],
        styles=(Style("bad", color=DARK_RED), Style("good", color=GREEN)),
        stacked=True,
        minimum=Decimal(0),
    )


def _contributors(ask: Ask) -> Panel:
    legend = " ".join(f"{{{{{label}}}}}" for label in ask.labels[1:])
    return bars(
        "Where bad events come from",
        "Bad events in the time shown by the labels that the SLO is split by; one bar where it is not split.",
        [Target(f"topk(10, {ask.errors('$__range')} >= 0)", legend)],
        steps=(Step(GREEN), Step(ORANGE, Decimal(1))),
        decimals=0,
        minimum=Decimal(0),
        no_value="no events",
    )


def _timeline(platform: Platform, ask: Ask) -> Panel:
    fixed = [equal("platform", platform.name), equal("sloctl", conventions.ALERT_VERSION), *ask.matchers]
    firing = selector(["ALERTS"], [*fixed, equal("alertstate", "firing")])
    pending = selector(["ALERTS"], [*fixed, equal("alertstate", "pending")])
    names = "alertname, severity"
    expr = f"2 * max by ({names}) ({firing})\nor max by ({names}) ({pending})"
    words = (Word("pending", "1", ORANGE), Word("firing", "2", DARK_RED))
    return states(
        "Alerts",
        "When each alert of the SLO was pending and fired; empty is good.",
        [Target(expr, "{{severity}} {{alertname}}")],
        words,
        steps=(Step(GREEN), Step(ORANGE, Decimal(1)), Step(DARK_RED, Decimal(2))),
        no_value="no alert",
        height=7,
    )


def _splits(ask: Ask) -> Panel:
    return time_series(
        "Good events, last hour",
        "Share of good events of each series of the SLO; the ten lowest.",
        [Target(f"bottomk(10, {ask.sli()})", " ".join(["{{slo}}", *(f"{{{{{label}}}}}" for label in ask.labels[2:])]))],
        PERCENT,
        decimals=2,
        maximum=Decimal(1),
        height=7,
    )


def _traced(platform: Platform) -> list[Panel]:
    """Raw latency, whose exemplars lead to traces; recordings have none."""
    targets = [Target(expr, name, exemplar=True) for name, expr in raw_latencies(platform)]
    if not targets:
        return []
    return [
        row("Traces and logs"),
        time_series(
            "Slowest percent, with exemplars",
            "p99 of the raw histogram of the chosen SLO; a dot is a request, and a click on it leads to its trace.",
            targets,
            SECONDS,
            minimum=Decimal(0),
            no_value="the chosen SLO reads no histogram in seconds",
            width=24,
        ),
    ]


def raw_latencies(platform: Platform) -> list[tuple[str, str]]:
    """Name and p99 of each raw histogram, shown only while an SLO that reads it is chosen."""
    found: dict[Selector, list[Slo]] = {}
    for slo in platform.slos:
        if isinstance(slo.indicator, Latency) and slo.indicator.unit.value == "s":
            for histogram in slo.indicator.histogram:
                found.setdefault(histogram, []).append(slo)
    if len(found) > RAW_LIMIT:
        by_metric: dict[Selector, list[Slo]] = {}
        for histogram, slos in found.items():
            by_metric.setdefault(Selector(histogram.metric), []).extend(slos)
        found = by_metric
    return [(one.metric, _quantile(platform, one, slos)) for one, slos in found.items()]


def _quantile(platform: Platform, histogram: Selector, slos: list[Slo]) -> str:
    native = all(isinstance(slo.indicator, Latency) and slo.indicator.native for slo in slos)
    name = histogram.metric if native else f"{histogram.metric}_bucket"
    by = "" if native else " by (le)"
    rate = f"rate({queries.raw(histogram, name=name)}[$__rate_interval])"
    return f"histogram_quantile(0.99, sum{by} ({rate}))\nand on () {only(platform, slos, CHOSEN)}"


def _logs() -> Panel:
    return Panel(
        "logs",
        "Logs of one request",
        "Every log line that holds the correlation ID, from every service.",
        (Target('{service_name=~".+"} |= "$correlation_id"'),),
        width=24,
        height=9,
        no_value="no log line",
    )
