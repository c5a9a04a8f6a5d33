"""`sloctl backfill`: give recordings the past that raw series remember."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sloctl.cli import options
from sloctl.cli.report import loaded

if TYPE_CHECKING:
    from sloctl.model.catalogue import Slo

MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S%z"]


@click.command()
@options.paths
@click.option("--prometheus", "url", required=True, metavar="URL", help="The Prometheus that has the raw series.")
@click.option(
    "--start",
    type=click.DateTime(MOMENTS),
    help="The first moment, in UTC unless it says otherwise (default: the longest window before the end).",
)
@click.option("--end", type=click.DateTime(MOMENTS), help="The last moment, at least 3 h ago (default: 3 h ago).")
@options.root
@options.strict
def backfill(
    paths: tuple[str, ...],
    url: str,
    start: datetime | None,
    end: datetime | None,
    root: Path | None,
    *,
    strict: bool,
) -> None:
    """Print a script that records the past of SLOs (default: slo-specs) from raw series.

    Recordings begin when their rules are deployed, and a budget is young for a whole window. Deploy the rules, wait
    three hours, then run the script where Prometheus keeps its data:

        sloctl backfill --prometheus http://localhost:9090 > backfill.sh
        sh backfill.sh /var/lib/prometheus

    It uses promtool, adds blocks and changes none. What is recorded already stays as it is.
    """
    from sloctl.backends.table import BACKENDS
    from sloctl.live.backfill import script, stages
    from sloctl.rendering import to_yaml

    catalogue = loaded(paths, root, strict=strict)
    begin, until = _span(start, end, catalogue.slos)
    found = stages(BACKENDS["prometheus"].compile(catalogue))
    texts = [to_yaml({"groups": list(stage.groups)}) for stage in found]
    click.echo(script(texts, found, url, begin, until), nl=False)


def _span(start: datetime | None, end: datetime | None, slos: Iterable[Slo]) -> tuple[datetime, datetime]:
    """The first and the last moment to record."""
    from sloctl.live.backfill import HEAD
    from sloctl.model.quantities import ZERO

    newest = datetime.now(UTC) - timedelta(seconds=float(HEAD.seconds))
    until = _aware(end) if end else newest
    if until > newest + timedelta(minutes=1):
        raise click.BadParameter(
            "younger samples may still be in Prometheus' head, where blocks must not lie; name a moment at least "
            f"{HEAD} ago, such as {newest:%Y-%m-%dT%H:%M:%SZ}",
            param_hint="--end",
        )
    longest = max((slo.window.length for slo in slos), default=ZERO)
    begin = _aware(start) if start else until - timedelta(seconds=float(longest.seconds))
    if begin >= until:
        raise click.BadParameter(f"it must be before the end, {until:%Y-%m-%dT%H:%M:%SZ}", param_hint="--start")
    return begin, until


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
