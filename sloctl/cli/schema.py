"""`sloctl schema`: the JSON Schema that editors complete and check specifications with."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from sloctl.cli.files import is_written, write

DEFAULT: Final = "slo-specs/slo.schema.json"


@click.command()
@click.option(
    "-o", "--output", default=DEFAULT, show_default=True, metavar="FILE", help="File to write; - prints instead."
)
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 when the file differs.")
def schema(output: str, *, check: bool) -> None:
    """Write the JSON Schema of specifications, for completion and checks in an editor.

    Name it in the first line of a specification:
    "# yaml-language-server: $schema=slo.schema.json", relative to that file.
    """
    from sloctl.language.schema import schema_text

    content, file = schema_text(), Path(output)
    if output == "-":
        click.echo(content, nl=False)
    elif is_written(file, content):
        click.echo(f"{file} is up to date.")
    elif check:
        click.echo(f"{'changed' if file.exists() else 'missing'}: {file}")
        click.echo("Run `sloctl schema` and commit what it writes.", err=True)
        raise click.exceptions.Exit(1)
    else:
        write(file, content)
        click.echo(f"wrote {file}")
