"""Overview: what is broken, for whom, and how long is left; everything of a platform in one place."""

from __future__ import annotations

from decimal import Decimal

from sloctl import conventions
from sloctl.backends.grafana import queries
from sloctl.backends.grafana.dashboard import Page, Variable
from sloctl.backends.grafana.panels import (
    DARK_RED,
    GREEN,
    GREY,
    ORANGE,
    PERCENT,
    PURPLE,
    TIMES,
    Panel,
    Step,
    Style,
    Target,
    Word,
    bars,
    row,
    stat,
    table,
    time_series,
)
from sloctl.backends.grafana.queries import Ask, like
from sloctl.backends.grafana.shared import (
    MEANING,
    cost,
    detail_link,
    hidden_columns,
    objective_label,
    severity_steps,
    slo_columns,
    slo_table,
    with_whom,
)
from sloctl.model.catalogue import Platform
from sloctl.model.indicator import Probe
from sloctl.model.selector import Matcher, MatchOperator
from sloctl.promql.build import indent
from sloctl.promql.selectors import quote

WORST = 10


def overview(platform: Platform) -> Page:
    """The first page that a person opens."""
    ask = Ask(platform, (like("service", "$service"),), team="$team")
    severities = "|".join(severity_steps(platform))
    return Page(
        "overview",
        platform.description or f"What is broken on {platform.name}, for whom, and how long is left.",
        [
            *_counts(ask),
            slo_table("Objectives, the most urgent first", f"One row a promise. {MEANING}", ask),
            _firing(platform, ask),
            _worst(ask),
            row("Burn rates, success, nodes and cost in one place"),
            _burning(ask),
            _success(ask),
            *_probes(platform, ask),
            *_costs(platform),
        ],
        [
            objective_label(platform, "team"),
            objective_label(platform, "service"),
            Variable("severity", "Severity", f"label_values(ALERTS{{severity=~{quote(severities)}}}, severity)"),
        ],
    )


def _counts(ask: Ask) -> list[Panel]:
    def counted(title: str, state: int, color: str, description: str) -> Panel:
        expr = f"count((\n{indent(ask.of_team(ask.state()))}\n) == {state}) or vector(0)"
        steps = (Step(GREY if state == queries.QUIET else GREEN), Step(color, Decimal(1)))
        return stat(title, description, expr, steps=steps)

    firing = f"count({ask.of_team(ask.alerts(like('severity', '$severity')))}) or vector(0)"
    return [
        counted("Exhausted", queries.EXHAUSTED, DARK_RED, "SLOs that have spent more than their error budget."),
        counted("At risk", queries.AT_RISK, ORANGE, f"SLOs whose budget will soon be gone. {MEANING}"),
        counted("No data", queries.NO_DATA, PURPLE, "SLOs whose metric is gone: nothing is measured."),
        counted("Quiet", queries.QUIET, GREY, "SLOs that counted no event in the last hour."),
        counted("Fine", queries.FINE, GREEN, "SLOs within their budget."),
        stat(
            "Firing alerts", "Alerts of the chosen severities.", firing, steps=(Step(GREEN), Step(DARK_RED, Decimal(1)))
        ),
    ]


def _firing(platform: Platform, ask: Ask) -> Panel:
    labels = ("severity", "alertname", "team", *ask.labels)
    fired = with_whom(ask, f"max by ({', '.join(labels)}) (%s)")
    heartbeat = Matcher("alertname", MatchOperator.NOT_EQUAL, conventions.WATCHDOG)
    firing = ask.alerts(heartbeat, like("severity", "$severity"), like("team", "$team"))
    words = tuple(Word(word, word, color) for word, color in severity_steps(platform).items())
    return table(
        "Firing alerts",
        "Alerts that fire now, pages first; empty is good. A click on the SLO leads to its detail.",
        [Target(fired.replace("%s", firing), "")],
        slo_columns(ask, "severity", "alertname", "team"),
        styles=(Style("Severity", words=words, background=True, width=90), detail_link(ask), *hidden_columns(ask)),
        sort_by="Severity",
        width=14,
        no_value="no alert fires",
    )


def _worst(ask: Ask) -> Panel:
    expr = f"topk({WORST}, {ask.of_team(ask.burn())})"
    return bars(
        "Worst burn rates, last hour",
        "How fast budgets burn: 1x spends a budget exactly in its window.",
        [Target(expr, _legend(ask))],
        TIMES,
        decimals=1,
        steps=(Step(GREEN), Step(ORANGE, Decimal(1)), Step(DARK_RED, Decimal("14.4"))),
        width=10,
        minimum=Decimal(0),
    )


def _burning(ask: Ask) -> Panel:
    return time_series(
        "Burn rates",
        f"Burn rate of the last hour of the {WORST} SLOs that burn most; 1x spends a budget exactly in its window.",
        [Target(f"topk({WORST}, {ask.of_team(ask.burn())})", _legend(ask))],
        TIMES,
        decimals=1,
        minimum=Decimal(0),
    )


def _success(ask: Ask) -> Panel:
    return time_series(
        "Success",
        f"Share of good events in the last hour; the {WORST} SLOs with the lowest.",
        [Target(f"bottomk({WORST}, {ask.of_team(ask.sli())})", _legend(ask))],
        PERCENT,
        decimals=2,
        maximum=Decimal(1),
    )


def _probes(platform: Platform, ask: Ask) -> list[Panel]:
    """Nodes, robots and other gauges between failed and well."""
    probed = tuple(slo for slo in platform.slos if isinstance(slo.indicator, Probe))
    if not probed:
        return []
    of = Ask(platform, ask.matchers, team=ask.team, slos=probed)
    return [
        time_series(
            "Health of nodes and probes",
            "Share of probes that found things well in the last hour.",
            [Target(of.of_team(of.sli()), _legend(of))],
            PERCENT,
            decimals=1,
            maximum=Decimal(1),
        )
    ]


def _costs(platform: Platform) -> list[Panel]:
    targets = [Target(cost(service), service.name) for service in platform.services if service.cost]
    if not targets:
        return []
    description = "What services cost an hour, as their specifications read it."
    return [time_series("Cost an hour", description, targets, "currencyUSD", decimals=2, minimum=Decimal(0))]


def _legend(ask: Ask) -> str:
    return " ".join(["{{slo}}", *(f"{{{{{label}}}}}" for label in ask.labels[2:])])
