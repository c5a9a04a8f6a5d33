"""The past of SLOs out of a running Prometheus: recorded tiles, before them what raw samples tell.

Recorded tiles are read by an instant query with a matrix selector, which gives each sample its own time; a range query
would move them to its grid and repeat the last one in a gap. Where recordings do not reach back, raw counters are
counted here, and what cannot be counted here is asked as the compiled expression of a tile, minute by minute.

Whatever is not a complete answer raises. A query that asks for too much is asked in halves.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from sloctl import conventions
from sloctl.history.counting import LabelValues, Series, counted, from_widest, is_countable, read_by, ups_of
from sloctl.history.tiles import Floats, History, Moments, Tiles, periods_of, rolled_up
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import DAY, HOUR, Duration
from sloctl.model.selector import Matcher, MatchOperator, Selector
from sloctl.prometheus import Fault, PrometheusError
from sloctl.promql.selectors import label_selector, selector_text

if TYPE_CHECKING:
    from sloctl.prometheus import FlatSeries, PrometheusClient

TileTexts: TypeAlias = Callable[[Slo], tuple[str, str]]
"""The PromQL of all events of a tile and of the bad ones, as rules record them."""
Progress: TypeAlias = Callable[[float], None]
"""Told the share of all that was read."""

MOST_SAMPLES: Final = 1_000_000
"""So many samples are asked for at once: some 20 MB of an answer, 100 MB of memory."""
MOST_COUNTED: Final = 20_000_000
"""Raw samples of one SLO that are counted here; the expression is asked where there are more."""
_A_TILE: Final = 2.5
"""Samples that rules record of an SLO in a tile: all and bad events, and a quarter of each roll-up."""
_MOST_POINTS: Final = 10_000
"""Of a range query; Prometheus takes 11 000."""
_SHORTEST: Final = HOUR
"""A part that is not divided any further."""
_MAY_DIVIDE: Final = {Fault.TIMEOUT, Fault.TOO_MUCH, Fault.BROKEN}
_PHASES: Final = (0, 15, 30, 45)
"""Seconds of a minute at which a group may be evaluated, tried where nothing is recorded that tells."""
_DOWNSAMPLED: Final = Duration.of(minutes=5)
_SETTLED: Final = HOUR
"""What is older does not change any more and may be kept."""


class Source(Enum):
    """Where tiles come from."""

    AUTO = "auto"
    TILES = "tiles"
    SAMPLES = "samples"
    QUERY = "query"


@dataclass(frozen=True)
class Past:
    """The past of one SLO, or of one value of its split labels.

    Attributes:
        split: the values of its split labels, by the names that recordings have.
        history: from before the span on, so that windows are whole at its start.
        phases: the same for other seconds of evaluation, where nothing tells which one it is.
        sources: where its tiles come from, the newest first.
        measured: the share of the span for which there are tiles.
        notes: what a reader should know of it, in sentences.
        shortest: tiers with a shorter window cannot be judged: the source keeps averages only.
        recorded_from: the first recorded tile and roll-up, Unix milliseconds; None where nothing is recorded.
    """

    slo: Slo
    split: Mapping[str, str]
    history: History
    phases: tuple[History, ...] = ()
    sources: tuple[Source, ...] = (Source.TILES,)
    measured: float = 1.0
    notes: tuple[str, ...] = ()
    shortest: Duration = field(default_factory=lambda: Duration(0))
    recorded_from: tuple[int, int] | None = None


@dataclass(frozen=True)
class Reach:
    """What is asked about, in Unix milliseconds, and how much before it is read as well."""

    start: int
    end: int
    lead: Duration

    @property
    def first(self) -> int:
        """The first moment to read."""
        return self.start - self.lead.milliseconds


def longest_window(slos: Iterable[Slo]) -> Duration:
    """How far the tiers of some SLOs look back."""
    windows = [window for slo in slos for tier in slo.tiers for window in (tier.windows or (slo.window.longest,))]
    return max(windows, default=HOUR)


def read_past(
    slos: Sequence[Slo],
    reader: Reader,
    span: Reach,
    tiles: TileTexts,
    source: Source = Source.AUTO,
    progress: Progress = lambda _: None,
) -> Iterator[Past]:
    """The past of each SLO and split value, one SLO after the other, so that only few are held at a time.

    An SLO without any series in the span has none.

    Raises:
        PrometheusError: there is no complete answer.
    """
    done = 0
    for batch in _batches(slos, span):
        tracks = _recorded(reader, batch, span) if source in {Source.AUTO, Source.TILES} else {}
        for slo in batch:
            yield from _Joining(slo, reader, span, tiles, source).pasts(tracks.pop(slo.id, {}))
            done += 1
            progress(done / len(slos))


def _batches(slos: Sequence[Slo], span: Reach) -> Iterator[list[Slo]]:
    """SLOs of one platform that one query may read together; those that are split are read alone."""
    batch, samples = list[Slo](), 0.0
    for slo in slos:
        own = _A_TILE * (span.end - span.first) / slo.sampling.resolution.milliseconds
        fits = batch and not slo.by and not batch[0].by and samples + own <= MOST_SAMPLES
        same = batch and (batch[0].platform, batch[0].sampling.resolution) == (slo.platform, slo.sampling.resolution)
        if batch and not (fits and same):
            yield batch
            batch, samples = [], 0.0
        batch.append(slo)
        samples += own
    if batch:
        yield batch


@dataclass(frozen=True)
class Reader:
    """Samples in parts that are answered, kept in a folder where there is one.

    Attributes:
        folder: for answers about times that are settled; None keeps nothing.
        now: Unix milliseconds.
    """

    client: PrometheusClient
    now: int
    folder: Path | None = None
    whose: str = ""

    def samples(
        self, selector: str, start: int, end: int, series: float = 1.0, spacing: float = 60_000
    ) -> list[Series]:
        """The samples after `start` and until `end`.

        Args:
            series: about how many there are, and
            spacing: milliseconds between their samples; a part is so long that it is answered.
        """
        length = MOST_SAMPLES / max(series, 1.0) * spacing
        return self._parts(selector, start, end, length, self._matrix)

    def points(self, promql: str, start: int, end: int, step: Duration) -> list[Series]:
        """The values of an expression at `start` and each step later, until `end`."""

        def ask(text: str, after: int, until: int) -> tuple[FlatSeries, ...]:
            return self.client.flat_range(text, (after + step.milliseconds) / 1000, until / 1000, float(step.seconds))

        return self._parts(promql, start - step.milliseconds, end, _MOST_POINTS * step.milliseconds, ask, step)

    def count(self, selector: str, start: int, end: int) -> float:
        """About how many series there are at a time; at least 1."""
        found = (self.client.query(f"count({selector})", moment / 1000) for moment in (end, (start + end) / 2))
        return max((sample.value for answer in found for sample in answer), default=1.0)

    def _matrix(self, selector: str, after: int, until: int) -> tuple[FlatSeries, ...]:
        return self.client.flat_samples(selector, f"{until - after}ms", until / 1000)

    def _parts(
        self,
        text: str,
        start: int,
        end: int,
        length: float,
        ask: Callable[[str, int, int], tuple[FlatSeries, ...]],
        step: Duration = _SHORTEST,
    ) -> list[Series]:
        """All samples of a time, asked in parts on a grid of their length, so that the same parts are kept."""
        grid = step.milliseconds if length < DAY.milliseconds else DAY.milliseconds
        part = max(1, int(length // grid)) * grid
        offset = start % step.milliseconds if step != _SHORTEST else 0
        answers, after = list[Iterable[Series]](), start
        while after < end:
            until = min(((after - offset) // part + 1) * part + offset, end)
            answers.append(self._part(text, after, until, ask, step))
            after = until
        return _joined(answers)

    def _part(
        self, text: str, after: int, until: int, ask: Callable[[str, int, int], tuple[FlatSeries, ...]], step: Duration
    ) -> list[Series]:
        kept = self._kept(text, after, until)
        if kept is not None and (known := _read_kept(kept)) is not None:
            return known
        try:
            found = [_series(one, after) for one in ask(text, after, until)]
        except PrometheusError as error:
            half = after + (until - after) // 2 // step.milliseconds * step.milliseconds
            if error.fault not in _MAY_DIVIDE or until - after < 2 * _SHORTEST.milliseconds or half == after:
                raise
            halves = ((after, half), (half, until))
            found = _joined([self._part(text, begin, end, ask, step) for begin, end in halves])
        if kept is not None:
            _keep(kept, found)
        return found

    def _kept(self, text: str, after: int, until: int) -> Path | None:
        if self.folder is None or until > self.now - _SETTLED.milliseconds:
            return None
        key = json.dumps([self.client.url, self.whose, text, after, until])
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()}.npz"


def _series(one: FlatSeries, after: int) -> Series:
    """Ranges include their begin up to Prometheus 2.x: a sample then belongs to the part before."""
    both = np.array(one.numbers, np.float64).reshape(-1, 2)
    at = np.rint(both[:, 0] * 1000).astype(np.int64)
    first = int(np.searchsorted(at, after, side="right"))
    return Series(one.labels, at[first:], np.ascontiguousarray(both[first:, 1]))


def _joined(answers: Iterable[Iterable[Series]]) -> list[Series]:
    """Series of consecutive parts as one each."""
    found: dict[tuple[tuple[str, str], ...], list[Series]] = {}
    for answer in answers:
        for one in answer:
            if len(one.at):
                found.setdefault(tuple(sorted(one.labels.items())), []).append(one)
    return [
        parts[0]
        if len(parts) == 1
        else Series(
            parts[0].labels,
            np.concatenate([part.at for part in parts]),
            np.concatenate([part.values for part in parts]),
        )
        for parts in found.values()
    ]


def _keep(path: Path, found: Sequence[Series]) -> None:
    """Whole or not at all, and where nothing can be written nothing is kept."""
    arrays = {f"{name}{index}": getattr(one, name) for index, one in enumerate(found) for name in ("at", "values")}
    labels = np.array(json.dumps([dict(one.labels) for one in found]))
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, labels=labels, **arrays)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def _read_kept(path: Path) -> list[Series] | None:
    """What was kept, or None; what is not ours or not whole counts for nothing."""
    try:
        if path.stat().st_uid != os.geteuid():
            return None
        with np.load(path, allow_pickle=False) as content:
            labels = json.loads(str(content["labels"]))
            return [Series(one, content[f"at{index}"], content[f"values{index}"]) for index, one in enumerate(labels)]
    except (OSError, ValueError, KeyError, EOFError):
        return None


@dataclass(frozen=True)
class _Track:
    """The recordings of one SLO or split value; roll-ups have a calendar's period each."""

    total: tuple[Moments, Floats]
    errors: tuple[Moments, Floats]
    rolled_total: tuple[Moments, Floats]
    rolled_errors: tuple[Moments, Floats]
    periods: tuple[Moments, Floats] | None


