"""What the first value of a counter means: new events, or old ones under another name.

Kills: a guard against relabelling that is gone, one that asks `up`, another bound of what may be old.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sloctl.model.catalogue import NewSeries
from sloctl.model.indicator import RunningTotal
from sloctl.model.selector import Selector
from sloctl.proof.counters import RatioInput
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


def birth_proofs(rules: SloRules, raw: RawInput) -> Iterator[Proof]:
    """Where an event is one of one series, whose target is known by a label of its own; a bad one is in both tiles."""
    slo, names = rules.slo, tile_names(rules.slo.sampling.resolution)
    counts_new = slo.sampling.new_series is NewSeries.COUNT_IF_UP and not slo.counts_slices
    if not counts_new or not isinstance(raw, RatioInput) or not isinstance(raw.ratio.counts, RunningTotal):
        return
    parts, tiles = (raw.bad, names) if len(raw.bad) == 1 else (raw.good, names[:1])
    labels = dict(parts[0].labels) | split_of(slo)
    free = [label for label in slo.sampling.target_labels if label not in labels]
    if len(parts) == 1 and free:
        cases = [
            _case(rules, raw, world, Example(Selector(parts[0].metric), labels, ()), free[0], tiles)
            for world in _worlds()
        ]
        yield rules.proof("births", slo.sampling.resolution, tiles, cases)


def _case(rules: SloRules, raw: RatioInput, world: _World, example: Example, free: str, tiles: Sequence[str]) -> Case:
    slo, series = rules.slo, dict[str, SampleValues]()
    for number, counter in enumerate(world.counters):
        known = {label: example.labels.get(label, "proof") for label in slo.sampling.target_labels}
        target = {**known, free: counter.target}
        series[example.text({**target, raw.further: str(number)})] = _samples(raw, counter.before, counter.after)
        had_any = any(each.before is not None for each in world.counters if each.target == counter.target)
        was_up = Decimal(world.up[counter.target]) if counter.target in world.up else Decimal(1) if had_any else None
        series[series_text("up", target)] = _samples(raw, was_up, Decimal(1))
    at, value = slo.sampling.resolution * _TILE, float(world.counts)
    values: list[Expected] = [
        (at, name, [{"labels": own_series(slo, name, split_of(slo)), "value": value}]) for name in tiles
    ]
    return Case(world.name, raw.clock.interval, series, (), values)


def _samples(raw: RatioInput, before: Decimal | None, after: Decimal | None) -> SampleValues:
    numbers = [raw.clock.tile(sample) for sample in range(raw.clock.samples(_TILES))]
    return [before if number < _TILE else after for number in numbers]
