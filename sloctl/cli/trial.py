"""`sloctl try`: what SLOs would have counted until now, before any rule of theirs is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sloctl.cli import options
from sloctl.cli.report import as_json, loaded, no_such_slo, plain_console, report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sloctl.diagnostics import Diagnostics
    from sloctl.live.trial import Trial
    from sloctl.model.catalogue import Catalogue, Slo
    from sloctl.model.quantities import Duration
    from sloctl.prometheus import PrometheusClient


@click.command("try")
@click.argument("which", required=False, default="", metavar="[SERVICE[/SLO]]")
@click.option("--specs", multiple=True, metavar="PATH", help="Specifications to read (default: slo-specs).")
@click.option("--against", metavar="REVISION", help="Show what the specifications of a git revision count as well.")
@options.prometheus
@options.root
@options.text_or_json
def try_(
    which: str, specs: tuple[str, ...], against: str | None, client: PrometheusClient, root: Path | None, form: str
) -> None:
    """Show what SLOs would have counted in the last hour, day and week, read from the raw series.

    No rule has to be loaded. Most of its events bad, a condition that no series can fulfil and the like are findings.
    """
    from sloctl.cli.diff import of_revision
    from sloctl.diagnostics import Diagnostics

    catalogue, found = loaded(specs, root), Diagnostics()
    chosen = [slo for slo in catalogue.slos if which in {"", slo.service, f"{slo.service}/{slo.name}"}]
    if not chosen:
        raise no_such_slo(which, catalogue.slos)
    with client:
        trials = list(tried_of(catalogue, chosen, client, found))
        before = list(_before(trials, of_revision(against, (specs or ("slo-specs",))[0]), client)) if against else []
    if form == "json":
        click.echo(as_json([_value(trial) for trial in trials]))
    else:
        show(trials, before, str(against))
    report(found, "text")


def tried_of(
    catalogue: Catalogue, slos: Iterable[Slo], client: PrometheusClient, found: Diagnostics
) -> Iterator[Trial]:
    """The trial of each SLO; what is wrong with bad events is added to `found`."""
    from sloctl.live.trial import check_trial, tried

    platforms = {platform.name: platform for platform in catalogue.platforms}
    for slo in slos:
        trial = tried(slo, client, lambda slo: options.tile_texts(platforms[slo.platform], slo))
        check_trial(trial, client, found)
        yield trial


def _before(trials: list[Trial], catalogue: Catalogue, client: PrometheusClient) -> Iterator[Trial]:
    """The trials of SLOs of which the other revision counts something else."""
    from sloctl.diagnostics import Diagnostics

    known = {(slo.platform, slo.id): slo for slo in catalogue.slos}
    of_now = {(trial.slo.platform, trial.slo.id): trial.slo for trial in trials}
    changed = [
        known[key]
        for key, slo in of_now.items()
        if key in known and (known[key].indicator, known[key].exclude_when) != (slo.indicator, slo.exclude_when)
    ]
    yield from tried_of(catalogue, changed, client, Diagnostics())


def show(trials: list[Trial], before: list[Trial], revision: str) -> None:
    """A table: a row an SLO, and one more where another revision counts something else."""
    from rich.table import Table

    from sloctl.live.trial import SPANS

    older = {(trial.slo.platform, trial.slo.id): trial for trial in before}
    table = Table(title="What these SLOs would have counted", title_justify="left")
    table.add_column("SLO")
    for span in SPANS:
        table.add_column(f"last {span}", justify="right")
    table.add_column("budget spent in a week", justify="right")
    for trial in trials:
        table.add_row(f"{trial.slo.service}/{trial.slo.name}", *_cells(trial))
        if other := older.get((trial.slo.platform, trial.slo.id)):
            table.add_row(f"  in {revision}", *_cells(other), style="dim")
    plain_console().print(table)
    if any(trial.is_sampled for trial in trials):
        click.echo("~ counted in sampled tiles, as raw series of this kind cannot be added up")
    if many := [trial.slo.id for trial in trials if len(trial.by_span) < len(SPANS)]:
        click.echo(f"only the last hour was read of {', '.join(many)}: too many series")


def _cells(trial: Trial) -> list[str]:
    from sloctl.live.trial import SPANS

    spent = trial.spent(SPANS[-1])
    return [*(_counted(trial, span) for span in SPANS), "" if spent is None else f"{spent:.1%}"]


def _counted(trial: Trial, span: Duration) -> str:
    events = trial.by_span.get(span)
    if events is None:
        return ""
    if events.share is None:
        return "nothing"
    mark = "~" if trial.is_sampled else ""
    return f"{mark}{events.total:,.0f}, {events.share:.4%} bad"


def _value(trial: Trial) -> dict[str, Any]:
    return {
        "platform": trial.slo.platform,
        "slo": trial.slo.id,
        "sampled": trial.is_sampled,
        "series": trial.series,
        "spans": {
            str(span): {"total": events.total, "bad": events.bad, "bad_share": events.share, "spent": trial.spent(span)}
            for span, events in trial.by_span.items()
        },
    }
