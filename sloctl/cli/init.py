"""`sloctl init`: a first Platform and a first Service, to be changed."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

import click

from sloctl.cli.files import write
from sloctl.errors import SloctlError

FILES: Final = ("platform.yaml", "my-service.yaml")
"""What stands in the folder `first` beside this module."""


@click.command()
@click.argument("folder", default="slo-specs", metavar="[DIR]")
def init(folder: str) -> None:
    """Write a first Platform and a first Service into DIR (default: slo-specs), with comments.

    Nothing is overwritten: DIR may not hold specifications yet.
    """
    from sloctl.language.schema import schema_text

    target = Path(folder)
    _refuse_to_overwrite(target)
    first = {name: resources.files(__package__).joinpath("first", name).read_text(encoding="utf-8") for name in FILES}
    for name, content in {**first, "slo.schema.json": schema_text()}.items():
        write(target / name, content)
        click.echo(f"wrote {target / name}")
    click.echo(f"Change them, then run `sloctl validate {folder}` and `sloctl generate {folder}`.")


def _refuse_to_overwrite(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise SloctlError(f"{target} is a file: name a folder")
    present = sorted(path for suffix in ("yaml", "yml") for path in target.rglob(f"*.{suffix}"))
    if present:
        raise SloctlError(f"{present[0]} is there already: name another folder, or add to the specifications there")
