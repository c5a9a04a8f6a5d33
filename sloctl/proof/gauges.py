"""Raw series of SLIs that look at gauges: probe, freshness, saturation and threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from sloctl.explain.simulation import Tile
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import Across, Freshness, Probe, Saturation, Threshold
from sloctl.model.quantities import ZERO
from sloctl.promql.expressions import plain_selector
from sloctl.proof.examples import Example, NotDerivableError, SeriesLabels
from sloctl.proof.raw_input import RawInput
from sloctl.proof.series import InputSeries, ScrapeClock

_CAPACITY: Final = Decimal(1_000_000)
_VOTES: Final = {Across.ANY: (0, 1), Across.MOST: (1, 2), Across.ALL: (2, 3), Across.EACH: (0, 1), Across.SUM: (0, 1)}
"""Of three series, how many are bad in a good slice and in a bad one; `each` and `sum` have a single series."""


@dataclass(frozen=True, slots=True)
class SampledInput(RawInput):
    """A gauge between 0 and 1 of which every sample counts: a probe that succeeds or fails in part."""

    example: Example

    def series(self, tiles: Sequence[Tile], split: SeriesLabels) -> InputSeries:
        """The share of good events as the value; non-matching series fail wholly."""
        goodness = [1 - bad / total if total else Decimal(1) for total, bad in tiles]
        failed = self.clock.gauge([Decimal(0)] * len(tiles))
        return {self.example.text(split): self.clock.gauge(goodness)} | dict.fromkeys(
            self.example.others(split), failed
        )


@dataclass(frozen=True, slots=True)
class GaugeInput(RawInput):
    """Series of which just enough are bad in a bad slice, and one fewer in a good one.

    Attributes:
        good: the worst value that is good.
        bad: a value that is a little worse.
        unmatched: the value of series that must not be counted.
        is_timestamp: values are offsets to the time of each sample.
        is_measured: a forecast looks at the value.
    """

    example: Example
    across: Across
    good: Decimal
    bad: Decimal
    unmatched: Decimal
    is_timestamp: bool = False
    is_measured: bool = False

    def series(self, tiles: Sequence[Tile], split: SeriesLabels) -> InputSeries:
        """One series per vote."""
        write = self.clock.moments if self.is_timestamp else self.clock.gauge
        in_good, in_bad = _VOTES[self.across]
        voters = 1 if self.across in {Across.EACH, Across.SUM} else 3
        written: InputSeries = {
            self.example.text({**split, self.further: str(voter)}): write(
                [self.bad if voter < (in_bad if bad else in_good) else self.good for _, bad in tiles]
            )
            for voter in range(voters)
        }
        return written | dict.fromkeys(self.example.others(split), write([self.unmatched] * len(tiles)))

    def measured(self, tile: Tile) -> Decimal | None:
        """The good or the bad value."""
        return (self.bad if tile[1] else self.good) if self.is_measured else None


def probe_input(slo: Slo, clock: ScrapeClock, probe: Probe) -> RawInput:
    """Probes that succeed or fail in part, or by vote."""
    example = Example.of(probe.gauge)
    if probe.across is Across.EACH:
        return SampledInput(slo, clock, example)
    return GaugeInput(slo, clock, example, probe.across, Decimal("0.5"), Decimal("0.4"), Decimal(0))


def freshness_input(slo: Slo, clock: ScrapeClock, freshness: Freshness) -> RawInput:
    """As old as may be, and a little older."""
    limit, step = freshness.max_age.seconds, clock.interval.seconds
    if freshness.age is not None:
        return GaugeInput(slo, clock, Example.of(freshness.age), freshness.across, limit, limit + 1, limit + 1)
    assert freshness.timestamp is not None
    example, fresh, old = Example.of(freshness.timestamp), step - limit, -step - limit
    return GaugeInput(slo, clock, example, freshness.across, fresh, old, old, is_timestamp=True)


def threshold_input(slo: Slo, clock: ScrapeClock, threshold: Threshold) -> RawInput:
    """At the bound and just beyond it."""
    selector = plain_selector(threshold.value)
    if selector is None:
        raise NotDerivableError("its value is the user's own PromQL, whose result cannot be turned back into series")
    unshifted = replace(clock, shift=ZERO)  # the user's PromQL is read as it is
    good, step = (threshold.at_most, 1) if threshold.at_most is not None else (threshold.at_least, -1)
    assert good is not None
    bad = good + step
    return GaugeInput(slo, unshifted, Example.of(selector), Across.EACH, good, bad, bad * 3, is_measured=True)


@dataclass(frozen=True, slots=True)
class SaturationInput(RawInput):
    """As full as may be, and a little fuller.

    Attributes:
        most: what may be used of the capacity.
    """

    used: Example
    capacity: Example
    most: Decimal

    @classmethod
    def of(cls, slo: Slo, clock: ScrapeClock, saturation: Saturation) -> SaturationInput:
        """Raises NotDerivableError where no labels are found that its selectors select."""
        most = (_CAPACITY * saturation.at_most).to_integral_value(ROUND_FLOOR)
        return cls(slo, clock, Example.of(saturation.used[0]), Example.of(saturation.capacity[0]), most)

    def series(self, tiles: Sequence[Tile], split: SeriesLabels) -> InputSeries:
        """What is used, what there is, and three times as much of what must not be counted."""
        written: InputSeries = {
            self.used.text(split): self.clock.gauge([self.most + (1 if bad else 0) for _, bad in tiles]),
            self.capacity.text(split): self.clock.gauge([_CAPACITY] * len(tiles)),
        }
        for other in (*self.used.others(split), *self.capacity.others(split)):
            written.setdefault(other, self.clock.gauge([_CAPACITY * 3] * len(tiles)))
        return written

    def measured(self, tile: Tile) -> Decimal:
        """The share of the capacity."""
        return (self.most + (1 if tile[1] else 0)) / _CAPACITY
