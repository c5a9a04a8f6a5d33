"""Panels as small typed functions: a panel is a value, and becomes Grafana's JSON only at the end.

Only what both Grafana and `sloctl preview` draw is used. Colours are Grafana's names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, TypeAlias, TypedDict, Unpack

Json: TypeAlias = dict[str, Any]

DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
LOGS_SOURCE: Final = {"type": "loki", "uid": "${logs}"}
PLUGIN_VERSION: Final = "10.4.0"

PERCENT: Final = "percentunit"
SECONDS: Final = "s"
COUNT: Final = "short"
TIMES: Final = "suffix:x"
DOLLARS: Final = "currencyUSD"

GREEN: Final = "green"
YELLOW: Final = "yellow"
ORANGE: Final = "orange"
DARK_RED: Final = "dark-red"
GREY: Final = "#8e8e8e"
BLUE: Final = "blue"
PURPLE: Final = "purple"


@dataclass(frozen=True, slots=True)
class Target:
    """One query of a panel.

    Attributes:
        legend: text with `{{label}}`; in a table the name of the column.
        exemplar: whether Grafana asks for exemplars too.
    """

    expr: str
    legend: str = ""
    exemplar: bool = False


@dataclass(frozen=True, slots=True)
class ColorStep:
    """From `at` on the value has `color`; the first step has no `at`."""

    color: str
    at: Decimal | None = None


Steps: TypeAlias = tuple[ColorStep, ...]


@dataclass(frozen=True, slots=True)
class Word:
    """A text shown instead of a value: of one value, of all from `value` on, or of none (`None`)."""

    text: str
    value: str | None = None
    color: str | None = None
    and_above: bool = False


@dataclass(frozen=True, slots=True)
class Style:
    """How one series (by its legend) or one column (by its name) differs from its panel.

    Attributes:
        pattern: `name` is a regular expression.
        link: where a click leads.
        hidden: the column is not shown, but links may use its value.
    """

    name: str
    pattern: bool = False
    unit: str | None = None
    color: str | None = None
    dashed: bool = False
    decimals: int | None = None
    steps: Steps = ()
    words: tuple[Word, ...] = ()
    link: tuple[str, str] | None = None
    width: int | None = None
    background: bool = False
    hidden: bool = False
    axis_right: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; `kind` is Grafana's name of its type.

    Attributes:
        width: in 24ths of the page.
        height: in units of about 36 pixels.
        columns: of a table: shown names by field, in order; other fields are hidden.
        first: the query whose column stands before the labels.
        markdown: what a text panel says.
        time_from: a range of its own, such as `30d`.
    """

    kind: str
    title: str
    description: str = ""
    targets: tuple[Target, ...] = ()
    unit: str = COUNT
    width: int = 12
    height: int = 8
    decimals: int | None = None
    steps: Steps = ()
    words: tuple[Word, ...] = ()
    styles: tuple[Style, ...] = ()
    no_value: str = "no data"
    columns: Mapping[str, str] = field(default_factory=dict)
    first: str | None = None
    sort_by: str | None = None
    descending: bool = False
    stacked: bool = False
    minimum: int | None = None
    maximum: int | None = None
    markdown: str = ""
    time_from: str | None = None


class PanelFields(TypedDict, total=False):
    """Fields of a `Panel` that the functions below take by name."""

    width: int
    height: int
    decimals: int | None
    steps: Steps
    words: tuple[Word, ...]
    styles: tuple[Style, ...]
    no_value: str
    first: str | None
    sort_by: str | None
    descending: bool
    stacked: bool
    minimum: int | None
    maximum: int | None
    time_from: str | None


_SMALL: Final[PanelFields] = {"width": 4, "height": 4}
_WHOLE_WIDTH: Final[PanelFields] = {"width": 24}
_FROM_ZERO: Final[PanelFields] = {"minimum": 0}
_NOTE: Final[PanelFields] = {"width": 24, "height": 3}


def more_is_worse(*, orange: Decimal | int | str | None = None, red: Decimal | int | str | None = None) -> Steps:
    """Green, then orange and dark red from these values on."""
    return ColorStep(GREEN), *_reached((ORANGE, orange), (DARK_RED, red))


def more_is_better(*, orange: Decimal | int | str | None = None, green: Decimal | int | str) -> Steps:
    """Dark red, then orange and green from these values on."""
    return ColorStep(DARK_RED), *_reached((ORANGE, orange), (GREEN, green))


def _reached(*steps: tuple[str, Decimal | int | str | None]) -> Iterator[ColorStep]:
    return (ColorStep(color, Decimal(at)) for color, at in steps if at is not None)


