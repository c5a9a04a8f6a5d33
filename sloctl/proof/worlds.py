"""Raw series that make an SLI count what a scenario wants, derived from the user's own selectors.

Each world also writes decoys: series that fail one matcher of a selector and must not be counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import Enum
from itertools import combinations_with_replacement
from typing import Final, TypeAlias, assert_never

from sloctl.model.catalogue import NewSeries, Slo
from sloctl.model.indicator import (
    Across,
    Every,
    Freshness,
    Latency,
    PerSecond,
    Probe,
    Query,
    Ratio,
    RunningTotal,
    Saturation,
    Threshold,
    Throughput,
)
from sloctl.model.quantities import ZERO, number
from sloctl.model.selector import Selector, Selectors
from sloctl.promql.expressions import plain_selector
from sloctl.proof.examples import Labels, NotDerivableError, decoys, matches, selected
from sloctl.proof.series import Clock, Raw, Samples, series_text
from sloctl.proof.simulation import Tile

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
        measured: the value that a forecast looks at, in a good and in a bad tile.
    """

    clock: Clock
    counts: Counts
    events: Decimal
    write: Write
    counters: bool = False
    measured: tuple[Decimal, Decimal] | None = None


def world(slo: Slo) -> World:
    """The world of an SLO.

    Raises:
        NotDerivableError: no raw series can be derived from its specification.
    """
    clock = Clock.of(slo.sampling)
    match slo.indicator:
        case Ratio() as ratio:
            return _events(slo, clock, _ratio(slo, ratio, clock))
        case Latency(native=True):
            raise NotDerivableError("promtool 2.42 cannot write native histograms")
        case Latency() as latency:
            return _events(slo, clock, _latency(slo, latency, clock))
        case Query():
            raise NotDerivableError("a query is the user's own PromQL, whose result cannot be turned back into series")
        case Probe() as probe:
            return _probe(probe, clock)
        case Freshness() as freshness:
            return _freshness(freshness, clock)
        case Throughput() as throughput:
            return _throughput(slo, throughput, clock)
        case Saturation() as saturation:
            return _saturation(saturation, clock)
        case Threshold() as threshold:
            return _threshold(threshold, clock)
        case _:
            assert_never(slo.indicator)


def counts_of(slo: Slo) -> Counts:
    """What a tile of an SLO can hold, whether or not raw series can be derived."""
    match slo.indicator:
        case _ if slo.timeslices is not None:
            return Counts.SLICES
        case Ratio() | Latency() | Query(bad_ratio=None):
            return Counts.EVENTS
        case Query() | Probe(across=Across.EACH):
            return Counts.SAMPLES
        case _:
            return Counts.SLICES


def _events(slo: Slo, clock: Clock, write: Write) -> World:
    if slo.timeslices is None:
        return World(clock, Counts.EVENTS, Decimal(0), write, counters=True)
    allowed = 1 - slo.timeslices
    inside = (BUSY * allowed).to_integral_value(ROUND_FLOOR)

    def slices(tiles: Sequence[Tile], labels: Labels) -> Raw:
        """A slice is bad with one event more than is allowed."""
        return write(
            [(BUSY if all_ else all_, (inside + (1 if bad else 0)) if all_ else all_) for all_, bad in tiles], labels
        )

    return World(clock, Counts.SLICES, Decimal(1), slices, counters=True)


# ratio


@dataclass(frozen=True, slots=True)
class _Series:
    """A series and what one of its events adds to all and to bad events."""

    metric: str
    labels: tuple[tuple[str, str], ...]
    total: int
    bad: int


def _ratio(slo: Slo, ratio: Ratio, clock: Clock) -> Write:
    known = [_weighed(ratio, selector.metric, labels) for selector, labels in _varieties(ratio)]
    good, bad = _combination(known, (1, 0)), _combination(known, (1, 1))
    null = [one for one in known if not one.total and not one.bad]

    def write(tiles: Sequence[Tile], split: Labels) -> Raw:
        raw: Raw = {}
        amounts: dict[tuple[_Series, bool], list[Decimal]] = {}
        for parts, counted in ((good, [all_ - bad_ for all_, bad_ in tiles]), (bad, [bad_ for _, bad_ in tiles])):
            for part in parts:
                key = part, parts is bad
                before = amounts.setdefault(key, [Decimal(0)] * len(tiles))
                amounts[key] = [one + more for one, more in zip(before, counted, strict=True)]
        for (one, ill), events in amounts.items():
            born = ill and _counts_births(slo, ratio.counts)
            labels = dict(one.labels) | dict(split) | ({"replica": "new"} if ill else {})
            _add(raw, slo, one.metric, labels, _counted(clock, ratio.counts, events, born=born))
        for one in null:
            _add(raw, slo, one.metric, dict(one.labels) | dict(split), _decoy(clock, ratio.counts, len(tiles)))
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


