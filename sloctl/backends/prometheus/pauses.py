"""What counters counted while Prometheus was away: their values before and after it hold it all.

A tile bridges a pause up to the look-back. A longer one is repaired once, minutes after its end, from what was last
read within six hours before it. A roll-up counts it, and so do windows of a day and more and the budget; shorter ones
tell what is happening now.

Reading back is costly, so it is done in a group of its own, every ten tiles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sloctl import conventions
from sloctl.backends.prometheus import raw
from sloctl.backends.prometheus.counters import SMALL, Counted
from sloctl.backends.prometheus.events import Tiles, event_tiles
from sloctl.model.catalogue import NewSeries, Sampling, Slo
from sloctl.model.indicator import EventIndicator
from sloctl.model.quantities import Duration, number
from sloctl.model.selector import Selector
from sloctl.promql.build import indent, over_time
from sloctl.promql.selectors import selector_text

EVERY_TILES: Final = 10
_LONGEST_TILES: Final = 360
_LOOKS: Final = 12
"""So many looks into the longest pause tell whether a series was there before."""


def missed_total(slo: Slo) -> str:
    """All events of a pause that is over."""
    return _once(slo, _missed(slo).total, conventions.MISSED_TOTAL)


def missed_errors(slo: Slo) -> str:
    """The bad events of a pause that is over."""
    return _once(slo, _missed(slo).errors, conventions.MISSED_ERRORS)


def with_missed(slo: Slo, name: str, rollup: str, zero: str) -> str:
    """A roll-up and what was missed before it; `zero` is there whenever the roll-up is."""
    held = over_time("sum", raw.own(slo, name), slo.sampling.rollup, slo.sampling.resolution // 2)
    missed = raw.past(slo, "sum", held)
    return f"(\n{indent(rollup)}\n)\n+ ({missed} or {zero})"


def _missed(slo: Slo) -> Tiles:
    indicator = slo.indicator
    assert isinstance(indicator, EventIndicator)

    def read(selector: Selector, without: str = "") -> str:
        paused = _Paused(raw.split(slo, selector), indicator.reads().required[0], slo.sampling, _every(slo.sampling))
        return replace(paused, without=without, began=_began(slo)).increase()

    return event_tiles(slo, indicator, read)


def _once(slo: Slo, events: str, name: str) -> str:
    """Where the first tile after a pause is some minutes old, and nothing was repaired since."""
    sampling, every = slo.sampling, _every(slo.sampling)
    back = f"min(min_over_time(timestamp({_tile(slo)})[{every}:{sampling.resolution}] offset {sampling.rollup}))"
    bridged = sampling.lookback + sampling.resolution * 2 + sampling.shift
    paused = f"({back} - {_began(slo)} > {number(bridged.seconds)})"
    repaired = over_time("present", raw.own(slo, name), every * 2, sampling.resolution // 2)
    return f"(\n{indent(events)}\n)\nand on () {paused}\nunless on () {repaired}"


def _began(slo: Slo) -> str:
    """When the last tile before a pause was recorded."""
    looks = f"{_longest(slo.sampling)}:{slo.sampling.lookback // 3}"
    return f"max(max_over_time(timestamp({_tile(slo)})[{looks}] offset {_before(slo.sampling)}))"


def _tile(slo: Slo) -> str:
    return selector_text(raw.own(slo, conventions.total_tile(slo.sampling.resolution)))


def _every(sampling: Sampling) -> Duration:
    return sampling.resolution * EVERY_TILES


def _longest(sampling: Sampling) -> Duration:
    return sampling.resolution * _LONGEST_TILES


def _before(sampling: Sampling) -> Duration:
    """So far back the pause was still going on: its first tile is a roll-up old, and less than one evaluation more."""
    return sampling.rollup + _every(sampling) + sampling.resolution


@dataclass(frozen=True, slots=True)
class _Paused(Counted):
    """A counter before and after a pause.

    A first value is decided as in a tile: all of it is new where the process began in the pause, or where the series
    of its target go on and none of this counter ended.

    Attributes:
        began: when the pause began.
    """

    began: str = ""

    def increase(self) -> str:
        """Events for each series from its last sample before the pause to its first one after it."""
        since = _before(self.sampling) + self.sampling.shift
        first = self._over("min", self.selector, since - self.sampling.shift, self.sampling.shift)
        known = self._seen(self.selector, self.sampling.lookback // 3)
        if self.sampling.new_series is not NewSeries.IGNORE:
            known = f"(\n{indent(self._born)}\n  or {known}\n  or {indent(self._new).lstrip()}\n)"
        return f"(\n  {first}\n  - {indent(known).lstrip()}\n  >= 0\n)"

    @property
    def _born(self) -> str:
        """Zero for series of processes that began in the pause."""
        started = Selector("process_start_time_seconds", self.selector.on(self.sampling.target_labels))
        began = f"{selector_text(started)} > on () group_left () {self.began}"
        return f"0 * {self._now(self.selector)} and {self._on} ({began})"

    @property
    def _new(self) -> str:
        """Zero for series that began in the pause while their process went on."""
        looks = self._looks
        goes_on = self._by_target(
            "group", [f"{self._now(selector)} >= {self._seen(selector, looks)}" for selector in self.family]
        )
        ended = f"{self._seen(self.selector, looks)} unless {self._now(self.selector)}"
        now = self._now(self.selector)
        return f"0 * ({now} and {self._on} {goes_on} unless ({now} > {SMALL} and {self._on} ({ended})))"

    @property
    def _looks(self) -> Duration:
        return _longest(self.sampling) // _LOOKS

    def _now(self, series: Selector) -> str:
        return self._read(series, selector_text(series, offset=self.sampling.shift))

    def _seen(self, series: Selector, step: Duration) -> str:
        """The last of some looks at a series before the pause; an instant selector looks five minutes back."""
        looks = f"{_longest(self.sampling)}:{step}"
        since = _before(self.sampling) + self.sampling.shift
        return self._read(series, f"last_over_time({selector_text(series)}[{looks}] offset {since})")
