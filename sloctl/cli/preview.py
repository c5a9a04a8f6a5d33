"""`sloctl preview`: a dashboard drawn from live data as one self-contained page."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sloctl.cli import files, options

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from sloctl.prometheus import PrometheusClient


def _length(text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]*[smhdw]", text):
        raise ValueError("write a length such as 30m, 6h or 7d")
    return text


@click.command()
@click.argument("dashboard", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@options.prometheus
@options.at
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Page to write.")
@click.option("--var", "chosen", metavar="NAME=VALUE", multiple=True, help="Choose a variable; may be repeated.")
@click.option(
    "--rate-interval",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Range of rates: four scrapes.",
)
@click.option(
    "--since",
    type=options.Parsed("length", _length),
    metavar="LENGTH",
    help="Show so long a time instead, such as 6h.",
)
def preview(
    dashboard: Path,
    client: PrometheusClient,
    at: float | None,
    output: Path,
    chosen: tuple[str, ...],
    rate_interval: int,
    since: str | None,
) -> None:
    """Draw DASHBOARD (a file of `dashboards/`) from a running Prometheus as one HTML page without scripts."""
    from sloctl.backends.grafana.preview.page import preview as draw

    value = _read(dashboard)
    variables = _variables(value, chosen)
    with client:
        page = draw(value, client, time.time() if at is None else at, variables, rate_interval, since)
    files.write(output, page)
    click.echo(f"wrote {output}")


def _read(path: Path) -> dict[str, Any]:
    """A dashboard that `sloctl generate` wrote."""
    import orjson

    from sloctl.errors import SloctlError

    try:
        value = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise SloctlError(f"{path}:{error.lineno}:{error.colno}: this is no JSON: {error.msg}") from error
    if not isinstance(value, dict) or not str(value.get("uid", "")).startswith("slo-") or "panels" not in value:
        raise SloctlError(f"{path}:1:1: this is no dashboard of sloctl's: choose a file that `sloctl generate` wrote")
    return value


def _variables(dashboard: Mapping[str, Any], chosen: tuple[str, ...]) -> dict[str, str]:
    known = [choice["name"] for choice in dashboard["templating"]["list"]]
    values = {}
    for text in chosen:
        name, sign, value = text.partition("=")
        if not sign:
            raise click.BadParameter(f"write NAME=VALUE, not {text!r}", param_hint="--var")
        if name not in known:
            raise click.BadParameter(f"there is no variable {name!r}; there is {', '.join(known)}", param_hint="--var")
        values[name] = value
    return values
