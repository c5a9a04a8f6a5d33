"""A history of tiles as input series: recorded tiles for what is long past, raw series from there on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, assert_never

from sloctl.explain.simulation import Tile
from sloctl.model.catalogue import NewSeries, Slo
from sloctl.model.indicator import Freshness, Latency, Probe, Query, Ratio, Saturation, Threshold, Throughput
from sloctl.proof.counters import LatencyInput, RatioInput, ThroughputInput
from sloctl.proof.examples import NotDerivableError
from sloctl.proof.gauges import SampledInput, SaturationInput, freshness_input, probe_input, threshold_input
from sloctl.proof.raw_input import BUSY, RawInput
from sloctl.proof.recorded import AFFECTED, UNAFFECTED, split_of, tile_series
from sloctl.proof.series import InputSeries, SampleValues, ScrapeClock

EMPTY: Final[Tile] = (Decimal(0), Decimal(0))
_TILES_BUSY: Final = BUSY * 1000
"""Where tiles are written as they are, more events make the guard's part in the threshold smaller still."""


def raw_input(slo: Slo) -> RawInput:
    """Raw series of an SLO, derived from the user's own selectors.

    Raises:
        NotDerivableError: no raw series can be derived from its specification.
    """
    clock = ScrapeClock.of(slo.sampling)
    match slo.indicator:
        case Ratio() as ratio:
            return RatioInput.of(slo, clock, ratio)
        case Latency(native=True):
            raise NotDerivableError("promtool 2.42 cannot write native histograms")
        case Latency() as latency:
            return LatencyInput.of(slo, clock, latency)
        case Query():
            raise NotDerivableError("a query is the user's own PromQL, whose result cannot be turned back into series")
        case Probe() as probe:
            return probe_input(slo, clock, probe)
        case Freshness() as freshness:
            return freshness_input(slo, clock, freshness)
        case Throughput() as throughput:
            return ThroughputInput.of(slo, clock, throughput)
        case Saturation() as saturation:
            return SaturationInput.of(slo, clock, saturation)
        case Threshold() as threshold:
            return threshold_input(slo, clock, threshold)
        case _:
            assert_never(slo.indicator)


@dataclass(frozen=True, slots=True)
class Traffic:
    """How many events a tile of the SLO holds when it is busy."""

    events: Decimal

    @property
    def clean(self) -> Tile:
        """A tile without a bad event."""
        return self.events, Decimal(0)

    @property
    def outage(self) -> Tile:
        """A tile of bad events only."""
        return self.events, self.events


def traffic_of(slo: Slo, raw: RawInput | None) -> Traffic:
    """Many events, every sample of a gauge, or one slice; written as tiles where there is no raw input."""
    if not slo.counts_slices:
        return Traffic(BUSY if raw else _TILES_BUSY)
    return Traffic(Decimal(raw.clock.per_tile if isinstance(raw, SampledInput) else 1))


def continued(slo: Slo, raw: RawInput, tiles: Sequence[Tile], raw_from: int) -> InputSeries:
    """Recorded tiles until `raw_from`, and from there on raw series."""
    clock, found = raw.clock, dict[str, SampleValues]()
    for split, history in _histories(slo, tiles[:raw_from]):
        for name, samples in tile_series(slo, history, split).items():
            found[name] = resampled(samples, clock.per_tile)
    if raw_from >= len(tiles):
        return found
    begins = raw_from - 1 if raw.is_counter else raw_from
    starts_anew = raw.is_counter and slo.sampling.new_series is NewSeries.COUNT
    written: InputSeries = {}
    for split, history in _histories(slo, tiles):
        written |= raw.series(history, split)
    if slo.by:
        written |= raw.series(tiles, {})  # events of no split value, which must not be counted
    for name, samples in written.items():
        kept = [value if clock.tile(sample) >= begins else None for sample, value in enumerate(samples)]
        found[name] = _anew(samples, kept) if starts_anew and not name.startswith("up{") else kept
    return found


def _anew(samples: SampleValues, kept: SampleValues) -> SampleValues:
    """A counter without what it counted before its first kept sample, where first samples count as events."""
    first = next((index for index, value in enumerate(kept) if value is not None), 0)
    before = (samples[first - 1] if first else None) or Decimal(0)
    return [None if value is None else value - before for value in kept]


def _histories(slo: Slo, tiles: Sequence[Tile]) -> list[tuple[dict[str, str], Sequence[Tile]]]:
    """The tiles of each split value: the affected one, and one beside it without a bad event."""
    if not slo.by:
        return [({}, tiles)]
    clean = [(total, Decimal(0)) for total, _ in tiles]
    return [(split_of(slo, AFFECTED), tiles), (split_of(slo, UNAFFECTED), clean)]


def resampled(samples: SampleValues, per_tile: int) -> SampleValues:
    """Recorded tiles at the raw scrape interval, each one raw step after the previous tile.

    promtool rejects a written sample at a rule's own timestamp. This early, a tile lies in the same windows, and no
    lookup of the latest tile sees it.
    """
    early = list(samples[1:])
    return [early[index // per_tile] if index % per_tile == 1 else None for index in range(len(early) * per_tile)]
