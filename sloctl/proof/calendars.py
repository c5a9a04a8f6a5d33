"""Proof of calendars: the real table of periods at every boundary, and a budget that begins anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from sloctl import conventions
from sloctl.model.catalogue import Platform, Slo
from sloctl.model.periods import period_starts, zone
from sloctl.model.quantities import Duration
from sloctl.model.window import CalendarWindow
from sloctl.proof.proof import Case, MissingRuleError, Proof, Rule, Rules
from sloctl.proof.series import Raw, series_text
from sloctl.proof.tiers import own_series, path_of, period_series, split_of

_NEVER: Final = Duration.of(days=36_500)
_SYNTHETIC: Final = 36_600
"""A boundary at 610 minutes: no multiple of a day, as after a change of clocks."""


def calendar_proofs(platform: Platform, rules: Mapping[str, Rule]) -> Iterator[Proof]:
    """The table of each calendar that SLOs of the platform use."""
    calendars = {conventions.calendar_name(slo.calendar): slo.calendar for slo in platform.slos if slo.calendar}
    tables = [rule for rule in rules.values() if rule.get("record") == conventions.PERIOD_START]
    for name, calendar in sorted(calendars.items()):
        found = [rule for rule in tables if rule["labels"].get("calendar") == name]
        missing = "" if found else f"the rule file has no table of the calendar {name}"
        values = [value for rule in found for value in _boundaries(rule["expr"], calendar)]
        case = Case("knows every boundary", Duration.of(minutes=1), {"up": [Decimal(1)]}, (), values)
        yield Proof(f"{platform.name}/{name}", "calendar", _NEVER, [], [case], missing=missing)


def _boundaries(expr: str, calendar: CalendarWindow) -> list[tuple[Duration, str, list[dict[str, Any]]]]:
    """The last second of a period still has its start; the next has its own. Starts are local midnights."""
    starts = period_starts(calendar)[:-1]
    assert all(_is_midnight(start, calendar) for start in starts)
    found = list[tuple[Duration, str, list[dict[str, Any]]]]()
    for before, start in pairwise(starts):
        for moment, expected in ((start - 1, before), (start, start)):
            found.append((Duration.of(seconds=moment), expr, [{"labels": "{}", "value": expected}]))
    return found


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
    try:
        return Proof(path_of(slo), "rollover", step, rules.group(names), [case])
    except MissingRuleError as error:
        return Proof(path_of(slo), "rollover", step, missing=str(error))
