"""What the first value of a counter means: new events, or old ones under another name.

Kills: a guard against relabelling that is gone, one that asks `up`, another bound of what may be old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Final

from sloctl.model.catalogue import NewSeries, Slo
from sloctl.model.indicator import Across, RunningTotal
from sloctl.model.quantities import number
from sloctl.model.selector import Selector
from sloctl.proof.counters import LatencyInput, RatioInput, ThroughputInput
from sloctl.proof.examples import Example
from sloctl.proof.proof import Case, Expected, Proof, SloRules
from sloctl.proof.raw_input import RawInput
from sloctl.proof.recorded import own_series, split_of, tile_names
from sloctl.proof.series import SampleValues, series_text

_TILE: Final = 8
"""The tile in which it happens."""
_TILES: Final = 11
_SMALL: Final = Decimal(100)
_MUCH: Final = Decimal(5000)


@dataclass(frozen=True, slots=True)
class _Counter:
    """One series of a target.

    Attributes:
        before: its value before the tile; None where it has no sample yet.
        after: its value from the tile on; None where it has ended.
    """

    target: str
    before: Decimal | None
    after: Decimal | None


@dataclass(frozen=True, slots=True)
class _World:
    """Some counters, and what the tile must hold.

    Attributes:
        up: of each target whether it answered before the tile; by default all did that had a counter.
        counts: events of the tile.
    """

    name: str
    counters: tuple[_Counter, ...]
    counts: Decimal
    up: Mapping[str, bool]

    def counts_where(self, new_series: NewSeries) -> Decimal:
        """Events of the tile where first values count without being asked whether anything was read, or never."""
        if not any(counter.before is None for counter in self.counters):
            return self.counts
        if new_series is NewSeries.IGNORE:
            return Decimal(0)
        if new_series is NewSeries.COUNT and all(counter.before is None for counter in self.counters):
            return self.counters[0].after or Decimal(0)
        return self.counts

    @property
    def judged(self) -> bool:
        """Whether a throughput is: a target was read that was read before."""
        return any(counter.before is not None for counter in self.counters) or bool(self.up)


def _worlds() -> Iterator[_World]:
    def world(name: str, counts: Decimal, *counters: _Counter, **up: bool) -> _World:
        return _World(name, counters, counts, up)

    def new(target: str, value: Decimal) -> _Counter:
        return _Counter(target, None, value)

    def gone(target: str) -> _Counter:
        return _Counter(target, _MUCH, None)

    steady, none = _Counter("steady", _MUCH, _MUCH), Decimal(0)
    yield world("a new series beside others of its target counts", _MUCH, steady, new("steady", _MUCH))
    yield world("a series under another name counts nothing", none, steady, gone("a"), new("a", _MUCH))
    renamed = gone("steady"), new("steady", _MUCH)
    yield world("nor beside others that go on", none, steady, *renamed)
    yield world("what may be old is small", _SMALL, steady, gone("steady"), new("steady", _SMALL))
    yield world("a new target counts what is small", _SMALL, steady, new("a", _SMALL))
    yield world("a new target counts nothing that may be old", none, steady, new("a", _SMALL + 1))
    halves = new("a", _SMALL / 2), new("a", _SMALL / 2)
    yield world("small is all of a target together", _SMALL, steady, *halves)
    yield world("and no more of it", none, steady, *halves, new("a", Decimal(1)))
    yield world("a restart counts from zero", _SMALL * 3, _Counter("steady", _MUCH, _SMALL * 3))
    yield world("a counter that falls a little counts nothing", none, _Counter("steady", _MUCH, _MUCH - 1))
    yield world("nothing was read before, so nothing is new", none, new("a", _SMALL))
    yield world("a target that answered before has new events", _SMALL, new("a", _SMALL), a=True)
    yield world("one that was down has none", none, new("a", _SMALL), a=False)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Counters that begin, and what the tiles of the SLO hold then.

    Attributes:
        series: what one series holds of an SLO that counts so many events: all of them, or none.
        tiles: the value of each tile by the events that count; none where it holds nothing.
    """

    part: str
    labels: Mapping[str, str]
    series: Sequence[tuple[Example, bool]]
    tiles: Mapping[str, Callable[[Decimal], Decimal | None]]


