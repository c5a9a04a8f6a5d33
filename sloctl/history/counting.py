"""Raw samples counted into tiles here, as the generated rules count them on a server.

A tile holds the newest sample minus the newest one before it, what a counter counted since a reset, and first values
that are events and no history: `backends.prometheus.counters` tells which these are, and a test holds both together on
a real Prometheus.

An answer has no staleness markers: Prometheus leaves one where a scrape does not show a series any more, and where a
target is scraped no more. Both are told from `up`, which has a sample for each scrape of each target. Where `up` cannot
be read, and where it is the only target that goes, a series ends five minutes late.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sloctl.history.tiles import Floats, Moments, Tiles
from sloctl.model.catalogue import NewSeries, Slo
from sloctl.model.indicator import Counts, Every, Latency, PerSecond, Ratio, RunningTotal
from sloctl.model.quantities import Duration
from sloctl.model.selector import Selector, Selectors

SMALL: Final = 100
"""Events that may be counted although they could be older, as in the rules."""
_LOOKBACK: Final = 300_000
"""Milliseconds for which an instant selector takes the newest sample."""
LabelValues: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Series:
    """One raw series.

    Attributes:
        at: Unix milliseconds of its samples, rising.
        values: finite numbers.
    """

    labels: Mapping[str, str]
    at: Moments
    values: Floats


Read: TypeAlias = Callable[[Selector], Sequence[Series]]
"""The raw series that a selector matches."""


def newest(times: NDArray[Any], moments: NDArray[Any]) -> NDArray[np.intp]:
    """For each moment the index of the newest time that is not after it; -1 where there is none."""
    return np.searchsorted(times, moments, side="right") - 1


def grouped(how: np.ufunc, rows: NDArray[Any], groups: NDArray[np.intp]) -> NDArray[Any]:
    """The rows of each group together; groups are numbered from 0 without gaps."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    together: NDArray[Any] = how.reduceat(rows[order], starts, axis=0)
    return together


def since_reset(steps: Floats, values: Floats) -> Floats:
    """What a counter counted, where it fell all that it shows: it began anew."""
    counted: Floats = np.where(steps < 0, values, steps)
    return counted


def is_countable(slo: Slo) -> bool:
    """Whether an SLO's tiles can be counted here from its raw samples."""
    match slo.indicator:
        case Ratio() | Latency(native=False):
            return not slo.exclude_when
        case _:
            return False


def read_by(slo: Slo) -> Selectors:
    """The widest raw selectors of a countable SLO: each other one that it reads is a part of one of these."""
    match slo.indicator:
        case Ratio(total=total, bad=bad, good=good):
            every = (*(total or ()), *(bad or ()), *(good or ()))
        case latency:
            reads = latency.reads()
            every = tuple(chain(*reads.required, reads.buckets))
    distinct = tuple(dict.fromkeys(every))
    return tuple(one for one in distinct if not any(_contains(other, one) for other in distinct if other != one))


def ups_of(slo: Slo) -> Selectors:
    """The `up` of the targets of an SLO's raw series."""
    labels = slo.sampling.target_labels
    if not labels or not slo.indicator.reads().counters:
        return ()
    return tuple(dict.fromkeys(Selector("up", selector.on(labels)) for selector in read_by(slo)))


def _contains(wider: Selector, narrower: Selector) -> bool:
    return wider.metric == narrower.metric and set(wider.matchers) < set(narrower.matchers)


def from_widest(found: Mapping[Selector, Sequence[Series]]) -> Read:
    """What reads any selector of an SLO from the series of its widest ones."""

    def read(selector: Selector) -> Sequence[Series]:
        if selector in found:
            return found[selector]
        wider = next(one for one in found if _contains(one, selector))
        more = [matcher for matcher in selector.matchers if matcher not in wider.matchers]
        return [
            one for one in found[wider] if all(matcher.matches(one.labels.get(matcher.label, "")) for matcher in more)
        ]

    return read


def counted(slo: Slo, read: Read, ups: Sequence[Series], at: Moments) -> dict[LabelValues, Tiles]:
    """The tiles of an SLO that are recorded at some moments, by the values of its split labels.

    Args:
        slo: a countable one.
        read: its raw series, from a look-back before the first moment on.
        ups: `up` of their targets.
        at: when tiles are recorded.
    """
    counting = _Counting(slo, read, ups, at)
    total, bad = counting.ratio(slo.indicator) if isinstance(slo.indicator, Ratio) else counting.latency()
    return {value: _sliced(slo, at, counts, bad.get(value)) for value, counts in total.items()}


