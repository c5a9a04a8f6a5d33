"""The rules that a Prometheus has loaded, as they would stand in a rule file, and how they fare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sloctl.errors import PromqlError
from sloctl.model.quantities import Duration
from sloctl.promql.parse import parse_printed

if TYPE_CHECKING:
    from sloctl.prometheus import PrometheusClient

_RECORDED: Final = "slo:"
"""What the names of all recordings begin with."""
_LATE: Final = 3
"""A group is late where its last evaluation is more than so many intervals ago."""


@dataclass(frozen=True, slots=True)
class LoadedGroup:
    """A group of a server.

    Attributes:
        group: as it stands in a rule file, expressions in one layout.
        faults: what is wrong with its evaluations, a sentence each.
        platforms: the platforms whose rules it has, by their labels.
    """

    group: Mapping[str, Any]
    faults: tuple[str, ...]
    platforms: frozenset[str]


def loaded_groups(client: PrometheusClient, now: float) -> list[LoadedGroup]:
    """Every group of the server that holds a rule of sloctl.

    Raises:
        PrometheusError: there is no complete answer.
    """
    answer, about = client.get("rules", {}), client.get("status/runtimeinfo", {})
    groups = answer.get("groups", ()) if isinstance(answer, Mapping) else ()
    times = [about.get(key, "") for key in ("startTime", "lastConfigTime")] if isinstance(about, Mapping) else []
    since = max((found for text in times if (found := _moment(text)) is not None), default=0.0)
    return [_loaded(group, now, since) for group in groups if any(map(_is_own, group.get("rules", ())))]


def laid_out(group: Mapping[str, Any]) -> dict[str, Any]:
    """A group of a rule file with its expressions in the layout of `loaded_groups`."""
    return {**group, "rules": [{**rule, "expr": _layout(rule["expr"])} for rule in group["rules"]]}


def _is_own(rule: Mapping[str, Any]) -> bool:
    return str(rule.get("name", "")).startswith(_RECORDED) or "sloctl" in rule.get("labels", {})


def _loaded(group: Mapping[str, Any], now: float, since: float) -> LoadedGroup:
    rules = group["rules"]
    length = Duration(int(float(group["interval"]) * 1000))
    value: dict[str, Any] = {"name": group["name"], "interval": str(length)}
    if group.get("limit"):
        value["limit"] = group["limit"]
    value["rules"] = [_rule(rule) for rule in rules]
    platforms = frozenset(rule["labels"]["platform"] for rule in rules if "platform" in rule.get("labels", {}))
    return LoadedGroup(value, tuple(_faults(group, length, now, since)), platforms)


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule of the API as it stands in a file."""
    expr = _layout(rule["query"])
    if rule["type"] == "recording":
        return {"record": rule["name"], "expr": expr, "labels": rule.get("labels", {})}
    lengths = {"for": rule.get("duration"), "keep_firing_for": rule.get("keepFiringFor")}
    return {
        "alert": rule["name"],
        "expr": expr,
        **{key: str(Duration(int(float(seconds) * 1000))) for key, seconds in lengths.items() if seconds},
        "labels": rule.get("labels", {}),
        "annotations": rule.get("annotations", {}),
    }


def _layout(expr: str) -> str:
    """An expression in one layout; what this parser cannot read stays as it is."""
    try:
        return parse_printed(expr).prettify()
    except PromqlError:
        return " ".join(expr.split())


def _faults(group: Mapping[str, Any], interval: Duration, now: float, since: float) -> Iterator[str]:
    """What is wrong with a group that the server has had since `since`."""
    name, seconds = group["name"], float(interval.seconds)
    for rule in group["rules"]:
        if rule.get("health") == "err":
            yield f"group {name}: {rule['name']} fails: {rule.get('lastError', 'no reason given')}"
    last = _moment(group.get("lastEvaluation", ""))
    if last is None:
        if now - since > _LATE * seconds:  # each group waits for its own moment first
            yield f"group {name} was never evaluated"
    elif now - last > _LATE * seconds:
        yield f"group {name} was evaluated {now - last:,.0f} s ago, its interval is {interval}"
    if float(group.get("evaluationTime", 0)) > seconds:
        yield f"group {name} takes {float(group['evaluationTime']):.1f} s, more than its interval of {interval}"


def _moment(text: str) -> float | None:
    """Unix seconds of RFC 3339, with any number of digits; None for the year 1, which stands for never."""
    whole, _, rest = text.partition(".")
    zone = rest.lstrip("0123456789") or ("Z" if whole.endswith("Z") else "")
    try:
        found = datetime.fromisoformat(whole.removesuffix("Z") + (zone if zone not in {"", "Z"} else "+00:00"))
    except ValueError:
        return None
    return None if found.year == 1 else found.astimezone(UTC).timestamp()
