"""Raw series of SLIs that look at gauges: probe, freshness, saturation and threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from sloctl.explain.simulation import Tile
from sloctl.model.indicator import (
    Across,
    Freshness,
    Probe,
    Saturation,
    Threshold,
)
from sloctl.model.quantities import ZERO
from sloctl.promql.expressions import plain_selector
from sloctl.proof.examples import Labels, NotDerivableError, decoys, selected
from sloctl.proof.series import Clock, Raw, Samples, series_text
from sloctl.proof.world import (
    Counts,
    World,
)


def probe_world(probe: Probe, clock: Clock) -> World:
    """Probes that succeed or fail in part, or by vote."""
    labels, strange = selected(probe.gauge), list(decoys(probe.gauge))

    def decoy(raw: Raw, count: int, split: Labels) -> None:
        for one in strange:
            raw[series_text(probe.gauge.metric, {**one, **split})] = clock.gauge([Decimal(0)] * count)

    def each(tiles: Sequence[Tile], split: Labels) -> Raw:
        raw = {series_text(probe.gauge.metric, {**labels, **split}): clock.gauge([_goodness(one) for one in tiles])}
        decoy(raw, len(tiles), split)
        return raw

    def slices(tiles: Sequence[Tile], split: Labels) -> Raw:
        raw = _voted(
            probe.gauge.metric, {**labels, **split}, probe.across, tiles, clock, Decimal("0.5"), Decimal("0.4")
        )
        decoy(raw, len(tiles), split)
        return raw

    if probe.across is Across.EACH:
        return World(clock, Counts.SAMPLES, Decimal(clock.per_tile), each)
    return World(clock, Counts.SLICES, Decimal(1), slices)


def _goodness(tile: Tile) -> Decimal:
    total, bad = tile
    return 1 - bad / total if total else Decimal(1)


_VOTES: Final = {Across.ANY: (0, 1), Across.MOST: (1, 2), Across.ALL: (2, 3), Across.EACH: (0, 1), Across.SUM: (0, 1)}
"""Of three series, how many are bad in a good slice and in a bad one; `each` has a single series."""


def _voted(
    metric: str, labels: Labels, across: Across, tiles: Sequence[Tile], clock: Clock, good: Decimal, bad: Decimal
) -> Raw:
    """Series of which just enough are bad in a bad slice, and one fewer in a good one."""
    well, ill = _VOTES[across]
    voters = 1 if across in {Across.EACH, Across.SUM} else 3
    return {
        series_text(metric, {**labels, "replica": str(voter)}): clock.gauge(
            [bad if voter < (ill if failed else well) else good for _, failed in tiles]
        )
        for voter in range(voters)
    }


def freshness_world(freshness: Freshness, clock: Clock) -> World:
    """Things as old as they may be, and a little older."""
    selector = freshness.timestamp or freshness.age
    assert selector is not None
    labels, limit, step = selected(selector), freshness.max_age.seconds, clock.interval.seconds
    strange = list(decoys(selector))

    def write(tiles: Sequence[Tile], split: Labels) -> Raw:
        """As old as may be, and a little older."""
        if freshness.age is not None:
            raw = _voted(selector.metric, {**labels, **split}, freshness.across, tiles, clock, limit, limit + 1)
            old = clock.gauge([limit + 1] * len(tiles))
        else:
            offsets = _voted(
                selector.metric, {**labels, **split}, freshness.across, tiles, clock, step - limit, -step - limit
            )
            raw = {name: _on_the_clock(clock, samples) for name, samples in offsets.items()}
            old = clock.moments([-step - limit] * len(tiles))
        return raw | {series_text(selector.metric, {**one, **split}): old for one in strange}

    return World(clock, Counts.SLICES, Decimal(1), write)


def _on_the_clock(clock: Clock, offsets: Samples) -> Samples:
    step = clock.interval.seconds
    return [None if one is None else one + step * position for position, one in enumerate(offsets)]


_CAPACITY: Final = Decimal(1_000_000)


def saturation_world(saturation: Saturation, clock: Clock) -> World:
    """As full as may be, and a little fuller."""
    used, capacity = saturation.used[0], saturation.capacity[0]
    used_labels, capacity_labels = selected(used), selected(capacity)
    most = (_CAPACITY * saturation.at_most).to_integral_value(ROUND_FLOOR)

    def write(tiles: Sequence[Tile], split: Labels) -> Raw:
        raw: Raw = {
            series_text(used.metric, {**used_labels, **split}): clock.gauge(
                [most + (1 if bad else 0) for _, bad in tiles]
            ),
            series_text(capacity.metric, {**capacity_labels, **split}): clock.gauge([_CAPACITY] * len(tiles)),
        }
        for selector in (used, capacity):
            for one in decoys(selector):
                text = series_text(selector.metric, {**one, **split})
                raw.setdefault(text, clock.gauge([_CAPACITY * 3] * len(tiles)))
        return raw

    return World(clock, Counts.SLICES, Decimal(1), write, measured=(most / _CAPACITY, (most + 1) / _CAPACITY))


def threshold_world(threshold: Threshold, clock: Clock) -> World:
    """At the bound and just beyond it."""
    selector = plain_selector(threshold.value)
    if selector is None:
        raise NotDerivableError("its value is the user's own PromQL, whose result cannot be turned back into series")
    labels = selected(selector)
    clock = replace(clock, shift=ZERO)  # the user's PromQL is read as it is
    if threshold.at_most is not None:
        good, bad = threshold.at_most, threshold.at_most + 1
    else:
        assert threshold.at_least is not None
        good, bad = threshold.at_least, threshold.at_least - 1

    def write(tiles: Sequence[Tile], split: Labels) -> Raw:
        raw = _voted(selector.metric, {**labels, **split}, Across.EACH, tiles, clock, good, bad)
        ill = clock.gauge([bad * 3] * len(tiles))
        return raw | {series_text(selector.metric, {**one, **split}): ill for one in decoys(selector)}

    return World(clock, Counts.SLICES, Decimal(1), write, measured=(good, bad))
