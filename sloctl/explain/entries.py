"""Every key of the language in force for a platform, a service or an SLO: what `show` prints and `diff` compares.

The model is walked as it is, so that a new key of it is shown and compared without being named here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from enum import Enum
from itertools import groupby
from typing import Any, Final, TypeAlias, assert_never

from sloctl import conventions
from sloctl.diagnostics import Place
from sloctl.model.alerting import BudgetLeft, Burn, Credit, ErrorRate, Forecast, Regression, Sla, Tier
from sloctl.model.canary import After, Alpha, Canary, MismatchCheck, Parity, SloCheck, Step
from sloctl.model.catalogue import Kubernetes, Platform, Service, Slo
from sloctl.model.indicator import Every, Latency, PerSecond, RunningTotal, Saturation, Unit
from sloctl.model.ownership import OfficeHours, Route, Team
from sloctl.model.quantities import Duration, Objective, Rate, number, percent
from sloctl.model.selector import Expression, Matcher, Selector
from sloctl.model.window import CalendarWindow, RollingWindow
from sloctl.promql.selectors import matchers_text, selector_text

Owner: TypeAlias = Platform | Service | Slo

Parts: TypeAlias = dict[str, Any]

NONE: Final = "none"
_NOTHING: Final = frozenset((NONE, "0", "0s", "false"))
_LINES: Final = (
    *(Tier, Forecast, Regression, Sla, Step, SloCheck, MismatchCheck, After, Alpha, Parity),
    *(Route, OfficeHours, Kubernetes),
)
"""Mappings that are one row of a table."""
_TEXTS: Final[Mapping[type, Callable[[Any], str]]] = {
    type(None): lambda _: NONE,
    bool: lambda value: str(value).lower(),
    Selector: selector_text,
    Matcher: lambda matcher: matchers_text((matcher,)),
    Expression: lambda expression: " ".join(expression.text.split()),
    Credit: lambda credit: f"{percent(credit.credit)} below {percent(credit.below)}",
    RunningTotal: lambda _: "counter",
    PerSecond: lambda _: "per_second",
    Every: lambda every: f"per_{every.length}",
    **dict.fromkeys((Duration, Objective, Rate, RollingWindow, CalendarWindow), str),
}
"""Classes that are one value of the language, and how it is written."""
_WORDS: Final = {"indicator": "sli", "tiers": "alerts", "since": "from", "start": "from", "end": "to"}
"""Keys that the model calls otherwise."""
_NO_KEYS: Final = frozenset(
    ("place", "places", "path", "sources", "services", "slos", "left_out", "platform", "written_id")
)
_FIRST: Final = (
    *("name", "id", "service", "description", "objective", "window", "by", "max_series", "timeslices", "traffic"),
    *("exclude_when", "sli", "alerts"),
)
"""The order of the reference; all other keys follow as the model has them."""
_RATIOS: Final = frozenset(
    ("timeslices", "worse_by", "quantile", "weight", "error_rate", "budget_left", "mismatch_rate", "success")
) | {"numbers", "false_pages"}
"""Decimals that are written as percentages."""


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One key in force.

    Attributes:
        row: the row of a table that it belongs to: its own key, or that of a mapping such as a tier.
        name: its name within that row; empty where the row is the key.
        text: its value as a specification would hold it.
        place: where the row is written; None for a default.
    """

    row: str
    name: str
    text: str
    place: Place | None

    @property
    def head(self) -> str:
        """The first of its path."""
        return self.row.partition(".")[0]

    @property
    def key(self) -> str:
        """Its key path, such as `canary.checks.errors.error_rate`."""
        return f"{self.row}.{self.name}" if self.name else self.row


def entries(owner: Owner) -> list[KeyEntry]:
    """Every key in force for a platform, a service or an SLO itself, in the order of the reference."""
    parts = _parts(owner)
    ordered = {key: parts[key] for key in (*(key for key in _FIRST if key in parts), *parts)}
    return [entry for key, value in ordered.items() for entry in _walked(value, key, key, owner.places)]


def rows(found: Iterable[KeyEntry]) -> Iterator[KeyEntry]:
    """One entry for each row of a table: a mapping such as a tier in one line, without what is nothing."""
    for row, group in groupby(found, lambda entry: entry.row):
        several = list(group)
        yield KeyEntry(row, "", line(several), several[0].place)


def line(row: list[KeyEntry]) -> str:
    """The entries of one row as a text."""
    if not row[0].name:
        return row[0].text
    told = [f"{entry.name} {entry.text}" for entry in row if entry.text not in _NOTHING]
    return f"{row[0].text}: {', '.join(told[1:])}" if row[0].name == "severity" else ", ".join(told) or NONE


