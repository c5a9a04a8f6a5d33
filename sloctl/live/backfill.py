"""A past for recordings that are younger than the raw series they read: as if the rules had always been there.

Events are counted here, and every recording that follows from them is worked out here. Samples go to Prometheus as
blocks, all at once, or by remote write, the newest first: what is recorded already stays as it is, and a run that was
cut short goes on where it ended.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self

import numpy as np

from sloctl.conventions import inventory
from sloctl.conventions.inventory import Metric, Recording
from sloctl.errors import OutsideError
from sloctl.history.recordings import Recorded, recorded
from sloctl.history.tiles import Floats, Moments
from sloctl.live.history import Past, Reader
from sloctl.live.remote_write import RemoteSeries, send
from sloctl.model.catalogue import Platform, Slo
from sloctl.model.periods import period_starts
from sloctl.model.quantities import HOUR, Duration
from sloctl.promql.selectors import label_selector, selector_text

if TYPE_CHECKING:
    from sloctl.prometheus import PrometheusClient

HEAD: Final = Duration.of(hours=3)
"""Blocks must be older than this: younger samples may still be in Prometheus' head."""
BLOCK: Final = Duration.of(hours=162)
"""A block's length: 2 h times a power of 3, as Prometheus cuts them."""
_REQUEST: Final = Duration.of(hours=6)
"""So much of one SLO is sent at once."""
_ASKED: Final = frozenset((Metric.VALUE, Metric.BUCKETS))
"""Recordings that do not follow from counts; the server evaluates their expressions."""
_LINES: Final = 4_000_000
"""Of text before blocks are made of it: some 500 MB."""


@dataclass(frozen=True, slots=True)
class Written:
    """Samples of one recorded series, in order."""

    labels: Mapping[str, str]
    at: Moments
    values: Floats

    def between(self, start: int, end: int) -> Written:
        """Those after `start` and not after `end`."""
        chosen = slice(*np.searchsorted(self.at, (start, end), side="right"))
        return Written(self.labels, self.at[chosen], self.values[chosen])


class Sink(Protocol):
    """Where the past goes."""

    def add(self, series: Sequence[Written]) -> None:
        """Take all series of one SLO; all of a moment become visible together."""


def series_of(platform: Platform, past: Past, start: int, end: int, *, first_of_slo: bool) -> list[Written]:
    """What the rules of an SLO would have recorded after `start` and until `end`, and before they did.

    Args:
        first_of_slo: whether what the values of its split labels share belongs to this one.
    """
    slo, tiles, step = past.slo, past.history.tiles, past.slo.sampling.resolution
    if not len(tiles):
        return []
    history = replace(past.history, since=int(tiles.at[0]) / 1000 - float(step.seconds))
    fast, slow = (end, end) if past.recorded_from is None else (min(end, one - 1) for one in past.recorded_from)
    found = list[Written]()
    for one in recorded(platform, slo, history):
        shared = one.recording.metric is Metric.OBJECTIVE
        if shared and not first_of_slo:
            continue
        labels = {"__name__": one.recording.name, **one.labels, **({} if shared else past.split)}
        until = slow if one.recording.slow else fast
        found += [each.between(start, until) for each in _by_period(one, labels)]
    return [one for one in found if len(one.at)]


def _by_period(one: Recorded, labels: Mapping[str, str]) -> Iterator[Written]:
    """Roll-ups of a calendar have a series for each of its periods."""
    if one.periods is None:
        yield Written(labels, one.at, one.values)
        return
    for period in np.unique(one.periods):
        inside = one.periods == period
        yield Written({**labels, "period": str(int(period))}, one.at[inside], one.values[inside])


def asked_of(
    platform: Platform, slo: Slo, reader: Reader, texts: Mapping[str, str], start: int, end: int
) -> Iterator[Written]:
    """Recordings that do not follow from counts, as the server evaluates their expressions."""
    for recording in inventory.recordings(platform, slo):
        if recording.metric in _ASKED:
            until = min(end, _first(reader, recording, slo.sampling.rollup, start, end) - 1)
            if until > start:
                for one in reader.points(texts[recording.name], start, until, slo.sampling.rollup):
                    labels = {name: value for name, value in one.labels.items() if name != "__name__"}
                    yield Written({**labels, "__name__": recording.name, **recording.labels}, one.at, one.values)


