"""The past of SLOs for commands that replay it: which time, from where, and what is kept of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sloctl.cli import options

if TYPE_CHECKING:
    from sloctl.history.backtest import Span
    from sloctl.live.history import Past, Source
    from sloctl.model.catalogue import Platform, Slo
    from sloctl.model.quantities import Duration
    from sloctl.prometheus import PrometheusClient


def span_of(since: Duration, start: float | None, end: float | None) -> Span:
    """The time that counts: until now, unless a moment is named."""
    from sloctl.history.backtest import Span

    until = round((time.time() if end is None else end) * 1000)
    begin = until - since.milliseconds if start is None else round(start * 1000)
    if begin >= until:
        raise click.UsageError("--start must be before --end")
    if until > time.time() * 1000 + 60_000:
        raise click.UsageError("--end is in the future")
    return Span(begin, until)


def cache_folder(cache: str | None) -> Path | None:
    """Where answers are kept: the user's own folder, another one, or none."""
    from sloctl.proof import known

    if cache == "none":
        return None
    if cache is not None:
        return Path(cache)
    proofs = known.cache_folder()
    return None if proofs is None else proofs.with_name("history")


@contextmanager
def reading() -> Iterator[Callable[[float], None]]:
    """A bar on a terminal; what is yielded is told the share that is read."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("reading the past", total=1.0)
        yield lambda share: progress.update(task, completed=share)


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads the past of SLOs, with a bar while somebody waits."""

    client: PrometheusClient
    source: Source
    folder: Path | None

    def pasts(
        self, slos: Sequence[Slo], tried: Iterable[Slo], platform: Callable[[Slo], Platform], span: Span
    ) -> Iterator[Past]:
        """The past of some SLOs.

        Args:
            tried: all whose tiers are replayed; it is read as far back as they look.
            platform: of an SLO.
        """
        from sloctl.live.history import Reach, Reader, longest_window, read_past

        reach = Reach(span.start, span.end, longest_window(tried))
        reader = Reader(self.client, round(time.time() * 1000), self.folder, self.client.tenant or "")
        with reading() as progress:
            yield from read_past(
                slos,
                reader,
                reach,
                lambda slo: options.tile_texts(platform(slo), slo),
                self.source,
                progress,
            )
