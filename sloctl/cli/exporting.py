"""`sloctl export`: specifications in the form of other tools."""

from __future__ import annotations

from pathlib import Path

import click

from sloctl.cli import options
from sloctl.cli.report import loaded, report


@click.group()
def export() -> None:
    """Write specifications in the form of another tool."""


@export.command()
@options.paths
@options.root
@options.strict
@options.form
def openslo(paths: tuple[str, ...], root: Path | None, form: str, *, strict: bool) -> None:
    """Show every SLO as a document of OpenSLO v1; what that cannot say is named."""
    from sloctl.diagnostics import Diagnostics
    from sloctl.dialects.export import open_slo

    catalogue, found = loaded(paths, root, form, only_errors=True), Diagnostics()
    text = open_slo(catalogue.slos, found)
    if not (strict and found.found):
        click.echo(text, nl=False)
    report(found, form)
    if strict and found.found:
        raise click.exceptions.Exit(1)
