"""What raw series of an SLI are: how its tiles are written, and what every kind of it needs for that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final, TypeAlias

from sloctl.explain.simulation import Tile
from sloctl.model.catalogue import NewSeries, Slo
from sloctl.model.indicator import (
    Every,
    PerSecond,
    RunningTotal,
)
from sloctl.proof.examples import Labels
from sloctl.proof.series import Clock, Raw, Samples, series_text

Write: TypeAlias = Callable[[Sequence[Tile], Labels], Raw]

BUSY: Final = Decimal(1_200_000_000)
"""Events in a tile of a busy SLO: a multiple of all usual sample counts and lengths."""
DECOY_EVENTS: Final = BUSY
_INSTANCE: Final = "proof"


class Counts(Enum):
    """What a tile of an SLO can hold."""

    EVENTS = "events"  # any number, some of them bad
    SAMPLES = "samples"  # a fixed number, each bad by any share
    SLICES = "slices"  # one, good or bad


@dataclass(frozen=True, slots=True)
class World:
    """How tiles are written as raw series.

    Attributes:
        events: in each tile, for a fixed number of them.
        write: tiles and the split labels of one value to series.
        clock: when its samples are seen.
        counters: its series count up, so that a tile needs a sample before it.
        follows: its series can follow a history of tiles; not where the first slice of a new series, which is
            short, counts.
        measured: the value that a forecast looks at, in a good and in a bad tile.
    """

    clock: Clock
    counts: Counts
    events: Decimal
    write: Write
    counters: bool = False
    follows: bool = True
    measured: tuple[Decimal, Decimal] | None = None


def counted(clock: Clock, counts: object, events: Sequence[Decimal], *, born: bool) -> Samples:
    """Events of each tile in the way in which the SLI counts."""
    match counts:
        case PerSecond():
            return clock.gauge([one / clock.resolution.seconds for one in events])
        case Every(length):
            return clock.gauge([one * (length / clock.resolution) for one in events])
        case _:
            return clock.counter(events, born=born)


def decoy_samples(clock: Clock, counts: object, tiles: int) -> Samples:
    """Many events in each tile, of a series that must not be counted."""
    return counted(clock, counts, [DECOY_EVENTS] * tiles, born=False)


def counts_births(slo: Slo, counts: object) -> bool:
    """Whether the first sample of a new series counts as events."""
    return isinstance(counts, RunningTotal) and slo.sampling.new_series is not NewSeries.IGNORE


def add_series(raw: Raw, slo: Slo, metric: str, labels: Labels, samples: Samples) -> None:
    """One more series, with the labels of a target, and that target's `up`."""
    target = {label: labels.get(label, _INSTANCE) for label in slo.sampling.target_labels}
    raw[series_text(metric, {**labels, **target})] = samples
    raw[series_text("up", target)] = [Decimal(1)] * len(samples)


def turned(events: Sequence[Decimal], bad: Sequence[Decimal]) -> tuple[list[Decimal], list[Decimal]]:
    """Events until the trouble ends, and those after it."""
    last = max((index for index, one in enumerate(bad) if one), default=len(bad))
    before = [one if index <= last else Decimal(0) for index, one in enumerate(events)]
    return before, [one - kept for one, kept in zip(events, before, strict=True)]
