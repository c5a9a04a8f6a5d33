"""Proofs of what all SLOs of a platform share: the tables of calendars, and the alerts about sloctl's own rules."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from sloctl import conventions
from sloctl.backends.prometheus.alerts import health_group
from sloctl.conventions.inventory import calendar_recordings
from sloctl.model.catalogue import Platform
from sloctl.model.periods import period_starts, zone
from sloctl.model.quantities import MINUTE, Duration
from sloctl.model.window import CalendarWindow
from sloctl.proof.proof import Case, Expected, Proof, Rule
from sloctl.proof.series import InputSeries, series_text
from sloctl.proof.texts import expanded

_STEP: Final = re.compile(r"([+-]) (\d+) \* \(time\(\) >= bool (\d+)\)")
_STEPS: Final = r"(-?\d+(?:\s+[+-] \d+ \* \(time\(\) >= bool \d+\))*)"
_TABLE: Final = re.compile(rf"vector\(\s+{_STEPS}\s+\)")
_WEEKS: Final = re.compile(
    rf"(\d+) \+ (\d+) \* floor\(vector\(\s+\(time\(\) - (\d+) - \(\s+{_STEPS}\s+\)\) / \2\s+\)\)"
    rf" \+ \(\s+{_STEPS}\s+\)"
)
_NEVER: Final = Duration.of(days=36_500)
_COUNTERS: Final = {
    conventions.RULE_FAILURES: ("prometheus_rule_evaluation_failures_total", MINUTE * 15),
    conventions.MISSED_EVALUATIONS: ("prometheus_rule_group_iterations_missed_total", MINUTE * 60),
}
_COUNTED_AT: Final = 5
"""The minute in which a counter counts one."""


def calendar_proofs(platform: Platform, rules: Sequence[Rule]) -> Iterator[Proof]:
    """The tables of each calendar that SLOs of the platform use."""
    for calendar, start, _ in calendar_recordings(platform):
        name = start.labels["calendar"]
        yield _tables(f"{platform.name}/{name}", name, calendar, rules)


def _tables(path: str, name: str, calendar: CalendarWindow, rules: Sequence[Rule]) -> Proof:
    """When periods begin and when they end, at the second before and of every boundary."""
    starts = period_starts(calendar)
    assert all(_is_midnight(start, calendar) for start in starts)
    moments = [moment for start in starts[1:-1] for moment in (start - 1, start)]
    values, refuted = list[Expected](), ""
    for metric, known in ((conventions.PERIOD_START, starts[:-1]), (conventions.PERIOD_END, starts[1:])):
        rule = next((rule for rule in rules if _is_table(rule, metric, name)), None)
        if rule is None:
            refuted = f"the rule file has no {metric} of the calendar {name}"
            continue
        expected = {moment: known[bisect_right(starts, moment) - 1] for moment in moments}
        refuted = refuted or _misread(f"{metric} of the calendar {name}", rule["expr"], expected)
        values += [
            (Duration.of(seconds=moment), rule["expr"], [{"labels": "{}", "value": expected[moment]}])
            for moment in (*moments[:2], *moments[-2:])
        ]
    case = Case("knows every boundary", MINUTE, {"up": [Decimal(1)]}, (), values)
    return Proof(path, "calendar", _NEVER, [], [case], refuted=refuted)


def _is_table(rule: Rule, metric: str, name: str) -> bool:
    return rule.get("record") == metric and rule["labels"].get("calendar") == name


def _misread(table: str, expr: str, expected: Mapping[int, int]) -> str:
    """Where a table is wrong, or nothing.

    It is worked out here: promtool 2.42 needs a tenth of a millisecond for each node, so it looks at the first and the
    last boundary only.
    """
    value_at = _read(expr)
    if value_at is None:
        return f"{table} is no sum of steps"
    for moment, value in expected.items():
        if (seen := value_at(moment)) != value:
            return f"{table} expected {value} at {moment}, seen {seen}"
    return ""


def _read(expr: str) -> Callable[[int], int] | None:
    """A table as a function of time: a sum of steps, or weeks counted from a moment with a sum of steps each way."""
    if table := _TABLE.fullmatch(expr):
        return _summed(table[1])
    if weeks := _WEEKS.fullmatch(expr):
        first, week, begin = int(weeks[1]), int(weeks[2]), int(weeks[3])
        gone, late = _summed(weeks[4]), _summed(weeks[5])
        return lambda moment: first + week * ((moment - begin - gone(moment)) // week) + late(moment)
    return None


def _summed(text: str) -> Callable[[int], int]:
    steps = sorted((int(moment), int(sign + by)) for sign, by, moment in _STEP.findall(text))
    moments, sums = [moment for moment, _ in steps], [int(text.split(maxsplit=1)[0])]
    for _, by in steps:
        sums.append(sums[-1] + by)
    return lambda moment: sums[bisect_right(moments, moment)]


def _is_midnight(moment: int, calendar: CalendarWindow) -> bool:
    """Whether a local day begins at this second, or at the first one that its time zone has."""
    local = zone(calendar.time_zone)
    now, before = datetime.fromtimestamp(moment, local), datetime.fromtimestamp(moment - 1, local)
    return now.date() != before.date()


def health_proofs(platform: Platform, seen: Sequence[Rule]) -> Iterator[Proof]:
    """One failure, or one skipped evaluation, is told for as long as its window holds; the watchdog always."""
    meant = {rule["alert"]: rule for rule in health_group(platform).value()["rules"]}
    found = {rule["alert"]: rule for rule in seen if rule.get("alert") in meant}
    for name, alert in meant.items():
        case = _counted(platform, alert, *_COUNTERS[name]) if name in _COUNTERS else _always(alert)
        rules = [found[name]] if name in found else []
        refuted = "" if rules else f"the rule file has no rule {name}"
        yield Proof(f"{platform.name}/health", name, MINUTE, rules, [case], refuted=refuted)


def _always(alert: Rule) -> Case:
    alerts: list[Expected] = [(MINUTE * minute, alert["alert"], [_told(alert)]) for minute in (0, 2)]
    return Case("always fires", MINUTE, {"up": [Decimal(1)] * 3}, alerts)


def _counted(platform: Platform, alert: Rule, metric: str, window: Duration) -> Case:
    """A counter of this platform's rules, and those of two whose names end or begin with its own."""
    slo = next(platform.slos, None)
    name = conventions.fast_group(slo) if slo else conventions.health_group(platform)
    group = f"/etc/prometheus/rules.yaml;{name}"
    others = [
        group.replace(";slo-", ";slo-other-"),
        group.replace(f"slo-{platform.name}-", f"slo-{platform.name}-other-"),
    ]
    count = int(window / MINUTE) + _COUNTED_AT + 5
    series: InputSeries = {
        series_text(metric, {"rule_group": group}): [Decimal(minute >= _COUNTED_AT) for minute in range(count)],
        **{
            series_text(metric, {"rule_group": other}): [Decimal(minute) for minute in range(count)] for other in others
        },
    }
    told = _told(alert, rule_group=group)
    before = MINUTE * (_COUNTED_AT - 1)
    alerts: list[Expected] = [
        (before, alert["alert"], []),
        (before + MINUTE, alert["alert"], [told]),
        (before + window - MINUTE, alert["alert"], [told]),
        (before + window + MINUTE * 2, alert["alert"], []),
    ]
    return Case("one is told, of this platform's rules only", MINUTE, series, alerts)


def _told(alert: Rule, **labels: str) -> dict[str, object]:
    texts = expanded(alert["annotations"], None, labels)
    return {"exp_labels": {**alert["labels"], **labels}, "exp_annotations": texts}
