"""`sloctl status`: the state of every SLO in a running Prometheus."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import click

from sloctl.cli import options
from sloctl.cli.report import as_json

if TYPE_CHECKING:
    from rich.table import Table

    from sloctl.live.status import Status
    from sloctl.prometheus import PrometheusClient

_WHOLE: Final = 0.999
"""A window that is covered so far is not young."""


@click.command()
@options.prometheus
@options.at
@click.option("--watch", is_flag=True, help="Read it again every few seconds until Ctrl-C.")
@click.option("--every", type=click.IntRange(1, 3600), default=15, show_default=True, help="Seconds, with --watch.")
@options.text_or_json
def status(client: PrometheusClient, at: float | None, every: int, form: str, *, watch: bool) -> None:
    """Show SLI, budget, burn rates and alerts of every SLO, the most urgent first."""
    from sloctl.live.status import read_status

    with client:
        if form == "json":
            click.echo(as_json([status.value() for status in read_status(client, at)]))
        elif watch:
            _watch(client, every)
        else:
            _print_table(read_status(client, at))


def _print_table(found: list[Status]) -> None:
    from rich.console import Console

    Console().print(table(found))


def _watch(client: PrometheusClient, every: int) -> None:
    from rich.live import Live

    from sloctl.live.status import read_status

    with Live(table(read_status(client)), screen=False) as live:
        try:
            while True:
                time.sleep(every)
                live.update(table(read_status(client)))
        except KeyboardInterrupt:
            return


def table(found: list[Status]) -> Table:
    """One row an SLO or split value."""
    from rich.table import Table
    from rich.text import Text

    head = ("SLO", "objective", "window", "SLI", "budget left", "minutes", "lasts", "burn rates", "alerts")
    made = Table(title=f"{len(found)} SLOs", title_justify="left")
    for column in head:
        made.add_column(column, justify="left" if column in {"SLO", "burn rates", "alerts"} else "right")
    for row in found:
        split = ", ".join(f"{name}={value}" for name, value in sorted(row.split.items()))
        firing = any(state == "firing" for state in row.alerts.values())
        made.add_row(
            Text(f"{row.platform}/{row.slo}" + (f" {split}" if split else "")),
            f"{row.objective * 100:.6g}%",
            _window(row),
            "no data" if row.sli is None else f"{row.sli * 100:.4f}%",
            *_budget(row),
            _lasts(row.exhausted_in),
            " ".join(f"{window}:{burn:.1f}" for window, burn in row.burns.items()),
            ", ".join(f"{tier} {state}" for tier, state in sorted(row.alerts.items())),
            style="bold red" if firing else None,
        )
    return made


def _window(one: Status) -> str:
    """The window, and how much of it there is."""
    from sloctl.model.window import CalendarWindow, parse_window

    kept = f", the server keeps {one.kept}" if one.kept else ""
    if one.covered is None or one.covered > _WHOLE:
        return one.window + kept
    window = parse_window(one.window)
    if isinstance(window, CalendarWindow):
        return f"{one.covered:.0%} of {window}{kept}"
    return f"{_length(one.covered * float(window.length.seconds))} of {window} measured{kept}"


def _budget(one: Status) -> tuple[str, str]:
    if one.budget_left is None or one.minutes_left is None:
        return "no data", ""
    if one.budget_left < 0:
        return f"overspent {-one.budget_left:.1%}", f"{one.minutes_left:.1f}"
    return f"{one.budget_left:.1%}", f"{one.minutes_left:.1f}"


def _lasts(seconds: float | None) -> str:
    return "nothing burns" if seconds is None else _length(seconds)


def _length(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
