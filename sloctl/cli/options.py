"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

from sloctl.cli.report import FORMS

paths = click.argument("paths", nargs=-1, metavar="[PATH]...")
root = click.option(
    "--root",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Folder above which no Platform is looked for (default: the repository).",
)
strict = click.option("--strict", is_flag=True, help="Treat warnings as errors.")
form = click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMS)),
    default="text",
    show_default=True,
    help="How findings are shown.",
)
