"""Raw series of SLIs that count events: ratio, latency and throughput, all of them counters or what stands for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import combinations_with_replacement

from sloctl.explain.simulation import Tile
from sloctl.model.catalogue import NewSeries, Slo
from sloctl.model.indicator import (
    Across,
    Latency,
    Ratio,
    RunningTotal,
    Throughput,
)
from sloctl.model.quantities import number
from sloctl.model.selector import Selector, Selectors
from sloctl.proof.examples import Labels, NotDerivableError, decoys, matches, selected
from sloctl.proof.series import Clock, Raw
from sloctl.proof.world import (
    BUSY,
    DECOY_EVENTS,
    Counts,
    World,
    Write,
    add_series,
    counted,
    counts_births,
    decoy_samples,
    turned,
)


def event_world(slo: Slo, clock: Clock, write: Write) -> World:
    """Events, or slices that are bad where too few of their events are good."""
    if slo.timeslices is None:
        return World(clock, Counts.EVENTS, Decimal(0), write, counters=_running(slo))
    allowed = 1 - slo.timeslices
    inside = (BUSY * allowed).to_integral_value(ROUND_FLOOR)

    def slices(tiles: Sequence[Tile], labels: Labels) -> Raw:
        """A slice is bad with one event more than is allowed."""
        return write(
            [(BUSY if all_ else all_, (inside + (1 if bad else 0)) if all_ else all_) for all_, bad in tiles], labels
        )

    return World(clock, Counts.SLICES, Decimal(1), slices, counters=_running(slo))


def _running(slo: Slo) -> bool:
    """Whether its series count up; others hold rates or the events of a time."""
    return slo.indicator.reads().counters


@dataclass(frozen=True, slots=True)
class _Series:
    """A series and what one of its events adds to all and to bad events."""

    metric: str
    labels: tuple[tuple[str, str], ...]
    total: int
    bad: int


def ratio_series(slo: Slo, ratio: Ratio, clock: Clock) -> Write:
    """Series that count as one good or one bad event, alone or together."""
    known = [_weighed(ratio, selector.metric, labels) for selector, labels in _varieties(ratio)]
    good, bad = _combination(known, (1, 0)), _combination(known, (1, 1))
    null = [one for one in known if not one.total and not one.bad]

    def write(tiles: Sequence[Tile], split: Labels) -> Raw:
        raw: Raw = {}
        amounts: dict[tuple[_Series, bool], list[Decimal]] = {}
        for parts, amount in ((good, [all_ - bad_ for all_, bad_ in tiles]), (bad, [bad_ for _, bad_ in tiles])):
            for part in parts:
                key = part, parts is bad
                before = amounts.setdefault(key, [Decimal(0)] * len(tiles))
                amounts[key] = [one + more for one, more in zip(before, amount, strict=True)]
        for (one, ill), events in amounts.items():
            born = ill and counts_births(slo, ratio.counts)
            labels = dict(one.labels) | dict(split) | ({"replica": "new"} if ill else {})
            add_series(raw, slo, one.metric, labels, counted(clock, ratio.counts, events, born=born))
        for one in null:
            add_series(
                raw, slo, one.metric, dict(one.labels) | dict(split), decoy_samples(clock, ratio.counts, len(tiles))
            )
        return raw

    return write


def _varieties(ratio: Ratio) -> Iterator[tuple[Selector, dict[str, str]]]:
    """Series that the selectors tell apart: each alone, each without what narrows it, and decoys."""
    sides = [side for side in (ratio.total, ratio.bad, ratio.good) if side is not None]
    every = [selector for side in sides for selector in side]
    for selector in every:
        yield from ((selector, labels) for labels in _attempts(selector, every))
        yield from ((selector, labels) for labels in decoys(selector))


def _attempts(selector: Selector, others: Sequence[Selector]) -> Iterator[dict[str, str]]:
    """Labels that fulfil a selector; and for each narrower one of the metric, those that fail it."""
    yield selected(selector)
    for other in others:
        extra = [one for one in other.matchers if one not in selector.matchers]
        if other.metric == selector.metric:
            for one in extra:
                try:
                    yield selected(selector, one)
                except NotDerivableError:
                    continue


def _weighed(ratio: Ratio, metric: str, labels: dict[str, str]) -> _Series:
    def count(side: Selectors | None) -> int:
        return sum(one.metric == metric and matches(one, labels) for one in side or ())

    total = count(ratio.total) if ratio.total is not None else count(ratio.bad) + count(ratio.good)
    bad = count(ratio.bad) if ratio.bad is not None else total - count(ratio.good)
    return _Series(metric, tuple(sorted(labels.items())), total, bad)


def _combination(known: Sequence[_Series], wanted: tuple[int, int]) -> tuple[_Series, ...]:
    """The fewest series whose events together count as wanted."""
    useful = list(dict.fromkeys(one for one in known if one.total or one.bad))
    for size in (1, 2):
        for parts in combinations_with_replacement(useful, size):
            if (sum(one.total for one in parts), sum(one.bad for one in parts)) == wanted:
                return parts
    kind = "bad" if wanted == (1, 1) else "good"
    raise NotDerivableError(f"no series of its selectors counts as one {kind} event")


def latency_series(slo: Slo, latency: Latency, clock: Clock) -> Write:
    """Histograms of fast and slow observations, and of failures."""
    base = latency.histogram[0]
    usual = selected(base, *latency.bad_if[:1])
    failed = selected(base.narrowed(*latency.bad_if)) if latency.bad_if else None
    strange = list(decoys(base))
    births = counts_births(slo, RunningTotal())

    def observe(raw: Raw, labels: Labels, fast: Sequence[Decimal], slow: Sequence[Decimal], *, born: bool) -> None:
        every = [one + other for one, other in zip(fast, slow, strict=True)]
        for metric, le, events in (
            (f"{base.metric}_count", "", every),
            (f"{base.metric}_bucket", "+Inf", every),
            (f"{base.metric}_bucket", number(latency.at_most), fast),
        ):
            edge = {"le": le} if le else {}
            samples = clock.counter(events)
            if born:
                first = clock.counter(every, born=True)
                samples = [None if seen is None else one for one, seen in zip(samples, first, strict=True)]
            add_series(raw, slo, metric, {**labels, **edge}, samples)

    def write(tiles: Sequence[Tile], split: Labels) -> Raw:
        """Bad events are slow ones of a newborn series, and where failures are bad, half are fast failures.

        Good ones after the trouble belong to a newborn series too.
        """
        raw: Raw = {}
        none = [Decimal(0)] * len(tiles)
        bad = [bad_ for _, bad_ in tiles]
        good, later = turned([all_ - bad_ for all_, bad_ in tiles], bad)
        failures = [(one / 2).to_integral_value(ROUND_FLOOR) for one in bad] if failed is not None else none
        slow = [one - other for one, other in zip(bad, failures, strict=True)]
        observe(raw, {**usual, **split}, good, none, born=False)
        observe(raw, {**usual, **split, "replica": "later"}, later, none, born=births)
        observe(raw, {**usual, **split, "replica": "new"}, none, slow, born=births)
        if failed is not None:
            observe(raw, {**failed, **split}, failures, none, born=births)
        for labels in strange:
            half = [DECOY_EVENTS / 2] * len(tiles)
            observe(raw, {**labels, **split}, half, half, born=False)
        return raw

    return write


def throughput_world(slo: Slo, throughput: Throughput, clock: Clock) -> World:
    """Just enough events, and just too few or too many."""
    selector, tile = throughput.counter[0], slo.sampling.resolution
    labels, strange = selected(selector), list(decoys(selector))
    births, summed = counts_births(slo, throughput.counts), throughput.across is Across.SUM
    running = isinstance(throughput.counts, RunningTotal)
    guarded = summed and not slo.by and slo.sampling.new_series is NewSeries.COUNT_IF_UP
    if throughput.at_least is not None:
        good = throughput.at_least.during(tile).to_integral_value(ROUND_CEILING)
        bad = (throughput.at_least.during(tile) - 1).to_integral_value(ROUND_CEILING)
    else:
        assert throughput.at_most is not None
        good = throughput.at_most.during(tile).to_integral_value(ROUND_FLOOR)
        bad = (throughput.at_most.during(tile) + 1).to_integral_value(ROUND_FLOOR)
    if bad < 0:
        raise NotDerivableError("fewer events than its bound allows cannot be shown: the bound is below one a tile")

    def write(tiles: Sequence[Tile], split: Labels) -> Raw:
        raw: Raw = {}
        every = [bad if failed else good for _, failed in tiles]
        before, later = turned(every, [failed for _, failed in tiles]) if summed else (every, [])
        target = {**labels, **split}
        add_series(raw, slo, selector.metric, target, counted(clock, throughput.counts, before, born=False))
        if summed:
            samples = counted(clock, throughput.counts, later, born=births)
            add_series(raw, slo, selector.metric, {**target, "replica": "later"}, samples)
        for one in strange:
            add_series(raw, slo, selector.metric, {**one, **split}, decoy_samples(clock, throughput.counts, len(tiles)))
        return raw

    return World(clock, Counts.SLICES, Decimal(1), write, counters=running, follows=guarded or not running)
