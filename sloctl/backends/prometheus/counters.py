"""What a counter counted in one tile: differences, resets, and first values that are events and no history.

Consecutive tiles telescope: what a target counts between two scrapes is in exactly one tile. A first value is the
one thing that samples cannot tell: a series that begins with 7 has seven new events, or seven million old ones under
another name. It is decided by the other series of its target, its family:

- one of them goes on, and none ended at that moment: the process is the same, so all that the new series holds is new.
  Where one ended, as when some labels change or a series expires, a first value counts up to `SMALL`;
- none goes on: labels changed, what an exporter reads was away, or the process is new. A first value counts only where
  there was none before and the whole target began with at most `SMALL` events, so that no accident can exceed that;
- otherwise it counts from its first sample on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sloctl.model.catalogue import NewSeries, Sampling
from sloctl.model.quantities import Duration, number
from sloctl.model.selector import Selector, Selectors
from sloctl.promql.build import indent, matching_on
from sloctl.promql.selectors import selector_text

SMALL: Final = 100
"""Events of a target that may be counted although they could be older: the bound of every accident."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A counter in one tile.

    Attributes:
        family: the selectors of all events, whose series tell what a new series of `selector` means.
        native: whether samples are native histograms, whose count is the number of events.
        without: a label of `selector` that may spell one value in two ways, such as `le="1"` and `le="1.0"`.
        bridges: pauses up to this long are counted in the first tile after them; by default the look-back.
    """

    selector: Selector
    family: Selectors
    sampling: Sampling
    tile: Duration
    native: bool = False
    without: str = ""
    bridges: Duration | None = None

    def increase(self) -> str:
        """Events of the tile for each series.

        A sample that is no number is skipped: the highest one of a tile is its newest number.
        """
        now, baseline = (
            self.last,
            self._over("last", self.selector, self.bridges or self.sampling.lookback, self.before),
        )
        numbers = f"({now} >= 0 or {self._in_tile('max', self.selector)})"
        known = f"({baseline} >= 0 or {self._over('max', self.selector, self.tile, self.before)})"
        branches = [
            f"({numbers} - {known} >= 0)",  # the usual case; a gap up to the look-back is bridged
            f"({self.reset(now, self.earlier)})",
            *self.created(f"({now} >= 0)"),
            f"({now} - {self._in_tile('min', self.selector)} >= 0)",  # since it was first seen
        ]
        return "\nor ".join(branches)

    def reset(self, now: str, earlier: str) -> str:
        """A counter that began anew: what it counted since. One that fell by little was restored from a snapshot."""
        return f"{now} < clamp_min({earlier} / 2, {SMALL})"

    def created(self, now: str) -> list[str]:
        """The first values that are events: of `now`, the series of this counter."""
        if self.sampling.new_series is NewSeries.IGNORE:
            return []
        guards = [
            f"unless {self.earlier}",
            f"and {self._on} (\n{indent(self._goes_on)}\n  or {self._small}\n)",
            f"unless ({now} > {SMALL} and {self._on} (\n{indent(self._ended)}\n))",
        ]
        return ["(\n" + indent("\n".join([now, *guards])) + "\n)"]

    @property
    def before(self) -> Duration:
        """How far back the tile begins."""
        return self.tile + self.sampling.shift

    @property
    def last(self) -> str:
        """The newest sample of the tile."""
        return self._in_tile("last", self.selector)

    @property
    def earlier(self) -> str:
        """A sample from before the tile, not always the newest one: the cheap question whether there was any."""
        return self._earlier(self.selector)

    @property
    def long_before(self) -> str:
        """As `earlier`, but that the newest of such samples are not asked for."""
        return self._within_lookback(self.selector)

    @property
    def _on(self) -> str:
        return matching_on(self.sampling.target_labels)

    @property
    def _newest(self) -> str:
        """The time of a target's newest sample, less half a scrape: series with older ones have ended."""
        half = number(self.sampling.scrape_interval.seconds / 2)
        return f"{self._by_target('max', [self._time(series) for series in self.family])} - {half}"

    @property
    def _goes_on(self) -> str:
        """Targets with a series that was there before the tile and still is."""
        there = [f"{self._time(series)} and {self._earlier(series)}" for series in self.family]
        return f"{self._by_target('max', there)} > {self._newest}"

    @property
    def _small(self) -> str:
        """Targets that began with few events, where something was read before: else Prometheus itself is new."""
        young = f"{self._by_target('sum', [self._first(series) for series in self.family])} <= {SMALL}"
        small = f"{young} unless {self._on} {self._at_begin(self.selector)}"
        if self.sampling.new_series is NewSeries.COUNT:
            return small
        up = Selector("up", self.selector.on(self.sampling.target_labels))
        seen = [f"{self._at_begin(up)} == 1", *(self._at_begin(series) for series in self.family)]
        return f"({small}) and on () count({' or '.join(seen)})"

    @property
    def _ended(self) -> str:
        """Targets of which a series of this counter ended, as when labels change; not by a restart, which ends some.

        After a pause of Prometheus the instant selector finds nothing, and the look-back is asked.
        """
        family = " or ".join(self._at_begin(series) for series in self.family)
        paused = f"{self._within_lookback(self.selector)} unless {self._on} ({family})"
        alive = f"{self._time(self.selector)} > {self._on} group_left () ({self._newest})"
        fell = " or ".join(
            f"{self._events(self._in_tile('last', series))} < {self._events(self._earlier(series))}"
            for series in self.family
        )
        return f"({self._at_begin(self.selector)} or ({paused}))\nunless ({alive})\nunless {self._on} ({fell})"

    def _by_target(self, operator: str, parts: list[str]) -> str:
        return f"{operator} by ({', '.join(self.sampling.target_labels)}) ({' or '.join(parts)})"

    def _first(self, series: Selector) -> str:
        """The events that a young counter had when it was first read."""
        return self._events(self._in_tile("last", series)) if self.native else self._in_tile("min", series)

    def _events(self, sample: str) -> str:
        return f"histogram_count({sample})" if self.native else sample

    def _earlier(self, series: Selector) -> str:
        return f"({self._at_begin(series)} or {self._within_lookback(series)})"

    def _within_lookback(self, series: Selector) -> str:
        """As `last_over_time` over the look-back, of which it reads three samples instead of all."""
        lookback = self.sampling.lookback
        return self._read(
            series, f"last_over_time({selector_text(series)}[{lookback}:{lookback // 3}] offset {self.before})"
        )

    def _at_begin(self, series: Selector) -> str:
        return self._read(series, selector_text(series, offset=self.before))

    def _time(self, series: Selector) -> str:
        return self._read(series, f"timestamp({selector_text(series, offset=self.sampling.shift)})")

    def _in_tile(self, function: str, series: Selector) -> str:
        return self._over(function, series, self.tile, self.sampling.shift)

    def _over(self, function: str, series: Selector, range_: Duration, offset: Duration) -> str:
        return self._read(series, f"{function}_over_time({selector_text(series, range_, offset)})")

    def _read(self, series: Selector, expression: str) -> str:
        """Series that differ in how a value is spelt only are one."""
        if self.without and series == self.selector:
            return f"max without ({self.without}) ({expression})"
        return expression
