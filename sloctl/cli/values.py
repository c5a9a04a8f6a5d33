"""Every value in force of an SLO, in the words of the specification, and where it was written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import Enum
from typing import Final, assert_never

from sloctl import conventions
from sloctl.diagnostics import Place
from sloctl.model.alerting import BudgetLeft, Burn, ErrorRate, Guard, Tier
from sloctl.model.catalogue import Platform, Slo
from sloctl.model.indicator import Every, Latency, PerSecond, RunningTotal, Saturation, Unit
from sloctl.model.quantities import number, percent
from sloctl.model.selector import Expression, Matcher, Selector
from sloctl.promql.selectors import matchers_text, selector_text

_RATIOS: Final = frozenset({"timeslices", "worse_by", "quantile"})


@dataclass(frozen=True, slots=True)
class Value:
    """One value in force; a default has no place."""

    key: str
    text: str
    place: Place | None


def values(platform: Platform, slo: Slo) -> list[Value]:
    """What holds for an SLO, in the order of the reference."""
    return [
        *_own(platform, slo),
        *_indicator(slo),
        *_alerts(slo),
        *_extras(slo),
        *_sampling(slo),
        *_words(platform, slo),
    ]


def written(value: object, key: str = "") -> str:
    """A value as a specification would hold it."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case Decimal():
            return percent(value) if key in _RATIOS else number(value)
        case Enum():
            return str(value.value)
        case Selector():
            return selector_text(value)
        case Matcher():
            return matchers_text((value,))
        case Expression():
            return " ".join(value.text.split())
        case tuple():
            return ", ".join(written(one, key) for one in value) or "none"
        case _:
            return str(value)


def _value(slo: Slo, key: str, value: object, place_of: str = "") -> Value:
    return Value(key, written(value, key), slo.places.get(place_of or key))


def _own(platform: Platform, slo: Slo) -> Iterator[Value]:
    service = next(one for one in platform.services if one.name == slo.service)
    yield Value("platform", slo.platform, None if platform.place == service.place else platform.place)
    yield Value("service", slo.service, service.place)
    yield Value("name", slo.name, slo.place)
    yield Value("description", slo.description or "none", slo.places.get("description") if slo.description else None)
    for key in ("objective", "window", "by", "max_series", "timeslices", "traffic", "exclude_when"):
        yield _value(slo, key, getattr(slo, key))


def _indicator(slo: Slo) -> Iterator[Value]:
    for field in fields(slo.indicator):
        value = getattr(slo.indicator, field.name)
        key = f"sli.{slo.indicator.key}.{field.name}"
        place = slo.places.get(key) or slo.places.get(f"{key}_if")  # `bad_if` becomes `bad`
        if value is not None and (place or value != ()):
            yield Value(key, _part(slo, field.name, value), place)


def _part(slo: Slo, name: str, value: object) -> str:
    """A value of the SLI; a bound has its unit."""
    match value:
        case RunningTotal():
            return "counter"
        case PerSecond():
            return "per_second"
        case Every(length):
            return f"per_{length}"
    if name != "at_most" or not isinstance(value, Decimal):
        return written(value)
    match slo.indicator:
        case Saturation():
            return percent(value)
        case Latency(unit=unit) if unit is not Unit.NONE:
            return f"{number(value)}{unit.value}"
        case _:
            return number(value)


def _alerts(slo: Slo) -> Iterator[Value]:
    default = slo.places.get("alerts") is None
    for tier in slo.tiers:
        yield Value(f"alerts.{conventions.burn_tier(tier)}", _tier(tier), None if default else tier.place)
    for tier in slo.left_out:
        name = conventions.burn_tier(tier)
        yield Value(f"alerts.{name}", f"left out of google: {_tier(tier)}", None if default else tier.place)
    if not slo.tiers and not slo.left_out:
        yield _value(slo, "alerts", None)


def _tier(tier: Tier) -> str:
    match tier.trigger:
        case Burn(rate):
            condition = f"burn {number(rate)}"
        case ErrorRate(ratio):
            condition = f"error_rate {percent(ratio)}"
        case BudgetLeft(ratio):
            condition = f"budget_left {percent(ratio)}"
        case _:
            assert_never(tier.trigger)
    parts = {
        "over": tier.over,
        "also_over": tier.also_over,
        "for": tier.for_,
        "keep_firing_for": tier.keep_firing_for,
        "min_events": tier.min_events,
        "min_bad": tier.min_bad,
        "guard": None if tier.guard is Guard.NONE else tier.guard,
        "notify": tier.notify,
    }
    rest = (f"{key} {written(value)}" for key, value in parts.items() if value)
    return ", ".join([f"{tier.severity.value}: {condition}", *rest])


def _extras(slo: Slo) -> Iterator[Value]:
    for key in ("forecast", "regression", "sla"):
        extra = getattr(slo, key)
        yield Value(key, _parts(extra) if extra else "none", slo.places.get(key))
    for key in ("team", "runbook", "mode"):
        yield _value(slo, key, getattr(slo, key))
    for key, pairs in (("labels", slo.labels), ("annotations", slo.annotations)):
        yield from (_value(slo, f"{key}.{name}", value) for name, value in pairs.items())


def _parts(extra: object) -> str:
    """A forecast, regression or SLA in one line."""
    parts = {field.name: getattr(extra, field.name) for field in fields(extra)}  # type: ignore[arg-type]  # dataclasses
    owed = parts.pop("credits", ())
    told = [f"{key} {written(value, key)}" for key, value in parts.items()]
    told += [f"{percent(one.credit)} below {percent(one.below)}" for one in owed]
    return ", ".join(told)


def _sampling(slo: Slo) -> Iterator[Value]:
    for key in ("scrape_interval", "scrape_timeout", "resolution", "target_labels", "new_series"):
        yield _value(slo, key, getattr(slo.sampling, key))


def _words(platform: Platform, slo: Slo) -> Iterator[Value]:
    for severity, word in platform.severities.items():
        yield _value(slo, f"severities.{severity.value}", word)
    for group in ("texts", "dashboards"):
        for field in fields(getattr(platform, group)):
            value = getattr(getattr(platform, group), field.name)
            if value is not None:
                yield _value(slo, f"{group}.{field.name}", value)
    for key in ("inhibition", "pagerduty"):
        yield _value(slo, key, getattr(platform, key))