def stat(title: str, description: str, expr: str, unit: str = COUNT, **fields: Unpack[PanelFields]) -> Panel:
    """One large number."""
    return Panel("stat", title, description, (Target(expr),), unit, **(_SMALL | fields))


def time_series(
    title: str, description: str, targets: Iterable[Target], unit: str = COUNT, **fields: Unpack[PanelFields]
) -> Panel:
    """Lines over time, from zero up."""
    return Panel("timeseries", title, description, tuple(targets), unit, **(_FROM_ZERO | fields))


def table(
    title: str, description: str, targets: Iterable[Target], columns: Mapping[str, str], **fields: Unpack[PanelFields]
) -> Panel:
    """One row per set of labels; `columns` names the labels, and each target's legend is a column."""
    return Panel("table", title, description, tuple(targets), columns=columns, **(_WHOLE_WIDTH | fields))


def bars(
    title: str, description: str, targets: Iterable[Target], unit: str = COUNT, **fields: Unpack[PanelFields]
) -> Panel:
    """One horizontal bar per series, from zero up."""
    return Panel("bargauge", title, description, tuple(targets), unit, **(_FROM_ZERO | fields))


def states(title: str, description: str, targets: Iterable[Target], **fields: Unpack[PanelFields]) -> Panel:
    """One band per series, coloured by its state over time."""
    return Panel("state-timeline", title, description, tuple(targets), **fields)


def note(title: str, markdown: str) -> Panel:
    """Text in Markdown."""
    return Panel("text", title, markdown=markdown, **_NOTE)


def row(title: str) -> Panel:
    """A heading over the panels that follow."""
    return Panel("row", title, width=24, height=1)


def panel_json(panel: Panel, number: int, place: Mapping[str, int]) -> Json:
    """A panel as Grafana reads it."""
    value: Json = {"id": number, "type": panel.kind, "title": panel.title, "gridPos": dict(place)}
    if panel.kind == "row":
        return value | {"collapsed": False, "panels": []}
    value |= {"pluginVersion": PLUGIN_VERSION, "transparent": False}
    if panel.kind == "text":
        return value | {"options": {"mode": "markdown", "content": panel.markdown}}
    source = LOGS_SOURCE if panel.kind == "logs" else DATASOURCE
    value |= {
        "description": panel.description,
        "datasource": source,
        "targets": [_target(panel, target, index) for index, target in enumerate(panel.targets)],
        "options": _options(panel),
        "fieldConfig": {"defaults": _defaults(panel), "overrides": [_override(style) for style in panel.styles]},
    }
    if panel.kind == "table":
        value["transformations"] = _transformations(panel)
    if panel.time_from:
        value["timeFrom"] = panel.time_from
    return value


def _target(panel: Panel, target: Target, index: int) -> Json:
    reference = reference_of(index)
    if panel.kind == "logs":
        return {"refId": reference, "datasource": LOGS_SOURCE, "expr": target.expr, "queryType": "range"}
    instant = panel.kind in {"stat", "table", "bargauge"}
    return {
        "refId": reference,
        "datasource": DATASOURCE,
        "expr": target.expr,
        "legendFormat": "__auto" if panel.kind == "table" or not target.legend else target.legend,
        "format": "table" if panel.kind == "table" else "time_series",
        "instant": instant,
        "range": not instant,
        "exemplar": target.exemplar,
        "editorMode": "code",
    }


def reference_of(index: int) -> str:
    """A, B, ... Z, then A1, B1, ...: how a panel names its queries."""
    letter, turn = chr(ord("A") + index % 26), index // 26
    return f"{letter}{turn}" if turn else letter


_LEGEND: Final = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
_REDUCED: Final = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_OPTIONS: Final[Mapping[str, Json]] = {
    "stat": {
        "graphMode": "none",
        "justifyMode": "center",
        "orientation": "auto",
        "reduceOptions": _REDUCED,
        "textMode": "auto",
        "wideLayout": True,
    },
    "timeseries": {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}},
    "table": {"cellHeight": "sm", "showHeader": True},
    "bargauge": {
        "displayMode": "basic",
        "orientation": "horizontal",
        "reduceOptions": _REDUCED,
        "showUnfilled": True,
        "valueMode": "text",
        "minVizHeight": 16,
        "minVizWidth": 0,
    },
    "state-timeline": {
        "mergeValues": True,
        "showValue": "never",
        "rowHeight": 0.9,
        "legend": _LEGEND | {"showLegend": False},
        "tooltip": {"mode": "single", "sort": "none"},
    },
    "logs": {
        "showTime": True,
        "showLabels": False,
        "showCommonLabels": False,
        "wrapLogMessage": True,
        "prettifyLogMessage": False,
        "enableLogDetails": True,
        "dedupStrategy": "none",
        "sortOrder": "Descending",
    },
}


