"""Roll-ups of tiles, averages over windows, the budget and the time until it is gone.

Every window is the sum of bad events divided by the sum of events, never an average of ratios, so that quiet
and busy minutes weigh what they count.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeAlias

from sloctl import conventions
from sloctl.backends.prometheus.raw import own
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import SECOND, Duration, number
from sloctl.model.window import CalendarWindow, Window
from sloctl.promql.build import indent, over_time
from sloctl.promql.selectors import label_selector, selector_text

_TileName: TypeAlias = Callable[[Duration], str]

_RUNGS: Final = 4


def rollup(slo: Slo, name: _TileName) -> str:
    """Four tiles in one, with a catch-up ladder for roll-ups that were missed.

    Each rung holds only where no shorter one does; otherwise tiles would be counted twice after a pause. Plain
    ranges: tiles of another group lie off this group's grid.
    """
    step, resolution = slo.sampling.rollup, slo.sampling.resolution
    tile, recorded = own(slo, name(resolution)), own(slo, name(step))
    ignoring = " ignoring (period)" if slo.calendar else ""

    lengths = [step * rung for rung in range(1, _RUNGS + 1)]
    tiles = [over_time("sum", tile, length, resolution // 2) for length in lengths]
    present = [over_time("present", recorded, length + resolution) for length in lengths]

    rungs = [f"({tiles[0]} and{ignoring} {present[0]})"]
    rungs += [
        f"({tiles[rung]} and{ignoring} {present[rung]} unless{ignoring} {present[rung - 1]})"
        for rung in range(1, _RUNGS)
    ]
    rungs.append(f"({tiles[0]} unless{ignoring} {present[-1]})")
    ladder = "\nor ".join(rungs)
    if slo.calendar:
        return f"(\n{indent(ladder)}\n)\n* on () group_left (period) {period(slo, slo.calendar, by='by (calendar) ')}"
    return ladder


def period(slo: Slo, calendar: CalendarWindow, by: str = "") -> str:
    """The running period as a label `period`, its start in Unix seconds."""
    labels = conventions.calendar_labels(slo.platform, calendar)
    start = selector_text(label_selector(conventions.PERIOD_START, labels))
    return f'count_values {by}("period", {start})'


def errors_in(slo: Slo, over: Duration) -> str:
    """Bad events in the last `over`."""
    return _sum(slo, conventions.errors_tile, over)


def total_in(slo: Slo, over: Duration) -> str:
    """Events in the last `over`."""
    return _sum(slo, conventions.total_tile, over)


def errors_in_window(slo: Slo, window: Window) -> str:
    """Bad events in the last `window`, or in the calendar period so far."""
    return _window_sum(slo, conventions.errors_tile, window)


def total_in_window(slo: Slo, window: Window) -> str:
    """Events in the last `window`, or in the calendar period so far."""
    return _window_sum(slo, conventions.total_tile, window)


def error_ratio(slo: Slo, over: Duration) -> str:
    """The error ratio over a window; absent without traffic, never NaN."""
    return f"{errors_in(slo, over)}\n/ ({total_in(slo, over)} > 0)"


def period_error_ratio(slo: Slo) -> str:
    """The error ratio of the calendar period so far."""
    return f"{errors_in_window(slo, slo.window)}\n/ ({total_in_window(slo, slo.window)} > 0)"


def budget_consumed(slo: Slo) -> str:
    """The share of the budget that is spent."""
    allowance = number(slo.objective.error_budget)
    return f"{errors_in_window(slo, slo.window)}\n/ ({allowance} * {total_in_window(slo, slo.window)} > 0)"


def time_to_exhaustion(slo: Slo) -> str:
    """Seconds until the budget is gone at the error ratio of the last hour; zero once it is overspent."""
    return _calendar_exhaustion(slo) if isinstance(slo.window, CalendarWindow) else _rolling_exhaustion(slo)


def _rolling_exhaustion(slo: Slo) -> str:
    """What is left, (1 - spent) x budget x window, divided by the error ratio; absent while nothing burns."""
    consumed = selector_text(own(slo, conventions.budget_consumed(slo.window)))
    whole = slo.objective.error_budget * slo.window.length.seconds
    errors, total = _recent(slo)
    return f"{number(whole)} * clamp_min(1 - {consumed}, 0)\n/ (\n  {errors}\n  / {total}\n  > 0\n)"


def _calendar_exhaustion(slo: Slo) -> str:
    """The same within a period, whose budget grows with its events: what is left / (errors - allowed) a second."""
    allowance = number(slo.objective.error_budget)
    left = f"{allowance} * {total_in_window(slo, slo.window)} - {errors_in_window(slo, slo.window)}"
    errors, total = _recent(slo)
    recent = number(slo.sampling.recent.seconds)
    return f"{recent} * clamp_min({left}, 0)\n/ (\n  {errors}\n  - {allowance} * {total}\n  > 0\n)"


def budget_predicted(slo: Slo) -> str:
    """The share of the budget that will be spent when the period ends, if it goes on like the last hour."""
    assert isinstance(slo.window, CalendarWindow)
    end = selector_text(label_selector(conventions.PERIOD_END, conventions.calendar_labels(slo.platform, slo.window)))
    hours = f"scalar({end} - time()) / {number(slo.sampling.recent.seconds)}"
    errors, total = _recent(slo)
    spent = f"{errors_in_window(slo, slo.window)}\n  + {errors} * ({hours})"
    counted = f"{total_in_window(slo, slo.window)}\n  + {total} * ({hours})"
    return f"(\n  {spent}\n)\n/ ({number(slo.objective.error_budget)} * (\n  {counted}\n) > 0)"


def _recent(slo: Slo) -> tuple[str, str]:
    """Bad events and events of the last hour, from roll-ups."""
    over = slo.sampling.recent
    return _rolled(slo, conventions.errors_tile, over), _rolled(slo, conventions.total_tile, over)


def _sum(slo: Slo, name: _TileName, over: Duration) -> str:
    if slo.sampling.reads_rollups(over):
        return _rolled(slo, name, over)
    return _sum_on_grid(slo, name(slo.sampling.resolution), over)


def _window_sum(slo: Slo, name: _TileName, window: Window) -> str:
    if not isinstance(window, CalendarWindow):
        return _rolled(slo, name, window.length)
    rolled = over_time("sum", own(slo, name(slo.sampling.rollup)), window.longest)
    return f"sum without (period) ({rolled} and on (period) {period(slo, window)})"


@lru_cache(maxsize=64)
def _rolled(slo: Slo, name: _TileName, over: Duration) -> str:
    rolled = _sum_on_grid(slo, name(slo.sampling.rollup), over)
    return f"sum without (period) ({rolled})" if slo.calendar else rolled


def _sum_on_grid(slo: Slo, metric: str, over: Duration) -> str:
    """The sum of exactly the tiles in `over`, asked in the group that records them.

    A second short: ranges include both ends up to Prometheus 2.x and exclude the start in 3.x.
    """
    return over_time("sum", own(slo, metric), over - SECOND)
