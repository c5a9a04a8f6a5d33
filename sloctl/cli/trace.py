"""`sloctl trace`: the way of one request through all services, and where it failed first."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import click

from sloctl.cli.report import counted

if TYPE_CHECKING:
    from sloctl.instrumentation.telemetry import Telemetry
    from sloctl.instrumentation.trace import Hop, Journey

NOT_FOUND: Final = 4
_HEADINGS = ("#", "from", "service", "transport", "status", "duration", "what")


@click.command()
@click.argument("request_id", metavar="ID")
@click.argument("more", nargs=-1, metavar="[FILE]...")
@click.option("--logs", multiple=True, metavar="FILE", help="Log lines as JSON; more files may follow.")
@click.option("--spans", multiple=True, metavar="FILE", help="Spans as JSON lines; more files may follow.")
def trace(request_id: str, more: tuple[str, ...], logs: tuple[str, ...], spans: tuple[str, ...]) -> None:
    """Follow the request ID through logs and spans, and name the earliest hop that failed.

    ID is the request ID, or the one that a client sent. FILE may be a pattern, or - for standard input, and compressed
    with gzip. Its form is recognised: JSON lines, and what Loki, CloudWatch, Elasticsearch, Docker, kubectl, OTLP,
    Jaeger, Tempo and Zipkin hand out. Exit code 1 when something failed, 4 when nothing has the ID.
    """
    from sloctl.instrumentation.trace import journey

    telemetry = _read(request_id, (*logs, *spans, *more))
    found = journey(request_id, telemetry)
    if telemetry.unreadable:
        click.echo(f"left out: {counted(telemetry.unreadable, 'unreadable line')}", err=True)
    if not found.hops:
        click.echo(f"no log line and no span has the ID {_shown(request_id)}")
        raise click.exceptions.Exit(NOT_FOUND)
    for line in _report(found):
        click.echo(line)
    if found.culprit is not None:
        raise click.exceptions.Exit(1)


def _read(request_id: str, names: Iterable[str]) -> Telemetry:
    from sloctl.instrumentation.search import follow, seekable

    paths = [path for name in names for path in _expanded(name)]
    if not paths:
        raise click.UsageError("say where to look: --logs 'logs/*.jsonl' --spans spans.jsonl")
    with ExitStack() as files:
        opened = []
        for path in paths:
            try:
                opened.append(seekable(files.enter_context(click.open_file(path, "rb"))))
            except OSError as error:
                raise _cannot_read(path, error) from error
        try:
            return follow(request_id, opened)
        except OSError as error:
            raise _cannot_read(", ".join(paths), error) from error


def _cannot_read(path: str, error: OSError) -> Exception:
    from sloctl.errors import OutsideError

    return OutsideError(f"cannot read {path}: {error.strerror}")


def _expanded(name: str) -> list[str]:
    return sorted(glob.glob(name, recursive=True)) or [name]  # noqa: PTH207 - absolute patterns too


def _report(journey: Journey) -> Iterator[str]:
    hops = journey.hops
    services = {hop.service for hop in hops}
    transports = {hop.transport for hop in hops} - {"-"}
    lasted = max(hop.end for hop in hops) - min(hop.start for hop in hops)
    counts = [counted(len(hops), "hop"), counted(len(services), "service"), counted(len(transports), "transport")]
    counts += [counted(journey.lines, "log line"), _duration(lasted)]
    yield f"{', '.join(map(_shown, journey.request_ids))}: {', '.join(counts)}"
    numbers = {hop: number for number, hop in enumerate(hops, 1)}
    yield from _table([_HEADINGS, *(_row(hop, numbers) for hop in hops)])
    for hop in hops:
        if hop.missing is not None:
            where = "" if hop.cause is None else f"; by its time it is below hop {numbers[hop.cause]}"
            yield f"missing: what called hop {numbers[hop]} ({_shown(hop.service)}), span {hop.missing[1]}{where}"
    if journey.culprit is None:
        yield "nothing failed"
        return
    yield f"earliest failing hop: {_shown(journey.culprit.service)} ({_shown(journey.culprit.name)})"
    yield from (f"  {_shown(evidence.text)}" for evidence in journey.culprit.evidence)


def _row(hop: Hop, numbers: Mapping[Hop, int]) -> tuple[str, ...]:
    cause = "" if hop.cause is None else str(numbers[hop.cause])
    status = hop.status if not hop.failed or hop.status == "error" else f"{hop.status} (failed)"
    cells = (hop.service, hop.transport, status, _duration(hop.end - hop.start), hop.name)
    return (str(numbers[hop]), cause, *map(_shown, cells))


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _shown(text: str) -> str:
    """Text from a log cannot write to the terminal what it likes."""
    return "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in text)
