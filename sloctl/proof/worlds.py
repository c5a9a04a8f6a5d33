"""Raw series that make an SLI count what a scenario wants, derived from the user's own selectors.

Each world also writes decoys: series that fail one matcher of a selector and must not be counted.
"""

from __future__ import annotations

from typing import assert_never

from sloctl.model.catalogue import Slo
from sloctl.model.indicator import (
    Across,
    Freshness,
    Latency,
    Probe,
    Query,
    Ratio,
    Saturation,
    Threshold,
    Throughput,
)
from sloctl.proof.counters import event_world, latency_series, ratio_series, throughput_world
from sloctl.proof.examples import NotDerivableError
from sloctl.proof.gauges import freshness_world, probe_world, saturation_world, threshold_world
from sloctl.proof.series import Clock
from sloctl.proof.world import Counts, World


def world(slo: Slo) -> World:
    """The world of an SLO.

    Raises:
        NotDerivableError: no raw series can be derived from its specification.
    """
    clock = Clock.of(slo.sampling)
    match slo.indicator:
        case Ratio() as ratio:
            return event_world(slo, clock, ratio_series(slo, ratio, clock))
        case Latency(native=True):
            raise NotDerivableError("promtool 2.42 cannot write native histograms")
        case Latency() as latency:
            return event_world(slo, clock, latency_series(slo, latency, clock))
        case Query():
            raise NotDerivableError("a query is the user's own PromQL, whose result cannot be turned back into series")
        case Probe() as probe:
            return probe_world(probe, clock)
        case Freshness() as freshness:
            return freshness_world(freshness, clock)
        case Throughput() as throughput:
            return throughput_world(slo, throughput, clock)
        case Saturation() as saturation:
            return saturation_world(saturation, clock)
        case Threshold() as threshold:
            return threshold_world(threshold, clock)
        case _:
            assert_never(slo.indicator)


def counts_of(slo: Slo) -> Counts:
    """What a tile of an SLO can hold, whether or not raw series can be derived."""
    match slo.indicator:
        case _ if not slo.counts_slices:
            return Counts.EVENTS
        case Query() | Probe(across=Across.EACH) if slo.timeslices is None:
            return Counts.SAMPLES
        case _:
            return Counts.SLICES
