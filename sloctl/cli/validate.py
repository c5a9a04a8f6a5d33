"""`sloctl validate`: what is wrong with specifications, all of it at once."""

from __future__ import annotations

from pathlib import Path

import click

from sloctl.cli import options
from sloctl.cli.collector import paused
from sloctl.cli.report import failed, show


@click.command()
@options.paths
@options.root
@options.strict
@options.form
@click.pass_context
@paused()
def validate(context: click.Context, paths: tuple[str, ...], root: Path | None, form: str, *, strict: bool) -> None:
    """Check specifications (default: slo-specs) and write nothing.

    PATH is a file, a folder, a pattern such as 'slo-specs/*/api.yaml', or - for standard input.
    """
    from sloctl.backends.table import BACKENDS
    from sloctl.compiler import compile_specs

    compilation = compile_specs(paths, BACKENDS.values(), root=root)
    show(compilation.found, form)
    if failed(compilation.found, strict=strict):
        context.exit(1)
    if form == "text":
        slos = list(compilation.catalogue.slos)
        services = {(slo.platform, slo.service) for slo in slos}
        click.echo(f"{len(slos)} SLOs of {len(services)} services are valid.")
