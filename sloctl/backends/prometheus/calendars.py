"""When the running calendar periods began and end, from a fixed table: PromQL itself knows UTC only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sloctl import conventions
from sloctl.backends.prometheus.rules import Group, RecordingRule
from sloctl.conventions import inventory
from sloctl.model.catalogue import Platform
from sloctl.model.periods import period_starts
from sloctl.model.window import Calendar

_WEEK: Final = 604_800


def calendar_group(platform: Platform) -> Group | None:
    """Start and end of the running period of each calendar that an SLO of the platform uses."""
    rules = list[RecordingRule]()
    for calendar, start, end in inventory.calendar_recordings(platform):
        expression = weeks if calendar.calendar is Calendar.WEEK else step_function
        starts = period_starts(calendar)
        rules += [
            RecordingRule(start, expression(starts[:-1], starts[:-1])),
            RecordingRule(end, expression(starts[:-1], starts[1:])),
        ]
    if not rules:
        return None
    return Group(conventions.calendar_group(platform), platform.sampling.resolution, tuple(rules))


def step_function(moments: Sequence[int], values: Sequence[int]) -> str:
    """PromQL that has `values[i]` from `moments[i]` on, and the first value before."""
    return f"vector(\n{_steps(moments, values, '  ')}\n)"


def weeks(moments: Sequence[int], values: Sequence[int]) -> str:
    """The same for values a week apart, give or take a change of clocks: only these are steps.

    The number of the running week is counted in weeks of seven days from the first moment. What clocks were changed by
    until the middle of a week is taken off first, so that the hour before and after a boundary is right.
    """
    gone = [moment - moments[0] - number * _WEEK for number, moment in enumerate(moments)]
    middles = [moment - _WEEK // 2 for moment in moments]
    late = [value - values[0] - number * _WEEK for number, value in enumerate(values)]
    return (
        f"{values[0]} + {_WEEK} * floor(vector(\n  (time() - {moments[0]} - (\n{_steps(middles, gone, '    ')}\n"
        f"  )) / {_WEEK}\n)) + (\n{_steps(moments, late, '  ')}\n)"
    )


def _steps(moments: Sequence[int], values: Sequence[int], indent: str) -> str:
    """A sum of as many terms as there are changes of value."""
    steps = [
        f"{'+' if after > before else '-'} {abs(after - before)} * (time() >= bool {moment})"
        for moment, before, after in zip(moments[1:], values, values[1:], strict=False)
        if after != before
    ]
    return "\n".join([f"{indent}{values[0]}", *(f"{indent}  {step}" for step in steps)])
