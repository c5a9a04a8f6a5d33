"""What raw input series of an SLI are: how its tiles are written, and what every kind of it needs for that."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from typing import Final

from sloctl.explain.simulation import Tile
from sloctl.model.catalogue import NewSeries, Slo
from sloctl.model.indicator import Counts, Every, Latency, PerSecond, Ratio, RunningTotal, Throughput
from sloctl.proof.examples import SeriesLabels
from sloctl.proof.series import InputSeries, SampleValues, ScrapeClock, series_text

BUSY: Final = Decimal(1_200_000_000)
"""Events in a tile of a busy SLO: a multiple of all usual sample counts and lengths."""
INSTANCE: Final = "proof"


@dataclass(frozen=True, slots=True)
class RawInput(ABC):
    """Writes tiles as the raw series that an SLI reads, derived from the user's own selectors.

    It also writes series that fail one matcher of a selector each and must not be counted.

    Attributes:
        clock: when samples are scraped.
    """

    slo: Slo
    clock: ScrapeClock

    @property
    def further(self) -> str:
        """A label that tells further series apart: neither split by nor matched."""
        reads = self.slo.indicator.reads()
        taken = {matcher.label for group in reads.groups for selector in group for matcher in selector.matchers}
        taken |= {*self.slo.by, *self.slo.sampling.target_labels}
        return next(label for label in (f"replica{'_' * number}" for number in count()) if label not in taken)

    @abstractmethod
    def series(self, tiles: Sequence[Tile], split: SeriesLabels) -> InputSeries:
        """The input series of one split value."""

    def measured(self, tile: Tile) -> Decimal | None:  # noqa: ARG002 - most kinds measure nothing
        """The value that a forecast looks at."""
        return None

    def continues_history(self) -> bool:
        """False where a new counter's first (partial) slice would count as a bad slice.

        Raw input cannot continue a recorded history there.
        """
        return True

    @property
    def is_counter(self) -> bool:
        """Whether its series count up, so that a tile needs a sample before it; others hold rates or values."""
        match self.slo.indicator:
            case Ratio(counts=counts) | Throughput(counts=counts):
                return isinstance(counts, RunningTotal)
            case _:
                return isinstance(self.slo.indicator, Latency)

    def counted(self, counts: Counts, events: Sequence[Decimal], *, created: bool = False) -> SampleValues:
        """Events of each tile in the way in which the SLI counts; `created`: the series begins with its first event.

        A new series begins earlier, and with zero, where its first sample counts for nothing.
        """
        match counts:
            case PerSecond():
                return self.clock.gauge([event / self.clock.resolution.seconds for event in events])
            case Every(length):
                return self.clock.gauge([event * (length / self.clock.resolution) for event in events])
            case RunningTotal():
                counts_creation = self.slo.sampling.new_series is not NewSeries.IGNORE
                return self.clock.counter(events, created=created and counts_creation)

    def scraped(self, metric: str, labels: SeriesLabels, samples: SampleValues) -> InputSeries:
        """A series with the labels of a target, and that target's `up`."""
        target = {label: labels.get(label, INSTANCE) for label in self.slo.sampling.target_labels}
        return {
            series_text(metric, {**labels, **target}): samples,
            series_text("up", target): [Decimal(1)] * len(samples),
        }


def split_at_recovery(events: Sequence[Decimal], bad: Sequence[Decimal]) -> tuple[list[Decimal], list[Decimal]]:
    """Events until the last bad tile, and those after it."""
    last = max((index for index, errors in enumerate(bad) if errors), default=len(bad))
    before = [count if index <= last else Decimal(0) for index, count in enumerate(events)]
    return before, [count - kept for count, kept in zip(events, before, strict=True)]