def _recorded(reader: Reader, slos: Sequence[Slo], span: Reach) -> dict[str, dict[LabelValues, _Track]]:
    """The recorded tiles of some SLOs of one platform, by SLO and split values."""
    sampling, platform = slos[0].sampling, slos[0].platform
    names = [
        conventions.total_tile(sampling.resolution),
        conventions.errors_tile(sampling.resolution),
        conventions.total_tile(sampling.rollup),
        conventions.errors_tile(sampling.rollup),
    ]
    matchers = label_selector("x", {"platform": platform}).matchers
    ids = "|".join(re.escape(slo.id) for slo in slos)
    text = selector_text(
        Selector(
            "",
            (
                Matcher("__name__", MatchOperator.REGEX, "|".join(map(re.escape, names))),
                *matchers,
                Matcher("slo", MatchOperator.REGEX, ids),
            ),
        )
    )
    values = _split_values(reader, slos[0], span) if slos[0].by else 1.0
    series = _A_TILE * len(slos) * values
    found = reader.samples(text, span.first, span.end, series, sampling.resolution.milliseconds)
    by_id = {slo.id: slo for slo in slos}
    parts: dict[str, dict[LabelValues, dict[str, list[Series]]]] = {}
    for one in found:
        slo = by_id.get(one.labels.get("slo", ""))
        if slo is not None:
            value = tuple(one.labels.get(label, "") for label in slo.split_labels)
            named = parts.setdefault(slo.id, {}).setdefault(value, {})
            named.setdefault(one.labels["__name__"], []).append(one)
    return {
        slo: {value: _track([named.get(name, []) for name in names]) for value, named in values.items()}
        for slo, values in parts.items()
    }


