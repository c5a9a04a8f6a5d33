"""Scorecard: what each team promised and kept in a calendar month, and how often people were paged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sloctl import conventions
from sloctl.backends.grafana import panels as p
from sloctl.backends.grafana import shared
from sloctl.backends.grafana.dashboard import DashboardPage
from sloctl.backends.grafana.queries import Ask, firing, like
from sloctl.model.catalogue import Platform
from sloctl.promql.build import indent

RANGE: Final = "$__range"
MONTHS: Final = (("This month", "now%2FM", "now"), ("Last month", "now-1M%2FM", "now-1M%2FM"))
_SPENT: Final = p.more_is_worse(orange="0.75", red=1)


def scorecard(platform: Platform) -> DashboardPage:
    """The month that is shown; the time choice leads to any other."""
    ask = Ask(platform, (like("service", "$service"),), team="$team")
    uid = conventions.dashboard_uid(platform, "scorecard")
    return DashboardPage(
        "scorecard",
        "What each team promised and kept in the month shown, and how often people were paged.",
        [*_numbers(ask), _kept(ask), _spent(ask), _pages(ask)],
        [shared.objective_label(platform, "team"), shared.objective_label(platform, "service")],
        since="now/M",
        links=[(title, f"/d/{uid}?from={start}&to={end}") for title, start, end in MONTHS],
    )


def _numbers(ask: Ask) -> Iterator[p.Panel]:
    spent = ask.of_team(ask.burn(RANGE))
    kept = f"(count(({spent}) < 1) or vector(0))\n/ count({spent})"
    share, some = p.more_is_better(orange="0.9", green=1), p.more_is_worse(orange=1)
    text = "Share of SLOs that stayed within the budget of the time shown."
    yield p.stat("Objectives kept", text, kept, p.PERCENT, decimals=0, steps=share, width=8)
    text = "SLOs that spent more than the budget of the time shown."
    yield p.stat("Objectives missed", text, f"count(({spent}) >= 1) or vector(0)", steps=some, width=8)
    text = "How often an alert of the highest severity began to fire in the time shown."
    paged = f"sum({_started(ask, 'p1-.*')}) or vector(0)"
    yield p.stat("Pages", text, paged, steps=some, decimals=0, width=8)


def _kept(ask: Ask) -> p.Panel:
    row = f"max by (team, {', '.join(ask.labels)})"
    rows = {
        "Objective": ask.objective(),
        "Attained": ask.sli(RANGE),
        "Budget spent": ask.burn(RANGE),
        "Kept": f"({ask.burn(RANGE)}) < bool 1",
    }
    with_team = {
        name: f"{row} (\n{indent(f'({expr})')}\n  * on (slo) group_left (team) ({ask.info()} ^ 0)\n)"
        for name, expr in rows.items()
    }
    words = (p.Word("missed", "0", p.DARK_RED), p.Word("kept", "1", p.GREEN))
    return p.table(
        "Promised and kept",
        "The budget of the time shown, spent in the time shown: 100 % is exactly what the objective allows.",
        [p.Target(shared.with_whom(ask, expr), name) for name, expr in with_team.items()],
        shared.slo_columns(ask, "team"),
        styles=(
            p.Style("Objective", unit=p.PERCENT, decimals=3),
            p.Style("Attained", unit=p.PERCENT, decimals=3),
            p.Style("Budget spent", unit=p.PERCENT, decimals=1, steps=_SPENT, background=True),
            p.Style("Kept", words=words, steps=p.more_is_better(green=1), background=True, width=90),
            shared.detail_link(ask),
            *shared.hidden_columns(ask),
        ),
        sort_by="Budget spent",
        descending=True,
        height=12,
    )


def _spent(ask: Ask) -> p.Panel:
    worst = f"max by (service) (\n{indent(ask.of_team(ask.burn(RANGE)))}\n)"
    return p.bars(
        "Budget spent by service",
        "The worst SLO of each service: how much of its budget the time shown took.",
        [p.Target(f"topk(15, {worst})", "{{service}}")],
        p.PERCENT,
        decimals=0,
        steps=_SPENT,
    )


def _pages(ask: Ask) -> p.Panel:
    expr = f"sum by (team, severity) ({_started(ask, 'p[123]-.*')})"
    severity = p.Style("Severity", words=shared.severity_words(ask.platform), background=True)
    return p.table(
        "Alerts by team and severity",
        "How often alerts began to fire in the time shown; empty is good.",
        [p.Target(expr, "Began to fire")],
        {"team": "Team", "severity": "Severity"},
        styles=(severity, p.Style("Began to fire", decimals=0)),
        sort_by="Severity",
        width=12,
        no_value="nobody was paged",
    )


def _started(ask: Ask, tiers: str) -> str:
    """How often alerts went from silent to firing: they fire now and did not a step before."""
    step = ask.platform.sampling.resolution
    matchers = (like("burn_tier", tiers), like("team", "$team"), *ask.matchers)
    before = firing(ask.platform, *matchers, offset=f" offset {step}")
    return f"count_over_time(\n  ({firing(ask.platform, *matchers)} unless {before})[{RANGE}:{step}]\n)"
