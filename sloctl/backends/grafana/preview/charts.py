"""Lines, bars and bands as inline SVG. Only presentation attributes: a strict policy forbids inline styles."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from sloctl.backends.grafana.preview.evaluate import Moment, Points
from sloctl.model.periods import zone

WIDTH: Final = 1000
HEIGHT: Final = 200
PALETTE: Final = (
    "#1f60c4",
    "#37872d",
    "#c4570a",
    "#8f3bb8",
    "#c4162a",
    "#0e7c86",
    "#7a6000",
    "#a3328f",
    "#4d5a6a",
    "#2f7ed8",
)
_FEW: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Drawn:
    """One line of a chart."""

    name: str
    color: str
    dashed: bool
    points: Points
    last: str


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to pixels; `ticks` from the top down."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def y(self, value: float) -> float:
        """Pixels from the top."""
        return HEIGHT * (1 - (value - self.low) / (self.high - self.low))


def scale_of(values: Iterable[float], low: float | None, high: float | None) -> Scale:
    """A scale with round ticks that holds all values; `low` and `high` are what the panel says."""
    finite = [value for value in values if math.isfinite(value)]
    least = min([*finite, *([] if low is None else [low])], default=0.0)
    most = max([*finite, *([] if high is None else [high])], default=1.0)
    if most - least < _FEW:
        most = least + (abs(least) or 1)
    step = _round_step((most - least) / 4)
    bottom, top = math.floor(least / step + _FEW) * step, math.ceil(most / step - _FEW) * step
    count = round((top - bottom) / step)
    return Scale(bottom, top, tuple(top - index * step for index in range(count + 1)))


def _round_step(least: float) -> float:
    power: float = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - _FEW))


def path(points: Points, moment: Moment, scale: Scale, step: float) -> str:
    """The `d` of a line; where samples are missing it is interrupted, and a lone point becomes a dash."""
    parts: list[str] = []
    last: float | None = None
    for time, value in points:
        if not math.isfinite(value):
            last = None
            continue
        joined = last is not None and time - last <= 1.5 * step
        parts.append(f"{'L' if joined else 'M'}{_x(time, moment)} {scale.y(value):.1f}{'' if joined else 'h1'}")
        last = time
    return "".join(parts)


def area(above: Points, below: Points, moment: Moment, scale: Scale) -> str:
    """The `d` of the area between two lines over the same times."""
    there = [f"{_x(time, moment)} {scale.y(value):.1f}" for time, value in above if math.isfinite(value)]
    back = [f"{_x(time, moment)} {scale.y(value):.1f}" for time, value in reversed(below) if math.isfinite(value)]
    return f"M{'L'.join([*there, *back])}Z" if there else ""


def bands(points: Points, moment: Moment, step: float) -> list[tuple[str, str, float]]:
    """Start and width (in percent of the chart) and value of each time that a state lasted."""
    found: list[tuple[float, float, float]] = []
    for time, value in points:
        if found and found[-1][2] == value and time - found[-1][1] <= 1.5 * step:
            found[-1] = (found[-1][0], time, value)
        else:
            found.append((time, time, value))
    length = moment.end - moment.start
    shown = []
    for start, end, value in found:
        left = max(0.0, (start - step / 2 - moment.start) / length)
        right = min(1.0, (end + step / 2 - moment.start) / length)
        shown.append((f"{100 * left:.2f}%", f"{100 * max(right - left, 0.002):.2f}%", value))
    return shown


def _x(time: float, moment: Moment) -> str:
    return f"{WIDTH * (time - moment.start) / (moment.end - moment.start):.1f}"


def times(moment: Moment, zone_name: str, count: int = 5) -> list[str]:
    """So many labels from the beginning to the end."""
    local = zone("UTC" if zone_name == "utc" else zone_name)
    length = moment.end - moment.start
    form = "%d %b" if length > 3 * 86_400 else "%H:%M" if length <= 86_400 else "%d %b %H:%M"
    moments = [moment.start + length * index / (count - 1) for index in range(count)]
    return [datetime.fromtimestamp(seconds, local).strftime(form) for seconds in moments]


def stacked(lines: Sequence[Drawn]) -> list[Drawn]:
    """Lines on top of each other, from the first at the bottom."""
    totals: dict[float, float] = {}
    found = []
    for line in lines:
        for time, value in line.points:
            totals[time] = totals.get(time, 0.0) + (value if math.isfinite(value) else 0)
        found.append(
            Drawn(line.name, line.color, line.dashed, tuple((t, totals[t]) for t, _ in line.points), line.last)
        )
    return found


def step_of(lines: Sequence[Points], default: float) -> float:
    """The usual distance of points."""
    gaps = [after[0] - before[0] for points in lines for before, after in pairwise(points)]
    return min([default, *gaps]) if gaps else default