def _split_values(reader: Reader, slo: Slo, span: Reach) -> float:
    """About how many values its split labels have at a time."""
    own = {"platform": slo.platform, "slo": slo.id}
    text = selector_text(label_selector(conventions.total_tile(slo.sampling.resolution), own))
    return reader.count(text, span.first, span.end)


def _track(found: Sequence[Sequence[Series]]) -> _Track:
    total, errors, rolled_total, rolled_errors = (_together(series) for series in found)
    labelled = [one for one in found[2] if one.labels.get("period")]
    periods = None
    if labelled:
        periods = _together(
            [Series(one.labels, one.at, np.full(len(one.at), float(one.labels["period"]))) for one in labelled]
        )
    return _Track(total, errors, rolled_total, rolled_errors, periods)


def _together(series: Sequence[Series]) -> tuple[Moments, Floats]:
    """Samples of series that follow each other, such as those of a calendar's periods."""
    if len(series) == 1:
        return series[0].at, series[0].values
    at = np.concatenate([np.array([], np.int64), *(one.at for one in series)])
    values = np.concatenate([np.array([], np.float64), *(one.values for one in series)])
    order = np.argsort(at, kind="stable")
    at, values = at[order], values[order]
    first = np.append([True], at[1:] != at[:-1]) if len(at) else np.array([], np.bool_)
    return at[first], values[first]


