"""`sloctl generate`: specifications to rules and dashboards."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sloctl.cli import options
from sloctl.cli.collector import paused
from sloctl.cli.report import failed, show

if TYPE_CHECKING:
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
@click.pass_context
@paused()
def generate(
    context: click.Context,
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
    Nothing is written unless everything is valid.
    """
    from sloctl.compiler import compile_specs

    backends = _chosen(only) + _forms(emit, only)
    base = Path("." if output == "-" else output)
    compilation = compile_specs(paths, backends, root=root, relative_to=base, today=date.today())
    show(compilation.found, form)
    if failed(compilation.found, strict=strict):
        context.exit(1)
    owned = [folder for backend in backends for folder in backend.folders]
    if output == "-":
        _print(compilation)
    elif check:
        context.exit(_check(compilation, Path(output), owned))
    else:
        _write(compilation, Path(output), owned, prune=prune)


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


def _check(compilation: Compilation, output: Path, owned: Iterable[str]) -> int:
    from sloctl.artifacts import compare

    drift = compare(compilation.files, output, owned)
    for one in drift:
        click.echo(f"{one.change.value}: {output / one.path}")
    if not drift:
        click.echo("Everything is up to date.")
        return 0
    click.echo("Run `sloctl generate` and commit what it writes.", err=True)
    return 1


def _write(compilation: Compilation, output: Path, owned: Iterable[str], *, prune: bool) -> None:
    from sloctl.artifacts import write

    result = write(compilation.files, output, owned, prune=prune)
    for path in result.written:
        click.echo(f"wrote {output / path}")
    for path in result.removed:
        click.echo(f"removed {output / path}")
    for path in result.stray:
        click.echo(f"stray: {output / path} comes from no specification; --prune removes it", err=True)
    if not result.written and not result.removed:
        click.echo(f"{len(result.unchanged)} files are up to date.")
