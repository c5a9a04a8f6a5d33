"""`sloctl discover`: first specifications for what a running Prometheus holds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sloctl.cli import options
from sloctl.cli.files import write_new
from sloctl.cli.report import as_json, counted, plain_console

if TYPE_CHECKING:
    from sloctl.discovery.proposals import Discovery, Proposal
    from sloctl.model.quantities import Duration
    from sloctl.prometheus import PrometheusClient


@click.command()
@options.prometheus
@click.option(
    "-o", "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to write to (default: show it)."
)
@click.option(
    "--since", type=options.length, default="30d", show_default=True, help="How far back objectives are looked for."
)
@click.option("--only", metavar="REGEX", default="", help="Only services whose name this is found in.")
@click.option("--min-rate", default="1/min", show_default=True, help="Quieter services are left out, as comments.")
@options.text_or_json
def discover(client: PrometheusClient, out: Path | None, since: Duration, only: str, min_rate: str, form: str) -> None:
    """Propose specifications for the services that a Prometheus has metrics of.

    Well-known sources are recognised by the templates that `sloctl templates` lists. Each objective is one that history
    has kept with a fifth of its budget left, each bound one that the buckets have. Nothing is overwritten.
    """
    from sloctl.discovery.proposals import discover as discovered
    from sloctl.language.quantities import rate

    wanted = _pattern(only)
    least = rate(min_rate)
    with client:
        seen = discovered(client, since, least)
    proposals = [proposal for proposal in seen.proposals if wanted.search(proposal.service)]
    if form == "json":
        click.echo(as_json([_value(proposal) for proposal in proposals]))
        return
    _write(proposals, out, f"{client.url} and its last {seen.over}")
    _show(proposals, seen, since)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise click.BadParameter(f"{text!r} is no regular expression: {error}", param_hint="--only") from error


def _write(proposals: list[Proposal], out: Path | None, origin: str) -> None:
    whole = [proposal for proposal in proposals if proposal.uses]
    if out is None:
        click.echo("---\n".join(proposal.text(origin) for proposal in whole), nl=False)
        return
    files = {out / f"{proposal.service}.yaml": proposal.text(origin) for proposal in whole}
    write_new(files, "name another folder, or narrow it down with --only")


def _show(proposals: list[Proposal], seen: Discovery, asked: Duration) -> None:
    from rich.table import Table

    table = Table(title="What was found", title_justify="left")
    for head in ("service", "template", "SLOs"):
        table.add_column(head)
    for proposal in proposals:
        for _, use in proposal.uses:
            table.add_row(proposal.service, use["template"], ", ".join(proposal.slos))
        for reason, _ in proposal.others:
            table.add_row(proposal.service, f"left out: {reason}", "")
    console = plain_console()
    console.stderr = True
    console.print(table)
    if seen.over != asked:
        click.echo(f"The targets reach back {seen.over}, not {asked}: objectives are from that time.", err=True)
    for metric, label in seen.unknown:
        click.echo(f"Not recognised: {metric} tells errors by `{label}`, perhaps; `ratio` counts it.", err=True)
    services = counted(sum(bool(proposal.uses) for proposal in proposals), "service")
    click.echo(f"{services}, {counted(sum(len(proposal.slos) for proposal in proposals), 'SLO')}.", err=True)


def _value(proposal: Proposal) -> dict[str, Any]:
    return {
        "service": proposal.service,
        "uses": [{**_plain(use), "seen": comments} for comments, use in proposal.uses],
        "left_out": [{**_plain(use), "why": reason} for reason, use in proposal.others],
        "disabled": proposal.disabled,
    }


def _plain(use: dict[str, Any]) -> dict[str, Any]:
    return {**use, "with": {key: str(value) for key, value in use["with"].items()}}