def _sliced(slo: Slo, at: Moments, total: Floats, bad: Floats | None) -> Tiles:
    """The tiles of one split value; NaN is where nothing was recorded."""
    bad = np.zeros(len(at)) if bad is None else bad
    if slo.timeslices is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            bad = (bad / total > float(1 - slo.timeslices)).astype(np.float64)
        total = np.where(total > 0, 1.0, np.nan)
    known = ~np.isnan(total)
    return Tiles(at[known], total[known], np.nan_to_num(bad[known]))


_Side: TypeAlias = dict[LabelValues, Floats]
"""Events of each tile by split values; NaN where there are none, not even zero."""


class _Counting:
    """One SLO's counting."""

    def __init__(self, slo: Slo, read: Read, ups: Sequence[Series], at: Moments) -> None:
        self._slo, self._read, self._at = slo, read, at
        self._targets = _Targets(slo, [one for each in slo.indicator.reads().required[0] for one in read(each)], ups)

    def ratio(self, ratio: Ratio) -> tuple[_Side, _Side]:
        """All and bad events."""
        (sides,) = ratio.reads().required
        total = self._side(sides, ratio.counts)
        if ratio.bad is not None:
            return total, self._side(ratio.bad, ratio.counts)
        assert ratio.good is not None
        return total, _remainder(total, self._side(ratio.good, ratio.counts))

    def latency(self) -> tuple[_Side, _Side]:
        """Observations, and those above the bound."""
        latency = self._slo.indicator
        assert isinstance(latency, Latency)
        (count,), bucket = latency.reads().required, latency.reads().buckets
        total, good = self._sum(count), self._sum(bucket)
        if latency.bad_if:
            failed = self._sum(tuple(selector.narrowed(*latency.bad_if) for selector in bucket))
            good = {value: counts - np.nan_to_num(_get(failed, value, counts)) for value, counts in good.items()}
        counts_there, buckets_there = self._recent(count), self._recent(bucket)
        nowhere = np.zeros(len(self._at), np.bool_)
        total = {value: np.where(buckets_there.get(value, nowhere), counts, np.nan) for value, counts in total.items()}
        if not self._slo.by:  # a quiet service has counted nothing
            quiet = np.where(counts_there.get((), nowhere), np.nan, 0.0)
            total = {(): np.where(np.isnan(total[()]), quiet, total[()]) if () in total else quiet}
        return total, _remainder(total, good)

    def _side(self, selectors: Selectors, counts: Counts) -> _Side:
        """The sum of some selectors; without a split each has a zero of its own."""
        found = self._sum(selectors, counts)
        if self._slo.by:
            return found
        return {(): np.nan_to_num(found[()]) if () in found else np.zeros(len(self._at))}

    def _sum(self, selectors: Selectors, counts: Counts | None = None) -> _Side:
        found: _Side = {}
        for selector in selectors:
            family = self._split(selector)
            for one in family:
                events = self._events(one, counts or RunningTotal(), family)
                value = self._value(one)
                found[value] = _plus(found[value], events) if value in found else events
        return found

    def _split(self, selector: Selector) -> list[Series]:
        """The series of a selector that have all split labels; those that differ in how a bound is spelt are one."""
        found: dict[tuple[tuple[str, str], ...], list[Series]] = {}
        for one in self._read(selector):
            if all(one.labels.get(label) for label in self._slo.by):
                key = tuple(sorted((name, value) for name, value in one.labels.items() if name != "le"))
                found.setdefault(key, []).append(one)
        return [same[0] if len(same) == 1 else _one_of(same) for same in found.values()]

    def _value(self, one: Series) -> LabelValues:
        return tuple(one.labels.get(label, "") for label in self._slo.by)

    def _events(self, one: Series, counts: Counts, family: Sequence[Series]) -> Floats:
        tile = self._slo.sampling.resolution
        match counts:
            case RunningTotal():
                return self._increase(one, family)
            case PerSecond():
                return float(tile.seconds) * self._last(one, tile)
            case Every(length):
                return float(tile.seconds) / float(length.seconds) * self._last(one, length)

    def _last(self, one: Series, range_: Duration) -> Floats:
        """The newest sample of a range, NaN where there is none."""
        ends = self._at - self._slo.sampling.shift.milliseconds
        index = _within(one.at, ends, range_.milliseconds)
        return np.where(index >= 0, one.values[index], np.nan)

    def _recent(self, selectors: Selectors) -> dict[LabelValues, NDArray[np.bool_]]:
        """Whether any series has a sample within the look-back."""
        sampling, found = self._slo.sampling, dict[LabelValues, NDArray[np.bool_]]()
        for one in chain.from_iterable(self._split(selector) for selector in selectors):
            ends = self._at - sampling.shift.milliseconds
            there = _within(one.at, ends, sampling.lookback.milliseconds) >= 0
            value = self._value(one)
            found[value] = found[value] | there if value in found else there
        return found

    def _increase(self, one: Series, family: Sequence[Series]) -> Floats:
        """What a counter counted in each tile; NaN where it has no sample in it."""
        sampling = self._slo.sampling
        now = self._at - sampling.shift.milliseconds
        before = now - sampling.resolution.milliseconds
        last = _within(one.at, now, sampling.resolution.milliseconds)
        base = _within(one.at, before, sampling.lookback.milliseconds)
        value, known = one.values[last], one.values[base]
        usual = (base >= 0) & (value >= known)
        events: Floats = np.where(last >= 0, np.where(usual, value - known, np.nan), np.nan)
        for index in np.flatnonzero((last >= 0) & ~usual):
            events[index] = self._targets.first(one, family, int(now[index]), int(before[index]))
        return events