def _walked(value: object, key: str, path: str, places: Mapping[str, Place]) -> Iterator[KeyEntry]:
    """The entries of a value at `key`; `path` is its path in the documents, with indices for items of lists."""
    if isinstance(value, _LINES):
        place = _place(value, path, places)
        yield from (KeyEntry(key, name, text, place) for name, text in _leaves(_parts(value)))
    elif _is_mapping(value):
        for index, (name, part) in enumerate(_parts(value).items()):
            below = index if isinstance(part, Step | SloCheck | MismatchCheck) else name
            yield from _walked(part, f"{key}.{name}", f"{path}.{below}", places)
    else:
        yield KeyEntry(key, "", _text(value, key.rpartition(".")[2]), _place(value, path, places))


def _leaves(parts: Parts, above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in parts.items():
        if _is_mapping(value):
            yield from _leaves(_parts(value), f"{above}{name}.")
        else:
            yield above + name, _text(value, name)


def _place(value: object, path: str, places: Mapping[str, Place]) -> Place | None:
    """Where a value is written; `bad_if` of a specification becomes `bad`, and a description is not inherited."""
    if value == "" or path.partition(".")[0] not in places:
        return None
    return getattr(value, "place", None) or places.get(path) or places.get(f"{path}_if")


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping) or (is_dataclass(value) and type(value) not in _TEXTS)


def _parts(value: Any) -> Parts:
    """The keys of a mapping in the words of the language."""
    if isinstance(value, Mapping):
        return {str(key.value if isinstance(key, Enum) else key): part for key, part in value.items()}
    parts = {
        _WORDS.get(field.name, field.name.rstrip("_")): getattr(value, field.name)
        for field in fields(value)
        if field.init and field.name not in _NO_KEYS
    }
    change = _OTHERWISE.get(type(value))
    return parts if change is None else change(value, parts)


def _slo(slo: Slo, parts: Parts) -> Parts:
    del parts["service"]
    kind = slo.indicator.key
    given = {key: part for key, part in _parts(slo.indicator).items() if part is not None}
    return _sampled(slo, parts | {"id": slo.id, "sli": {kind: given}, "alerts": _alerts(slo) or None})


def _alerts(slo: Slo) -> Parts:
    """The tiers by name, and in words those of `google` that make no sense for this SLO."""
    tiers: Parts = {conventions.burn_tier(tier): tier for tier in slo.tiers}
    for tier in slo.left_out:
        told = [KeyEntry("", name, text, None) for name, text in _leaves(_parts(tier))]
        tiers[conventions.burn_tier(tier)] = f"left out of google: {line(told)}"
    return tiers


def _sampled(_: Slo | Platform, parts: Parts) -> Parts:
    return parts | _parts(parts.pop("sampling"))


def _tier(tier: Tier, parts: Parts) -> Parts:
    match tier.trigger:
        case Burn(rate):
            trigger = {"burn": rate}
        case ErrorRate(ratio):
            trigger = {"error_rate": ratio}
        case BudgetLeft(ratio):
            trigger = {"budget_left": ratio}
        case _:
            assert_never(tier.trigger)
    del parts["trigger"]
    return {"severity": parts.pop("severity")} | trigger | parts


def _canary(canary: Canary, parts: Parts) -> Parts:
    steps = {str(number): step for number, step in enumerate(canary.steps, start=1)}
    checks = {check.name: check for check in canary.checks}
    approval = {"first_deployments": parts.pop("first_deployments")}
    return parts | {"steps": steps, "checks": checks, "approval": approval}


def _latency(latency: Latency, parts: Parts) -> Parts:
    unit = "" if latency.unit is Unit.NONE else latency.unit.value
    return parts | {"at_most": f"{number(latency.at_most)}{unit}"}


def _team(team: Team, _: Parts) -> Parts:
    return _parts(team.severities) | _parts(team.routes) | {"office_hours": team.office_hours}


def _unnamed(_: object, parts: Parts) -> Parts:
    return {key: part for key, part in parts.items() if key != "name"}


_OTHERWISE: Final[Mapping[type, Callable[[Any, Parts], Parts]]] = {
    Slo: _slo,
    Platform: _sampled,
    Service: lambda _, parts: {"service": parts.pop("name")} | parts,
    Tier: _tier,
    Canary: _canary,
    SloCheck: _unnamed,
    MismatchCheck: _unnamed,
    Latency: _latency,
    Saturation: lambda saturation, parts: parts | {"at_most": percent(saturation.at_most)},
    Team: _team,
}
"""Classes whose keys the model and the language do not share."""


def _text(value: object, name: str = "") -> str:
    """A value as a specification would hold it."""
    if (written := _TEXTS.get(type(value))) is not None:
        return written(value)
    match value:
        case Decimal():
            return percent(value) if name in _RATIOS else number(value)
        case Enum():
            return str(value.value)
        case tuple():
            return ", ".join(_text(item, name) for item in value) or NONE
        case _:
            return str(value) or NONE
