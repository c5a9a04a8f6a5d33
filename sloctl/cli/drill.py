"""`sloctl drill`: one marked alert through the real Alertmanager to whoever is told, and its resolution."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sloctl.cli import options
from sloctl.cli.report import escaped, loaded, no_such_slo
from sloctl.errors import SloctlError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sloctl.conventions.inventory import Alert
    from sloctl.model.catalogue import Catalogue, Platform, Slo
    from sloctl.model.quantities import Duration

_LONGEST: Final = timedelta(minutes=30)
"""Alertmanager resolves the alert by itself then, whatever becomes of this command."""
_LABEL: Final = "drill"


@click.command()
@click.argument("which", metavar="SERVICE/SLO")
@click.option("--specs", multiple=True, metavar="PATH", help="Specifications to read (default: slo-specs).")
@click.option("--alertmanager", required=True, metavar="URL", help="Address of the Alertmanager.")
@click.option("--severity", type=click.Choice(["P1", "P2", "P3"]), default="P1", show_default=True)
@click.option("--for", "length", type=options.length, default="2m", show_default=True, help="Time until it resolves.")
@click.option("--yes", is_flag=True, help="Do not ask first.")
@options.root
def drill(
    which: str,
    specs: tuple[str, ...],
    alertmanager: str,
    severity: str,
    length: Duration,
    root: Path | None,
    *,
    yes: bool,
) -> None:
    """Send one alert of an SLO to Alertmanager, marked as a drill, and resolve it: does the page arrive?

    It has the labels that the real alert has and `drill="true"`. No rule fires, so that no dashboard counts it.
    """
    from sloctl.backends.alertmanager.routes import TIMINGS
    from sloctl.model.alerting import Severity
    from sloctl.model.quantities import Duration

    catalogue = loaded(specs, root, only_errors=True)
    slo = next((slo for slo in catalogue.slos if which == f"{slo.service}/{slo.name}"), None)
    if slo is None:
        raise no_such_slo(which, catalogue.slos)
    platform = next(each for each in catalogue.platforms if each.name == slo.platform)
    labels = _labels(_alert(platform, slo, severity), slo)
    told = list(_told(catalogue, platform, labels))
    click.echo(escaped(f"{labels['alertname']} of {which} goes to {', '.join(told)}."))
    waits = TIMINGS[Severity(severity)].group_wait
    if length <= Duration.parse(waits):
        click.echo(f"The route waits {waits} before it tells anybody: what resolves sooner is told to nobody.")
    if not yes:
        click.confirm("Wake them?", abort=True)
    begin = datetime.now(UTC)
    _send(alertmanager, labels, begin, begin + _LONGEST)
    click.echo(f"Sent at {begin:%H:%M:%SZ}; it resolves in {length}, or on Ctrl-C.")
    try:
        time.sleep(float(length.seconds))
    finally:
        _send(alertmanager, labels, begin, datetime.now(UTC))
    click.echo("Resolved. Whoever was named above has been told twice: ask them.")


def _alert(platform: Platform, slo: Slo, severity: str) -> Alert:
    """The first alert of the SLO with this severity."""
    from sloctl.conventions import inventory

    found = [one for one in inventory.alerts(platform, slo) if one.severity is not None]
    chosen = next((one for one in found if one.severity is not None and one.severity.value == severity), None)
    if chosen is None:
        known = sorted({one.severity.value for one in found if one.severity is not None})
        raise SloctlError(
            f"{slo.service}/{slo.name} has no alert of {severity}; it has {' and '.join(known) or 'none'}"
        )
    return chosen


def _labels(alert: Alert, slo: Slo) -> dict[str, str]:
    return {**alert.labels, **dict.fromkeys(slo.split_labels, _LABEL), "alertname": alert.name, _LABEL: "true"}


def _told(catalogue: Catalogue, platform: Platform, labels: dict[str, str]) -> Iterator[str]:
    """The receivers that the routes of the specifications lead to, with where each sends."""
    from sloctl.backends.alertmanager.routes import route_tree
    from sloctl.backends.alertmanager.tree import matched
    from sloctl.conventions import inventory

    ways = {receiver.name: receiver.route for receiver in inventory.receivers(platform)}
    for route in matched(route_tree(catalogue), labels):
        name = route.receiver or "the default receiver"
        way = ways.get(route.receiver or "")
        where = {key: getattr(way, key) for key in type(way).__slots__ if getattr(way, key)} if way else {}
        shown = ", ".join(f"{kind} {value}" for kind, value in where.items() if kind != "wakes")
        yield f"{name} ({shown})" if shown else name


def _send(url: str, labels: dict[str, str], begin: datetime, end: datetime) -> None:
    """Tell Alertmanager of the alert until `end`.

    Raises:
        OutsideError: it does not take it.
    """
    from sloctl.alertmanager import send

    alert: dict[str, Any] = {
        "labels": labels,
        "annotations": {
            "summary": f"{labels['slo']}: this is a drill",
            "description": "Somebody tries whether pages arrive. Nothing is wrong; please say that you have got this.",
        },
        "startsAt": begin.isoformat(),
        "endsAt": end.isoformat(),
    }
    send(url, alert)
