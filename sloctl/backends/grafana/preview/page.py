"""A dashboard as one HTML page: panels by kind, drawn from what their queries returned."""

from __future__ import annotations

import base64
import hashlib
import html
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import resources
from typing import Any

from sloctl.backends.grafana.panels import Json, reference_of
from sloctl.backends.grafana.preview import charts, evaluate
from sloctl.backends.grafana.preview.evaluate import AnsweredSeries, Moment, PrometheusSource
from sloctl.backends.grafana.preview.figures import Field, Look, color_of, field_of
from sloctl.model.periods import zone

Cell = float | str | None
MOST_ROWS = 40
NARROW = 6
"""Of 24 columns: five times of day do not fit below such a chart."""
_BACKSLASHED = re.compile(r"\\([\\`*_{}\[\]()#+.!|~-])")
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment that an annotation marks, in percent of the chart."""

    x: str
    color: str
    text: str


def preview(
    dashboard: Json,
    source: PrometheusSource,
    at: float,
    chosen: Mapping[str, str],
    rate_interval: int = 60,
    since: str | None = None,
) -> str:
    """The page of a dashboard at a moment in Unix seconds, with variables by name."""
    from jinja2 import Environment, StrictUndefined

    moment = replace(evaluate.moment_of(dashboard, source, at, chosen, since), rate_interval=rate_interval)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    folder = resources.files(__package__)
    style = folder.joinpath("page.css").read_text(encoding="utf-8")
    template = environment.from_string(folder.joinpath("page.html.j2").read_text(encoding="utf-8"))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    choices = dashboard["templating"]["list"]
    visible = [choice for choice in choices if not choice["hide"] and choice["type"] != "datasource"]
    return template.render(
        title=dashboard["title"],
        description=evaluate.interpolated(dashboard["description"], moment),
        when=_when(moment, str(dashboard["timezone"])),
        variables=[(choice["label"], _said(moment.values[choice["name"]])) for choice in visible],
        panels=[_panel(panel, dashboard, source, moment) for panel in dashboard["panels"]],
        style=style,
        digest=digest,
        chart_width=charts.WIDTH,
        chart_height=charts.HEIGHT,
    )


def _said(value: str) -> str:
    return "all" if value == ".*" else value or "none"


def _when(moment: Moment, zone_name: str) -> str:
    local = zone("UTC" if zone_name == "utc" else zone_name)
    start, end = (datetime.fromtimestamp(seconds, local) for seconds in (moment.start, moment.end))
    return f"{start:%d %b %Y %H:%M} to {end:%d %b %Y %H:%M} {end.tzname()}"


def _panel(panel: Json, dashboard: Json, source: PrometheusSource, moment: Moment) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "kind": panel["type"],
        "title": evaluate.interpolated(panel["title"], moment),
        "description": evaluate.interpolated(panel.get("description", ""), moment),
        "width": panel["gridPos"]["w"],
    }
    match panel["type"]:
        case "row":
            return shown
        case "text":
            return shown | {"html": _markdown(evaluate.interpolated(panel["options"]["content"], moment))}
        case "logs":
            return shown | {"empty": "Logs come from Loki, which a preview does not ask."}
    found = evaluate.answers(panel, source, moment)
    if not found:
        return shown | {"empty": panel["fieldConfig"]["defaults"]["noValue"]}
    if own := panel.get("timeFrom"):
        moment = moment.since(own)
    match panel["type"]:
        case "stat":
            return shown | {"stats": _stats(panel, found)}
        case "timeseries":
            return shown | _chart(panel, dashboard, found, moment, _marks(dashboard, source, moment))
        case "bargauge":
            return shown | {"bars": _bars(panel, found)}
        case "state-timeline":
            return shown | _timeline(panel, dashboard, found, moment)
        case _:
            return shown | _table(panel, found)


def _markdown(text: str) -> str:
    """Plain text and `code`, which is all that our own notes use; the rest is shown literally."""
    escaped = _CODE.sub(r"<code>\1</code>", html.escape(text))
    return _BACKSLASHED.sub(r"\1", escaped)


def _name(panel: Json, series: AnsweredSeries) -> str:
    return evaluate.legend(panel["targets"][series.query], series.labels) or str(panel["title"])


def _stats(panel: Json, found: Sequence[AnsweredSeries]) -> list[Look]:
    field = field_of(panel, str(panel["title"]))
    looks = [field.look(series.last) for series in found]
    if panel["options"]["colorMode"] == "none":
        return [Look(look.text) for look in looks]
    return looks


def _drawn(panel: Json, found: Sequence[AnsweredSeries]) -> list[charts.Drawn]:
    lines = []
    for index, series in enumerate(found):
        name = _name(panel, series)
        field = field_of(panel, name)
        color = field.fixed_color or charts.PALETTE[index % len(charts.PALETTE)]
        lines.append(charts.Drawn(name, color, field.dashed, series.points, field.look(series.last).text))
    return lines


def _chart(
    panel: Json, dashboard: Json, found: Sequence[AnsweredSeries], moment: Moment, marks: Sequence[Mark]
) -> dict[str, Any]:
    defaults = panel["fieldConfig"]["defaults"]
    drawn = _drawn(panel, found)
    is_stacked = defaults["custom"]["stacking"]["mode"] == "normal"
    lines = charts.stacked(drawn) if is_stacked else drawn
    low, high = defaults.get("min"), defaults.get("max")
    values = [value for line in lines for _, value in line.points]
    scale = charts.scale_of(values, low, high if high and max(values, default=0) > 0.5 * high else None)
    field = field_of(panel, "")
    step = charts.step_of([line.points for line in lines], moment.step)
    step = max(step, moment.step)
    paths = [
        {"d": charts.path(line.points, moment, scale, step), "color": line.color, "dashed": line.dashed}
        for line in lines
    ]
    areas: list[dict[str, str]] = []
    if is_stacked:
        floors = [tuple((time, 0.0) for time, _ in lines[0].points), *(line.points for line in lines[:-1])]
        areas = [
            {"d": charts.area(line.points, floor, moment, scale), "color": line.color}
            for line, floor in zip(lines, floors, strict=True)
        ]
    return {
        "paths": paths,
        "areas": areas,
        "grid": [scale.y(tick) for tick in scale.ticks],
        "ticks": _ticks(scale, field),
        "times": charts.times(moment, str(dashboard["timezone"]), 3 if panel["gridPos"]["w"] <= NARROW else 5),
        "legend": [{"name": line.name, "color": line.color, "last": line.last} for line in drawn],
        "marks": marks,
    }


def _ticks(scale: charts.Scale, field: Field) -> list[str]:
    """Labels of the lines, with as many decimals as tell them apart."""
    texts: list[str] = []
    for decimals in range(7):
        texts = [replace(field, decimals=decimals, mappings=()).look(tick).text for tick in scale.ticks]
        if len(set(texts)) == len(texts):
            break
    return texts


def _marks(dashboard: Json, source: PrometheusSource, moment: Moment) -> list[Mark]:
    """Moments at which an annotation's query began to hold."""
    marks = []
    length = moment.end - moment.start
    for annotation in dashboard["annotations"]["list"]:
        expr = evaluate.interpolated(annotation["expr"], moment)
        for line in source.query_range(expr, moment.start, moment.end, moment.step):
            last = -math.inf
            for time, value in line.points:
                if value and time - last > 1.5 * moment.step:
                    title = evaluate.filled(annotation["titleFormat"], line.labels)
                    x = f"{charts.WIDTH * (time - moment.start) / length:.1f}"
                    marks.append(Mark(x, color_of(annotation["iconColor"]), f"{annotation['name']}: {title}"))
                last = time
    return marks


