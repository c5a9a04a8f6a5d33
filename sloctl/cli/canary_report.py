"""Verdicts and comparisons as people and programs read them."""

from __future__ import annotations

import html
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sloctl.cli.report import as_json, escaped

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from sloctl.canary.analysis.verdict import Finding, Tally, Verdict
    from sloctl.cli.canary_parity import ParityReport

_LEVELS: Final = {"promote": "notice", "rollback": "error", "continue": "warning"}
_COLOURS: Final = {"promote": "green", "rollback": "bold red", "continue": "yellow"}


def print_verdicts(verdicts: list[Verdict], form: str) -> None:
    """As text for people, as JSON, or as GitHub shows them at a job."""
    if form == "github":
        _print_for_github(verdicts)
        return
    if form == "json":
        from sloctl.canary.analysis import verdict as judged

        answer = [judged.as_json(verdict) for verdict in verdicts]
        click.echo(as_json(answer[0] if len(answer) == 1 else answer))
        return
    from rich.console import Console

    Console().print(table(verdicts))


def _print_for_github(verdicts: list[Verdict]) -> None:
    """Workflow commands, and a table in the summary where the runner names a file for it."""
    rows = ["| service | verdict | why |", "|---|---|---|"]
    for verdict in verdicts:
        word, title = verdict.decision.value, f"{verdict.service}: {verdict.decision.value}"
        click.echo(f"::{_LEVELS[word]} title={_data(title, ':,')}::{_data(verdict.sentence)}")
        for text in verdict.warnings:
            click.echo(f"::warning title={_data(verdict.service, ':,')}::{_data(text)}")
        rows.append(f"| {_cell(verdict.service)} | **{word}** ({verdict.reason.value}) | {_cell(verdict.sentence)} |")
        rows += [f"| | | {_cell(text)} |" for text in verdict.warnings]
    if file := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(file).open("a", encoding="utf-8") as summary:
            summary.write("\n".join(["### Canary", "", *rows, ""]))


def _data(text: str, more: str = "") -> str:
    """A value of a workflow command: what has a meaning in it as percent codes."""
    return "".join(f"%{ord(char):02X}" if char in f"%\r\n{more}" else char for char in text)


def _cell(text: str) -> str:
    """A cell of a table in Markdown."""
    return html.escape(" ".join(text.split()), quote=False).replace("|", "\\|")


def print_lines(verdicts: list[Verdict], *, err: bool) -> None:
    """A line for each, as a log of a job shows them."""
    from datetime import UTC, datetime

    for verdict in verdicts:
        now = datetime.now(UTC).strftime("%H:%M:%S")
        what = f"{verdict.decision.value} ({verdict.reason.value}) {verdict.service}: {verdict.sentence}"
        click.echo(f"{now} {escaped(what)}", err=err)


def table(verdicts: list[Verdict]) -> RenderableType:
    """The verdicts with the evidence of each check."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from sloctl.canary.analysis.verdict import ADVICE, Decision

    parts: list[RenderableType] = []
    for verdict in verdicts:
        word = verdict.decision.value
        head = Text(word, _COLOURS[word])
        head.append(
            f" ({verdict.reason.value})  {verdict.service}: {verdict.canary} against {verdict.stable}", "default"
        )
        parts += [head, Text(escaped(verdict.sentence))]
        if verdict.findings:
            table = Table("check", "canary", "baseline", "harm", "health", "finding", box=None, pad_edge=False)
            for finding in verdict.findings:
                table.add_row(*_row(finding))
            parts.append(table)
        parts += [Text(f"warning: {escaped(text)}", "yellow") for text in verdict.warnings]
        if verdict.decision is not Decision.PROMOTE:
            parts.append(Text(f"now: {ADVICE[verdict.reason]}"))
    return Group(*parts)


def _row(finding: Finding) -> list[Text | str]:
    from rich.text import Text

    where = "".join(f" {label}={value}" for label, value in (finding.series or {}).items())
    return [
        Text(escaped(f"{finding.check}{where}")),
        _tally(finding.canary),
        _tally(finding.baseline),
        _against(finding.e_rollback, finding.threshold),
        _against(finding.e_promote, finding.promote_threshold),
        Text(escaped(f"{finding.decision.value}: {finding.reason.value}")),
    ]


def _tally(tally: Tally | None) -> str:
    if tally is None or tally.rate is None:
        return "-"
    return f"{tally.x:.0f}/{tally.n:.0f} {100 * tally.rate:.3g}%"


def _against(evidence: float | None, threshold: float | None) -> str:
    """By which chance evidence comes about where there is nothing, and which is enough."""
    from sloctl.canary.analysis.wording import odds

    if evidence is None or threshold is None:
        return "-"
    return f"{odds(evidence)} ({odds(threshold)} is enough)"


def print_parity(found: ParityReport) -> None:
    """What a comparison found, with the worst differences."""
    if found.records == 0:
        click.echo("continue (no_data): neither file holds a record")
        return
    verdict = "rollback (mismatch)" if found.mismatches else "promote (healthy)"
    share = f"{100 * found.ratio:.3g}%"
    click.echo(f"{verdict}: {found.mismatches} of {found.records} records do not match ({share})")
    for worst in found.worst:
        by = "" if worst.by == float("inf") else f" ({100 * worst.by:.3g}%)"
        click.echo(escaped(f"  {worst.key} {worst.field or 'record'}: {worst.old} -> {worst.new}{by}"))
