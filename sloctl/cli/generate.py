"""`sloctl generate`: specifications to rules and dashboards."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sloctl.cli import options
from sloctl.cli.collector import paused
from sloctl.cli.report import report

if TYPE_CHECKING:
    from sloctl.artifacts import Target
    from sloctl.backends.backend import Backend
    from sloctl.compiler import Compilation


@click.command()
@options.paths
@click.option(
    "-o",
    "--output",
    default=".",
    metavar="DIR",
    help="Folder below which rules/ and dashboards/ are written; - prints them.  [default: .]",
)
@click.option("--only", metavar="BACKEND", multiple=True, help="Write only this backend's output; may be repeated.")
@click.option(
    "--emit",
    metavar="FORM",
    multiple=True,
    help="Write another form as well: kubernetes (operator objects) or mimir; may be repeated.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 and name the files that differ.")
@click.option("--prune", is_flag=True, help="Remove files that no specification produces any more.")
@options.root
@options.strict
@options.form
@paused()
def generate(
    paths: tuple[str, ...],
    output: str,
    only: tuple[str, ...],
    emit: tuple[str, ...],
    root: Path | None,
    form: str,
    *,
    check: bool,
    prune: bool,
    strict: bool,
) -> None:
    """Compile specifications (default: slo-specs) to Prometheus rules, dashboards and routes.

    PATH is a file, a folder, a pattern such as 'slo-specs/*/api.yaml', or - for standard input.
    Nothing is written unless everything is valid. With some of the specifications only, files that come from others
    as well are left alone.
    """
    from sloctl.artifacts import Target
    from sloctl.compiler import compile_specs

    backends = _chosen(only) + _forms(emit, only)
    base = Path("." if output == "-" else output)
    compilation = compile_specs(paths, backends, root=root, relative_to=base, today=date.today())
    report(compilation.found, form, strict=strict)
    target = Target(base, tuple(folder for backend in backends for folder in backend.folders), compilation.read)
    if output == "-":
        _print(compilation)
    elif check:
        raise click.exceptions.Exit(_check(compilation, target))
    else:
        _write(compilation, target, prune=prune)


def _chosen(only: tuple[str, ...]) -> list[Backend]:
    from sloctl.backends.table import BACKENDS

    for name in only:
        if name not in BACKENDS:
            raise click.BadParameter(f"{name!r} is no backend; there is {', '.join(BACKENDS)}", param_hint="--only")
    return [backend for name, backend in BACKENDS.items() if not only or name in only]


def _forms(emit: tuple[str, ...], only: tuple[str, ...]) -> list[Backend]:
    from sloctl.backends.table import FORMS

    for name in emit:
        if name not in FORMS:
            raise click.BadParameter(f"{name!r} is no form; there is {', '.join(FORMS)}", param_hint="--emit")
    return [form for name in FORMS if name in emit for form in FORMS[name] if not only or form.name in only]


def _print(compilation: Compilation) -> None:
    for number, file in enumerate(compilation.files):
        click.echo(f"{'---' + chr(10) if number else ''}# {file.path}")
        click.echo(file.content.decode(), nl=False)


def _check(compilation: Compilation, target: Target) -> int:
    from sloctl.artifacts import compare
    from sloctl.cli import drift

    comparison = compare(compilation.files, target)
    for line in drift.lines(comparison.drift, target.output):
        click.echo(line)
    _tell_left_alone(comparison.left_alone, target)
    if not comparison.drift:
        click.echo("Everything is up to date.")
        return 0
    click.echo("Run `sloctl generate` and commit what it writes.", err=True)
    return 1


def _write(compilation: Compilation, target: Target, *, prune: bool) -> None:
    from sloctl.artifacts import write

    result = write(compilation.files, target, prune=prune)
    for path in result.written:
        click.echo(f"wrote {target.output / path}")
    for path in result.removed:
        click.echo(f"removed {target.output / path}")
    why = "is not as sloctl wrote it: remove it yourself" if prune else "--prune removes it"
    for path in result.stray:
        click.echo(f"stray: {target.output / path} comes from no specification; {why}", err=True)
    _tell_left_alone(result.left_alone, target)
    if not result.written and not result.removed:
        click.echo(
            "1 file is up to date." if len(result.unchanged) == 1 else f"{len(result.unchanged)} files are up to date."
        )


def _tell_left_alone(paths: list[str], target: Target) -> None:
    """What a run on some of the specifications cannot know."""
    if paths:
        first, others = target.output / paths[0], f" and {len(paths) - 1} others" if len(paths) > 1 else ""
        message = f"left alone: {first}{others}, which come from specifications that this run did not read"
        click.echo(message.replace("come", "comes") if not others else message, err=True)
