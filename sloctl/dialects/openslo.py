"""OpenSLO v1 and v1alpha, with the indicators, conditions and policies that an SLO refers to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from sloctl.dialects.draft import Draft, as_name, decimal, length, length_of, lifted_at
from sloctl.dialects.source import Cursor, UnconvertibleError
from sloctl.errors import PromqlError
from sloctl.promql.lift import lift_events, lift_ratio
from sloctl.promql.selectors import parse_selector, selector_text

name: Final = "openslo"

_OTHER_VENDOR: Final = "`import` reads PromQL; write what it counts as `ratio`, `latency` or `query`"
_PROMETHEUS: Final = re.compile(r"prom|mimir|thanos|cortex|victoria", re.IGNORECASE)
_RANGE: Final = re.compile(r"\[[^\]:]*\]")
_CALENDAR: Final = {"w": "week", "m": "month", "M": "month", "Q": "quarter", "Y": "year"}
"""`1m` is a month here as well: OpenSLO's own examples write it so."""
_KINDS: Final = {"SLI", "AlertPolicy", "AlertCondition"}


def slos(documents: list[Cursor]) -> Iterator[Callable[[], Draft]]:
    """Each objective of each document of kind SLO; the other documents are what SLOs refer to."""
    known = {
        (str(each["kind"].value), str(each["metadata", "name"].value)): each
        for each in documents
        if each["kind"].value in _KINDS
    }
    for document in documents:
        if document["kind"].value != "SLO":
            continue
        objectives = list(document["spec", "objectives"].items()) or [document["spec", "objectives"]]
        for objective in objectives:
            yield partial(_converted, document, objective, len(objectives), known)


def _converted(document: Cursor, objective: Cursor, siblings: int, known: dict[tuple[str, str], Cursor]) -> Draft:
    spec, meta = document["spec"], document["metadata"]
    draft = Draft(objective.place, "")
    draft.name(meta["name"])
    draft.belongs_to_or_is_named_after(spec["service"])
    if siblings > 1:
        label = objective.either("displayName", "target")
        draft.value["name"] = f"{draft.value['name']}-{as_name(label.text())}"
    draft.describe(spec["description"])
    target = objective["target"]
    if target.is_written:
        draft.objective(target, of_one=True)
    else:
        draft.objective(objective["targetPercent"])
    indicator = _indicator(spec, objective, known)
    _events(draft, indicator, objective)
    _window(draft, spec["timeWindow"], spec["timeWindows"])
    _budgeting(draft, spec["budgetingMethod"], objective)
    _alerts(draft, spec["alertPolicies"], known)
    return draft


def _indicator(spec: Cursor, objective: Cursor, known: dict[tuple[str, str], Cursor]) -> Cursor:
    """The specification of the SLI: within the SLO or its objective, or a document that it names."""
    for owner in (objective, spec):
        if owner["indicator", "spec"].is_written:
            return owner["indicator", "spec"]
        if owner["indicatorRef"].is_written:
            found = known.get(("SLI", owner["indicatorRef"].text()))
            if found is None:
                message = f"there is no SLI `{owner['indicatorRef'].text()}` in what is imported"
                raise UnconvertibleError(owner["indicatorRef"].place, message, "name the file that holds it as well")
            return found["spec"]
        if owner["ratioMetrics"].is_written:
            return owner
    return spec["indicator"]


def _events(draft: Draft, indicator: Cursor, objective: Cursor) -> None:
    ratio = indicator.either("ratioMetric", "ratioMetrics")
    threshold = indicator.either("thresholdMetric", "thresholdMetrics")
    if threshold.is_written:
        draft.threshold(_query(threshold), objective)
        return
    if not ratio.is_written:
        raise UnconvertibleError(indicator.place, "the SLO does not say what it counts", "write an indicator")
    if ratio["raw"].is_written:
        side = "good" if ratio["rawType"].value == "success" else "bad"
        text = _windowed(draft, ratio["raw"], is_count=False)
        draft.take(lifted_at(ratio["raw"].place, lambda: lift_ratio(side, text)), ratio.place)
        return
    side = "good" if ratio["good"].is_written else "bad"
    counts = ratio["counter"].value is not False
    events, total = (_windowed(draft, ratio[key], is_count=counts) for key in (side, "total"))
    draft.take(lifted_at(ratio.place, lambda: lift_events(side, events, total)), ratio.place)


