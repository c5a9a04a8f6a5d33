"""When the running calendar periods began and end, from a fixed table: PromQL itself knows UTC only."""

from __future__ import annotations

from collections.abc import Sequence

from sloctl import conventions
from sloctl.backends.prometheus.rules import Group, Recording
from sloctl.model.catalogue import Platform
from sloctl.model.periods import period_starts
from sloctl.model.window import CalendarWindow


def calendar_group(platform: Platform) -> Group | None:
    """Start and end of the running period of each calendar that an SLO of the platform uses."""
    calendars = {conventions.calendar_name(slo.calendar): slo.calendar for slo in platform.slos if slo.calendar}
    if not calendars:
        return None
    rules = tuple(rule for _, calendar in sorted(calendars.items()) for rule in _table(platform, calendar))
    return Group(conventions.calendar_group(platform), platform.sampling.resolution, rules)


def _table(platform: Platform, calendar: CalendarWindow) -> tuple[Recording, Recording]:
    labels = {"platform": platform.name, "calendar": conventions.calendar_name(calendar)}
    starts = period_starts(calendar)
    return (
        Recording(conventions.PERIOD_START, step_function(starts[:-1], starts[:-1]), labels),
        Recording(conventions.PERIOD_END, step_function(starts[:-1], starts[1:]), labels),
    )


def step_function(moments: Sequence[int], values: Sequence[int]) -> str:
    """PromQL that has `values[i]` from `moments[i]` on, and the first value before."""
    steps = [
        f"+ {after - before} * (time() >= bool {moment})"
        for moment, before, after in zip(moments[1:], values, values[1:], strict=False)
    ]
    return "vector(\n" + "\n".join([f"  {values[0]}", *(f"  {step}" for step in steps)]) + "\n)"
