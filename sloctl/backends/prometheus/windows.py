"""Roll-ups of tiles, averages over windows, the budget and the time until it is gone.

Every window is the sum of bad events divided by the sum of events, never an average of ratios, so that quiet
and busy minutes weigh what they count.

A window that begins before the SLO was measured is young: what is not covered yet counts as clean at the mean rate,
so ten minutes are never judged as a month. `slo:measured_since` knows where the tiles begin.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeAlias

from sloctl import conventions
from sloctl.backends.prometheus.pauses import with_missed
from sloctl.backends.prometheus.raw import own, past
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import SECOND, Duration, number
from sloctl.model.window import CalendarWindow, Window
from sloctl.promql.build import indent, over_time
from sloctl.promql.selectors import label_selector, selector_text

_TileName: TypeAlias = Callable[[Duration], str]

_RUNGS: Final = 4
_MOMENTS: Final = 30
"""So many times in the longest window is looked for tiles."""


def rollup(slo: Slo, name: _TileName, missed: str) -> str:
    """Four tiles in one, with a catch-up ladder for roll-ups that were missed, and what a pause `missed`.

    Each rung holds only where no shorter one does; otherwise tiles would be counted twice after a pause. Plain
    ranges: tiles of another group lie off this group's grid.
    """
    step, resolution = slo.sampling.rollup, slo.sampling.resolution
    tile, recorded = own(slo, name(resolution)), own(slo, name(step))

    lengths = [step * rung for rung in range(1, _RUNGS + 1)]
    tiles = [past(slo, "sum", over_time("sum", tile, length, resolution // 2)) for length in lengths]
    present = [past(slo, "max", over_time("present", recorded, length + resolution)) for length in lengths]

    rungs = [f"({tiles[0]} and {present[0]})"]
    rungs += [f"({tiles[rung]} and {present[rung]} unless {present[rung - 1]})" for rung in range(1, _RUNGS)]
    rungs.append(f"({tiles[0]} unless {present[-1]})")
    ladder = "\nor ".join(rungs)
    if slo.survives_pauses:
        ladder = with_missed(slo, missed, ladder, f"0 * {tiles[-1]}")
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
    return f"{errors_in(slo, over)}\n/ ({total_in(slo, over)} > 0)\n* {coverage(slo, over)}"


def window_total(slo: Slo) -> str:
    """Events in the SLO's window: recorded, because all that follows is measured by them."""
    return total_in_window(slo, slo.window)


def period_error_ratio(slo: Slo) -> str:
    """The error ratio of the calendar period so far."""
    return f"{errors_in_window(slo, slo.window)}\n/ ({_recorded_total(slo)} > 0)"


def budget_consumed(slo: Slo) -> str:
    """The share of the budget that is spent."""
    allowed = f"{number(slo.objective.error_budget)} * {_recorded_total(slo)}"
    return f"{errors_in_window(slo, slo.window)}\n/ ({allowed} > 0)\n* {window_covered(slo)}"


def _recorded_total(slo: Slo) -> str:
    return selector_text(own(slo, conventions.window_total(slo.window)))


def window_covered(slo: Slo) -> str:
    """The share of the SLO's window in which events were counted."""
    return coverage(slo, slo.window)


def coverage(slo: Slo, window: Window | Duration) -> str:
    """The share of a window in which events were counted; of a calendar period, of all its time to come as well."""
    small = isinstance(window, Duration) and not slo.sampling.reads_rollups(window)
    since = _since(slo, slo.sampling.resolution if small else slo.sampling.rollup)
    if isinstance(window, CalendarWindow):
        start, end = (_boundary(slo, window, name) for name in (conventions.PERIOD_START, conventions.PERIOD_END))
        return f"clamp_max((time() - clamp_min({since}, scalar({start}))) / scalar({end} - {start}), 1)"
    length = window if isinstance(window, Duration) else window.length
    return f"clamp_max((time() - {since}) / {number(length.seconds)}, 1)"


def _since(slo: Slo, length: Duration) -> str:
    """When the first tile began; where nothing says so, as in a copy of some rules, always: as tiles of `length`."""
    recorded = selector_text(own(slo, conventions.MEASURED_SINCE))
    tile = f"0 * {selector_text(own(slo, conventions.total_tile(length)))}"
    periods = slo.calendar and length == slo.sampling.rollup
    return f"({recorded} or {f'sum without (period) ({tile})' if periods else tile})"


