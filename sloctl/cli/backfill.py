"""`sloctl backfill`: give recordings the past that raw series remember."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sloctl.cli import options
from sloctl.cli.report import loaded
from sloctl.errors import OutsideError, SloctlError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sloctl.history.backtest import Span
    from sloctl.live.backfill import Blocks, RemoteWrite, Sink
    from sloctl.live.history import Past, Reader
    from sloctl.model.catalogue import Catalogue, Slo
    from sloctl.prometheus import PrometheusClient

MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S%z"]


@click.command()
@options.paths
@options.prometheus_slowly
@click.option(
    "--data",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Prometheus' data folder, which gets blocks; run it there as the user that Prometheus runs as.",
)
@click.option("--remote-write", metavar="URL", help="Send samples to this address instead, such as Mimir's.")
@click.option("--promtool", metavar="PATH", help="The program that makes blocks (default: on PATH).")
@click.option(
    "--start",
    type=click.DateTime(MOMENTS),
    help="The first moment, in UTC unless it says otherwise (default: the longest window before the end).",
)
@click.option("--end", type=click.DateTime(MOMENTS), help="The last moment (default: 3 h ago, or now).")
@options.root
@options.strict
def backfill(
    paths: tuple[str, ...],
    client: PrometheusClient,
    data: Path | None,
    remote_write: str | None,
    promtool: str | None,
    start: datetime | None,
    end: datetime | None,
    root: Path | None,
    *,
    strict: bool,
) -> None:
    """Record the past of SLOs (default: slo-specs) from raw series, as if their rules had always been there.

    Recordings begin when their rules are deployed, and a budget is young for a whole window. Deploy the rules, wait
    three hours, then run it where Prometheus keeps its data:

        sloctl backfill --prometheus http://localhost:9090 --data /var/lib/prometheus

    Events are counted from raw samples, with every window, budget and error ratio that follows. It adds blocks by
    promtool and changes none: what is recorded already stays as it is. --remote-write sends the same samples to a
    receiver that takes old ones, such as a Prometheus with an `out_of_order_time_window`.
    """
    if (data is None) == (remote_write is None):
        raise click.UsageError("write --data FOLDER, where this Prometheus keeps its data, or --remote-write URL")
    catalogue = loaded(paths, root, strict=strict)
    span = _span(start, end, catalogue.slos, into_blocks=data is not None)
    with client, _sink(client, data, remote_write, promtool) as sink:
        count = _fill(catalogue, client, span, sink, asked=end is not None)
    days = (span.end - span.start) / 86_400_000
    seen = "Prometheus shows them within a minute" if data is not None else f"{client.url} shows them now"
    click.echo(f"{sink.samples} samples of {count} SLOs in {days:.3g} days; {seen}")


@contextmanager
def _sink(
    client: PrometheusClient, data: Path | None, url: str | None, promtool: str | None
) -> Iterator[Blocks | RemoteWrite]:
    """Where samples go; blocks appear when all went well."""
    from sloctl.live.backfill import Blocks, RemoteWrite
    from sloctl.proof.promtool import Promtool

    if data is None:
        yield RemoteWrite(client, str(url))
        return
    with Blocks(data, Promtool(promtool).path) as blocks:
        yield blocks
        blocks.finish()


def _fill(catalogue: Catalogue, client: PrometheusClient, span: Span, sink: Sink, *, asked: bool) -> int:
    """Hand everything that is missing to the sink; how many SLOs there were."""
    from sloctl.cli.past import reading
    from sloctl.live.backfill import asked_of, calendar_series, series_of
    from sloctl.live.history import Reach, Reader, Source, read_past
    from sloctl.model.quantities import ZERO

    reader = Reader(client, span.end)
    platforms = {platform.name: platform for platform in catalogue.platforms}
    for platform in catalogue.platforms:
        sink.add(list(calendar_series(platform, reader, span.start, span.end)))
    done: set[tuple[str, str]] = set()
    reach = Reach(span.start, span.end, ZERO)
    with reading() as progress:
        pasts = read_past(
            list(catalogue.slos),
            reader,
            reach,
            lambda slo: options.tile_texts(platforms[slo.platform], slo),
            Source.AUTO,
            progress,
        )
        for past in pasts:
            slo, platform = past.slo, platforms[past.slo.platform]
            first_of_slo = (slo.platform, slo.id) not in done
            if first_of_slo and not asked:
                _check_joined(past, reader, span)
            sink.add(series_of(platform, past, span.start, span.end, first_of_slo=first_of_slo))
            if first_of_slo:
                texts = options.rule_texts(platform, slo)
                sink.add(list(asked_of(platform, slo, reader, texts, span.start, span.end)))
            done.add((slo.platform, slo.id))
    if not done:
        raise OutsideError(f"{client.url} has no series of these SLOs in the time to record")
    return len(done)


def _check_joined(past: Past, reader: Reader, span: Span) -> None:
    """Whether nothing would stay missing between what is filled and what the rules record.

    Raises:
        SloctlError: the rules began later, and when to try again.
    """
    from sloctl import conventions
    from sloctl.live.backfill import HEAD
    from sloctl.promql.selectors import label_selector, selector_text

    step = past.slo.sampling.resolution.milliseconds
    if past.recorded_from is not None:
        return
    name = conventions.total_tile(past.slo.sampling.resolution)
    text = selector_text(label_selector(name, {"platform": past.slo.platform, "slo": past.slo.id}))
    now = round(datetime.now(UTC).timestamp() * 1000)
    found = reader.samples(text, span.end, now, 1, step)
    first = min((int(one.at[0]) for one in found), default=None)
    if first is None:
        click.echo(f"the rules of {past.slo.id} record nothing yet: what lies between will stay missing", err=True)
        return
    if first - span.end <= 2 * step:
        return
    since, again = (datetime.fromtimestamp(moment / 1000, UTC) for moment in (first, first + HEAD.milliseconds))
    raise SloctlError(
        f"the rules of {past.slo.id} record since {since:%Y-%m-%dT%H:%M:%SZ}, and what lies before would stay missing: "
        f"run it after {again:%Y-%m-%dT%H:%M:%SZ}, or name --end"
    )


def _span(start: datetime | None, end: datetime | None, slos: Iterable[Slo], *, into_blocks: bool) -> Span:
    """The time to record."""
    from sloctl.history.backtest import Span
    from sloctl.live.backfill import HEAD
    from sloctl.model.quantities import ZERO

    back = timedelta(seconds=float(HEAD.seconds)) if into_blocks else timedelta()
    newest = datetime.now(UTC) - back
    until = _aware(end) if end else newest
    if until > newest + timedelta(minutes=1):
        why = "younger samples may still be in Prometheus' head, where blocks must not lie; " if into_blocks else ""
        ago = f"at least {HEAD} ago" if into_blocks else "that has passed"
        message = f"{why}name a moment {ago}, such as {newest:%Y-%m-%dT%H:%M:%SZ}"
        raise click.BadParameter(message, param_hint="--end")
    longest = max((slo.window.longest for slo in slos), default=ZERO)
    begin = _aware(start) if start else until - timedelta(seconds=float(longest.seconds))
    if begin >= until:
        raise click.BadParameter(f"it must be before the end, {until:%Y-%m-%dT%H:%M:%SZ}", param_hint="--start")
    return Span(round(begin.timestamp() * 1000), round(until.timestamp() * 1000))


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
