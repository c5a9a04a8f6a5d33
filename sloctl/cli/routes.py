"""`sloctl routes`: ownership in the specifications becomes part of an Alertmanager configuration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sloctl.cli import options
from sloctl.cli.files import kept_folder
from sloctl.cli.report import escaped, loaded

if TYPE_CHECKING:
    from sloctl.backends.alertmanager.tree import RouteNode
    from sloctl.conventions.inventory import Alert
    from sloctl.model.catalogue import Catalogue

SECRETS: Final = "/etc/alertmanager/secrets"
MINIMAL: Final = """\
global:
  smtp_smarthost: localhost:25
  smtp_from: sloctl@localhost
route:
  receiver: default
receivers:
  - name: default
"""
"""What stands for the user's own configuration where none is given."""

_file = click.Path(dir_okay=False, exists=True, path_type=Path)


@click.group()
def routes() -> None:
    """Merge, test and compare Alertmanager routes."""


@routes.command()
@options.paths
@click.option("--base", required=True, type=_file, help="Your alertmanager.yml, perhaps with an older merge in it.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write; else printed.")
@click.option("--secrets", default=SECRETS, show_default=True, help="Folder of the credential files.")
@options.root
@options.strict
@options.form
def merge(
    paths: tuple[str, ...],
    base: Path,
    output: Path | None,
    secrets: str,
    root: Path | None,
    form: str,
    *,
    strict: bool,
) -> None:
    """Put the routes of the specifications (default: slo-specs) into an Alertmanager configuration.

    All of your own stays as it is, byte for byte. A second merge replaces what the first one put in.
    """
    catalogue = loaded(paths, root, form, strict=strict)
    text = _merged(catalogue, base, secrets)
    if output is None:
        click.echo(text, nl=False)
    elif output.exists() and _read(output) == text:
        click.echo(f"{output} is up to date.")
    else:
        _replace(output, text)
        click.echo(f"wrote {output}")


@routes.command()
@options.paths
@click.option("--base", type=_file, help="Test the routes merged into this file; else into a minimal one.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Keep the tested file in this folder.")
@options.root
@options.strict
@options.form
def test(
    paths: tuple[str, ...], base: Path | None, keep: Path | None, root: Path | None, form: str, *, strict: bool
) -> None:
    """Print where every alert goes, by sloctl's own matcher and by amtool where it is on PATH.

    Exits with 1 when an alert of a team reaches nobody, a route is never taken, or the two disagree.
    """
    from sloctl.backends.alertmanager.routes import route_tree, verify
    from sloctl.errors import SloctlError

    catalogue = loaded(paths, root, form, strict=strict)
    tree = route_tree(catalogue)
    lines = list(_lines(catalogue, tree))
    if not lines:
        raise SloctlError("no platform says where alerts go: write `teams` in a Platform")
    click.echo("\n".join(lines))
    verify(catalogue, tree)
    with kept_folder(keep, "sloctl-routes-") as folder:
        file = folder / "alertmanager.yml"
        file.write_text(_merged(catalogue, base, SECRETS), encoding="utf-8", newline="")
        judged = _amtool(catalogue, tree, file)
    click.echo(f"{len(lines)} alerts reach their receivers; {judged}.")


@routes.command()
@click.argument("old", type=_file)
@click.argument("new", type=_file)
def diff(old: Path, new: Path) -> None:
    """Name the routes whose open incidents would be orphaned between two files.

    OLD and NEW are generated routes.yaml files or merged configurations. Exits with 1 when there are such routes.
    """
    from sloctl.backends.alertmanager.base import read_routes
    from sloctl.backends.alertmanager.diff import changes
    from sloctl.errors import SloctlError

    found = list(changes(*(read_routes(_read(file), str(file)) for file in (old, new))))
    for change in found:
        click.echo(escaped(f"{change.receiver} {change.why}"))
    if found:
        raise SloctlError(f"incidents open on {len(found)} routes would stay open: resolve them first, or merge then")
    click.echo("Every open incident keeps its identity.")


def _merged(catalogue: Catalogue, base: Path | None, secrets: str) -> str:
    from sloctl.backends.alertmanager.backend import fragment
    from sloctl.backends.alertmanager.merge import merged
    from sloctl.rendering import to_yaml

    text, path = MINIMAL if base is None else _read(base), str(base or "alertmanager.yml")
    found = merged(text, path, fragment(catalogue, secrets), to_yaml)
    _look_around(text, path, catalogue)
    return found


