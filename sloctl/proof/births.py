"""What the first value of a counter means: new events, or old ones under another name.

Kills: a guard against relabelling that is gone, one that asks `up`, another bound of what may be old.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sloctl import conventions
from sloctl.model.catalogue import NewSeries
from sloctl.model.indicator import Ratio, RunningTotal
from sloctl.proof.counters import RatioInput
from sloctl.proof.proof import Case, Expected, Proof, SloRules
from sloctl.proof.raw_input import RawInput
from sloctl.proof.recorded import own_series, split_of
from sloctl.proof.series import InputSeries, SampleValues, series_text

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
    """Where each event is one of one series, whose target is known by a label of its own."""
    slo = rules.slo
    free = [label for label in slo.sampling.target_labels if label not in slo.by]
    if (
        not isinstance(raw, RatioInput)
        or not isinstance(slo.indicator, Ratio)
        or not isinstance(slo.indicator.counts, RunningTotal)
        or slo.counts_slices
        or slo.sampling.new_series is not NewSeries.COUNT_IF_UP
        or len(raw.good) != 1
    ):
        return
    part = raw.good[0]
    free = [label for label in free if label not in dict(part.labels)]
    if not free:
        return
    name, resolution = conventions.total_tile(slo.sampling.resolution), slo.sampling.resolution
    cases = [_case(rules, raw, world, dict(part.labels), free[0]) for world in _worlds()]
    yield rules.proof("births", resolution, [name], cases)


def _case(rules: SloRules, raw: RatioInput, world: _World, labels: Mapping[str, str], free: str) -> Case:
    slo, series = rules.slo, dict[str, SampleValues]()
    for number, counter in enumerate(world.counters):
        target = _target(rules, labels, free, counter.target)
        own = {**labels, **split_of(slo), **target, "replica": str(number)}
        series[series_text(raw.good[0].metric, own)] = _samples(raw, counter.before, counter.after)
        was_up = world.up.get(counter.target)
        if was_up is None:
            was_up = any(each.before is not None for each in world.counters if each.target == counter.target)
            before = Decimal(1) if was_up else None
        else:
            before = Decimal(was_up)
        series[series_text("up", target)] = _samples(raw, before, Decimal(1))
    total = own_series(slo, conventions.total_tile(slo.sampling.resolution), split_of(slo))
    counted = [{"labels": total, "value": float(world.counts)}]
    at = slo.sampling.resolution * _TILE
    values: list[Expected] = [(at, conventions.total_tile(slo.sampling.resolution), counted)]
    found: InputSeries = dict(series)
    return Case(world.name, raw.clock.interval, found, (), values)


def _target(rules: SloRules, labels: Mapping[str, str], free: str, name: str) -> dict[str, str]:
    known = {label: labels.get(label, "proof") for label in rules.slo.sampling.target_labels}
    return {**known, free: name}


def _samples(raw: RatioInput, before: Decimal | None, after: Decimal | None) -> SampleValues:
    numbers = [raw.clock.tile(sample) for sample in range(raw.clock.samples(_TILES))]
    return [before if number < _TILE else after for number in numbers]
