"""What the rules of an SLO would have recorded over a history: tiles, windows, the budget and how long the rest lasts.

Left out is what no window reads: values and forecasts of gauges, buckets and credits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np

from sloctl.conventions import inventory
from sloctl.conventions.inventory import Metric, Recording
from sloctl.history.tiles import Floats, History, Moments
from sloctl.history.windows import Windows
from sloctl.model.catalogue import Platform, Slo
from sloctl.model.quantities import Duration
from sloctl.model.window import CalendarWindow


class Recorded(NamedTuple):
    """The samples of one recording.

    Attributes:
        labels: without its name and without split labels.
        at: Unix milliseconds.
        periods: of a roll-up by calendar, the label `period` of each sample.
    """

    recording: Recording
    labels: Mapping[str, str]
    at: Moments
    values: Floats
    periods: Floats | None = None


def recorded(platform: Platform, slo: Slo, history: History) -> Iterator[Recorded]:
    """Every recording that follows from the counts of an SLO, in the order of its rules; where it had a value."""
    windows = Windows(slo, history)
    for recording in inventory.recordings(platform, slo):
        if recording.metric in _ROLLED:
            values, periods = _ROLLED[recording.metric](history), history.periods
            yield Recorded(recording, recording.labels, history.rollups.at, values, periods)
        elif recording.metric in _TILES:
            yield Recorded(recording, recording.labels, history.tiles.at, _TILES[recording.metric](history))
        elif (found := _values(windows, recording)) is not None:
            there = ~np.isnan(found)
            at = history.evaluated_slowly if recording.slow else history.evaluated
            yield Recorded(recording, recording.labels, at[there], found[there])


_TILES: Final[Mapping[Metric, Callable[[History], Floats]]] = {
    Metric.TOTAL: lambda history: history.tiles.total,
    Metric.ERRORS: lambda history: history.tiles.bad,
}
_ROLLED: Final[Mapping[Metric, Callable[[History], Floats]]] = {
    Metric.TOTAL_ROLLUP: lambda history: history.rollups.total,
    Metric.ERRORS_ROLLUP: lambda history: history.rollups.bad,
}


def _values(windows: Windows, recording: Recording) -> Floats | None:
    """Its value at each evaluation, NaN where it has none; None for what does not follow from counts."""
    if recording.metric is Metric.ERROR_RATIO:
        assert isinstance(recording.window, Duration)
        return windows.ratio(recording.window, slow=recording.slow)
    made = _WINDOWS.get(recording.metric)
    return None if made is None else made(windows)


def _window_total(windows: Windows) -> Floats:
    total, _ = windows.in_window()
    there = np.searchsorted(windows.history.rollups.at, windows.history.evaluated_slowly, side="right") > 0
    return np.where(there, total, np.nan)


def _period_ratio(windows: Windows) -> Floats:
    total, bad = windows.in_window()
    ratio: Floats = np.divide(bad, total, out=np.full(len(total), np.nan), where=total > 0)
    return ratio


def _exhaustion(windows: Windows) -> Floats:
    """Seconds until the budget is gone if it goes on like the last hour."""
    slo, hour = windows.slo, windows.slo.sampling.recent
    budget, seconds = float(slo.objective.error_budget), float(hour.seconds)
    (recent_total, recent), (total, _) = _recent(windows), windows.in_window()
    with np.errstate(divide="ignore", invalid="ignore"):
        expected, covered = total, windows.window_covered()
        if not isinstance(slo.window, CalendarWindow):
            share = seconds / float(slo.window.length.seconds)
            recent = recent - budget * (recent_total - share * expected / covered)
        left = budget * expected / covered * np.maximum(1 - windows.consumed()[0], 0.0)
        return np.where(recent > 0, seconds * left / recent, np.nan)


def _predicted(windows: Windows) -> Floats:
    """The share of the budget that will be spent when the period ends."""
    slo = windows.slo
    assert isinstance(slo.window, CalendarWindow)
    _, end = windows.period(slo.window)
    hours = (end - windows.history.evaluated_slowly / 1000) / float(slo.sampling.recent.seconds)
    (total, recent), (counted, _) = _recent(windows), windows.in_window()
    with np.errstate(divide="ignore", invalid="ignore"):
        spent = _period_ratio(windows) * counted + recent * hours
        allowed = float(slo.objective.error_budget) * (counted + total * hours)
        return np.where(allowed > 0, spent / allowed, np.nan)


def _recent(windows: Windows) -> tuple[Floats, Floats]:
    """Events and bad ones of the last hour, from roll-ups."""
    return windows.history.rollups.sums(windows.slo.sampling.recent, windows.history.evaluated_slowly)


_WINDOWS: Final[Mapping[Metric, Callable[[Windows], Floats]]] = {
    Metric.MEASURED_SINCE: lambda windows: np.full(len(windows.history.evaluated), windows.history.since),
    Metric.WINDOW_TOTAL: _window_total,
    Metric.PERIOD_ERROR_RATIO: _period_ratio,
    Metric.BUDGET_CONSUMED: lambda windows: windows.consumed()[0],
    Metric.WINDOW_COVERED: Windows.window_covered,
    Metric.TIME_TO_EXHAUSTION: _exhaustion,
    Metric.BUDGET_PREDICTED: _predicted,
    Metric.OBJECTIVE: lambda windows: np.full(
        len(windows.history.evaluated_slowly), float(windows.slo.objective.ratio)
    ),
}