def _counted(clock: Clock, counts: object, events: Sequence[Decimal], *, born: bool) -> Samples:
    match counts:
        case PerSecond():
            return clock.gauge([one / clock.resolution.seconds for one in events])
        case Every(length):
            return clock.gauge([one * (length / clock.resolution) for one in events])
        case _:
            return clock.counter(events, born=born)


def _decoy(clock: Clock, counts: object, tiles: int) -> Samples:
    return _counted(clock, counts, [DECOY_EVENTS] * tiles, born=False)


def _counts_births(slo: Slo, counts: object) -> bool:
    return isinstance(counts, RunningTotal) and slo.sampling.new_series is not NewSeries.IGNORE


def _add(raw: Raw, slo: Slo, metric: str, labels: Labels, samples: Samples) -> None:
    """One more series, with the labels of a target, and that target's `up`."""
    target = {label: labels.get(label, _INSTANCE) for label in slo.sampling.target_labels}
    raw[series_text(metric, {**labels, **target})] = samples
    raw[series_text("up", target)] = [Decimal(1)] * len(samples)


# latency


def _latency(slo: Slo, latency: Latency, clock: Clock) -> Write:
    base = latency.histogram[0]
    usual = selected(base, *latency.bad_if[:1])
    failed = selected(base.narrowed(*latency.bad_if)) if latency.bad_if else None
    strange = list(decoys(base))
    births = _counts_births(slo, RunningTotal())

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
            _add(raw, slo, metric, {**labels, **edge}, samples)

    def write(tiles: Sequence[Tile], split: Labels) -> Raw:
        """Bad events are slow ones of a newborn series, and where failures are bad, half are fast failures.

        Good ones after the trouble belong to a newborn series too.
        """
        raw: Raw = {}
        none = [Decimal(0)] * len(tiles)
        bad = [bad_ for _, bad_ in tiles]
        good, later = _turned([all_ - bad_ for all_, bad_ in tiles], bad)
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


def _turned(events: Sequence[Decimal], bad: Sequence[Decimal]) -> tuple[list[Decimal], list[Decimal]]:
    """Events until the trouble ends, and those after it."""
    last = max((index for index, one in enumerate(bad) if one), default=len(bad))
    before = [one if index <= last else Decimal(0) for index, one in enumerate(events)]
    return before, [one - kept for one, kept in zip(events, before, strict=True)]


# gauges


def _probe(probe: Probe, clock: Clock) -> World:
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


def _freshness(freshness: Freshness, clock: Clock) -> World:
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


def _throughput(slo: Slo, throughput: Throughput, clock: Clock) -> World:
    selector, tile = throughput.counter[0], slo.sampling.resolution
    labels, strange = selected(selector), list(decoys(selector))
    births = _counts_births(slo, throughput.counts)
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
        every, later = _turned([bad if failed else good for _, failed in tiles], [failed for _, failed in tiles])
        _add(raw, slo, selector.metric, {**labels, **split}, _counted(clock, throughput.counts, every, born=False))
        new = {**labels, **split, "replica": "later"}
        _add(raw, slo, selector.metric, new, _counted(clock, throughput.counts, later, born=births))
        for one in strange:
            _add(raw, slo, selector.metric, {**one, **split}, _decoy(clock, throughput.counts, len(tiles)))
        return raw

    return World(clock, Counts.SLICES, Decimal(1), write, counters=True)


_CAPACITY: Final = Decimal(1_000_000)


def _saturation(saturation: Saturation, clock: Clock) -> World:
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


def _threshold(threshold: Threshold, clock: Clock) -> World:
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
