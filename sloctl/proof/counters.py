"""Raw series of SLIs that count events: ratio, latency and throughput, all of them counters or what stands for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import combinations_with_replacement

from sloctl.explain.simulation import Tile
from sloctl.model.catalogue import NewSeries, Slo
from sloctl.model.indicator import Across, Latency, Ratio, RunningTotal, Throughput
from sloctl.model.quantities import number
from sloctl.model.selector import Selector, Selectors
from sloctl.proof.examples import Example, NotDerivableError, SeriesLabels, matches, non_matching, selected, unlike
from sloctl.proof.raw_input import BUSY, RawInput, split_at_recovery
from sloctl.proof.series import InputSeries, ScrapeClock


@dataclass(frozen=True, slots=True)
class EventInput(RawInput):
    """Events, or slices that are bad where too few of their events are good."""

    def events(self, tiles: Sequence[Tile]) -> tuple[list[Decimal], list[Decimal]]:
        """Good and bad events of each tile; a slice is bad with one event more than is allowed."""
        if self.slo.timeslices is not None:
            allowed = (BUSY * (1 - self.slo.timeslices)).to_integral_value(ROUND_FLOOR)
            tiles = [(BUSY, allowed + (1 if bad else 0)) if total else (total, total) for total, bad in tiles]
        return [total - bad for total, bad in tiles], [bad for _, bad in tiles]


@dataclass(frozen=True, slots=True)
class _Series:
    """A series and what one of its events adds to all and to bad events."""

    metric: str
    labels: tuple[tuple[str, str], ...]
    total: int
    bad: int


@dataclass(frozen=True, slots=True)
class RatioInput(EventInput):
    """Series that count as one good or one bad event, alone or together.

    Attributes:
        uncounted: series that are neither.
    """

    ratio: Ratio
    good: tuple[_Series, ...]
    bad: tuple[_Series, ...]
    uncounted: tuple[_Series, ...]

    @classmethod
    def of(cls, slo: Slo, clock: ScrapeClock, ratio: Ratio) -> RatioInput:
        """Raises NotDerivableError where no series counts as one good or one bad event."""
        known = [_weighed(ratio, selector.metric, labels) for selector, labels in _varieties(ratio)]
        uncounted = tuple(series for series in known if not series.total and not series.bad)
        return cls(slo, clock, ratio, _combination(known, (1, 0)), _combination(known, (1, 1)), uncounted)

    def series(self, tiles: Sequence[Tile], split: SeriesLabels) -> InputSeries:
        """Bad events belong to new series, so that their creation must be counted."""
        written: InputSeries = {}
        for parts, events in zip((self.good, self.bad), self.events(tiles), strict=True):
            for part in dict.fromkeys(parts):
                times, bad = parts.count(part), parts is self.bad
                labels = {**dict(part.labels), **split, **({"replica": "new"} if bad else {})}
                samples = self.counted(self.ratio.counts, [event * times for event in events], created=bad)
                written |= self.scraped(part.metric, labels, samples)
        for part in self.uncounted:
            samples = self.counted(self.ratio.counts, [BUSY] * len(tiles))
            labels = unlike(dict(part.labels), split, self.ratio.reads().selectors)
            written |= self.scraped(part.metric, labels, samples)
        return written


def _varieties(ratio: Ratio) -> Iterator[tuple[Selector, dict[str, str]]]:
    """Series that the selectors tell apart: each alone, each without what narrows it, and non-matching ones."""
    sides = [side for side in (ratio.total, ratio.bad, ratio.good) if side is not None]
    every = [selector for side in sides for selector in side]
    for selector in every:
        yield from ((selector, labels) for labels in _attempts(selector, every))
        yield from ((selector, labels) for labels in non_matching(selector))


def _attempts(selector: Selector, others: Sequence[Selector]) -> Iterator[dict[str, str]]:
    """Labels that fulfil a selector; and for each narrower one of the metric, those that fail it."""
    yield selected(selector)
    narrower = [other for other in others if other.metric == selector.metric]
    for matcher in (matcher for other in narrower for matcher in other.matchers):
        if matcher not in selector.matchers:
            try:
                yield selected(selector, matcher)
            except NotDerivableError:
                continue


def _weighed(ratio: Ratio, metric: str, labels: dict[str, str]) -> _Series:
    def count(side: Selectors | None) -> int:
        return sum(selector.metric == metric and matches(selector, labels) for selector in side or ())

    total = count(ratio.total) if ratio.total is not None else count(ratio.bad) + count(ratio.good)
    bad = count(ratio.bad) if ratio.bad is not None else total - count(ratio.good)
    return _Series(metric, tuple(sorted(labels.items())), total, bad)


def _combination(known: Sequence[_Series], wanted: tuple[int, int]) -> tuple[_Series, ...]:
    """The fewest series whose events together count as wanted."""
    useful = list(dict.fromkeys(series for series in known if series.total or series.bad))
    for size in (1, 2):
        for parts in combinations_with_replacement(useful, size):
            if (sum(part.total for part in parts), sum(part.bad for part in parts)) == wanted:
                return parts
    kind = "bad" if wanted == (1, 1) else "good"
    raise NotDerivableError(f"no series of its selectors counts as one {kind} event")


@dataclass(frozen=True, slots=True)
class LatencyInput(EventInput):
    """Histograms of fast and slow observations, and of failures.

    Attributes:
        answered: labels of observations that do not fail.
        failed: labels of failures; None where failures are not bad.
        non_matching: labels that must not be counted.
    """

    latency: Latency
    answered: SeriesLabels
    failed: SeriesLabels | None
    non_matching: tuple[SeriesLabels, ...]

    @classmethod
    def of(cls, slo: Slo, clock: ScrapeClock, latency: Latency) -> LatencyInput:
        """Raises NotDerivableError where no labels are found that its selector selects."""
        histogram = latency.histogram[0]
        answered = selected(histogram, *latency.bad_if[:1])
        failed = selected(histogram.narrowed(*latency.bad_if)) if latency.bad_if else None
        return cls(slo, clock, latency, answered, failed, tuple(non_matching(histogram)))

    def series(self, tiles: Sequence[Tile], split: SeriesLabels) -> InputSeries:
        """Bad events are slow ones of a new series, and where failures are bad, half are fast failures.

        Good ones after the outage belong to a new series too.
        """
        none = [Decimal(0)] * len(tiles)
        good, bad = self.events(tiles)
        good, later = split_at_recovery(good, bad)
        failures = [(event / 2).to_integral_value(ROUND_FLOOR) for event in bad] if self.failed is not None else none
        slow = [event - failure for event, failure in zip(bad, failures, strict=True)]
        written = self._observed({**self.answered, **split}, good, none, created=False)
        written |= self._observed({**self.answered, **split, "replica": "later"}, later, none)
        written |= self._observed({**self.answered, **split, "replica": "new"}, none, slow)
        if self.failed is not None:
            written |= self._observed({**self.failed, **split}, failures, none)
        for labels in self.non_matching:
            half = [BUSY / 2] * len(tiles)
            unseen = unlike(labels, split, self.latency.histogram)
            written |= self._observed(unseen, half, half, created=False)
        return written

    def _observed(
        self, labels: dict[str, str], fast: Sequence[Decimal], slow: Sequence[Decimal], *, created: bool = True
    ) -> InputSeries:
        """A histogram that exists from its first observation on if it is `created`."""
        metric, bound = self.latency.histogram[0].metric, number(self.latency.at_most)
        every = [quick + late for quick, late in zip(fast, slow, strict=True)]
        exists = self.counted(RunningTotal(), every, created=created)
        written: InputSeries = {}
        for name, edge, events in (("_count", "", every), ("_bucket", "+Inf", every), ("_bucket", bound, fast)):
            samples = zip(self.clock.counter(events), exists, strict=True)
            kept = [None if existing is None else sample for sample, existing in samples]
            written |= self.scraped(metric + name, labels | {"le": edge} if edge else labels, kept)
        return written


@dataclass(frozen=True, slots=True)
class ThroughputInput(RawInput):
    """Just enough events, and just too few or too many.

    Attributes:
        good: events in a good tile.
        bad: events in a bad tile.
    """

    throughput: Throughput
    example: Example
    good: Decimal
    bad: Decimal

    @classmethod
    def of(cls, slo: Slo, clock: ScrapeClock, throughput: Throughput) -> ThroughputInput:
        """Raises NotDerivableError where a bad tile would need fewer events than none."""
        tile, example = slo.sampling.resolution, Example.of(throughput.counter[0])
        if throughput.at_least is not None:
            bound, step, rounding = throughput.at_least.during(tile), -1, ROUND_CEILING
        else:
            assert throughput.at_most is not None
            bound, step, rounding = throughput.at_most.during(tile), 1, ROUND_FLOOR
        good, bad = bound.to_integral_value(rounding), (bound + step).to_integral_value(rounding)
        if bad < 0:
            raise NotDerivableError("fewer events than its bound allows cannot be shown: the bound is below one a tile")
        return cls(slo, clock, throughput, example, good, bad)

    def series(self, tiles: Sequence[Tile], split: SeriesLabels) -> InputSeries:
        """Where series are added up, the events after the outage belong to a new one."""
        counts, metric = self.throughput.counts, self.example.metric
        labels, every = {**self.example.labels, **split}, [self.bad if bad else self.good for _, bad in tiles]
        later: list[Decimal] | None = None
        if self.throughput.across is Across.SUM:
            every, later = split_at_recovery(every, [bad for _, bad in tiles])
        written = self.scraped(metric, labels, self.counted(counts, every))
        if later is not None:
            written |= self.scraped(metric, {**labels, "replica": "later"}, self.counted(counts, later, created=True))
        for other in self.example.unlike(split):
            written |= self.scraped(metric, other, self.counted(counts, [BUSY] * len(tiles)))
        return written

    def continues_history(self) -> bool:
        """Only where the rules ask `up` whether a counter is new, or where there are no counters."""
        asks_up = self.slo.sampling.new_series is NewSeries.COUNT_IF_UP and not self.slo.by
        return not self.is_counter or (asks_up and self.throughput.across is Across.SUM)
