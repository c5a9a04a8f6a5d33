"""`sloctl import`: specifications of other tools as ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sloctl.cli import options
from sloctl.cli.files import write, write_new
from sloctl.cli.report import FORMS, counted, report
from sloctl.errors import SloctlError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sloctl.diagnostics import Diagnostics
    from sloctl.dialects.convert import Imported

_DIALECTS: Final = ("auto", "sloth", "pyrra", "openslo", "nobl9", "grafana")
_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})


@click.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path())
@click.option(
    "-o", "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to write to (default: show it)."
)
@click.option("--from", "dialect", type=click.Choice(_DIALECTS), default="auto", show_default=True, help="The tool.")
@click.option("--notes", type=click.Path(dir_okay=False, path_type=Path), help="Write the notes to a file as well.")
@click.option("--strict", is_flag=True, help="Write nothing where anything changes its meaning.")
@options.form
def import_(
    paths: tuple[str, ...], out: Path | None, dialect: str, notes: Path | None, form: str, *, strict: bool
) -> None:
    """Turn files of Sloth, Pyrra, OpenSLO, Nobl9 or Grafana SLO into specifications.

    PATH is a file, a folder or - for standard input. Mistakes of the source and whatever changes its meaning are named,
    and stand as comments above each SLO. Nothing is overwritten.
    """
    from sloctl.diagnostics import Diagnostics
    from sloctl.dialects.convert import convert

    found = Diagnostics()
    texts = _read(paths, found)
    services = convert(texts, found, dialect=None if dialect == "auto" else dialect)
    if notes is not None:
        write(notes, "".join(f"{line}\n" for line in FORMS["text"](found)))
    if strict and found.found:
        report(found, form, code=0)
        raise SloctlError(f"--strict: {counted(len(list(found)), 'note')}, so that nothing is written")
    if not services and not found.errors:
        raise SloctlError(f"there is no SLO of {', '.join(_DIALECTS[1:])} in {', '.join(paths)}")
    _write(services, out)
    report(found, form)


def _read(paths: Iterable[str], found: Diagnostics) -> dict[str, bytes]:
    """The texts of all files."""
    from sloctl.language.files import read_file

    texts = dict[str, bytes]()
    for path in paths:
        folder = Path(path)
        inside = sorted(file for file in folder.rglob("*") if file.suffix in _SUFFIXES and file.is_file())
        for file in inside if folder.is_dir() else [path]:
            if (text := read_file(str(file), found)) is not None:
                texts[str(file)] = text
    return texts


def _write(services: list[Imported], out: Path | None) -> None:
    if out is None:
        click.echo("---\n".join(service.text for service in services), nl=False)
        return
    files = {out / f"{service.service}.yaml": service.text for service in services}
    write_new(files, "name another folder, or add to the specifications there")
    for file in files:
        click.echo(f"wrote {file}")
