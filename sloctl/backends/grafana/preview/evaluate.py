"""A dashboard's variables and queries, answered by a running Prometheus at one moment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from sloctl.backends.grafana.panels import Json
from sloctl.model.periods import zone

if TYPE_CHECKING:
    from sloctl.prometheus import Sample, Series

Points = tuple[tuple[float, float], ...]


class PrometheusSource(Protocol):
    """What answers queries: `sloctl.prometheus.PrometheusClient`."""

    def query(self, promql: str, at: float | None = None) -> Sequence[Sample]: ...
    def query_range(self, promql: str, start: float, end: float, step: float) -> Sequence[Series]: ...


@dataclass(frozen=True, slots=True)
class AnsweredSeries:
    """One series that a query returned.

    Attributes:
        query: place of its query in the panel.
        points: Unix seconds and values; one point of an instant query.
    """

    query: int
    labels: Mapping[str, str]
    points: Points

    @property
    def last(self) -> float:
        """The newest value."""
        return self.points[-1][1]


@dataclass(frozen=True, slots=True)
class Moment:
    """What is shown: from `start` to `end` in Unix seconds, with chosen variables."""

    start: float
    end: float
    values: Mapping[str, str] = field(default_factory=dict)
    points: int = 240
    rate_interval: int = 60

    @property
    def step(self) -> int:
        """Seconds between two points."""
        return max(1, round((self.end - self.start) / self.points))

    def since(self, length: str) -> Moment:
        """The same end after a range of its own."""
        return Moment(self.end - _seconds(length), self.end, self.values, self.points, self.rate_interval)


_REFERENCE: Final = re.compile(r"\$(\w+)|\$\{(\w+)(?::\w+)?\}|\[\[(\w+?)(?::\w+)?\]\]")
_LABEL_VALUES: Final = re.compile(r"label_values\((.+), (\w+)\)", re.DOTALL)
_RELATIVE: Final = re.compile(r"now(?:-(\d+)([smhdwM]))?(?:/([dwM]))?")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def interpolated(text: str, moment: Moment) -> str:
    """Text with Grafana's and the dashboard's variables filled in, once, as Grafana does; unknown ones stay."""
    length = round(moment.end - moment.start)
    known = {
        "__rate_interval": f"{max(moment.rate_interval, moment.step)}s",
        "__interval": f"{moment.step}s",
        "__range": f"{length}s",
        "__range_s": str(length),
        "__from": str(round(moment.start * 1000)),
        "__to": str(round(moment.end * 1000)),
        **moment.values,
    }
    return _REFERENCE.sub(lambda found: known.get(found[1] or found[2] or found[3], found[0]), text)


def moment_of(
    dashboard: Json, source: PrometheusSource, end: float, chosen: Mapping[str, str], since: str | None = None
) -> Moment:
    """The dashboard's own time and its variables: those chosen, else all, else the first value."""
    start, end = time_range(dashboard, end) if since is None else (end - _seconds(since), end)
    values: dict[str, str] = {}
    for variable in dashboard["templating"]["list"]:
        moment = Moment(start, end, values)
        values = {**values, variable["name"]: _value(variable, source, moment, chosen)}
    return Moment(start, end, values)


def time_range(dashboard: Json, now: float) -> tuple[float, float]:
    """The range that the dashboard opens with, in Unix seconds."""
    name = dashboard["timezone"] if dashboard["timezone"] != "utc" else "UTC"
    start = _relative(dashboard["time"]["from"], now, name, first=True)
    return start, max(_relative(dashboard["time"]["to"], now, name, first=False), start + 60)


def _relative(text: str, now: float, zone_name: str, *, first: bool) -> float:
    found = _RELATIVE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text} is no relative time")
    moment = datetime.fromtimestamp(now, zone(zone_name))
    if found[2] == "M":
        for _ in range(int(found[1])):
            moment = moment.replace(day=1) - timedelta(days=1)
    elif found[1]:
        moment -= timedelta(seconds=int(found[1]) * _UNITS[found[2]])
    if found[3] and first:
        day = {"d": moment.day, "M": 1}.get(found[3])
        moment = moment.replace(day=day or moment.day, hour=0, minute=0, second=0, microsecond=0)
        moment -= timedelta(days=moment.weekday() if found[3] == "w" else 0)
    return moment.timestamp()


def _seconds(length: str) -> int:
    return int(length[:-1]) * _UNITS[length[-1]]


def _value(variable: Json, source: PrometheusSource, moment: Moment, chosen: Mapping[str, str]) -> str:
    name = str(variable["name"])
    if name in chosen:
        return chosen[name]
    match variable["type"]:
        case "query" if variable.get("includeAll"):
            return str(variable["allValue"])
        case "query":
            values = label_values(str(variable["query"]["query"]), source, moment)
            return (values[-1] if variable["sort"] == 2 else values[0]) if values else ""
        case _:
            return str(variable["query"])


def label_values(query: str, source: PrometheusSource, moment: Moment) -> list[str]:
    """Every value of a label, sorted."""
    found = _LABEL_VALUES.fullmatch(query)
    if found is None:
        raise ValueError(f"{query} is no label_values(...)")
    selector, label = interpolated(found[1], moment), found[2]
    samples = source.query(f"group by ({label}) ({selector})", moment.end)
    return sorted({sample.labels.get(label, "") for sample in samples} - {""})


def answers(panel: Json, source: PrometheusSource, moment: Moment) -> list[AnsweredSeries]:
    """Every series of every query of a panel."""
    if (own := panel.get("timeFrom")) is not None:
        moment = moment.since(own)
    return [
        series for index, target in enumerate(panel["targets"]) for series in _answer(index, target, source, moment)
    ]


def _answer(index: int, target: Json, source: PrometheusSource, moment: Moment) -> Iterator[AnsweredSeries]:
    expr = interpolated(target["expr"], moment)
    if target["instant"]:
        for sample in source.query(expr, moment.end):
            yield AnsweredSeries(index, sample.labels, ((moment.end, sample.value),))
    else:
        for line in source.query_range(expr, moment.start, moment.end, moment.step):
            yield AnsweredSeries(index, line.labels, line.points)


def legend(target: Json, labels: Mapping[str, str]) -> str:
    """The name of a series."""
    text = str(target["legendFormat"])
    if text == "__auto":
        return ", ".join(f"{name} {value}" for name, value in sorted(labels.items()))
    return filled(text, labels)


def filled(text: str, labels: Mapping[str, str]) -> str:
    """A template such as `{{slo}} {{tenant}}` with the labels of a series."""
    return " ".join(re.sub(r"{{\s*(\w+)\s*}}", lambda label: labels.get(label[1], ""), text).split())