def birth_proofs(rules: SloRules, raw: RawInput) -> Iterator[Proof]:
    """What first values count for, wherever an SLI reads counters whose target is known by a label of its own."""
    slo = rules.slo
    for kind in _kinds(slo, raw):
        free = [label for label in slo.sampling.target_labels if label not in kind.labels]
        if free:
            cases = [_case(rules, raw, world, kind, free[0]) for world in _worlds()]
            yield rules.proof(kind.part, slo.sampling.resolution, tuple(kind.tiles), cases)


def _kinds(slo: Slo, raw: RawInput) -> Iterator[_Kind]:
    total, errors = tile_names(slo.sampling.resolution)
    match raw:
        case RatioInput() if isinstance(raw.ratio.counts, RunningTotal):
            parts, is_bad = (raw.bad, True) if len(raw.bad) == 1 else (raw.good, False)
            if len(parts) == 1:
                labels = dict(parts[0].labels) | split_of(slo)
                series = [(Example(Selector(parts[0].metric), labels, ()), True)]
                yield _Kind("births", labels, series, _counted(slo, total, errors if is_bad else ""))
        case LatencyInput():
            labels = {**raw.answered, **split_of(slo)}
            yield _Kind("births", labels, _histogram(raw, labels, is_fast=False), _counted(slo, total, errors))
            if slo.timeslices is None:
                good = {**_counted(slo, total, ""), errors: lambda _: Decimal(0)}
                yield _Kind("births-good", labels, _histogram(raw, labels, is_fast=True), good)
        case ThroughputInput() if isinstance(raw.throughput.counts, RunningTotal) and not slo.by:
            if raw.throughput.across is Across.SUM:
                labels = dict(raw.example.labels)
                series = [(Example(raw.example.selector, labels, ()), True)]
                yield _Kind("births", labels, series, {total: lambda _: Decimal(1), errors: partial(_is_bad, raw)})


def _counted(slo: Slo, total: str, errors: str) -> dict[str, Callable[[Decimal], Decimal | None]]:
    """Events of the tiles; where slices are counted, one that is bad as all of its events are."""
    names = [name for name in (total, errors) if name]
    if slo.timeslices is None:
        return dict.fromkeys(names, lambda events: events)
    return dict.fromkeys(names, lambda events: Decimal(1) if events else None) if errors else {}


def _histogram(raw: LatencyInput, labels: Mapping[str, str], *, is_fast: bool) -> list[tuple[Example, bool]]:
    metric = raw.latency.histogram[0].metric
    bounds = {"+Inf": True, number(raw.latency.at_most): is_fast}
    count = Example(Selector(f"{metric}_count"), dict(labels), ())
    bucket = Selector(f"{metric}_bucket")
    return [(count, True), *((Example(bucket, {**labels, "le": le}, ()), has) for le, has in bounds.items())]


def _is_bad(raw: ThroughputInput, events: Decimal) -> Decimal:
    tile, throughput = raw.slo.sampling.resolution, raw.throughput
    few = throughput.at_least is not None and events < throughput.at_least.during(tile)
    return Decimal(few or (throughput.at_most is not None and events > throughput.at_most.during(tile)))


def _case(rules: SloRules, raw: RawInput, world: _World, kind: _Kind, free: str) -> Case:
    slo, series = rules.slo, dict[str, SampleValues]()
    for number_, counter in enumerate(world.counters):
        known = {label: kind.labels.get(label, "proof") for label in slo.sampling.target_labels}
        target = {**known, free: counter.target}
        for example, has_events in kind.series:
            before, after = (
                sample if sample is None or has_events else Decimal(0) for sample in (counter.before, counter.after)
            )
            series[example.text({**target, raw.further: str(number_)})] = _samples(raw, before, after)
        had_any = any(each.before is not None for each in world.counters if each.target == counter.target)
        was_up = Decimal(world.up[counter.target]) if counter.target in world.up else Decimal(1) if had_any else None
        series[series_text("up", target)] = _samples(raw, was_up, Decimal(1))
    at, counts = slo.sampling.resolution * _TILE, world.counts_where(slo.sampling.new_series)
    values = list[Expected]()
    for name, told in kind.tiles.items():
        value = told(counts)
        if slo.indicator.key == "throughput" and not world.judged:
            value = None
        seen = [] if value is None else [{"labels": own_series(slo, name, split_of(slo)), "value": float(value)}]
        values.append((at, name, seen))
    return Case(world.name, raw.clock.interval, series, (), values)


def _samples(raw: RawInput, before: Decimal | None, after: Decimal | None) -> SampleValues:
    numbers = [raw.clock.tile(sample) for sample in range(raw.clock.samples(_TILES))]
    return [before if number < _TILE else after for number in numbers]
