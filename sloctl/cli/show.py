"""`sloctl show`: the values in force of each SLO, its service and its platform, and where each comes from."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sloctl.cli import options
from sloctl.cli.report import as_json, escaped, loaded, no_such_slo

if TYPE_CHECKING:
    from sloctl.explain.entries import KeyEntry
    from sloctl.model.catalogue import Catalogue, Platform, Service, Slo


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one SLO, or of a service or a platform that has it."""

    platform: Platform
    service: Service | None = None
    slo: Slo | None = None

    @property
    def title(self) -> str:
        """Its first line."""
        if self.service is None:
            return f"platform {self.platform.name}"
        name = f"service {self.service.name}" if self.slo is None else f"{self.service.name}/{self.slo.name}"
        return f"{name} (platform {self.platform.name})"

    def rows(self) -> Iterator[KeyEntry]:
        """What is in force, with the platform and the service of an SLO."""
        from sloctl.explain.entries import KeyEntry, entries, rows

        if self.slo is not None and self.service is not None:
            written = None if self.platform.place == self.service.place else self.platform.place
            yield KeyEntry("platform", "", self.platform.name, written)
            yield KeyEntry("service", "", self.service.name, self.service.place)
        yield from rows(entries(self.slo or self.service or self.platform))


@click.command()
@click.argument("path", default="slo-specs", metavar="[PATH]", type=click.Path())
@click.argument("which", default="", metavar="[SERVICE[/SLO]]")
@options.text_or_json
@options.root
def show(path: str, which: str, form: str, root: Path | None) -> None:
    """Show every value in force in PATH (default: slo-specs), or for some SLOs, and where it comes from.

    Each SLO has a table; what its service (its canary, its cost) and its platform (teams, texts, dashboards) say for
    all of theirs follows in one table each. A value that nobody wrote is a default.
    """
    catalogue = loaded([path], root, only_errors=True)
    tables = list(_tables(catalogue, which))
    if not tables:
        raise no_such_slo(which, islice(catalogue.slos, 20))
    if form == "json":
        _print_json(tables)
    else:
        _print_tables(tables)


def _tables(catalogue: Catalogue, which: str) -> Iterator[Table]:
    """SLOs, then their service, and after its services the platform."""
    from sloctl.explain.detection import chosen

    wanted = set(chosen(catalogue, which))
    for platform in catalogue.platforms:
        services = [
            (service, slos) for service in platform.services if (slos := [slo for slo in service.slos if slo in wanted])
        ]
        for service, slos in services:
            yield from (Table(platform, service, slo) for slo in slos)
            yield Table(platform, service)
        if services:
            yield Table(platform)


def _print_tables(tables: list[Table]) -> None:
    from rich import table as rich_table
    from rich.console import Console
    from rich.text import Text

    # where nobody says how wide lines may be, nothing is folded: programs and `grep` read it
    terminal = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(highlight=False, width=None if terminal else 1000)
    for number, table in enumerate(tables):
        shown = rich_table.Table(box=None, pad_edge=False, header_style="bold")
        shown.add_column("key", overflow="fold", no_wrap=not terminal)
        shown.add_column("value", overflow="fold", min_width=24)
        shown.add_column("from", no_wrap=True)
        for row in table.rows():
            origin = "default" if row.place is None else escaped(str(row.place))
            shown.add_row(row.key, Text(escaped(row.text)), Text(origin, style="dim" if row.place is None else ""))
        if number:
            console.print()
        console.print(Text(table.title, style="bold"))
        console.print(shown)


def _print_json(tables: list[Table]) -> None:
    shown = [
        {
            "platform": table.platform.name,
            "service": table.service and table.service.name,
            "slo": table.slo and table.slo.id,
            "values": [_as_mapping(row) for row in table.rows()],
        }
        for table in tables
    ]
    click.echo(as_json(shown))


def _as_mapping(row: KeyEntry) -> dict[str, Any]:
    place = row.place
    origin = None if place is None else {"path": place.path, "line": place.line, "column": place.column}
    return {"key": row.key, "value": row.text, "from": origin}
