"""`sloctl validate`: what is wrong with specifications, all of it at once."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sloctl.cli import options
from sloctl.cli.collector import paused
from sloctl.cli.report import counted, report

if TYPE_CHECKING:
    from sloctl.prometheus import PrometheusClient


@click.command()
@options.paths
@options.root
@options.strict
@options.form
@options.perhaps_prometheus
@paused()
def validate(
    paths: tuple[str, ...],
    root: Path | None,
    form: str,
    client: PrometheusClient | None,
    *,
    strict: bool,
) -> None:
    """Check specifications (default: slo-specs) and write nothing.

    PATH is a file, a folder, a pattern such as 'slo-specs/*/api.yaml', or - for standard input. With --prometheus
    the series that they read are looked at as well, and how long the server keeps them.
    """
    from sloctl.backends.table import BACKENDS
    from sloctl.compiler import compile_specs

    compilation = compile_specs(paths, BACKENDS.values(), root=root, today=date.today())
    if client is not None and not compilation.found.errors:
        from sloctl.cli.trial import show, tried_of
        from sloctl.live.data import check_data
        from sloctl.live.memory import check_memory

        with client:
            check_memory(compilation.catalogue, client, compilation.found)
            check_data(compilation.catalogue, client, compilation.found)
            trials = list(tried_of(compilation.catalogue, compilation.catalogue.slos, client, compilation.found))
        if form == "text" and trials:
            show(trials, [], "")
    report(compilation.found, form, strict=strict)
    if form == "text":
        slos = list(compilation.catalogue.slos)
        services = {(slo.platform, slo.service) for slo in slos}
        are = "is" if len(slos) == 1 else "are"
        click.echo(f"{counted(len(slos), 'SLO')} of {counted(len(services), 'service')} {are} valid.")