def _look_around(text: str, path: str, catalogue: Catalogue) -> None:
    """Say what the rest of the file does to our alerts.

    Raises:
        SloctlError: a page would not arrive.
    """
    from sloctl.backends.alertmanager.foreign import concerns
    from sloctl.backends.alertmanager.merge import without
    from sloctl.errors import SloctlError

    found = concerns(without(text), path, catalogue)
    for concern in found:
        if not concern.is_error:
            click.echo(escaped_lines(f"warning: {concern.message}"), err=True)
    if errors := [concern.message for concern in found if concern.is_error]:
        raise SloctlError("\n".join(errors))


def escaped_lines(text: str) -> str:
    """As `escaped`, with its lines kept."""
    return "\n".join(map(escaped, text.split("\n")))


def _read(file: Path) -> str:
    """A file with its line ends as they are."""
    from sloctl.errors import OutsideError, SloctlError

    try:
        return file.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise SloctlError(f"{file}:1:1: the file is not UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise OutsideError(f"cannot read {file}: {error.strerror}") from None


def _replace(file: Path, text: str) -> None:
    """Write beside the file and rename, so that nobody ever sees a half; the file keeps its mode."""
    import os
    import shutil
    import tempfile

    from sloctl.errors import OutsideError

    target = file.resolve()
    try:
        with tempfile.NamedTemporaryFile("wb", dir=target.parent, prefix=".sloctl-", delete=False) as staged:
            staged.write(text.encode())
            staged.flush()
            os.fsync(staged.fileno())
        if target.exists():
            shutil.copymode(target, staged.name)
        else:
            Path(staged.name).chmod(0o644)
        Path(staged.name).replace(target)
    except OSError as error:
        raise OutsideError(f"cannot write {file}: {error.strerror}; it is as it was") from None


def _lines(catalogue: Catalogue, tree: RouteNode) -> Iterator[str]:
    from sloctl.backends.alertmanager.routes import routed
    from sloctl.backends.alertmanager.tree import matched
    from sloctl.conventions.inventory import platform_alerts

    for platform in routed(catalogue):
        for alert in platform_alerts(platform):
            labels = {**alert.labels, "alertname": alert.name}
            receivers = ", ".join(route.receiver or "your default receiver" for route in matched(tree, labels))
            severity = alert.labels.get("severity", "-")
            yield escaped(f"{platform.name}  {alert.name}  {severity} -> {receivers}")


def _amtool(catalogue: Catalogue, tree: RouteNode, file: Path) -> str:
    """Let Alertmanager's own tool check the file and route one alert of each sort; what it found, in words."""
    import shutil

    from sloctl.backends.alertmanager.base import default_receiver
    from sloctl.backends.alertmanager.routes import distinct
    from sloctl.errors import SloctlError

    program = shutil.which("amtool")
    if program is None:
        return "amtool is not on PATH, so only sloctl's own matcher judged"
    code, said = _run(program, "check-config", str(file))
    if code:
        raise SloctlError(f"amtool refuses {file}:\n{said}")
    sorts, default = distinct(catalogue), default_receiver(_read(file), str(file))
    wrong = [found for alert in sorts if (found := _disagreement(program, file, tree, default, alert))]
    if wrong:
        raise SloctlError("amtool routes otherwise than sloctl:\n" + "\n".join(wrong))
    return f"amtool accepts the file and agrees on all {len(sorts)} sorts of alerts"


def _disagreement(program: str, file: Path, tree: RouteNode, default: str, alert: Alert) -> str | None:
    from sloctl.backends.alertmanager.tree import matched

    ours = ",".join(route.receiver or default for route in matched(tree, alert.labels))
    labels = [f"{name}={value}" for name, value in alert.labels.items()]
    code, said = _run(program, "config", "routes", "test", f"--config.file={file}", *labels)
    theirs = said.splitlines()[-1] if said else ""
    return None if code == 0 and theirs == ours else f"{alert.name}: {theirs}, not {ours}"


def _run(program: str, *words: str) -> tuple[int, str]:
    import subprocess

    from sloctl.errors import OutsideError

    try:
        ran = subprocess.run(
            [program, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OutsideError(f"{program} does not answer: {error}") from error
    return ran.returncode, ran.stdout.strip()
