"""Incidents: the stretches of the past that spent an error budget, found in the tiles alone.

Each tile scores its bad events minus those that the objective allows. Maximal scoring segments (Ruzzo and Tompa, "A
linear time algorithm for finding all maximal scoring subsequences", 1999) are the stretches that no longer or shorter
stretch around them beats, disjoint and in linear time. Between two quiet times they are found apart: otherwise one
large incident would swallow the calm days until the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sloctl.history.tiles import Floats, Tiles
from sloctl.model.catalogue import Slo

QUIET_TILES: Final = 30
"""A quiet time is at least so many tiles within the objective on the whole."""
_BURN: Final = 10
_SHOWN: Final = 3
"""And so long that ten times the budget would have shown three bad events in it."""
_WORST_TILES: Final = 5
_ALIKE: Final = 0.25
"""A tile belongs to a burn beside it where it scores so large a part of the mean of the burn's own tiles."""


@dataclass(frozen=True, slots=True)
class Incident:
    """A stretch that spent more than the objective allows.

    Attributes:
        start: Unix milliseconds, when its first tile began.
        end: when its last one ended.
        spent: share of the window's budget that it spent beyond what the objective allowed in its time.
        worst: the highest burn rate over five tiles.
        total: its events.
        bad: its bad events.
        name: what somebody called it; empty for one that was found.
    """

    start: int
    end: int
    spent: float
    worst: float
    total: float
    bad: float
    name: str = ""


def incidents(slo: Slo, tiles: Tiles) -> list[Incident]:
    """Every stretch that spent budget beyond what its time allowed, in order; many are small."""
    if not len(tiles):
        return []
    budget, step = float(slo.objective.error_budget), slo.sampling.resolution.milliseconds
    allowed = budget * float(tiles.total.mean())  # a tile
    window = allowed * float(slo.window.length / slo.sampling.resolution)
    if not window:
        return []
    scores = tiles.bad - budget * tiles.total
    found = list[Incident]()
    for first, last, score in _parted(scores, allowed):
        inside = slice(first, last + 1)
        total, bad = tiles.total[inside], tiles.bad[inside]
        found.append(
            Incident(
                start=int(tiles.at[first]) - step,
                end=int(tiles.at[last]),
                spent=score / window,
                worst=_worst(total, bad) / budget,
                total=float(total.sum()),
                bad=float(bad.sum()),
            )
        )
    return found


def measured(slo: Slo, tiles: Tiles, start: int, end: int, name: str = "") -> Incident:
    """What a stretch that somebody named spent, from `start` to `end` in Unix milliseconds."""
    inside, budget = tiles.between(start, end), float(slo.objective.error_budget)
    total, bad = float(inside.total.sum()), float(inside.bad.sum())
    mean = float(tiles.total.mean()) if len(tiles) else 0.0
    window = budget * mean * float(slo.window.length / slo.sampling.resolution)
    spent = (bad - budget * total) / window if window else 0.0
    return Incident(start, end, spent, _worst(inside.total, inside.bad) / budget, total, bad, name)


def _worst(total: Floats, bad: Floats) -> float:
    """The highest error ratio over some tiles."""
    totals, bads = (_moving(values) for values in (total, bad))
    ratios = np.divide(bads, totals, out=np.zeros(len(totals)), where=totals > 0)
    return float(ratios.max(initial=0.0))


def _moving(values: Floats) -> Floats:
    until = np.concatenate(([0.0], np.cumsum(values)))
    length = min(_WORST_TILES, len(values))
    moved: Floats = until[length:] - until[: len(until) - length]
    return moved


def _parted(scores: Floats, allowed: float) -> Iterator[tuple[int, int, float]]:
    """The maximal segments between quiet times."""
    length = max(QUIET_TILES, ceil(min(_SHOWN / (_BURN * allowed), len(scores))))
    until = np.concatenate(([0.0], np.cumsum(scores)))
    if length >= len(scores):
        yield from segments(scores)
        return
    calm = until[length:] - until[:-length] <= 0  # the time that begins at each tile
    calm_until = np.concatenate(([0], np.cumsum(calm)))
    index = np.arange(len(scores))
    low, high = np.maximum(index - length + 1, 0), np.minimum(index, len(calm) - 1)
    quiet = calm_until[high + 1] > calm_until[low]
    for first, after in _runs(~quiet):
        for begin, end, score in segments(scores[first:after]):
            yield _grown(scores, first + begin, first + end, score)


def _grown(scores: Floats, first: int, last: int, score: float) -> tuple[int, int, float]:
    """A segment with tiles beside it that are like its own: a quiet time holds those of a burn that is not steep."""
    least = max(score / (last - first + 1) * _ALIKE, 0.0)
    begin, end = first, last
    while begin > 0 and scores[begin - 1] > least:
        begin -= 1
    while end + 1 < len(scores) and scores[end + 1] > least:
        end += 1
    return begin, end, score + float(scores[begin:first].sum() + scores[last + 1 : end + 1].sum())


def segments(scores: Floats) -> list[tuple[int, int, float]]:
    """All maximal scoring segments as (first, last, score), in order and disjoint."""
    until = np.concatenate(([0.0], np.cumsum(scores)))
    kept = list[tuple[int, int, float, float]]()  # first, after, the sum before it, the sum until its end
    for first, after in _runs(scores > 0):
        segment = (int(first), int(after), float(until[first]), float(until[after]))
        while True:
            index = len(kept) - 1
            while index >= 0 and kept[index][2] >= segment[2]:
                index -= 1
            if index < 0 or kept[index][3] >= segment[3]:
                break
            segment = (kept[index][0], segment[1], kept[index][2], segment[3])
            del kept[index:]
        kept.append(segment)
    return [(first, after - 1, end - begin) for first, after, begin, end in kept]


def _runs(flags: NDArray[np.bool_]) -> NDArray[np.intp]:
    """First and after-last index of each run that is true."""
    return np.flatnonzero(np.diff(flags, prepend=False, append=False)).reshape(-1, 2)
