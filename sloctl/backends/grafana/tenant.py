"""Tenant: what one customer got, what was promised, and what is owed; beside everybody."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from sloctl import conventions
from sloctl.backends.grafana import panels as p
from sloctl.backends.grafana import shared
from sloctl.backends.grafana.dashboard import DashboardPage, split_variables
from sloctl.backends.grafana.queries import Ask, chosen, equal, selector
from sloctl.model.catalogue import Platform, Slo

TENANT_LABELS: Final = ("tenant", "tenant_id", "customer", "customer_id")
_STYLES: Final = (
    p.Style("/everybody$/", pattern=True, color=p.GREY, dashed=True),
    p.Style("/chosen$/", pattern=True, color=p.BLUE),
)


def tenant_label(platform: Platform) -> str | None:
    """The split label that stands for a customer."""
    labels = {label for slo in platform.slos for label in slo.by}
    return next((label for label in TENANT_LABELS if label in labels), None)


def tenant(platform: Platform) -> DashboardPage:
    """One tenant, chosen by a variable, which is a choice and no access control."""
    label = tenant_label(platform)
    labels = [label] if label else []
    of_tenants = tuple(slo for slo in platform.slos if label in slo.by)
    ask = Ask(platform, (), chosen(labels), slos=of_tenants or None)
    everybody = Ask(platform, slos=ask.slos)
    owed = tuple(slo for slo in platform.slos if slo.sla)
    return DashboardPage(
        "tenant",
        "What a tenant was promised, what it got, and what is owed.",
        [
            p.note("Who may see this", _explanation(label)),
            *(_contract(ask, owed) if owed else []),
            shared.slo_table("Objectives of the tenant", "One row a promise and tenant; the most urgent first.", ask),
            _compared(ask, everybody, label),
            _traffic(ask, everybody, label),
        ],
        split_variables(platform, labels),
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


def _contract(ask: Ask, owed: tuple[Slo, ...]) -> list[p.Panel]:
    """What is owed now, each contract's target beside what was attained, and what each owes."""
    contract = ask.about(owed)
    credits_ = selector([conventions.SLA_CREDITS], [equal("platform", ask.platform.name), *ask.split_matchers])
    currencies = ", ".join(sorted({slo.sla.currency for slo in owed if slo.sla}))
    columns = {label: "SLO" if label == "slo" else label for label in contract.labels[1:]}
    owes = p.more_is_worse(red=1)
    target, attained, risk = "SLA target", "Attained in the SLO's window", "Credits at risk"
    return [
        p.stat(
            risk,
            f"What the contracts would owe if the period ended now, in {currencies}.",
            f"sum({credits_})",
            decimals=0,
            steps=owes,
            height=5,
            width=5,
        ),
        p.table(
            "Contracts",
            "The attainment below which the first credit is owed, beside what was attained.",
            [p.Target(_targets(contract, owed), target), p.Target(contract.attained(), attained)],
            columns,
            styles=(
                p.Style(target, unit=p.PERCENT, decimals=3),
                p.Style(attained, unit=p.PERCENT, decimals=3),
                p.Style("service", hidden=True),
            ),
            width=11,
            height=5,
        ),
        p.table(
            "Credits by contract",
            "What each contract would owe if the period ended now.",
            [p.Target(f"max by ({', '.join(columns)}, currency) ({credits_})", risk)],
            columns | {"currency": "Currency"},
            styles=(p.Style(risk, decimals=0, steps=owes),),
            sort_by=risk,
            descending=True,
            width=8,
            height=5,
        ),
    ]


def _targets(ask: Ask, owed: tuple[Slo, ...]) -> str:
    """The attainment below which something is owed, for each row."""
    found: dict[Decimal, list[Slo]] = {}
    for slo in owed:
        assert slo.sla is not None
        found.setdefault(max(credit.below for credit in slo.sla.credits), []).append(slo)
    return "\nor ".join(
        f"(0 * max {ask.by} ({ask.about(slos).consumed()}) + {below:f})" for below, slos in sorted(found.items())
    )


def _compared(ask: Ask, everybody: Ask, label: str | None) -> p.Panel:
    errors, total = everybody.errors(ask.recent), everybody.total(ask.recent)
    return p.time_series(
        "Good events, last hour",
        "The worst of the chosen tenants beside all tenants together.",
        _beside(
            f"min by (slo) ({ask.sli()})",
            f"1 - sum by (slo) ({errors}) / (sum by (slo) ({total}) > 0)" if label else "",
        ),
        p.PERCENT,
        decimals=2,
        styles=_STYLES[:1],
        minimum=None,
        maximum=1,
    )


def _traffic(ask: Ask, everybody: Ask, label: str | None) -> p.Panel:
    total = f"sum by (slo) ({everybody.total(ask.recent)})"
    return p.time_series(
        "Events, last hour",
        "How much the chosen tenants use, and everybody.",
        _beside(f"sum by (slo) ({ask.total(ask.recent)})", total if label else ""),
        styles=_STYLES,
    )


def _beside(of_chosen: str, of_all: str) -> list[p.Target]:
    """The chosen tenants beside everybody, or everybody alone where there are no tenants."""
    if not of_all:
        return [p.Target(of_chosen, "{{slo}}")]
    return [p.Target(of_chosen, "{{slo}}, the chosen"), p.Target(of_all, "{{slo}}, everybody")]
