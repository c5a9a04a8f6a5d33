"""When the running calendar periods began and end, from a fixed table: PromQL itself knows UTC only."""

from __future__ import annotations

from collections.abc import Sequence

from sloctl import conventions
from sloctl.backends.prometheus.rules import Group, RecordingRule
from sloctl.conventions import inventory
from sloctl.model.catalogue import Platform
from sloctl.model.periods import period_starts


def calendar_group(platform: Platform) -> Group | None:
    """Start and end of the running period of each calendar that an SLO of the platform uses."""
    rules = list[RecordingRule]()
    for calendar, start, end in inventory.calendar_recordings(platform):
        starts = period_starts(calendar)
        rules += [
            RecordingRule(start, step_function(starts[:-1], starts[:-1])),
            RecordingRule(end, step_function(starts[:-1], starts[1:])),
        ]
    if not rules:
        return None
    return Group(conventions.calendar_group(platform), platform.sampling.resolution, tuple(rules))


def step_function(moments: Sequence[int], values: Sequence[int]) -> str:
    """PromQL that has `values[i]` from `moments[i]` on, and the first value before."""
    steps = [
        f"+ {after - before} * (time() >= bool {moment})"
        for moment, before, after in zip(moments[1:], values, values[1:], strict=False)
    ]
    return "vector(\n" + "\n".join([f"  {values[0]}", *(f"  {step}" for step in steps)]) + "\n)"
