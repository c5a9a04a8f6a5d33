"""Nobl9's SLOs over Prometheus, with the alert policies that they refer to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from sloctl.dialects.draft import Draft, as_name, decimal, length, length_of, lifted_at
from sloctl.dialects.source import Cursor, UnconvertibleError
from sloctl.promql.lift import lift_events

name: Final = "nobl9"

_CALENDAR: Final = {"Week": "week", "Month": "month", "Quarter": "quarter", "Year": "year"}
_SEVERITY: Final = {"High": "P1", "Medium": "P2", "Low": "P3"}


def slos(documents: list[Cursor]) -> Iterator[Callable[[], Draft]]:
    """Each objective of each document of kind SLO."""
    policies = {str(each["metadata", "name"].value): each for each in documents if each["kind"].value == "AlertPolicy"}
    for document in documents:
        if document["kind"].value == "SLO":
            objectives = list(document["spec"].either("objectives", "thresholds").items())
            for objective in objectives or [document["spec"]]:
                yield partial(_converted, document, objective, len(objectives), policies)


def _converted(document: Cursor, objective: Cursor, siblings: int, policies: dict[str, Cursor]) -> Draft:
    spec = document["spec"]
    draft = Draft(objective.place, "")
    draft.name(document["metadata", "name"])
    draft.belongs_to(spec["service"])
    if siblings > 1:
        label = objective.either("name", "displayName", "target")
        draft.value["name"] = f"{draft.value['name']}-{as_name(label.text())}"
    draft.describe(spec["description"])
    draft.objective(objective.either("target", "budgetTarget"), of_one=True)
    _indicator(draft, objective, spec)
    _window(draft, spec["timeWindows"])
    if spec["budgetingMethod"].value == "Timeslices" and "threshold" not in draft.value["sli"]:
        draft.timeslices(spec["budgetingMethod"], objective)
    _alerts(draft, spec["alertPolicies"], policies)
    return draft


def _indicator(draft: Draft, objective: Cursor, spec: Cursor) -> None:
    counts, raw = objective["countMetrics"], objective["rawMetric", "query"]
    if counts.is_written:
        side = "bad" if counts["bad"].is_written else "good"
        events, total = (_counted(counts, key) for key in (side, "total"))
        draft.take(lifted_at(counts.place, lambda: lift_events(side, events, total)), counts.place)
        return
    raw = raw if raw.is_written else spec["indicator", "rawMetric"]
    if not raw.is_written:
        raise UnconvertibleError(objective.place, "the objective does not say what it counts", "write `countMetrics`")
    draft.threshold(_promql(raw), objective)


def _counted(counts: Cursor, key: str) -> str:
    """A count over `$window`: what rises is a counter, anything else holds the events of an interval."""
    text = _promql(counts[key]).text()
    if counts["incremental"].flag():
        inner = text.removeprefix("sum(").removesuffix(")") if text.startswith("sum(") else text
        return f"sum(increase({inner}[$window]))"
    return f"sum(sum_over_time(({text})[$window:1m]))"


def _promql(metric: Cursor) -> Cursor:
    found = metric["prometheus", "promql"]
    found = found if found.is_written else metric["amazonPrometheus", "promql"]
    if not found.is_written:
        vendor = next((key for key, _ in metric.pairs()), "nothing")
        message = f"this is a query of {vendor}"
        raise UnconvertibleError(metric.place, message, "write what it counts in PromQL")
    return found


def _window(draft: Draft, written: Cursor) -> None:
    for window in written.items():
        unit, count = window["unit"], window["count"].text_or("1")
        if not window["calendar"].is_written and window["isRolling"].value is not False:
            draft.value["window"] = str(length_of(count, unit))
        else:
            period = _CALENDAR.get(unit.text()) if count == "1" else None
            draft.calendar(period, window["calendar", "timeZone"], window.place)


def _alerts(draft: Draft, names: Cursor, policies: dict[str, Cursor]) -> None:
    for policy in names.items():
        found = policies.get(str(policy.value))
        if found is None:
            draft.changed(policy.place, f"the alert policy `{policy.value}` is left out: it is not in what is imported")
            continue
        severity = _SEVERITY.get(found["spec", "severity"].text_or("Low"), "P3")
        for condition in found["spec", "conditions"].items():
            _tier(draft, severity, condition)


def _tier(draft: Draft, severity: str, condition: Cursor) -> None:
    window = condition["alertingWindow"]
    if condition["measurement"].value != "averageBurnRate" or not window.is_written:
        text = "an alert condition is left out: only an average burn rate over an alerting window has a counterpart"
        draft.changed(condition.place, text)
        return
    tier: dict[str, Any] = {"severity": severity, "burn": decimal(condition["value"]), "over": str(length(window))}
    draft.value.setdefault("alerts", []).append(tier)
