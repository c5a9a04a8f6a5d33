"""`sloctl diff`: what changes for the person on call, as Markdown for a pull request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sloctl.cli import options
from sloctl.cli.report import as_json, loaded
from sloctl.errors import OutsideError

if TYPE_CHECKING:
    from sloctl.model.catalogue import Catalogue


@click.command()
@click.argument("old")
@click.argument("new")
@click.option("--specs", default="slo-specs", show_default=True, help="The folder of specifications in a git revision.")
@options.text_or_json
def diff(old: str, new: str, specs: str, form: str) -> None:
    """Compare two folders of specifications, or two git revisions, in the words of the person on call.

    OLD and NEW are a folder or a file, or else a revision such as main or HEAD~1. Every key in force is compared.
    """
    from sloctl.explain.diff import compared, markdown

    differences = compared(_loaded(old, specs), _loaded(new, specs))
    if form == "json":
        click.echo(as_json(differences))
    else:
        click.echo(markdown(differences) or "Nothing changes for the person on call.")


def _loaded(what: str, specs: str) -> Catalogue:
    return loaded([what], only_errors=True) if Path(what).exists() else of_revision(what, specs)


def of_revision(what: str, specs: str) -> Catalogue:
    """The specifications of a git revision in the folder `specs`."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="sloctl-diff-") as folder:
        _extract(what, specs, Path(folder))
        return loaded([str(Path(folder, specs))], Path(folder), only_errors=True)


def _extract(revision: str, specs: str, folder: Path) -> None:
    """The specifications of a git revision."""
    import io
    import subprocess
    import zipfile

    if revision.startswith("-"):
        raise click.BadParameter(f"{revision!r} is neither a folder nor a git revision")
    try:
        archive = subprocess.run(
            ["git", "archive", "--format=zip", revision, "--", specs], capture_output=True, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OutsideError(f"git does not answer: {error}") from error
    if archive.returncode:
        said = archive.stderr.decode(errors="replace").strip().splitlines()
        raise click.BadParameter(f"{revision!r} is neither a folder nor a git revision with {specs}: {said[-1:]}")
    with zipfile.ZipFile(io.BytesIO(archive.stdout)) as content:
        content.extractall(folder)