def _query(metric: Cursor) -> Cursor:
    """The PromQL of a metric source, wherever the version keeps it.

    Raises:
        UnconvertibleError: it is a query of another system.
    """
    source = metric["metricSource"] if metric["metricSource"].is_written else metric
    vendor = source.either("type", "source")
    if vendor.is_written and not _PROMETHEUS.search(vendor.text()):
        raise UnconvertibleError(vendor.place, f"this is a query of {vendor.text()}", _OTHER_VENDOR)
    inner = source["spec"] if source["spec"].is_written else source
    found = inner.either("query", "promql", "expr")
    if not found.is_written:
        raise UnconvertibleError(metric.place, "there is no PromQL here", _OTHER_VENDOR)
    return found


def _windowed(draft: Draft, metric: Cursor, *, is_count: bool) -> str:
    """The query with `$window`; a bare counter is counted."""
    query = _query(metric)
    text = query.promql()
    if "$window" in text:
        return text
    if _RANGE.search(text):
        draft.changed(query.place, "the query's own range becomes the window")
        return _RANGE.sub("[$window]", text)
    if not is_count:
        message = "the query has no range, and its metric is no counter"
        raise UnconvertibleError(query.place, message, "write `threshold` with the query instead")
    try:
        selector = selector_text(
            parse_selector(text.removeprefix("sum(").removesuffix(")") if text.startswith("sum(") else text)
        )
    except PromqlError as problem:
        message = f"a query without a range must be a counter's selector: {problem}"
        raise UnconvertibleError(query.place, message, "write it with a range in the source") from problem
    return f"sum(increase({selector}[$window]))"


def _window(draft: Draft, *written: Cursor) -> None:
    window = next((window for each in written for window in each.items()), None)
    if window is None:
        return
    duration, calendar = window["duration"], window["calendar"]
    if calendar.is_written or window["isRolling"].value is False:
        count, unit = _period(window)
        draft.calendar(_CALENDAR.get(unit) if count == "1" else None, calendar["timeZone"], window.place)
    elif duration.is_written:
        draft.window(duration)
    else:
        draft.value["window"] = str(length_of(window["count"].text(), window["unit"]))


def _period(window: Cursor) -> tuple[str, str]:
    """How many of which unit, from `1w` or from the two keys of v1alpha."""
    if window["duration"].is_written:
        text = window["duration"].text()
        return text[:-1], text[-1]
    unit = window["unit"].text()
    return window["count"].text_or("1"), unit[:1].lower() if unit in {"Week", "Month"} else unit[:1]


def _budgeting(draft: Draft, method: Cursor, objective: Cursor) -> None:
    word = method.text_or("Occurrences").lower()
    if word == "timeslices" and "threshold" in draft.value["sli"]:
        draft.changed(
            method.place, "slices are counted: a threshold counts nothing else, and `timeSliceTarget` is gone"
        )
    elif word == "timeslices":
        draft.timeslices(method, objective)
    elif word == "ratiotimeslices":
        draft.changed(method.place, "events are counted now; the source averages the ratios of slices")


def _alerts(draft: Draft, policies: Cursor, known: dict[tuple[str, str], Cursor]) -> None:
    tiers = [
        tier
        for policy in policies.items()
        for condition in _conditions(draft, policy, known)
        if (tier := _tier(draft, condition)) is not None
    ]
    if tiers:
        draft.value["alerts"] = tiers


def _conditions(draft: Draft, policy: Cursor, known: dict[tuple[str, str], Cursor]) -> Iterator[Cursor]:
    if policy["spec"].is_written:
        spec = policy["spec"]
    else:
        reference = policy["alertPolicyRef"] if policy["alertPolicyRef"].is_written else policy
        found = known.get(("AlertPolicy", str(reference.value)))
        if found is None:
            draft.changed(policy.place, "an alert policy is left out: it is not in what is imported")
            return
        spec = found["spec"]
    for condition in spec["conditions"].items():
        if condition["conditionRef"].is_written:
            named = known.get(("AlertCondition", str(condition["conditionRef"].value)))
            if named is None:
                draft.changed(condition.place, "an alert condition is left out: it is not in what is imported")
            else:
                yield named["spec"]
        else:
            yield condition["spec"] if condition["spec"].is_written else condition


def _tier(draft: Draft, spec: Cursor) -> dict[str, Any] | None:
    condition = spec["condition"]
    if str(condition["kind"].value).lower() != "burnrate" or condition["op"].text_or("gte") not in {"gte", "gt"}:
        draft.changed(spec.place, "an alert condition is left out: it is no burn rate above a threshold")
        return None
    severity = {"page": "P1", "critical": "P1", "high": "P1"}.get(spec["severity"].text_or("").lower(), "P3")
    tier: dict[str, Any] = {
        "severity": severity,
        "burn": decimal(condition["threshold"]),
        "over": str(length(condition["lookbackWindow"])),
    }
    if condition["alertAfter"].is_written:
        tier["for"] = str(length(condition["alertAfter"]))
    return tier