def _begins(recorded: History) -> tuple[int, int]:
    first = int(recorded.tiles.at[0])
    return first, int(recorded.rollups.at[0]) if len(recorded.rollups) else first


@dataclass(frozen=True)
class _Joining:
    """One SLO: its recordings, and before them what raw samples or the expression tell."""

    slo: Slo
    reader: Reader
    span: Reach
    texts: TileTexts
    source: Source

    def pasts(self, tracks: Mapping[LabelValues, _Track]) -> Iterator[Past]:
        step = self.slo.sampling.resolution.milliseconds
        recorded = {value: self._of_track(track) for value, track in tracks.items()}
        recorded = {value: history for value, history in recorded.items() if len(history.tiles)}
        first = min((int(history.tiles.at[0]) for history in recorded.values()), default=self.span.end)
        earlier: dict[int, dict[LabelValues, Tiles]] = {}
        how = Source.TILES
        if self.source is not Source.TILES and first - self.span.first > 2 * step:
            until = first - step if recorded else self.span.end
            phases = [first % step] if recorded else [1000 * second * step // 60_000 for second in _PHASES]
            how, earlier = self._before(until, phases)
        for value in sorted(recorded.keys() | {value for found in earlier.values() for value in found}):
            yield self._past(value, recorded.get(value), earlier, how)

    def _past(
        self,
        value: LabelValues,
        recorded: History | None,
        earlier: Mapping[int, Mapping[LabelValues, Tiles]],
        how: Source,
    ) -> Past:
        split = dict(zip(self.slo.split_labels, value, strict=True))
        if recorded is None:
            histories = [self._of_tiles(found[value], phase) for phase, found in earlier.items() if value in found]
            sources: tuple[Source, ...] = (how,)
        else:
            before = [found[value] for found in earlier.values() if value in found]
            histories = [self._with_earlier(recorded, before[0]) if before else recorded]
            sources = (Source.TILES, how) if before else (Source.TILES,)
        history, *phases = histories
        history, notes, shortest = self._upsampled(history)
        measured = self._measured(history.tiles)
        begins = None if recorded is None else _begins(recorded)
        return Past(self.slo, split, history, tuple(phases), sources, measured, notes, shortest, begins)

    def _measured(self, tiles: Tiles) -> float:
        """The share of the span that has tiles."""
        inside = tiles.between(self.span.start, self.span.end)
        step = self.slo.sampling.resolution.milliseconds
        return min(1.0, (len(inside) + 1) * step / (self.span.end - self.span.start)) if len(inside) else 0.0

    def _upsampled(self, history: History) -> tuple[History, tuple[str, ...], Duration]:
        """Thanos keeps averages of five minutes or an hour of what is old: each stands for as many tiles."""
        tiles, step = history.tiles, self.slo.sampling.resolution.milliseconds
        if len(tiles) < 3:
            return history, (), Duration(0)
        spacing = float(np.median(np.diff(tiles.at)))
        if spacing < _DOWNSAMPLED.milliseconds or spacing < 2 * step:
            return history, (), Duration(0)
        times = spacing / step
        scaled = Tiles(tiles.at, tiles.total * times, tiles.bad * times)
        note = f"the source keeps one sample each {Duration(int(spacing))}: tiers shorter than 1h are left out"
        return self._of_tiles(scaled, 0), (note,), HOUR

    def _of_tiles(self, tiles: Tiles, phase: int) -> History:
        """The history of tiles that nobody recorded; it is young where raw series begin in it."""
        return History.of(self.slo, tiles, since=self._since(tiles), phase=phase)

    def _since(self, tiles: Tiles) -> float:
        step = self.slo.sampling.resolution
        if not len(tiles) or int(tiles.at[0]) - self.span.first <= 2 * step.milliseconds:
            return -np.inf
        return int(tiles.at[0]) / 1000 - float(step.seconds)

    def _of_track(self, track: _Track) -> History:
        tiles = Tiles.of_both(track.total, track.errors)
        rollups = Tiles.of_both(track.rolled_total, track.rolled_errors)
        periods = periods_of(self.slo, rollups.at)
        if periods is not None and track.periods is not None and np.array_equal(track.periods[0], rollups.at):
            periods = track.periods[1]
        evaluated, slowly = self._evaluated(tiles, rollups)
        return History(tiles, rollups, evaluated, slowly, self._since(tiles), periods)

    def _with_earlier(self, recorded: History, before: Tiles) -> History:
        """Roll-ups of what is earlier are evaluated when the recorded ones are."""
        rollup = self.slo.sampling.rollup.milliseconds
        phase = int(recorded.rollups.at[0]) % rollup if len(recorded.rollups) else 0
        tiles = recorded.tiles.after(before)
        # those of the time before the first recorded one, which may hold tiles of both
        rolled = rolled_up(tiles, self.slo.sampling.resolution, self.slo.sampling.rollup, phase)
        rollups = recorded.rollups.after(rolled)
        return History(
            tiles,
            rollups,
            np.union1d(before.at, recorded.evaluated),
            np.union1d(rollups.at, recorded.evaluated_slowly),
            self._since(tiles),
            periods_of(self.slo, rollups.at),
        )

    def _evaluated(self, tiles: Tiles, rollups: Tiles) -> tuple[Moments, Moments]:
        """When the groups were evaluated: where tiles are missing, recordings that are always there tell."""
        fast, slow = tiles.at, rollups.at
        gaps = np.flatnonzero(np.diff(fast) > self.slo.sampling.resolution.milliseconds * 3 // 2)
        ends = int(fast[-1]) < self.span.end - 2 * self.slo.sampling.resolution.milliseconds if len(fast) else False
        if not len(gaps) and not ends:
            return fast, slow
        start = int(fast[gaps[0]]) if len(gaps) else int(fast[-1])
        end = self.span.end if ends else int(fast[gaps[-1] + 1])
        own = {"platform": self.slo.platform, "slo": self.slo.id}
        found = list[Moments]()
        for name in (conventions.MEASURED_SINCE, conventions.OBJECTIVE):
            text = selector_text(label_selector(name, own))
            series = self.reader.samples(text, start, end, 1, self.slo.sampling.resolution.milliseconds)
            found.append(np.unique(np.concatenate([np.array([], np.int64), *(one.at for one in series)])))
        return np.union1d(fast, found[0]), np.union1d(slow, found[1])

    def _before(self, until: int, phases: Sequence[int]) -> tuple[Source, dict[int, dict[LabelValues, Tiles]]]:
        """Tiles until a moment, by split values, for each phase at which they may be evaluated."""
        if self.source is not Source.QUERY and is_countable(self.slo):
            samples = self._raw(until)
            if samples is not None:
                return Source.SAMPLES, {phase: self._counted(samples, until, phase) for phase in phases}
        return Source.QUERY, {phase: self._asked(until, phase) for phase in phases[:1]}

    def _raw(self, until: int) -> tuple[dict[Selector, list[Series]], list[Series]] | None:
        """Raw series and `up` of their targets; None where there are too many samples."""
        sampling = self.slo.sampling
        first = self.span.first - sampling.shift.milliseconds - sampling.lookback.milliseconds
        spacing = float(sampling.scrape_interval.milliseconds)
        selectors, ups = read_by(self.slo), ups_of(self.slo)
        first_to_last = self.span.first, until
        many = {one: self.reader.count(selector_text(one), *first_to_last) for one in (*selectors, *ups)}
        if sum(many.values()) * (until - first) / spacing > MOST_COUNTED:
            return None
        read = {
            selector: self.reader.samples(selector_text(selector), first, until, many[selector], spacing)
            for selector in many
        }
        return {one: read[one] for one in selectors}, [one for up in ups for one in read[up]]

    def _counted(
        self, samples: tuple[dict[Selector, list[Series]], list[Series]], until: int, phase: int
    ) -> dict[LabelValues, Tiles]:
        raw, ups = samples
        known = [int(one.at[0]) for series in raw.values() for one in series]
        if not known:
            return {}
        step = self.slo.sampling.resolution.milliseconds
        begin = max(self.span.first, min(known) + self.slo.sampling.shift.milliseconds)
        first = ceil((begin - phase) / step) * step + phase
        return counted(self.slo, from_widest(raw), ups, np.arange(first, until + 1, step, dtype=np.int64))

    def _asked(self, until: int, phase: int) -> dict[LabelValues, Tiles]:
        """The compiled expressions, minute by minute."""
        step = self.slo.sampling.resolution
        first = ceil((self.span.first - phase) / step.milliseconds) * step.milliseconds + phase
        sides = list[dict[LabelValues, tuple[Moments, Floats]]]()
        for text in self.texts(self.slo):
            series = self.reader.points(text, first, until, step)
            sides.append(
                {
                    tuple(one.labels.get(label, "") for label in self.slo.split_labels): (one.at, one.values)
                    for one in series
                }
            )
        total, errors = sides
        nothing = np.array([], np.int64), np.array([], np.float64)
        return {value: Tiles.of_both(samples, errors.get(value, nothing)) for value, samples in total.items()}