def _bars(panel: Json, found: Sequence[AnsweredSeries]) -> list[dict[str, str]]:
    values = [series.last for series in found]
    most = panel["fieldConfig"]["defaults"].get("max") or max([value for value in values if math.isfinite(value)] + [0])
    bars = []
    for series, value in zip(found, values, strict=True):
        name = _name(panel, series)
        look = field_of(panel, name).look(value)
        share = min(1.0, max(0.0, value / most)) if most else 0.0
        bars.append(
            {"name": name, "text": look.text, "color": look.color or charts.PALETTE[0], "width": f"{100 * share:.1f}%"}
        )
    return bars


def _timeline(panel: Json, dashboard: Json, found: Sequence[AnsweredSeries], moment: Moment) -> dict[str, Any]:
    rows = []
    for series in found[:MOST_ROWS]:
        field = field_of(panel, _name(panel, series))
        cells = [
            {"x": x, "width": width, "color": look.color, "text": look.text}
            for x, width, value in charts.bands(series.points, moment, moment.step)
            for look in [field.look(value)]
        ]
        rows.append({"name": _name(panel, series), "cells": cells})
    return {"bands": rows, "times": charts.times(moment, str(dashboard["timezone"])), "more": len(found) - len(rows)}


def _table(panel: Json, found: Sequence[AnsweredSeries]) -> dict[str, Any]:
    """The rows of a table as its transformations arrange them."""
    organize = next(step["options"] for step in panel["transformations"] if step["id"] == "organize")
    order = sorted(organize["indexByName"], key=organize["indexByName"].__getitem__)
    names = organize["renameByName"]
    several = len(panel["targets"]) > 1
    rows: dict[tuple[tuple[str, str], ...], dict[str, Cell]] = {}
    for series in found:
        row = rows.setdefault(tuple(sorted(series.labels.items())), dict(series.labels))
        row[f"Value #{reference_of(series.query)}" if several else "Value"] = series.last
    columns = [name for name in order if not organize["excludeByName"].get(name)]
    columns = [name for name in columns if any(row.get(name) not in {None, ""} for row in rows.values())]
    columns = [name for name in columns if not field_of(panel, names.get(name, name)).hidden]
    fields = [field_of(panel, names.get(column, column)) for column in columns]
    arranged = _sorted(panel, list(rows.values()), {names.get(column, column): column for column in columns})
    body = [
        [_cell(field, row.get(column)) for column, field in zip(columns, fields, strict=True)]
        for row in arranged[:MOST_ROWS]
    ]
    numeric = [any(row[index]["numeric"] for row in body) for index in range(len(fields))]
    head = [{"name": field.name, "numeric": right} for field, right in zip(fields, numeric, strict=True)]
    return {"head": head, "rows": body, "more": len(arranged) - len(body)}


def _cell(field: Field, value: Cell) -> dict[str, Any]:
    look = field.look(value)
    numeric = isinstance(value, float) and not (field.background and field.mappings)
    url = look.text if field.link and field.link["url"] == "${__value.text:raw}" else ""
    return {
        "text": " ".join(look.text.split()),
        "color": look.color if field.background else None,
        "numeric": numeric,
        "url": url if url.startswith("https://") else "",
    }


def _sorted(panel: Json, rows: list[dict[str, Cell]], columns: Mapping[str, str]) -> list[dict[str, Cell]]:
    for sort in panel["options"]["sortBy"]:
        if sort["displayName"] in columns:
            column = columns[sort["displayName"]]
            known = [row for row in rows if row.get(column) is not None]
            unknown = [row for row in rows if row.get(column) is None]
            known.sort(key=lambda row: (isinstance(row[column], str), row[column]), reverse=sort["desc"])
            return known + unknown
    return rows
