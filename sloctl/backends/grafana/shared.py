"""Panels and words that several dashboards share."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from sloctl import conventions
from sloctl.backends.grafana import panels as p
from sloctl.backends.grafana import queries
from sloctl.backends.grafana.dashboard import Variable, label_values, link_to
from sloctl.backends.grafana.queries import Ask
from sloctl.backends.grafana.texts import literal
from sloctl.conventions.states import LOW, MEASURED, SOON, State
from sloctl.model.alerting import Severity
from sloctl.model.catalogue import Platform, Service
from sloctl.model.quantities import number, percent
from sloctl.promql.build import indent

STATES: Final = tuple(
    p.Word(state.word, str(state.value), color)
    for state, color in {
        State.FINE: p.GREEN,
        State.QUIET: p.GREY,
        State.YOUNG: p.BLUE,
        State.AT_RISK: p.ORANGE,
        State.EXHAUSTED: p.DARK_RED,
        State.NO_DATA: p.PURPLE,
    }.items()
)
STATE_STEPS: Final = tuple(
    p.ColorStep(word.color or p.GREEN, None if index == 0 else Decimal(index)) for index, word in enumerate(STATES)
)
LEFT_STEPS: Final = p.more_is_better(orange=0, green=LOW)
SOON_STEPS: Final = p.more_is_better(orange=1, green=SOON.seconds)
NEVER: Final = p.Word("not burning", number(queries.NOT_BURNING.seconds), p.GREEN, and_above=True)
GONE: Final = p.Word("gone", "0", p.DARK_RED)
RISK: Final = (
    f"At risk: a burn alert fires, less than {percent(LOW)} of the budget is left, or it lasts less than "
    f"{SOON} at the rate of the last hour."
)
MEASURED_FOR: Final = "Since the first tile; what of the window was before counts as clean."
MEANING: Final = (
    f"{RISK} Exhausted: more is spent than the budget. Quiet: no events in the last hour. "
    f"Young: less than {percent(MEASURED)} of the window is measured, too little to judge. "
    "No data: the metric is gone, so nothing is measured."
)


def severity_steps(platform: Platform) -> dict[str, str]:
    """The platform's words for severities with their colours."""
    colors = {Severity.P1: p.DARK_RED, Severity.P2: p.ORANGE, Severity.P3: p.YELLOW}
    return {conventions.severity_word(platform, severity): color for severity, color in colors.items()}


def severity_words(platform: Platform) -> tuple[p.Word, ...]:
    """The platform's words for severities in their colours, for a column that holds them."""
    return tuple(p.Word(word, word, color) for word, color in severity_steps(platform).items())


def severity_styles(platform: Platform) -> tuple[p.Style, ...]:
    """Lines of thresholds are dashed and have the colour of their severity."""
    return tuple(
        p.Style(f"/^{word} (above|below) /", pattern=True, color=color, dashed=True)
        for word, color in severity_steps(platform).items()
    )


WHOM: Final = "whom"
"""One column for all split labels, most of which are empty in most rows."""


def slo_columns(ask: Ask, *before: str) -> dict[str, str]:
    """The label columns of a table of SLOs; the service is hidden, because the SLO's id begins with it."""
    names = {"slo": "SLO", "team": "Team", "severity": "Severity", "alertname": "Alert"}
    whom = {WHOM: "For"} | {label: label for label in ask.split_labels} if ask.split_labels else {}
    return {label: names[label] for label in (*before, "slo")} | whom | {"service": "Service"}


def with_whom(ask: Ask, expr: str) -> str:
    """Rows with the values of their split labels joined."""
    if not ask.split_labels:
        return expr
    labels = ", ".join(f'"{label}"' for label in ask.split_labels)
    return f'label_join(\n{indent(expr)},\n  "{WHOM}", " ", {labels}\n)'


def hidden_columns(ask: Ask) -> tuple[p.Style, ...]:
    """Labels that links use and nobody has to see."""
    return tuple(p.Style(label, hidden=True) for label in ("Service", *ask.split_labels))


def slo_table(title: str, description: str, ask: Ask) -> p.Panel:
    """Every SLO with its state, what is left and how long it lasts; a click leads to its detail."""
    columns = (
        (ask.state(), p.Style("State", words=STATES, steps=STATE_STEPS, background=True, width=90)),
        (ask.objective(), p.Style("Objective", unit=p.PERCENT, decimals=3, width=100)),
        (ask.attained(), p.Style("Attained", unit=p.PERCENT, decimals=3, width=100)),
        (ask.left(), p.Style("Budget left", unit=p.PERCENT, decimals=1, steps=LEFT_STEPS, background=True, width=110)),
        (
            ask.exhaustion_or_never(),
            p.Style("Lasts", unit=p.SECONDS, decimals=1, words=(NEVER, GONE), steps=SOON_STEPS, width=110),
        ),
        (ask.burn(), p.Style("Burn rate", unit=p.TIMES, decimals=2, width=100)),
        (ask.measured(), p.Style("Measured for", unit=p.SECONDS, decimals=1, width=110)),
    )
    return p.table(
        title,
        description,
        [p.Target(with_whom(ask, ask.of_team(expr)), style.name) for expr, style in columns],
        slo_columns(ask),
        styles=(*(style for _, style in columns), detail_link(ask), *hidden_columns(ask)),
        first="State",
        sort_by="Lasts",
        height=11,
    )


def detail_link(ask: Ask) -> p.Style:
    """A click on an SLO leads to its detail, with the row's own split values."""
    fields = {label: f"${{__data.fields.{label}}}" for label in ask.split_labels}
    return p.Style(
        "SLO", link=("Detail of this SLO", link_to(ask.platform, "detail", slo="${__data.fields.SLO}", **fields))
    )


def objective_label(platform: Platform, label: str) -> Variable:
    """A choice among the values of a label of `slo:objective:info`."""
    return Variable(label, label.capitalize(), label_values([conventions.OBJECTIVE], platform, label))


def cost(service: Service) -> str:
    """What a service costs per hour, over everything that its query is grouped by."""
    assert service.cost is not None
    return f"sum({literal(service.cost.text)})"


def requests_an_hour(platform: Platform, service: Service) -> str | None:
    """Events per hour of the SLO that counts a service's requests: the first that counts events, best without `by`."""
    counting = sorted((slo for slo in service.slos if not slo.counts_slices), key=lambda slo: bool(slo.by))
    if not counting:
        return None
    recent = counting[0].sampling.recent
    total = Ask(platform, slos=(counting[0],)).total(str(recent))
    return f"sum({total}) / {number(recent.seconds / 3600)}"


def cost_per_request(platform: Platform, service: Service) -> str | None:
    """What one request costs, from the last hour's requests; absent without requests."""
    requests = requests_an_hour(platform, service) if service.cost else None
    return f"{cost(service)} / ({requests} > 0)" if requests else None