def measured_since(slo: Slo) -> str:
    """When the first tile began: exactly where this recording goes on, else to a thirtieth of the longest window.

    Older tiles that a backfill wrote are found by looking at so many moments, and so is where a server's memory ends.
    They reach further back than the window, so that a pause of Prometheus at its beginning does not make it young.
    A split value that left is known for as long as the window holds its events.
    """
    resolution, rolled_up = slo.sampling.resolution, conventions.total_tile(slo.sampling.rollup)
    recorded, tile, rolled = (
        selector_text(own(slo, name))
        for name in (conventions.MEASURED_SINCE, conventions.total_tile(resolution), rolled_up)
    )
    hour, step = slo.sampling.recent, _longest(slo) // _MOMENTS
    began = f"timestamp({tile}) - {number(resolution.seconds)}"
    earlier = past(slo, "min", f"last_over_time({recorded}[{hour}:{hour // 12}])")
    known = f"({recorded} or {earlier} or {began})"
    found = past(slo, "min", f"min_over_time(timestamp({rolled})[{step * (_MOMENTS + 4)}:{step}])")
    before = f"({found} - {number(step.seconds)})"
    window = selector_text(own(slo, conventions.window_total(slo.window)))
    counted = f"({tile} or {past(slo, 'max', f'last_over_time({window}[{hour}:{hour // 12}])')})"
    return f"{known} <= {found} >= {before}\nor {before}\nor {known} and {counted}"


def _longest(slo: Slo) -> Duration:
    """The longest window that an SLO looks back."""
    windows = [slo.window, *([slo.sla.window] if slo.sla else [])]
    return max([window.longest for window in windows] + [window for tier in slo.tiers for window in tier.windows])


def _boundary(slo: Slo, window: CalendarWindow, name: str) -> str:
    return selector_text(label_selector(name, conventions.calendar_labels(slo.platform, window)))


def time_to_exhaustion(slo: Slo) -> str:
    """Seconds until the budget is gone if it goes on like the last hour; zero once it is overspent.

    Counted in events, as the budget is: what may still go bad, divided by what went bad in an hour. A rolling window
    loses old events as well: where traffic is below its mean, the budget shrinks meanwhile. Absent while nothing burns.
    """
    budget, hour = number(slo.objective.error_budget), slo.sampling.recent
    expected = f"{_recorded_total(slo)} / {window_covered(slo)}"
    recent, recent_total = _recent(slo)
    if not isinstance(slo.window, CalendarWindow):
        share = f"{number(hour.seconds)} / {number(slo.window.length.seconds)}"
        recent = f"{recent}\n  - {budget} * ({recent_total} - {share} * {expected})"
    left = (
        f"{budget} * {expected} * clamp_min(1 - {selector_text(own(slo, conventions.budget_consumed(slo.window)))}, 0)"
    )
    return f"{number(hour.seconds)} * {left}\n/ (\n  {recent}\n  > 0\n)"


def budget_predicted(slo: Slo) -> str:
    """The share of the budget that will be spent when the period ends, if it goes on like the last hour."""
    assert isinstance(slo.window, CalendarWindow)
    end = _boundary(slo, slo.window, conventions.PERIOD_END)
    hours = f"scalar({end} - time()) / {number(slo.sampling.recent.seconds)}"
    (errors, total), counted = _recent(slo), _recorded_total(slo)
    spent = f"{selector_text(own(slo, conventions.PERIOD_ERROR_RATIO))} * {counted}\n  + {errors} * ({hours})"
    return f"(\n  {spent}\n)\n/ ({number(slo.objective.error_budget)} * (\n  {counted}\n  + {total} * ({hours})\n) > 0)"


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
    return past(slo, "sum", f"{rolled} and on (period) {period(slo, window)}")


@lru_cache(maxsize=64)
def _rolled(slo: Slo, name: _TileName, over: Duration) -> str:
    return _sum_on_grid(slo, name(slo.sampling.rollup), over)


def _sum_on_grid(slo: Slo, metric: str, over: Duration) -> str:
    """The sum of exactly the tiles in `over`, asked in the group that records them.

    A second short: ranges include both ends up to Prometheus 2.x and exclude the start in 3.x.
    """
    return past(slo, "sum", over_time("sum", own(slo, metric), over - SECOND))
