"""Proof of calendars: the real table of periods at every boundary, and a budget that begins anew."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from sloctl import conventions
from sloctl.model.catalogue import Platform, Slo
from sloctl.model.periods import period_starts, zone
from sloctl.model.quantities import Duration
from sloctl.model.window import CalendarWindow
from sloctl.proof.proof import Case, Expected, Proof, Rule, Rules
from sloctl.proof.recorded import checked, own_series, period_series, split_of
from sloctl.proof.series import Raw, series_text

_STEP: Final = re.compile(r"\+ (-?\d+) \* \(time\(\) >= bool (\d+)\)")
_TABLE: Final = re.compile(rf"vector\(\s+\d+(\s+{_STEP.pattern})*\s+\)")
_NEVER: Final = Duration.of(days=36_500)
_SYNTHETIC: Final = 36_600
"""A boundary at 610 minutes: no multiple of a day, as after a change of clocks."""


def calendar_proofs(platform: Platform, rules: Sequence[Rule]) -> Iterator[Proof]:
    """The tables of each calendar that SLOs of the platform use."""
    calendars = {conventions.calendar_name(slo.calendar): slo.calendar for slo in platform.slos if slo.calendar}
    for name, calendar in sorted(calendars.items()):
        yield _tables(f"{platform.name}/{name}", name, calendar, rules)


def _tables(path: str, name: str, calendar: CalendarWindow, rules: Sequence[Rule]) -> Proof:
    """When periods begin and when they end, at the second before and of every boundary."""
    starts = period_starts(calendar)
    assert all(_is_midnight(start, calendar) for start in starts)
    moments = [moment for start in starts[1:-1] for moment in (start - 1, start)]
    values, refuted = list[Expected](), ""
    for metric, known in ((conventions.PERIOD_START, starts[:-1]), (conventions.PERIOD_END, starts[1:])):
        rule = next((one for one in rules if _is_table(one, metric, name)), None)
        if rule is None:
            refuted = f"the rule file has no {metric} of the calendar {name}"
            continue
        expected = {moment: known[bisect_right(starts, moment) - 1] for moment in moments}
        refuted = refuted or _misread(f"{metric} of the calendar {name}", rule["expr"], expected)
        values += [
            (Duration.of(seconds=moment), rule["expr"], [{"labels": "{}", "value": expected[moment]}])
            for moment in (*moments[:2], *moments[-2:])
        ]
    case = Case("knows every boundary", Duration.of(minutes=1), {"up": [Decimal(1)]}, (), values)
    return Proof(path, "calendar", _NEVER, [], [case], refuted=refuted)


def _is_table(rule: Rule, metric: str, name: str) -> bool:
    return rule.get("record") == metric and rule["labels"].get("calendar") == name


def _misread(table: str, expr: str, expected: Mapping[int, int]) -> str:
    """Where a table is wrong, or nothing.

    Its steps are added up here: promtool 2.42 needs a third of a second for each look at eleven years of weeks, so
    it looks at the first and the last boundary only.
    """
    if _TABLE.fullmatch(expr) is None:
        return f"{table} is no sum of steps"
    steps = [(int(moment), int(step)) for step, moment in _STEP.findall(expr)]
    first = int(expr.split()[1])
    for moment, value in expected.items():
        seen = first + sum(step for since, step in steps if moment >= since)
        if seen != value:
            return f"{table} expected {value} at {moment}, seen {seen}"
    return ""


def _is_midnight(moment: int, calendar: CalendarWindow) -> bool:
    """Whether a local day begins at this second, or at the first one that its time zone has."""
    local = zone(calendar.time_zone)
    now, before = datetime.fromtimestamp(moment, local), datetime.fromtimestamp(moment - 1, local)
    return now.date() != before.date()


def rollover_proof(slo: Slo, rules: Rules) -> Proof | None:
    """The budget of a calendar period begins anew with the next one."""
    if not isinstance(slo.window, CalendarWindow):
        return None
    step, resolution = slo.sampling.rollup, slo.sampling.resolution
    names = [conventions.total_tile(step), conventions.errors_tile(step), conventions.budget_consumed(slo.window)]
    boundary = int(Decimal(_SYNTHETIC) / resolution.seconds)
    count = boundary + 60
    split = split_of(slo, "ill")
    series: Raw = {
        own_series(slo, conventions.total_tile(resolution), split): [Decimal(1000)] * count,
        own_series(slo, conventions.errors_tile(resolution), split): [
            Decimal(20 if index < boundary else 10) for index in range(count)
        ],
    }
    starts = [Decimal(0 if index < boundary else _SYNTHETIC) for index in range(count)]
    series |= period_series(slo, slo.window, starts)
    consumed = series_text(conventions.budget_consumed(slo.window), {}).removesuffix("{}")
    budget = slo.objective.error_budget
    before = float(Decimal(20) / 1000 / budget)
    after = float(Decimal(10) / 1000 / budget)
    low, high = f"{consumed} > {before * 0.999} < {before * 1.001}", f"{consumed} < {after * 1.2} > {after * 0.999}"
    at_end = step * (boundary * resolution.milliseconds // step.milliseconds)
    at_next = step * (at_end.milliseconds // step.milliseconds + 10)
    values = [
        (at_end, f"count({low})", [{"labels": "{}", "value": 1}]),
        (at_next, f"count({high})", [{"labels": "{}", "value": 1}]),
    ]
    case = Case("the budget begins anew with its period", resolution, series, (), values)
    return checked(slo, "rollover", rules, step, names, [case])
