"""Tenant: what one customer got, what was promised, and what is owed; beside everybody."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from sloctl import conventions
from sloctl.backends.grafana.dashboard import Page, split_variables
from sloctl.backends.grafana.panels import (
    BLUE,
    DARK_RED,
    GREEN,
    GREY,
    PERCENT,
    Panel,
    Step,
    Style,
    Target,
    note,
    stat,
    table,
    time_series,
)
from sloctl.backends.grafana.queries import Ask, equal, like, selector
from sloctl.backends.grafana.shared import slo_table
from sloctl.model.catalogue import Platform, Slo

TENANT_LABELS: Final = ("tenant", "tenant_id", "customer", "customer_id")


def tenant_label(platform: Platform) -> str | None:
    """The split label that stands for a customer."""
    labels = {label for slo in platform.slos for label in slo.by}
    return next((label for label in TENANT_LABELS if label in labels), None)


def tenant(platform: Platform) -> Page:
    """One tenant, chosen by a variable, which is a choice and no access control."""
    label = tenant_label(platform)
    of_tenants = tuple(slo for slo in platform.slos if label and label in slo.by)
    shown_slos = of_tenants or tuple(platform.slos)
    chosen = (like(label, f"${label}"),) if label else ()
    ask = Ask(platform, (), chosen, slos=None if not of_tenants else shown_slos)
    everybody = Ask(platform, slos=ask.slos)
    owed = tuple(slo for slo in platform.slos if slo.sla)
    return Page(
        "tenant",
        "What a tenant was promised, what it got, and what is owed.",
        [
            note("Who may see this", _explanation(label)),
            *(_contract(platform, ask, owed) if owed else []),
            slo_table("Objectives of the tenant", "One row a promise and tenant; the most urgent first.", ask),
            _compared(ask, everybody, label),
            _traffic(ask, everybody, label),
        ],
        split_variables(platform, [label] if label else []),
    )


def _explanation(label: str | None) -> str:
    if label:
        return (
            "The choice above is no access control: whoever opens this page can choose every tenant. Give each tenant "
            "a data source of its own that enforces the label, for example through a proxy."
        )
    return (
        "No SLO of this platform is split by a tenant, so this page shows all of its users together. To see tenants, "
        f"write `by: [{TENANT_LABELS[0]}]` in an SLO whose metric has that label."
    )


def _contract(platform: Platform, ask: Ask, owed: tuple[Slo, ...]) -> list[Panel]:
    fixed = [equal("platform", platform.name), *(ask.split_matchers if ask.slos else ())]
    credits_ = selector([conventions.SLA_CREDITS], fixed)
    total = f"sum({credits_})"
    risk = stat(
        "Credits at risk",
        f"What the contracts would owe if the period ended now, in {_currencies(owed)}.",
        total,
        decimals=0,
        steps=(Step(GREEN), Step(DARK_RED, Decimal(1))),
        height=5,
        width=5,
    )
    rows = ", ".join(Ask(platform, slos=owed).labels[1:])
    contract = Ask(platform, (), ask.split_matchers if ask.slos else (), slos=owed)
    targets = [
        Target("\nor ".join(_target_of(contract, slos, below) for below, slos in _contracts(owed)), "SLA target"),
        Target(contract.attained(), "Attained in the SLO's window"),
        Target(f"max by ({rows}, currency) ({credits_})", "Credits at risk"),
    ]
    columns = {
        name: {"slo": "SLO", "currency": "Currency"}.get(name, name) for name in (*contract.labels[1:], "currency")
    }
    terms = table(
        "Contracts",
        "The attainment below which the first credit is owed, beside what was attained.",
        [targets[0], targets[1]],
        {name: label for name, label in columns.items() if name != "currency"},
        styles=(
            Style("SLA target", unit=PERCENT, decimals=3),
            Style("Attained in the SLO's window", unit=PERCENT, decimals=3),
            Style("service", hidden=True),
        ),
        width=11,
        height=5,
    )
    debts = table(
        "Credits by contract",
        "What each contract would owe if the period ended now.",
        [targets[2]],
        columns,
        styles=(Style("Credits at risk", decimals=0, steps=(Step(GREEN), Step(DARK_RED, Decimal(1)))),),
        sort_by="Credits at risk",
        descending=True,
        width=8,
        height=5,
    )
    return [risk, terms, debts]


def _currencies(owed: tuple[Slo, ...]) -> str:
    return ", ".join(sorted({slo.sla.currency for slo in owed if slo.sla}))


def _contracts(owed: tuple[Slo, ...]) -> list[tuple[Decimal, tuple[Slo, ...]]]:
    """SLOs by the attainment below which something is owed."""
    found: dict[Decimal, list[Slo]] = {}
    for slo in owed:
        assert slo.sla is not None
        found.setdefault(max(credit.below for credit in slo.sla.credits), []).append(slo)
    return [(below, tuple(found[below])) for below in sorted(found)]


def _target_of(ask: Ask, slos: tuple[Slo, ...], below: Decimal) -> str:
    of = Ask(ask.platform, ask.matchers, ask.split_matchers, slos=slos)
    return f"(0 * max {ask.by} ({of.consumed()}) + {below:f})"


def _compared(ask: Ask, everybody: Ask, label: str | None) -> Panel:
    targets = [
        Target(f"min by (slo) ({ask.sli()})", "{{slo}}, the chosen" if label else "{{slo}}"),
        *([Target(_all(everybody), "{{slo}}, everybody")] if label else []),
    ]
    return time_series(
        "Good events, last hour",
        "The worst of the chosen tenants beside all tenants together.",
        targets,
        PERCENT,
        decimals=2,
        styles=(Style("/everybody$/", pattern=True, color=GREY, dashed=True),),
        maximum=Decimal(1),
    )


def _all(ask: Ask) -> str:
    errors, total = ask.errors(ask.recent), ask.total(ask.recent)
    return f"1 - sum by (slo) ({errors}) / (sum by (slo) ({total}) > 0)"


def _traffic(ask: Ask, everybody: Ask, label: str | None) -> Panel:
    share = f"sum by (slo) ({ask.total(ask.recent)})"
    return time_series(
        "Events, last hour",
        "How much the chosen tenants use, and everybody.",
        [
            Target(share, "{{slo}}, the chosen" if label else "{{slo}}"),
            *([Target(f"sum by (slo) ({everybody.total(ask.recent)})", "{{slo}}, everybody")] if label else []),
        ],
        styles=(
            Style("/everybody$/", pattern=True, color=GREY, dashed=True),
            Style("/chosen$/", pattern=True, color=BLUE),
        ),
        minimum=Decimal(0),
    )
