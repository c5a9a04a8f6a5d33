"""Our SLOs as OpenSLO v1, for tools that read that; what it cannot say is named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final, TypeAlias

from sloctl.diagnostics import Diagnostics
from sloctl.language.writing import yaml_text
from sloctl.model.alerting import BudgetLeft, Burn, Guard, Severity, Tier
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import (
    Every,
    Freshness,
    Latency,
    PerSecond,
    Probe,
    Query,
    Ratio,
    Saturation,
    Threshold,
    Throughput,
)
from sloctl.model.quantities import Duration
from sloctl.model.selector import Matcher, MatchOperator, Selectors
from sloctl.model.window import Calendar, CalendarWindow, Window
from sloctl.promql.expressions import WINDOW
from sloctl.promql.selectors import selector_text

Value: TypeAlias = dict[str, Any]

_PERIODS: Final = {Calendar.WEEK: "1w", Calendar.MONTH: "1M", Calendar.QUARTER: "1Q", Calendar.YEAR: "1Y"}
_SEVERITIES: Final = {Severity.P1: "page", Severity.P2: "high", Severity.P3: "ticket"}


def open_slo(slos: Iterable[Slo], found: Diagnostics) -> str:
    """OpenSLO documents, one an SLO; what is lost is a note at the SLO.

    `{{.window}}` stands in queries where a range belongs, as in Sloth.
    """
    return "---\n".join(yaml_text(_document(slo, found)) for slo in slos)


def _document(slo: Slo, found: Diagnostics) -> Value:
    for lost in _lost(slo):
        found.note("SLO305", slo.place, f"{slo.id}: OpenSLO cannot say {lost}")
    indicator, bound = _indicator(slo)
    objective: Value = {"target": slo.objective.ratio, **bound}
    if slo.timeslices is not None:
        objective |= {"timeSliceTarget": slo.timeslices, "timeSliceWindow": str(slo.sampling.resolution)}
    return {
        "apiVersion": "openslo/v1",
        "kind": "SLO",
        "metadata": {"name": slo.name, **({"labels": dict(slo.labels)} if slo.labels else {})},
        "spec": {
            **({"description": slo.description} if slo.description else {}),
            "service": slo.service,
            "indicator": {"metadata": {"name": slo.id}, "spec": indicator},
            "timeWindow": [_window(slo.window)],
            "budgetingMethod": "Timeslices" if slo.timeslices is not None else "Occurrences",
            "objectives": [objective],
            "alertPolicies": [_policy(slo, tier) for tier in slo.tiers if isinstance(tier.trigger, Burn) and tier.over],
        },
    }


def _lost(slo: Slo) -> Iterator[str]:
    """Everything that the document leaves out, in words that follow "cannot say"."""
    tiers = slo.tiers
    if any(tier.also_over for tier in tiers):
        yield "`also_over`, so that alerts end late"
    if any(tier.guard is not Guard.NONE or tier.min_events or tier.min_bad for tier in tiers):
        yield "that alerts wait for enough events"
    if any(not isinstance(tier.trigger, Burn) for tier in tiers):
        kinds = {"budget_left" if isinstance(tier.trigger, BudgetLeft) else "error_rate" for tier in tiers}
        yield f"tiers with {' or '.join(f'`{kind}`' for kind in sorted(kinds))}; they are left out"
    for key in ("exclude_when", "forecast", "regression", "sla"):
        if getattr(slo, key):
            yield f"`{key}`"
    if isinstance(slo.indicator, Latency) and slo.indicator.bad_if:
        yield "`bad_if` of a latency"


def _window(window: Window) -> Value:
    if isinstance(window, CalendarWindow):
        calendar = {"startTime": "2024-01-01 00:00:00", "timeZone": window.time_zone}
        return {"duration": _PERIODS[window.calendar], "isRolling": False, "calendar": calendar}
    return {"duration": str(window.length), "isRolling": True}


def _policy(slo: Slo, tier: Tier) -> Value:
    assert isinstance(tier.trigger, Burn)
    name = f"{slo.id}-{tier.severity.value.lower()}-{tier.over}"
    condition = {"kind": "burnrate", "op": "gte", "threshold": tier.trigger.rate, "lookbackWindow": str(tier.over)}
    spec = {"severity": _SEVERITIES[tier.severity], "condition": {**condition, "alertAfter": str(tier.for_)}}
    conditions = [{"kind": "AlertCondition", "metadata": {"name": name}, "spec": spec}]
    return {"kind": "AlertPolicy", "metadata": {"name": name}, "spec": {"conditions": conditions}}


def _indicator(slo: Slo) -> tuple[Value, Value]:
    """The indicator, and what the objective says of it."""
    match slo.indicator:
        case Ratio(total=total, bad=bad, good=good, counts=counts):
            function = {PerSecond: "sum_over_time", Every: "sum_over_time"}.get(type(counts), "increase")
            sides = {"good": good, "bad": bad, "total": total}
            summed = {side: _summed(slo, function, each) for side, each in sides.items() if each is not None}
            if "total" not in summed:
                summed = {"good": summed["good"], "total": f"{summed['good']} + {summed['bad']}"}
            return _ratio(summed), {}
        case Latency(histogram=histogram, at_most=bound, native=native):
            if native:
                fraction = f"histogram_fraction(0, {bound}, {_summed(slo, 'increase', histogram)})"
                return {"ratioMetric": {"rawType": "success", "raw": _source(fraction)}}, {}
            le = Matcher("le", MatchOperator.EQUAL, f"{bound.normalize():f}")
            buckets = tuple(each.named(f"{each.metric}_bucket").narrowed(le) for each in histogram)
            counts_ = tuple(each.named(f"{each.metric}_count") for each in histogram)
            return _ratio({"good": _summed(slo, "increase", buckets), "total": _summed(slo, "increase", counts_)}), {}
        case Query(bad_ratio=ratio) if ratio is not None:
            return {"ratioMetric": {"rawType": "failure", "raw": _source(ratio.text)}}, {}
        case Query(total=total_, bad=bad_, good=good_):
            texts = {"good": good_, "bad": bad_, "total": total_}
            return _ratio({side: each.text for side, each in texts.items() if each is not None}), {}
        case Probe(gauge=gauge):
            sides_ = {"good": "sum_over_time", "total": "count_over_time"}
            return _ratio({side: _summed(slo, function, (gauge,)) for side, function in sides_.items()}), {}
        case other:
            return _threshold(slo, other)


def _threshold(slo: Slo, indicator: Freshness | Throughput | Saturation | Threshold) -> tuple[Value, Value]:
    match indicator:
        case Freshness(timestamp=timestamp, age=age, max_age=most):
            query = f"time() - {selector_text(timestamp)}" if timestamp else selector_text(age) if age else ""
            return _held(query, "lte", most.seconds)
        case Throughput(counter=counter, at_least=low, at_most=high):
            rate = low or high
            assert rate is not None
            per_second = rate.during(Duration.of(seconds=1))
            return _held(_summed(slo, "rate", counter).replace(WINDOW, "1m"), "gte" if low else "lte", per_second)
        case Saturation(used=used, capacity=capacity, at_most=share):
            shares = f"{_sum(slo, map(selector_text, used))} / {_sum(slo, map(selector_text, capacity))}"
            return _held(shares, "lte", share)
        case Threshold(value=value, at_least=least, at_most=None):
            assert least is not None
            return _held(value.text, "gte", least)
        case Threshold(value=value, at_most=bound):
            return _held(value.text, "lte", bound or Decimal(0))


def _held(query: str, operator: str, value: Decimal) -> tuple[Value, Value]:
    """A query whose samples are held against a value."""
    return {"thresholdMetric": _source(query)}, {"op": operator, "value": value}


def _summed(slo: Slo, function: str, selectors: Selectors) -> str:
    """The sum of a function over the window of all selectors."""
    return _sum(slo, (f"{function}({selector_text(selector)}[{WINDOW}])" for selector in selectors))


def _sum(slo: Slo, texts: Iterable[str]) -> str:
    grouped = f" by ({', '.join(slo.by)}) " if slo.by else ""
    return " + ".join(f"sum{grouped}({text})" for text in texts)


def _ratio(sides: dict[str, str]) -> Value:
    return {"ratioMetric": {"counter": True, **{side: _source(text) for side, text in sides.items()}}}


def _source(text: str) -> Value:
    query = text.replace(WINDOW, "{{.window}}")
    return {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}
