"""`sloctl generate`: specifications to rules and dashboards."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sloctl.cli import options
from sloctl.cli.collector import paused
from sloctl.cli.report import escaped, report

if TYPE_CHECKING:
    from sloctl.artifacts import Drift, OutputTarget
    from sloctl.backends.backend import Backend
    from sloctl.compiler import Compilation

_LINES_A_FILE: Final = 60
_FILES: Final = 20
_COMPARED: Final = 20_000  # lines; comparing longer files takes minutes


@click.command()
@options.paths
@click.option(
    "-o",
    "--output",
    default=".",
    metavar="DIR",
    help="Folder below which rules/ and dashboards/ are written; - prints them.  [default: .]",
)
@click.option(
    "--only", metavar="NAME", multiple=True, help="Write only this backend's or form's output; may be repeated."
)
@click.option(
    "--emit",
    metavar="FORM",
    multiple=True,
    help="Write another form as well: kubernetes (operator objects), grafana-operator or mimir; may be repeated.",
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
    from sloctl.artifacts import OutputTarget
    from sloctl.compiler import compile_specs

    backends = _chosen(only) + _forms(emit, only)
    base = Path("." if output == "-" else output)
    compilation = compile_specs(paths, backends, root=root, relative_to=base, today=date.today())
    report(compilation.found, form, strict=strict)
    target = OutputTarget(base, tuple(folder for backend in backends for folder in backend.folders), compilation.read)
    if output == "-":
        _print(compilation)
    elif check:
        raise click.exceptions.Exit(_check(compilation, target))
    else:
        _write(compilation, target, prune=prune)


def _chosen(only: tuple[str, ...]) -> list[Backend]:
    from sloctl.backends.table import BACKENDS, FORMS

    _check_known(only, (*BACKENDS, *FORMS), "--only", "backend or form")
    return [backend for name, backend in BACKENDS.items() if not only or name in only]


def _forms(emit: tuple[str, ...], only: tuple[str, ...]) -> list[Backend]:
    from sloctl.backends.table import FORMS

    _check_known(emit, FORMS, "--emit", "form")
    return [
        form
        for name in FORMS
        for form in FORMS[name]
        if name in only or (name in emit and (not only or form.name in only))
    ]


def _check_known(names: tuple[str, ...], known: Collection[str], option: str, what: str) -> None:
    for name in names:
        if name not in known:
            raise click.BadParameter(f"{name!r} is no {what}; there is {', '.join(known)}", param_hint=option)


def _print(compilation: Compilation) -> None:
    for number, file in enumerate(compilation.files):
        click.echo(f"{'---' + chr(10) if number else ''}# {file.path}")
        click.echo(file.content.decode(), nl=False)


def _check(compilation: Compilation, target: OutputTarget) -> int:
    from sloctl.artifacts import compare

    comparison = compare(compilation.files, target)
    for line in _drift(comparison.drift, target.output):
        click.echo(line)
    _tell_left_alone(comparison.left_alone, target)
    if not comparison.drift:
        click.echo("Everything is up to date.")
        return 0
    click.echo("Run `sloctl generate` and commit what it writes.", err=True)
    return 1


def _drift(drift: list[Drift], output: Path) -> Iterator[str]:
    """Each file that differs, with a unified diff of the first ones that changed: a CI log stays readable."""
    from sloctl.artifacts import Change

    shown = 0
    for file in drift:
        yield f"{file.change.value}: {output / file.path}"
        if file.change is Change.CHANGED and shown < _FILES:
            shown += 1
            yield from _bounded_diff(file)
    changed = sum(file.change is Change.CHANGED for file in drift)
    if changed > shown:
        yield f"({changed - shown} more changed files are not shown line by line)"


def _bounded_diff(file: Drift) -> Iterator[str]:
    import difflib

    before, after = (text.decode(errors="backslashreplace").split("\n") for text in (file.before, file.after))
    if len(before) + len(after) > _COMPARED:
        yield "  (too long to be compared line by line)"
        return
    diff = difflib.unified_diff(before, after, f"{file.path} (there)", f"{file.path} (specified)", lineterm="")
    yield from (escaped(line) for line in islice(diff, _LINES_A_FILE))
    if next(diff, None) is not None:
        yield f"  (more than {_LINES_A_FILE} lines differ)"


def _write(compilation: Compilation, target: OutputTarget, *, prune: bool) -> None:
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


def _tell_left_alone(paths: list[str], target: OutputTarget) -> None:
    """What a run on some of the specifications cannot know."""
    if paths:
        first, others = target.output / paths[0], f" and {len(paths) - 1} others" if len(paths) > 1 else ""
        message = f"left alone: {first}{others}, which come from specifications that this run did not read"
        click.echo(message.replace("come", "comes") if not others else message, err=True)