def calendar_series(platform: Platform, reader: Reader, start: int, end: int) -> Iterator[Written]:
    """When the running period of each calendar began and ends, which the windows of calendars read."""
    step = platform.sampling.resolution
    for calendar, *bounds in inventory.calendar_recordings(platform):
        starts = np.array(period_starts(calendar), np.float64)
        for recording, values in zip(bounds, (starts[:-1], starts[1:]), strict=True):
            until = min(end, _first(reader, recording, step, start, end) - 1)
            at = np.arange(start + step.milliseconds, until + 1, step.milliseconds, dtype=np.int64)
            index = np.clip(np.searchsorted(starts, at / 1000, side="right") - 1, 0, len(values) - 1)
            if len(at):
                yield Written({"__name__": recording.name, **recording.labels}, at, values[index])


def _first(reader: Reader, recording: Recording, spacing: Duration, start: int, end: int) -> int:
    """The first sample of a recording; after the end where there is none."""
    text = selector_text(label_selector(recording.name, dict(recording.labels)))
    found = reader.samples(text, start, end, 1, spacing.milliseconds)
    return min((int(one.at[0]) for one in found), default=end + 1)


@dataclass
class Blocks:
    """Blocks in the data folder of a Prometheus, by its own promtool; all of them appear at the end, or none.

    Attributes:
        data: the folder.
        promtool: the program.
    """

    data: Path
    promtool: str
    made: int = 0
    samples: int = 0
    _parts: set[int] = field(default_factory=set)
    _lines: int = 0

    def __enter__(self) -> Self:
        if not (self.data / "wal").is_dir():
            raise OutsideError(f"{self.data} is no data folder of Prometheus: it has no wal/")
        try:
            self._work = tempfile.TemporaryDirectory(prefix="sloctl-backfill-", dir=self.data)
        except OSError as error:
            raise OutsideError(f"{self.data} cannot be written: {error.strerror}") from error
        self._ready = Path(self._work.name, "ready")
        return self

    def __exit__(self, *_: object) -> None:
        self._work.cleanup()

    def add(self, series: Sequence[Written]) -> None:
        """Take all series of one SLO."""
        length = BLOCK.milliseconds
        for one in series:
            name = _series_text(one.labels)
            first, last = (int(one.at[index]) // length for index in (0, -1))
            for number in range(first, last + 1):
                part = one.between(number * length - 1, (number + 1) * length - 1)
                moments = (part.at / 1000).tolist()
                lines = [f"{name} {value!r} {at!r}\n" for at, value in zip(moments, part.values.tolist(), strict=True)]
                with self._file(number).open("a", encoding="utf-8") as file:
                    file.writelines(lines)
                self._parts.add(number)
            self._lines += len(one.at)
            self.samples += len(one.at)
        if self._lines > _LINES:
            self._make()

    def finish(self) -> None:
        """Put all blocks where Prometheus finds them, the newest first.

        Raises:
            OutsideError: promtool failed; nothing was added.
        """
        self._make()
        blocks = sorted(self._ready.iterdir(), reverse=True) if self._ready.is_dir() else []
        for block in blocks:
            block.rename(self.data / block.name)
        self.made = len(blocks)

    def _file(self, number: int) -> Path:
        return Path(self._work.name, f"{number}.om")

    def _make(self) -> None:
        """One block of each part; promtool reads all of a file for each block that it makes of it."""
        for file in map(self._file, sorted(self._parts)):
            with file.open("a", encoding="utf-8") as text:
                text.write("# EOF\n")
            hours = f"--max-block-duration={BLOCK / HOUR:.0f}h"  # it knows no days
            command = [self.promtool, "tsdb", "create-blocks-from", hours, "openmetrics", str(file), str(self._ready)]
            try:
                ran = subprocess.run(command, capture_output=True, text=True, check=False)
            except OSError as error:
                raise OutsideError(f"{self.promtool} does not start: {error}") from error
            if ran.returncode:
                raise OutsideError(f"promtool made no blocks, and nothing was added: {ran.stderr.strip()[-500:]}")
            file.unlink()
        self._parts.clear()
        self._lines = 0


@dataclass
class RemoteWrite:
    """An address that takes samples; what one SLO recorded at a moment is sent together."""

    client: PrometheusClient
    url: str
    samples: int = 0

    def add(self, series: Sequence[Written]) -> None:
        """Send all series of one SLO, the newest first."""
        if not series:
            return
        length = _REQUEST.milliseconds
        first = min(int(one.at[0]) for one in series) // length
        last = max(int(one.at[-1]) for one in series) // length
        for number in range(last, first - 1, -1):
            parts = [one.between(number * length - 1, (number + 1) * length - 1) for one in series]
            parts = [one for one in parts if len(one.at)]
            if parts:
                send(self.client, self.url, [RemoteSeries(one.labels, one.at, one.values) for one in parts])
                self.samples += sum(len(one.at) for one in parts)


def _series_text(labels: Mapping[str, str]) -> str:
    """A series as OpenMetrics has it."""
    inside = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items() if name != "__name__")
    return f"{labels['__name__']}{{{inside}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
