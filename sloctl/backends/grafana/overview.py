"""Overview: what is broken, for whom, and how long is left; everything of a platform in one place."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from sloctl import conventions
from sloctl.backends.grafana import panels as p
from sloctl.backends.grafana import shared
from sloctl.backends.grafana.dashboard import DashboardPage, Variable
from sloctl.backends.grafana.queries import Ask, like
from sloctl.conventions.states import State
from sloctl.model.catalogue import Platform
from sloctl.model.indicator import Probe
from sloctl.model.selector import Matcher, MatchOperator
from sloctl.promql.build import indent
from sloctl.promql.selectors import quote

WORST: Final = 10


def overview(platform: Platform) -> DashboardPage:
    """The first page that a person opens."""
    ask = Ask(platform, (like("service", "$service"),), team="$team")
    severities = "|".join(shared.severity_steps(platform))
    return DashboardPage(
        "overview",
        platform.description or f"What is broken on {platform.name}, for whom, and how long is left.",
        [
            *_counts(ask),
            shared.slo_table("Objectives, the most urgent first", f"One row a promise. {shared.MEANING}", ask),
            _firing(ask),
            _worst(ask),
            p.row("Burn rates, success, nodes and cost in one place"),
            *_charts(ask),
        ],
        [
            shared.objective_label(platform, "team"),
            shared.objective_label(platform, "service"),
            Variable("severity", "Severity", f"label_values(ALERTS{{severity=~{quote(severities)}}}, severity)"),
        ],
    )


_COUNTS: Final = (
    ("Exhausted", State.EXHAUSTED, p.DARK_RED, "SLOs that have spent more than their error budget."),
    ("At risk", State.AT_RISK, p.ORANGE, f"SLOs whose budget will soon be gone. {shared.MEANING}"),
    ("No data", State.NO_DATA, p.PURPLE, "SLOs whose metric is gone: nothing is measured."),
    ("Young", State.YOUNG, p.BLUE, "SLOs of which too little is measured to judge them."),
    ("Quiet", State.QUIET, p.GREY, "SLOs that counted no event in the last hour."),
    ("Fine", State.FINE, p.GREEN, "SLOs within their budget."),
)


def _counts(ask: Ask) -> Iterator[p.Panel]:
    """How many SLOs are in each state, and how many alerts fire."""
    for title, state, color, description in _COUNTS:
        expr = f"count((\n{indent(ask.of_team(ask.state()))}\n) == {state.value}) or vector(0)"
        none = p.ColorStep(p.GREY if state in {State.QUIET, State.YOUNG} else p.GREEN)
        yield p.stat(title, description, expr, steps=(none, p.ColorStep(color, Decimal(1))), width=3)
    firing = f"count({ask.of_team(ask.alerts(like('severity', '$severity')))}) or vector(0)"
    yield p.stat("Firing alerts", "Alerts of the chosen severities.", firing, steps=p.more_is_worse(red=1), width=6)


def _firing(ask: Ask) -> p.Panel:
    labels = ", ".join(("severity", "alertname", "team", *ask.labels))
    heartbeat = Matcher("alertname", MatchOperator.NOT_EQUAL, conventions.WATCHDOG)
    firing = ask.alerts(heartbeat, like("severity", "$severity"), like("team", "$team"))
    severity = p.Style("Severity", words=shared.severity_words(ask.platform), background=True, width=90)
    return p.table(
        "Firing alerts",
        "Alerts that fire now, pages first; empty is good. A click on the SLO leads to its detail.",
        [p.Target(shared.with_whom(ask, f"max by ({labels}) ({firing})"))],
        shared.slo_columns(ask, "severity", "alertname", "team"),
        styles=(severity, shared.detail_link(ask), *shared.hidden_columns(ask)),
        sort_by="Severity",
        width=14,
        no_value="no alert fires",
    )


def _worst(ask: Ask) -> p.Panel:
    return p.bars(
        "Worst burn rates, last hour",
        "How fast budgets burn: 1x spends a budget exactly in its window.",
        [p.Target(f"topk({WORST}, {ask.of_team(ask.burn())})", ask.legend)],
        p.TIMES,
        decimals=1,
        steps=p.more_is_worse(orange=1, red="14.4"),
        width=10,
    )


def _charts(ask: Ask) -> Iterator[p.Panel]:
    """Burn rates, success, the health of nodes, robots and other gauges, and cost."""
    text = f"Burn rate of the last hour of the {WORST} SLOs that burn most; 1x spends a budget exactly in its window."
    burning = p.Target(f"topk({WORST}, {ask.of_team(ask.burn())})", ask.legend)
    yield p.time_series("Burn rates", text, [burning], p.TIMES, decimals=1)
    text = f"Share of good events in the last hour; the {WORST} SLOs with the lowest."
    good = p.Target(f"bottomk({WORST}, {ask.of_team(ask.sli())})", ask.legend)
    yield p.time_series("Success", text, [good], p.PERCENT, decimals=2, minimum=None, maximum=1)
    if probed := [slo for slo in ask.of if isinstance(slo.indicator, Probe)]:
        text, of = "Share of probes that found things well in the last hour.", ask.about(probed)
        well = p.Target(of.of_team(of.sli()), of.legend)
        yield p.time_series("Health of nodes and probes", text, [well], p.PERCENT, decimals=1, minimum=None, maximum=1)
    if costs := [p.Target(shared.cost(service), service.name) for service in ask.platform.services if service.cost]:
        text = "What services cost an hour, as their specifications read it."
        yield p.time_series("Cost an hour", text, costs, p.DOLLARS, decimals=2)
