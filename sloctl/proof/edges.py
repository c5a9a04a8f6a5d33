"""Edges: both sides of each condition of a tier, decided by a single evaluation each.

What lies in the windows makes one condition just hold or just fail, while whatever lies just outside of them says the
opposite. So a history is as short as the number of its edges, however long the windows are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final, TypeAlias

from sloctl.conventions.inventory import reads_rollups
from sloctl.explain.simulation import Tile, judged
from sloctl.model.alerting import Guard, Tier
from sloctl.model.budget import GUARD_MARGIN, error_threshold, guard_minimum
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import Duration

Placed: TypeAlias = tuple[int, Decimal, Decimal]
"""The age of a tile at the evaluation, in tiles; its events and bad ones."""

_CLOSE: Final = Decimal("0.001")
"""How near to an edge its two sides are."""
_ALLOWED: Final = Decimal(1_000_000_000)
"""Bad events that a busy window may hold: so many that the guard asks for hardly more."""
_MORE: Final = 100
"""What lies outside of a window is so many times more than what lies inside."""


@dataclass(frozen=True, slots=True)
class Edge:
    """What the windows of one evaluation hold, and what a tier must say of it.

    Attributes:
        name: what it shows, in words.
        tiles: where events lie.
        fires: whether the tier's condition holds.
        ratio: the error ratio that it shows then.
        measured: for how long the SLO has been measured; None for longer than any window.
        is_known: whether anything says since when.
    """

    name: str
    tiles: tuple[Placed, ...]
    fires: bool
    ratio: Decimal | None
    measured: Duration | None = None
    is_known: bool = True


def edges(slo: Slo, tier: Tier) -> Iterator[Edge]:
    """Both sides of each condition of a tier, as far as another one does not decide there."""
    return _Edges(slo, tier).all()


@dataclass(frozen=True, slots=True)
class _Edges:
    """Makes the edges of one tier that averages."""

    slo: Slo
    tier: Tier

    def all(self) -> Iterator[Edge]:
        busy = (_ALLOWED / self.budget).to_integral_value(ROUND_CEILING)
        full = [(self.newest, busy, busy)]
        yield self._edge("all is bad", full)
        yield self._edge("all is bad, and nothing says since when it is measured", full, is_known=False)
        yield from self._long(busy, "its threshold", None)
        yield from self._long(busy, "its threshold while it is young", self.tier.averaged_over // 2)
        if self.tier.also_over is not None:
            yield from self._short(busy, self.tier.also_over)
        if self.tier.guard is Guard.STATISTICAL:
            yield from self._guard("what chance explains", None)
            yield from self._guard("what chance explains while it is young", self.tier.averaged_over // 2)
        yield from self._least_events()
        yield from self._least_bad()

    def _long(self, total: Decimal, what: str, measured: Duration | None) -> Iterator[Edge]:
        """The long window at the threshold, the short one far above it.

        Kills: another threshold, `>=`, a long window that is a tile longer or shorter.
        """
        covered = self._covered(measured)
        far = self._oldest(self.tier.averaged_over) if measured is None else int(measured / self.resolution) - 1
        outside, exact = self._oldest(self.tier.averaged_over) + 1, self.limit * total / covered

        def placed(bad: Decimal, beyond: Decimal) -> list[Placed]:
            return [(self.newest, bad, bad), (far, total - bad, Decimal(0)), (outside, _MORE * total, beyond)]

        below, above = (exact * (1 + side * _CLOSE) for side in (-1, 1))
        if above > total or far == self.newest:
            return
        if measured is None and exact == exact.to_integral_value():
            yield self._edge(f"the ratio is {what}", placed(exact, Decimal(0)))
        yield from self._pair(
            what,
            placed(below.to_integral_value(ROUND_FLOOR), _MORE * total),
            placed(above.to_integral_value(ROUND_CEILING), Decimal(0)),
            measured,
        )

    def _short(self, total: Decimal, also_over: Duration) -> Iterator[Edge]:
        """The short window at the threshold, the long one far above it.

        Kills: another threshold of it, `or` in place of `and`, a short window that is a tile longer or shorter.
        """
        far, beyond = self._oldest(also_over), _MORE * total

        def placed(bad: Decimal) -> list[Placed]:
            return [(self.newest, bad, bad), (far, total - bad, Decimal(0)), (far + 1, beyond, beyond)]

        exact = self.limit * total
        below, above = (exact * (1 + side * _CLOSE) for side in (-1, 1))
        if above > total or far == self.newest:
            return
        if exact == exact.to_integral_value():
            yield self._edge("the ratio of its short window is its threshold", placed(exact))
        yield from self._pair(
            "the threshold in its short window",
            placed(below.to_integral_value(ROUND_FLOOR)),
            placed(above.to_integral_value(ROUND_CEILING)),
        )

    def _guard(self, what: str, measured: Duration | None) -> Iterator[Edge]:
        """So few events that chance decides and not the ratio.

        Kills: another margin, another budget, another window of the guard.
        """
        times = self.limit / self.budget
        root = min(Decimal(30), GUARD_MARGIN / (times.sqrt() - 1) * Decimal("0.9")) if times > 1 else Decimal(30)
        mean = root * root / self.budget
        least, total = guard_minimum(mean, self.slo.objective), mean * self._covered(measured)
        yield from self._halves(what, total, least * (1 - _CLOSE), least * (1 + _CLOSE), total, measured)

    def _least_events(self) -> Iterator[Edge]:
        """Kills: another `min_events`, another window of it."""
        least = Decimal(self.tier.min_events)
        if least:
            few = least * (1 - _CLOSE)
            yield from self._halves("`min_events`", few, few, least, least)

    def _least_bad(self) -> Iterator[Edge]:
        """In the shortest window that can hold so many. Kills: another `min_bad`, another window of it."""
        least = Decimal(self.tier.min_bad)
        lengths = [window for window in self.tier.windows if window / self.resolution >= least]
        if least:
            few = least * (1 - _CLOSE)
            yield from self._halves("`min_bad`", few, few, least, least, over=lengths[-1] if lengths else None)

    def _halves(
        self,
        what: str,
        total: Decimal,
        below: Decimal,
        above: Decimal,
        above_total: Decimal,
        measured: Duration | None = None,
        over: Duration | None = None,
    ) -> Iterator[Edge]:
        """Half of the events in the newest tile and half in the oldest of a window, by default the long one."""
        far = self._oldest(over or self.tier.averaged_over)
        inside = far if measured is None else int(measured / self.resolution) - 1
        more = _MORE * total

        def placed(events: Decimal, bad: Decimal, beyond: Decimal) -> list[Placed]:
            halves = [(age, events / 2, bad / 2) for age in (self.newest, inside)]
            return [*halves, (far + 1, more, beyond)]

        yield from self._pair(
            what, placed(total, below, more), placed(above_total, above, Decimal(0) if over is None else more), measured
        )

    def _pair(
        self, what: str, below: Sequence[Placed], above: Sequence[Placed], measured: Duration | None = None
    ) -> Iterator[Edge]:
        """Both sides of an edge where they differ: elsewhere another condition decides."""
        sides = self._edge(f"just below {what}", below, measured), self._edge(f"just above {what}", above, measured)
        if [side.fires for side in sides] == [False, True]:
            yield from sides

    def _edge(
        self, name: str, tiles: Sequence[Placed], measured: Duration | None = None, *, is_known: bool = True
    ) -> Edge:
        sums = [self._sum(tiles, window) for window in self.tier.windows]
        fires, ratio = judged(self.slo, self.tier, sums, measured)
        return Edge(name, tuple(tiles), fires, ratio, measured, is_known)

    def _sum(self, tiles: Sequence[Placed], window: Duration) -> Tile:
        oldest = self._oldest(window)
        newest = oldest - int(window / self.resolution) + 1
        inside = [(total, bad) for age, total, bad in tiles if newest <= age <= oldest]
        return sum((total for total, _ in inside), Decimal(0)), sum((bad for _, bad in inside), Decimal(0))

    def _oldest(self, window: Duration) -> int:
        """The age of the oldest tile in a window; a roll-up holds the tiles before its own moment."""
        return int(window / self.resolution) - (0 if self.slo.sampling.reads_rollups(window) else 1)

    def _covered(self, measured: Duration | None) -> Decimal:
        return Decimal(1) if measured is None else min(Decimal(1), measured / self.tier.averaged_over)

    @property
    def newest(self) -> int:
        """The age of the newest tile that every window holds."""
        return 1 if reads_rollups(self.slo, self.tier) else 0

    @property
    def resolution(self) -> Duration:
        """Length of a tile."""
        return self.slo.sampling.resolution

    @property
    def budget(self) -> Decimal:
        """The error budget."""
        return self.slo.objective.error_budget

    @property
    def limit(self) -> Decimal:
        """The error ratio above which the tier fires."""
        return error_threshold(self.tier, self.slo.objective)
