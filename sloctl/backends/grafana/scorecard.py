"""Scorecard: what each team promised and kept in a calendar month, and how often people were paged."""

from __future__ import annotations

from decimal import Decimal

from sloctl import conventions
from sloctl.backends.grafana.dashboard import Page
from sloctl.backends.grafana.panels import (
    DARK_RED,
    GREEN,
    ORANGE,
    PERCENT,
    Panel,
    Step,
    Style,
    Target,
    Word,
    bars,
    stat,
    table,
)
from sloctl.backends.grafana.queries import Ask, equal, like, selector
from sloctl.backends.grafana.shared import (
    detail_link,
    hidden_columns,
    objective_label,
    severity_steps,
    slo_columns,
    with_whom,
)
from sloctl.model.catalogue import Platform
from sloctl.promql.build import indent

RANGE = "$__range"
MONTHS = (("This month", "now%2FM", "now"), ("Last month", "now-1M%2FM", "now-1M%2FM"))


def scorecard(platform: Platform) -> Page:
    """The month that is shown; the time choice leads to any other."""
    ask = Ask(platform, (like("service", "$service"),), team="$team")
    uid = conventions.dashboard_uid(platform, "scorecard")
    return Page(
        "scorecard",
        "What each team promised and kept in the month shown, and how often people were paged.",
        [*_numbers(platform, ask), _kept(ask), _spent(ask), _pages(platform, ask)],
        [objective_label(platform, "team"), objective_label(platform, "service")],
        since="now/M",
        links=[(title, f"/d/{uid}?from={start}&to={end}") for title, start, end in MONTHS],
    )


def _attained(ask: Ask) -> str:
    return ask.sli(RANGE)


def _budget_spent(ask: Ask) -> str:
    return ask.burn(RANGE)


def _numbers(platform: Platform, ask: Ask) -> list[Panel]:
    spent = ask.of_team(_budget_spent(ask))
    kept = f"(count(({spent}) < 1) or vector(0))\n/ count({spent})"
    missed = f"count(({spent}) >= 1) or vector(0)"
    paged = f"sum({_started(platform, ask, 'p1-.*')}) or vector(0)"
    share = (Step(DARK_RED), Step(ORANGE, Decimal("0.9")), Step(GREEN, Decimal(1)))
    bad = (Step(GREEN), Step(ORANGE, Decimal(1)))
    return [
        stat(
            "Objectives kept",
            "Share of SLOs that stayed within the budget of the time shown.",
            kept,
            PERCENT,
            decimals=0,
            steps=share,
            width=8,
        ),
        stat(
            "Objectives missed", "SLOs that spent more than the budget of the time shown.", missed, steps=bad, width=8
        ),
        stat(
            "Pages",
            "How often an alert of the highest severity began to fire in the time shown.",
            paged,
            steps=bad,
            decimals=0,
            width=8,
        ),
    ]


def _kept(ask: Ask) -> Panel:
    row = f"max by (team, {', '.join(ask.labels)})"

    def with_team(inner: str) -> str:
        return with_whom(ask, f"{row} (\n{indent(f'({inner})')}\n  * on (slo) group_left (team) ({ask.info()} ^ 0)\n)")

    targets = [
        Target(with_team(ask.objective()), "Objective"),
        Target(with_team(_attained(ask)), "Attained"),
        Target(with_team(_budget_spent(ask)), "Budget spent"),
        Target(with_team(f"({_budget_spent(ask)}) < bool 1"), "Kept"),
    ]
    kept = (Word("missed", "0", DARK_RED), Word("kept", "1", GREEN))
    return table(
        "Promised and kept",
        "The budget of the time shown, spent in the time shown: 100 % is exactly what the objective allows.",
        targets,
        slo_columns(ask, "team"),
        styles=(
            Style("Objective", unit=PERCENT, decimals=3),
            Style("Attained", unit=PERCENT, decimals=3),
            Style("Budget spent", unit=PERCENT, decimals=1, steps=_SPENT, background=True),
            Style("Kept", words=kept, steps=(Step(DARK_RED), Step(GREEN, Decimal(1))), background=True, width=90),
            detail_link(ask),
            *hidden_columns(ask),
        ),
        sort_by="Budget spent",
        descending=True,
        height=12,
    )


_SPENT = (Step(GREEN), Step(ORANGE, Decimal("0.75")), Step(DARK_RED, Decimal(1)))


def _spent(ask: Ask) -> Panel:
    worst = f"max by (service) (\n{indent(ask.of_team(_budget_spent(ask)))}\n)"
    return bars(
        "Budget spent by service",
        "The worst SLO of each service: how much of its budget the time shown took.",
        [Target(f"topk(15, {worst})", "{{service}}")],
        PERCENT,
        decimals=0,
        steps=_SPENT,
        minimum=Decimal(0),
    )


def _pages(platform: Platform, ask: Ask) -> Panel:
    words = tuple(Word(word, word, color) for word, color in severity_steps(platform).items())
    expr = f"sum by (team, severity) ({_started(platform, ask, 'p[123]-.*')})"
    return table(
        "Alerts by team and severity",
        "How often alerts began to fire in the time shown; empty is good.",
        [Target(expr, "Began to fire")],
        {"team": "Team", "severity": "Severity"},
        styles=(Style("Severity", words=words, background=True), Style("Began to fire", decimals=0)),
        sort_by="Severity",
        width=12,
        no_value="nobody was paged",
    )


def _started(platform: Platform, ask: Ask, tiers: str) -> str:
    """How often alerts went from silent to firing: they fire now and did not a step before."""
    step = platform.sampling.resolution
    fixed = [
        equal("sloctl", conventions.ALERT_VERSION),
        equal("platform", platform.name),
        equal("alertstate", "firing"),
        like("burn_tier", tiers),
        like("team", "$team"),
        *ask.matchers,
    ]
    firing = selector(["ALERTS"], fixed)
    before = selector(["ALERTS"], fixed, offset=f" offset {step}")
    return f"count_over_time(\n  ({firing} unless {before})[{RANGE}:{step}]\n)"
