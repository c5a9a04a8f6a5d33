"""`sloctl status`: the state of every SLO in a running Prometheus."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from sloctl.cli import options
from sloctl.cli.report import as_json, plain_console

if TYPE_CHECKING:
    from rich.table import Table

    from sloctl.live.status import Status
    from sloctl.model.quantities import Duration
    from sloctl.prometheus import PrometheusClient

_WHOLE: Final = 0.999
"""A window that is covered so far is not young."""
_FAILING: Final = {"exhausted": ("exhausted",), "at-risk": ("exhausted", "at risk")}
"""What `--fail-on` takes, with the states that fail."""


@click.command()
@options.prometheus
@options.at
@click.option("--watch", is_flag=True, help="Read it again every few seconds until Ctrl-C.")
@click.option("--every", type=click.IntRange(1, 3600), default=15, show_default=True, help="Seconds, with --watch.")
@click.option(
    "--fail-on", type=click.Choice(list(_FAILING)), help="Exit with 1 where an SLO is in this state or worse."
)
@click.option(
    "--would-page", is_flag=True, help="Show what alerts would have sent, one row an SLO, and what of it was worth it."
)
@click.option("--since", type=options.length, default="7d", show_default=True, help="How far back, with --would-page.")
@click.option("--specs", multiple=True, metavar="PATH", help="With --would-page: whose alerts (default: slo-specs).")
@options.text_or_json
def status(
    client: PrometheusClient,
    at: float | None,
    every: int,
    fail_on: str | None,
    since: Duration,
    specs: tuple[str, ...],
    form: str,
    *,
    watch: bool,
    would_page: bool,
) -> None:
    """Show state, SLI, budget, burn rates and alerts of every SLO, the most urgent first.

    With --would-page: what the alerts of the specifications would have sent, routed or not, loaded or not. An SLO that
    only observes shows here what would come; it needs the extra sloctl[history].
    """
    from sloctl.errors import SloctlError
    from sloctl.live.status import read_status

    if would_page:
        from sloctl.cli.would_page import show

        show(client, specs, since, at, form)
        return
    with client:
        if watch and form == "text":
            _watch(client, every)
            return
        found = read_status(client, at)
        if form == "json":
            click.echo(as_json([status.value() for status in found]))
        else:
            _print(found, client.url)
    if failing := [row.name for row in found if fail_on and row.state.word in _FAILING[fail_on]]:
        raise SloctlError(f"{', '.join(failing)}: {' or '.join(_FAILING[str(fail_on)])}")


def _print(found: list[Status], url: str) -> None:
    from sloctl.errors import OutsideError

    if not found:
        raise OutsideError(
            f"{url} has no rules of sloctl: run `sloctl generate`, name its files in `rule_files` of Prometheus' "
            "configuration and reload it; the first numbers come after two minutes"
        )
    plain_console().print(table(found))


def _watch(client: PrometheusClient, every: int) -> None:
    """On a terminal in one place; elsewhere one table after the other."""
    from rich.console import Console
    from rich.live import Live

    from sloctl.live.status import read_status

    console = Console()
    try:
        if not console.is_terminal:
            while True:
                click.echo(datetime.now(UTC).isoformat(timespec="seconds"))
                _print(read_status(client), client.url)
                time.sleep(every)
        with Live(table(read_status(client)), console=console, screen=False) as live:
            while True:
                time.sleep(every)
                live.update(table(read_status(client)))
    except KeyboardInterrupt:
        return


def table(found: list[Status]) -> Table:
    """One row an SLO or split value."""
    from rich.table import Table
    from rich.text import Text

    head = ("SLO", "state", "objective", "window", "SLI", "budget left", "minutes", "lasts", "burn rates", "alerts")
    made = Table(title=f"{len(found)} SLOs", title_justify="left")
    for column in head:
        left = column in {"SLO", "state", "burn rates", "alerts"}
        made.add_column(column, justify="left" if left else "right")
    for row in found:
        firing = any(state == "firing" for state in row.alerts.values())
        made.add_row(
            Text(row.name),
            row.state.word,
            f"{row.objective * 100:.6g}%",
            _window(row),
            "no data" if row.sli is None else f"{row.sli * 100:.4f}%",
            *_budget(row),
            _lasts(row),
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


def _lasts(one: Status) -> str:
    """How long the rest of the budget lasts; nothing is said before the budget is recorded."""
    if one.budget_left is None:
        return ""
    return "nothing burns" if one.exhausted_in is None else _length(one.exhausted_in)


def _length(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
