"""The pipeline on a terminal: budgets and burn rates, alerts, what the sink received, and the canary's evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from examples.tracking_pipeline.status import LONG, SHORT, SloStatus
from testing.sink import Message

STYLES = {"firing": "bold red", "pending": "yellow"}
VERDICTS = {"promote": "bold green", "rollback": "bold red", "continue": "yellow"}
MESSAGES = 6


def times(value: float | None) -> str:
    """A burn rate: `14.4x`."""
    return "-" if value is None else f"{value:.1f}x" if value < 100 else f"{value:.0f}x"


def left(spent: float | None) -> str:
    """What is left of a budget; less than nothing once it is overspent."""
    return "-" if spent is None else f"{100 * (1 - spent):.0f} %"


def slo_table(found: Mapping[str, SloStatus]) -> Table:
    table = Table(
        "SLO", "objective", "events/s", "burn 25s", "burn 5m", "budget left", "alerts", box=None, pad_edge=False
    )
    for finding in found.values():
        states = [f"[{STYLES[state]}]{tier} {state}[/]" for tier, state in sorted(finding.alerts.items())]
        objective = "-" if finding.objective is None else f"{100 * finding.objective:g} %"
        row = (
            objective,
            f"{finding.per_second:.0f}",
            times(finding.burn(SHORT)),
            times(finding.burn(LONG)),
            left(finding.spent),
        )
        table.add_row(finding.slo, *row, ", ".join(states))
    return table


def canary_table(verdict: Mapping[str, Any]) -> Table:
    word = verdict["verdict"]
    title = f"canary: [{VERDICTS[word]}]{word}[/] ({verdict['reason']})"
    table = Table("check", "canary", "baseline", "evidence of harm", title=title, title_justify="left", box=None)
    for check in verdict["checks"]:
        table.add_row(check_name(check), tally(check["canary"]), tally(check["baseline"]), evidence(check))
    return table


def check_name(check: Mapping[str, Any]) -> str:
    series = check.get("series") or {}
    return " ".join([check["name"], *(f"{label}={value}" for label, value in series.items())])


def tally(arm: Mapping[str, Any] | None) -> str:
    if not arm or not arm.get("n"):
        return "-"
    return f"{arm['x']:.0f} of {arm['n']:.0f} failed ({100 * arm['x'] / arm['n']:.2g} %)"


def evidence(check: Mapping[str, Any]) -> str:
    harm, needed = check.get("e_rollback"), check.get("threshold")
    return "-" if harm is None or needed is None else f"{harm:.3g} of {needed:.3g}"


def message_lines(messages: Sequence[Message], began: float) -> Iterator[str]:
    """What PagerDuty and Slack were told, one line each."""
    for message in messages:
        if message.kind != "webhook":
            yield f"{message.at - began:6.1f} s  {said(message)}"


def said(message: Message) -> str:
    """One delivery: who, what, and where to look."""
    body = message.body
    if message.kind == "pagerduty":
        payload = body.get("payload", {})
        runbook = next((link["href"] for link in body.get("links", []) if link["text"] == "Runbook"), "")
        return f"PagerDuty {body['event_action']} {message.to}: {payload.get('summary', '')} {runbook}".rstrip()
    if message.kind == "slack":
        return f"Slack {message.to}: {body['attachments'][0]['title']}"
    return f"{message.kind} {message.to}: {message.text.splitlines()[0]}"


def screen(
    found: Mapping[str, SloStatus], messages: Sequence[Message], began: float, verdict: Mapping[str, Any] | None
) -> RenderableType:
    """Everything at one moment."""
    parts: list[RenderableType] = [slo_table(found)]
    if verdict is not None:
        parts += ["", canary_table(verdict)]
    told = Table("what the sink received", box=None, pad_edge=False)
    for line in list(message_lines(messages, began))[-MESSAGES:] or ["nothing yet"]:
        told.add_row(escape(line))
    return Group(*parts, "", told)


def plain(found: Mapping[str, SloStatus], told: int) -> str:
    """The most important in one line, where there is no terminal."""
    api = found.get("tracking-api-availability", SloStatus(""))
    states = [
        f"{finding.slo} {tier} {state}" for finding in found.values() for tier, state in sorted(finding.alerts.items())
    ]
    return (
        f"{api.per_second:.0f} requests/s, burn {times(api.burn(SHORT))} over 25s and {times(api.burn(LONG))} over 5m, "
        f"budget left {left(api.spent)}, {told} pages, alerts: {', '.join(states) or 'none'}"
    )