def _options(panel: Panel) -> Json:
    options = _OPTIONS[panel.kind]
    match panel.kind:
        case "stat":
            return {"colorMode": "background_solid" if panel.steps or panel.words else "none", **options}
        case "table":
            sort = [{"displayName": panel.sort_by, "desc": panel.descending}] if panel.sort_by else []
            return {**options, "sortBy": sort}
        case _:
            return options


def _defaults(panel: Panel) -> Json:
    value: Json = {"unit": panel.unit, "noValue": panel.no_value, "mappings": _mappings(panel.words)}
    value["thresholds"] = _thresholds(panel.steps or (ColorStep(GREEN),))
    value["color"] = {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"}
    if panel.decimals is not None:
        value["decimals"] = panel.decimals
    if panel.minimum is not None:
        value["min"] = panel.minimum
    if panel.maximum is not None:
        value["max"] = panel.maximum
    if panel.kind == "timeseries":
        value["custom"] = _line(panel)
    if panel.kind == "state-timeline":
        value["custom"] = {"fillOpacity": 80, "lineWidth": 0}
    return value


def _line(panel: Panel) -> Json:
    return {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 30 if panel.stacked else 0,
        "showPoints": "auto",
        "spanNulls": False,
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
    }


def _thresholds(steps: Sequence[ColorStep]) -> Json:
    return {"mode": "absolute", "steps": [{"color": step.color, "value": plain(step.at)} for step in steps]}


def _mappings(words: Sequence[Word]) -> list[Json]:
    exact = {
        word.value: _result(word, index)
        for index, word in enumerate(words)
        if word.value is not None and not word.and_above
    }
    found: list[Json] = [{"type": "value", "options": exact}] if exact else []
    for index, word in enumerate(words):
        if word.value is None:
            found.append({"type": "special", "options": {"match": "null+nan", "result": _result(word, index)}})
        elif word.and_above:
            start = plain(Decimal(word.value))
            found.append({"type": "range", "options": {"from": start, "to": None, "result": _result(word, index)}})
    return found


def _result(word: Word, index: int) -> Json:
    return {"text": word.text, "index": index} | ({"color": word.color} if word.color else {})


def _override(style: Style) -> Json:
    matcher = {"id": "byRegexp" if style.pattern else "byName", "options": style.name}
    return {"matcher": matcher, "properties": [{"id": name, "value": value} for name, value in _properties(style)]}


def _properties(style: Style) -> list[tuple[str, object]]:
    found: list[tuple[str, object | None]] = [
        ("unit", style.unit),
        ("decimals", style.decimals),
        ("color", {"mode": "fixed", "fixedColor": style.color} if style.color else None),
        ("custom.lineStyle", {"fill": "dash", "dash": [8, 6]} if style.dashed else None),
        ("custom.axisPlacement", "right" if style.axis_right else None),
        ("custom.width", style.width),
        ("custom.hidden", True if style.hidden else None),
        ("thresholds", _thresholds(style.steps) if style.steps else None),
        ("mappings", _mappings(style.words) if style.words else None),
        ("links", [{"title": style.link[0], "url": style.link[1], "targetBlank": False}] if style.link else None),
        ("custom.cellOptions", {"type": "color-background", "mode": "basic"} if style.background else None),
    ]
    return [(name, value) for name, value in found if value is not None]


def _transformations(panel: Panel) -> list[Json]:
    """One row a set of labels, the columns named and ordered, everything else hidden."""
    several = len(panel.targets) > 1
    values = {
        f"Value #{reference_of(index)}" if several else "Value": target.legend
        for index, target in enumerate(panel.targets)
    }
    front = {field: name for field, name in values.items() if name == panel.first}
    shown = {
        **front,
        **panel.columns,
        **{field: name for field, name in values.items() if name not in panel.columns.values()},
    }
    hidden = {"Time": True} | {field: True for field, name in values.items() if not name}
    merge: list[Json] = [{"id": "merge", "options": {}}] if several else []
    return [
        *merge,
        {
            "id": "organize",
            "options": {
                "excludeByName": hidden,
                "indexByName": {field: index for index, field in enumerate(shown)},
                "renameByName": {field: name for field, name in shown.items() if name},
            },
        },
    ]


def plain(value: Decimal | None) -> int | float | None:
    """A number as JSON has it: whole where it is, else the shortest that reads back the same."""
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)