class _Targets:
    """What the other series of a target tell about the first value of a new one."""

    def __init__(self, slo: Slo, family: Sequence[Series], ups: Sequence[Series]) -> None:
        self._sampling, self._ups = slo.sampling, ups
        families: dict[LabelValues, list[Series]] = {}
        for one in family:
            families.setdefault(self._target_of(one), []).append(one)
        self._families = {target: tuple(found) for target, found in families.items()}
        self._own_ups = {self._target_of(one): one for one in ups}
        self._scrapes: dict[LabelValues, Moments] = {}
        self._family = family

    @cached_property
    def _every_scrape(self) -> Moments:
        return np.sort(np.concatenate([np.array([], np.int64), *(one.at for one in self._ups)]))

    def _scrapes_of(self, target: LabelValues) -> Moments:
        """When a target was scraped, and once more where it went away while others were scraped."""
        if target not in self._scrapes:
            self._scrapes[target] = self._with_ends(self._own_ups.get(target))
        return self._scrapes[target]

    def _with_ends(self, up: Series | None) -> Moments:
        if up is None or self._sampling.late_by:  # samples with timestamps of their own get no staleness markers
            return np.array([], np.int64)
        distances = np.diff(up.at)
        interval = int(np.median(distances)) if len(distances) else self._sampling.scrape_interval.milliseconds
        ends = np.append(distances > interval * 3 // 2, [True])
        due = up.at[ends] + interval
        others = newest(self._every_scrape, due + interval) > newest(self._every_scrape, due)
        return np.sort(np.concatenate((up.at, due[others])))

    def _target_of(self, one: Series) -> LabelValues:
        return tuple(one.labels.get(label, "") for label in self._sampling.target_labels)

    def first(self, one: Series, siblings: Sequence[Series], now: int, before: int) -> float:
        """Events of a tile, from `before` to `now`, in which a counter fell or had no value before."""
        value = float(one.values[newest(one.at, np.array([now]))[0]])
        earlier = self._earlier(one, before)
        if earlier is not None and value < max(earlier / 2, SMALL):
            return value
        if earlier is None and self._is_new(one, siblings, value, now, before):
            return value
        return value - self._lowest(one, now)

    def _is_new(self, one: Series, siblings: Sequence[Series], value: float, now: int, before: int) -> bool:
        if self._sampling.new_series is NewSeries.IGNORE:
            return False
        family = self._families.get(self._target_of(one), ())
        same = [other for other in siblings if self._target_of(other) == self._target_of(one)]
        moments = [self._time(other, now) for other in family]
        half = self._sampling.scrape_interval.milliseconds / 2
        alive = max((moment for moment in moments if moment is not None), default=-np.inf) - half
        went_on = (
            moment
            for other, moment in zip(family, moments, strict=True)
            if moment is not None and self._earlier(other, before) is not None
        )
        if not (any(moment > alive for moment in went_on) or self._is_small(family, same, now, before)):
            return False
        return value <= SMALL or not self._ended(family, same, alive, now, before)

    def _is_small(self, family: Sequence[Series], same: Sequence[Series], now: int, before: int) -> bool:
        """Whether the target began with few events, where something was read before."""
        first = [self._lowest(other, now) for other in family if self._has(other, now)]
        if not first or sum(first) > SMALL or any(self._at_begin(other, before) is not None for other in same):
            return False
        if self._sampling.new_series is NewSeries.COUNT:
            return True
        ups = (self._value(one, newest(one.at, np.array([before]))[0], before) for one in self._ups)
        return any(up == 1 for up in ups) or any(self._at_begin(one, before) is not None for one in self._family)

    def _ended(self, family: Sequence[Series], same: Sequence[Series], alive: float, now: int, before: int) -> bool:
        """Whether a series of this counter ended, other than by a restart."""
        for other in family:
            earlier = self._earlier(other, before)
            if earlier is not None and self._has(other, now) and self._last(other, now) < earlier:
                return False
        paused = all(self._at_begin(other, before) is None for other in family)
        for other in same:
            was = self._earlier(other, before) if paused else self._at_begin(other, before)
            moment = self._time(other, now)
            if was is not None and not (moment is not None and moment > alive):
                return True
        return False

    def _earlier(self, one: Series, before: int) -> float | None:
        """A sample from before the tile: as an instant selector finds it, or one of a few looks into the look-back."""
        found = self._at_begin(one, before)
        step = self._sampling.lookback.milliseconds // 3
        look = before // step * step
        while found is None and look >= before - self._sampling.lookback.milliseconds:
            found = self._at_begin(one, look)
            look -= step
        return found

    def _at_begin(self, one: Series, moment: int) -> float | None:
        index = self._instant(one, moment)
        return None if index is None else float(one.values[index])

    def _time(self, one: Series, moment: int) -> int | None:
        """When the sample was scraped that an instant selector finds."""
        index = self._instant(one, moment)
        return None if index is None else int(one.at[index])

    def _instant(self, one: Series, moment: int) -> int | None:
        index = int(newest(one.at, np.array([moment]))[0])
        if index < 0 or one.at[index] < moment - _LOOKBACK:
            return None
        scrapes = self._scrapes_of(self._target_of(one))
        scrape = int(newest(scrapes, np.array([moment]))[0])
        if scrape >= 0 and scrapes[scrape] > one.at[index]:
            return None  # a later scrape did not show it
        return index

    @staticmethod
    def _value(one: Series, index: int, moment: int) -> float | None:
        return float(one.values[index]) if index >= 0 and one.at[index] >= moment - _LOOKBACK else None

    def _inside(self, one: Series, now: int) -> slice:
        first = np.searchsorted(one.at, now - self._sampling.resolution.milliseconds)
        return slice(int(first), int(np.searchsorted(one.at, now, side="right")))

    def _has(self, one: Series, now: int) -> bool:
        return len(one.at[self._inside(one, now)]) > 0

    def _lowest(self, one: Series, now: int) -> float:
        return float(one.values[self._inside(one, now)].min())

    def _last(self, one: Series, now: int) -> float:
        return float(one.values[self._inside(one, now)][-1])


def _within(times: Moments, ends: Moments, length: int) -> NDArray[np.intp]:
    """For each end the index of the newest time in the range of a length before it; -1 where there is none."""
    index = newest(times, ends)
    if not len(times):
        return index
    return np.where(times[np.maximum(index, 0)] >= ends - length, index, -1)


def _one_of(same: Sequence[Series]) -> Series:
    """Series that are one, as their union; where both have a sample the higher one counts."""
    at, values = (np.concatenate([getattr(one, name) for one in same]) for name in ("at", "values"))
    order = np.lexsort((values, at))
    at, values = at[order], values[order]
    kept = np.append(at[1:] != at[:-1], [True]) if len(at) else np.array([], np.bool_)
    return Series(same[0].labels, at[kept], values[kept])


def _plus(one: Floats, other: Floats) -> Floats:
    """The sum, where one alone is enough."""
    both = np.nan_to_num(one) + np.nan_to_num(other)
    summed: Floats = np.where(np.isnan(one) & np.isnan(other), np.nan, both)
    return summed


def _get(side: _Side, value: LabelValues, like: Floats) -> Floats:
    return side.get(value, np.zeros(len(like)))


def _remainder(total: _Side, good: _Side) -> _Side:
    """What of the total is not good."""
    return {
        value: np.maximum(counts - np.nan_to_num(_get(good, value, counts)), 0.0) for value, counts in total.items()
    }
