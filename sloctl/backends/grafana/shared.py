"""Panels and words that several dashboards share."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from sloctl import conventions
from sloctl.backends.grafana import queries
from sloctl.backends.grafana.dashboard import Variable, label_values, link_to
from sloctl.backends.grafana.panels import (
    DARK_RED,
    GREEN,
    GREY,
    ORANGE,
    PERCENT,
    SECONDS,
    TIMES,
    YELLOW,
    Panel,
    Step,
    Style,
    Target,
    Word,
    table,
)
from sloctl.backends.grafana.queries import Ask
from sloctl.backends.grafana.texts import literal
from sloctl.model.alerting import Severity
from sloctl.model.catalogue import Platform, Service
from sloctl.model.quantities import number, percent
from sloctl.promql.build import indent

STATES: Final = (
    Word("fine", str(queries.FINE), GREEN),
    Word("quiet", str(queries.QUIET), GREY),
    Word("at risk", str(queries.AT_RISK), ORANGE),
    Word("exhausted", str(queries.EXHAUSTED), DARK_RED),
    Word("no data", str(queries.NO_DATA), "purple"),
)
STATE_STEPS: Final = tuple(
    Step(word.color or GREEN, None if index == 0 else Decimal(index)) for index, word in enumerate(STATES)
)
LEFT_STEPS: Final = (Step(DARK_RED), Step(ORANGE, Decimal(0)), Step(GREEN, queries.LOW))
SOON_STEPS: Final = (Step(DARK_RED), Step(ORANGE, Decimal(1)), Step(GREEN, queries.SOON.seconds))
NEVER: Final = Word("not burning", number(queries.NOT_BURNING.seconds), GREEN, and_above=True)
GONE: Final = Word("gone", "0", DARK_RED)
RISK: Final = (
    f"At risk: a burn alert fires, less than {percent(queries.LOW)} of the budget is left, or it lasts less than "
    f"{queries.SOON} at the rate of the last hour."
)
MEANING: Final = (
    f"{RISK} Exhausted: more is spent than the budget. Quiet: no events in the last hour. "
    "No data: the metric is gone, so nothing is measured."
)


def severity_steps(platform: Platform) -> dict[str, str]:
    """The platform's words for severities with their colours."""
    colors = {Severity.P1: DARK_RED, Severity.P2: ORANGE, Severity.P3: YELLOW}
    return {conventions.severity_word(platform, severity): color for severity, color in colors.items()}


def severity_styles(platform: Platform) -> tuple[Style, ...]:
    """Lines of thresholds are dashed and have the colour of their severity."""
    return tuple(
        Style(f"/^{word} (above|below) /", pattern=True, color=color, dashed=True)
        for word, color in severity_steps(platform).items()
    )


WHOM: Final = "whom"
"""One column for all split labels, most of which are empty in most rows."""


def slo_columns(ask: Ask, *before: str) -> dict[str, str]:
    """The label columns of a table of SLOs; the service is hidden, because the SLO's id begins with it."""
    names = {"slo": "SLO", "team": "Team", "severity": "Severity", "alertname": "Alert", "service": "Service"}
    rows = {label: names.get(label, label) for label in (*before, "slo")}
    return (
        rows
        | ({WHOM: "For"} if ask.labels[2:] else {})
        | {label: label for label in ask.labels[2:]}
        | {"service": "Service"}
    )


def with_whom(ask: Ask, expr: str) -> str:
    """Rows with the values of their split labels joined."""
    if not ask.labels[2:]:
        return expr
    labels = ", ".join(f'"{label}"' for label in ask.labels[2:])
    return f'label_join(\n{indent(expr)},\n  "{WHOM}", " ", {labels}\n)'


def hidden_columns(ask: Ask) -> tuple[Style, ...]:
    """Labels that links use and nobody has to see."""
    return tuple(Style(label, hidden=True) for label in ("Service", *ask.labels[2:]))


def slo_table(title: str, description: str, ask: Ask, *, width: int = 24, height: int = 11) -> Panel:
    """Every SLO with its state, what is left and how long it lasts; a click leads to its detail."""
    targets = [
        Target(with_whom(ask, ask.of_team(expr)), name)
        for name, expr in {
            "State": ask.state(),
            "Objective": ask.objective(),
            "Attained": ask.attained(),
            "Budget left": ask.left(),
            "Lasts": ask.exhaustion_or_never(),
            "Burn rate": ask.burn(),
        }.items()
    ]
    styles = (
        Style("State", words=STATES, steps=STATE_STEPS, background=True, width=90),
        Style("Objective", unit=PERCENT, decimals=3, width=100),
        Style("Attained", unit=PERCENT, decimals=3, width=100),
        Style("Budget left", unit=PERCENT, decimals=1, steps=LEFT_STEPS, background=True, width=110),
        Style("Lasts", unit=SECONDS, decimals=1, words=(NEVER, GONE), steps=SOON_STEPS, width=110),
        Style("Burn rate", unit=TIMES, decimals=2, width=100),
        detail_link(ask),
        *hidden_columns(ask),
    )
    return table(
        title,
        description,
        targets,
        slo_columns(ask),
        styles=styles,
        first="State",
        sort_by="Lasts",
        height=height,
        width=width,
    )


def detail_link(ask: Ask) -> Style:
    """A click on an SLO leads to its detail, with the row's own split values."""
    fields = {label: f"${{__data.fields.{label}}}" for label in ask.labels[2:]}
    return Style(
        "SLO", link=("Detail of this SLO", link_to(ask.platform, "detail", slo="${__data.fields.SLO}", **fields))
    )


def objective_label(platform: Platform, label: str) -> Variable:
    """A choice among the values of a label of `slo:objective:info`."""
    return Variable(label, label.capitalize(), label_values([conventions.OBJECTIVE], platform, label))


def cost(service: Service) -> str:
    """What a service costs an hour, over everything that its query is grouped by."""
    assert service.cost is not None
    return f"sum({literal(service.cost.text)})"


def requests_an_hour(platform: Platform, service: Service) -> str | None:
    """Events an hour of the SLO that counts most of a service's requests: the first that counts events."""
    counted = next((slo for slo in service.slos if not slo.counts_slices and not slo.by), None)
    counted = counted or next((slo for slo in service.slos if not slo.counts_slices), None)
    if counted is None:
        return None
    hours = counted.sampling.recent.seconds / 3600
    ask = Ask(platform, slos=(counted,))
    total = ask.total(str(counted.sampling.recent))
    return f"sum({total}) / {number(hours)}"


def cost_per_request(platform: Platform, service: Service) -> str | None:
    """What one request costs, from the last hour's requests; absent without requests."""
    requests = requests_an_hour(platform, service) if service.cost else None
    return f"{cost(service)} / ({requests} > 0)" if requests else None
