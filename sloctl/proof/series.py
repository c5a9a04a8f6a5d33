"""Input series of promtool's unit tests: samples of raw series, tile by tile, in its notation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias, overload

from sloctl.model.catalogue import Sampling
from sloctl.model.quantities import Duration, number
from sloctl.promql.selectors import quote

SampleValues: TypeAlias = Sequence[Decimal | None]
InputSeries: TypeAlias = dict[str, SampleValues]
"""Samples by the text of their series; None where there is none."""


@dataclass(frozen=True, slots=True)
class ScrapeClock:
    """When samples are scraped, and in which tile each is counted.

    Attributes:
        per_tile: samples in a tile. They never lie on the edge of a shifted tile, because ranges include their
            start up to Prometheus 2.x and exclude it in 3.x.
    """

    resolution: Duration
    shift: Duration
    per_tile: int

    @classmethod
    def of(cls, sampling: Sampling) -> ScrapeClock:
        """At least three samples per tile, as few as the shift allows."""
        length, shift = sampling.resolution.milliseconds, sampling.shift.milliseconds
        fits = (count for count in range(3, 61) if length % count == 0 and shift % (length // count))
        return cls(sampling.resolution, sampling.shift, next(fits, 4))

    @property
    def interval(self) -> Duration:
        """Time between two samples."""
        return self.resolution // self.per_tile

    def tile(self, sample: int) -> int:
        """The number of the tile that counts a sample."""
        seen = sample * self.interval.milliseconds + self.shift.milliseconds
        return -(-seen // self.resolution.milliseconds)

    def samples(self, tiles: int) -> int:
        """How many samples are seen until tile `tiles - 1` is recorded."""
        last = (tiles - 1) * self.resolution.milliseconds - self.shift.milliseconds
        return max(0, last // self.interval.milliseconds + 1)

    def counter(self, tiles: Sequence[Decimal], *, created: bool = False) -> SampleValues:
        """A counter that grows by so much in each tile; a `created` one has no sample before its first event."""
        numbers = [self.tile(sample) for sample in range(self.samples(len(tiles)))]
        inside, begun = Counter(numbers[1:]), set[int]()
        value, samples = Decimal(0), list[Decimal | None]()
        for sample, tile in enumerate(numbers):
            if sample and tiles[tile]:
                value += _part(tiles[tile], inside[tile], first=tile not in begun)
                begun.add(tile)
            samples.append(value if value or not created else None)
        return samples

    def gauge(self, tiles: Sequence[Decimal]) -> SampleValues:
        """A gauge with one value throughout each tile."""
        return [tiles[self.tile(sample)] for sample in range(self.samples(len(tiles)))]

    def moments(self, offsets: Sequence[Decimal]) -> SampleValues:
        """Unix seconds of each sample plus what its tile says."""
        step = self.interval.seconds
        count = self.samples(len(offsets))
        return [step * sample + offsets[self.tile(sample)] for sample in range(count)]


def _part(events: Decimal, samples: int, *, first: bool) -> Decimal:
    """Events of one sample: equal parts where they are whole, else all at the first."""
    if events % samples == 0:
        return events / samples
    return events if first else Decimal(0)


def series_text(metric: str, labels: Mapping[str, str]) -> str:
    """A series as PromQL and promtool write it, labels in order."""
    inside = ", ".join(f"{name}={quote(value)}" for name, value in sorted(labels.items()))
    return f"{metric}{{{inside}}}"


@dataclass(frozen=True, slots=True)
class FewSamples(Sequence[Decimal | None]):
    """A long series that has samples at some of its places only."""

    at: Mapping[int, Decimal]
    length: int

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, place: int) -> Decimal | None: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Decimal | None]: ...

    def __getitem__(self, place: int | slice) -> Decimal | Sequence[Decimal | None] | None:
        if isinstance(place, slice):
            return [self.at.get(index) for index in range(*place.indices(self.length))]
        if not -self.length <= place < self.length:
            raise IndexError(place)
        return self.at.get(place % self.length)

    def runs(self) -> Iterator[str]:
        """In promtool's notation."""
        begin = 0
        for place in sorted(place for place in self.at if place < self.length):
            if place > begin:
                yield f"_x{place - begin}"
            yield number(self.at[place])
            begin = place + 1


def notation(samples: SampleValues) -> str:
    """Samples as promtool expands them, `a+bxn` for n more values, each b larger, and `_` for none."""
    return " ".join(samples.runs() if isinstance(samples, FewSamples) else _runs(list(samples)))


def _runs(samples: list[Decimal | None]) -> Iterator[str]:
    position = 0
    while position < len(samples):
        value = samples[position]
        if value is None:
            length = _missing(samples, position)
            yield f"_x{length}"
        else:
            step, length = _line(samples, position, value)
            yield number(value) if length == 1 else f"{number(value)}{_signed(step)}x{length - 1}"
        position += length


def _missing(samples: list[Decimal | None], position: int) -> int:
    end = position
    while end < len(samples) and samples[end] is None:
        end += 1
    return end - position


def _line(samples: list[Decimal | None], position: int, value: Decimal) -> tuple[Decimal, int]:
    """The step of the straight line that begins at `position`, and how many samples lie on it."""
    following = samples[position + 1] if position + 1 < len(samples) else None
    if following is None:
        return Decimal(0), 1
    step, end, expected = following - value, position + 2, following
    while end < len(samples) and samples[end] == expected + step:
        expected += step
        end += 1
    return step, end - position


def _signed(step: Decimal) -> str:
    return f"-{number(-step)}" if step < 0 else f"+{number(step)}"
