"""`sloctl show`: the values in force of each SLO, and where each comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sloctl.cli import options
from sloctl.cli.report import escaped, failed
from sloctl.cli.report import show as show_findings

if TYPE_CHECKING:
    from sloctl.cli.values import Value
    from sloctl.model.catalogue import Catalogue, Platform, Slo


@click.command()
@click.argument("path", default="slo-specs", metavar="[PATH]", type=click.Path())
@click.argument("which", default="", metavar="[SERVICE[/SLO]]")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@options.root
@click.pass_context
def show(context: click.Context, path: str, which: str, form: str, root: Path | None) -> None:
    """Show every value in force of each SLO in PATH (default: slo-specs), or of some, and where it comes from.

    A value that nobody wrote is a default.
    """
    from sloctl.compiler import load
    from sloctl.diagnostics import Diagnostics

    found = Diagnostics()
    catalogue = load([path], found, root=root)
    if failed(found, strict=False):
        show_findings(found, "text")
        context.exit(1)
    chosen = _chosen(catalogue, which)
    if form == "json":
        _print_json(chosen)
    else:
        _print_tables(chosen)


def _chosen(catalogue: Catalogue, which: str) -> list[tuple[Platform, Slo]]:
    service, _, name = which.partition("/")
    slos = [(platform, slo) for platform in catalogue.platforms for slo in platform.slos]
    chosen = [(platform, slo) for platform, slo in slos if service in {"", slo.service} and name in {"", slo.name}]
    if not chosen:
        known = ", ".join(f"{slo.service}/{slo.name}" for _, slo in slos[:20])
        raise click.UsageError(f"there is no SLO {which!r}; there are {known}")
    return chosen


def _print_tables(chosen: list[tuple[Platform, Slo]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from sloctl.cli.values import values

    console = Console(highlight=False)
    for number, (platform, slo) in enumerate(chosen):
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("key", no_wrap=True)
        table.add_column("value", overflow="fold")
        table.add_column("from", no_wrap=True)
        for one in values(platform, slo):
            origin = Text(_origin(one), style="dim" if one.place is None else "")
            table.add_row(one.key, Text(escaped(one.text)), origin)
        if number:
            console.print()
        console.print(Text(f"{slo.service}/{slo.name}", style="bold"), f"(platform {slo.platform})")
        console.print(table)


def _origin(value: Value) -> str:
    return "default" if value.place is None else escaped(str(value.place))


def _print_json(chosen: list[tuple[Platform, Slo]]) -> None:
    import orjson

    from sloctl.cli.values import values

    shown = [
        {
            "platform": slo.platform,
            "service": slo.service,
            "slo": slo.id,
            "values": [_as_mapping(one) for one in values(platform, slo)],
        }
        for platform, slo in chosen
    ]
    click.echo(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())


def _as_mapping(value: Value) -> dict[str, Any]:
    place = value.place
    origin = None if place is None else {"path": place.path, "line": place.line, "column": place.column}
    return {"key": value.key, "value": value.text, "from": origin}
