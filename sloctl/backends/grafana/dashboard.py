"""A dashboard around its panels: variables, links, annotations, and where each panel stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sloctl import conventions
from sloctl.backends.grafana.panels import DATASOURCE, LOGS_SOURCE, Json, Panel, panel_json
from sloctl.backends.grafana.queries import equal, firing, like, selector
from sloctl.backends.grafana.texts import BRACKET, DOLLAR, literal
from sloctl.model.artifact import Artifact
from sloctl.model.catalogue import Platform
from sloctl.model.window import CalendarWindow

SCHEMA_VERSION: Final = 39
COLUMNS: Final = 24
TITLES: Final = {
    "overview": "Overview",
    "detail": "Detail",
    "canary": "Canary",
    "tenant": "Tenant",
    "scorecard": "Scorecard",
    "user-experience": "User experience",
    "capacity": "Capacity",
}
"""Every dashboard of a platform: the end of its uid and file name, and its title."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a dashboard.

    Attributes:
        query: such as `label_values(metric, label)`; None makes it a text box.
        every: "all" can be chosen, and is.
        default: of a text box.
        last_first: sorted backwards, so that two choices among the same values begin with different ones.
    """

    name: str
    label: str
    query: str | None
    every: bool = True
    default: str = ""
    last_first: bool = False


@dataclass(frozen=True, slots=True)
class DashboardPage:
    """One dashboard before it becomes JSON.

    Attributes:
        shows: what it answers, in a sentence.
        links: further links as title and https URL.
    """

    name: str
    shows: str
    panels: Sequence[Panel]
    variables: Sequence[Variable] = ()
    since: str = "now-24h"
    links: Sequence[tuple[str, str]] = ()


def artifact(platform: Platform, page: DashboardPage) -> Artifact:
    """The dashboard's file."""
    path = f"dashboards/{platform.name}/{page.name}.json"
    return Artifact(path, dashboard(platform, page), platform.sources)


def dashboard(platform: Platform, page: DashboardPage) -> Json:
    """The dashboard as Grafana reads it."""
    panels = place(page.panels)
    value: Json = {
        "uid": conventions.dashboard_uid(platform, page.name),
        "title": f"SLO {platform.name}: {TITLES[page.name]}",
        "description": literal(page.shows),
        "tags": ["slo", platform.name],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": page.since, "to": "now"},
        "timepicker": {},
        "timezone": time_zone(platform),
        "weekStart": "monday",
        "links": _links(platform, page),
        "annotations": {"list": _annotations(platform)},
        "panels": panels,
    }
    used = _used_constants(value)
    value["templating"] = {"list": [_datasource(), *_logs(page), *map(_variable, page.variables), *used]}
    return value


def time_zone(platform: Platform) -> str:
    """The zone of the platform's calendars where they agree, so that months begin when the budgets' do."""
    zones = {slo.window.time_zone for slo in platform.slos if isinstance(slo.window, CalendarWindow)}
    return zones.pop() if len(zones) == 1 else "utc"


def place(panels: Iterable[Panel]) -> list[Json]:
    """Panels from left to right, a new line where the next one does not fit."""
    placed, x, y, height = list[Json](), 0, 0, 0
    for number, panel in enumerate(panels, start=1):
        if x + panel.width > COLUMNS:
            x, y, height = 0, y + height, 0
        placed.append(panel_json(panel, number, {"x": x, "y": y, "w": panel.width, "h": panel.height}))
        x, height = x + panel.width, max(height, panel.height)
    return placed


def link_to(platform: Platform, name: str, **variables: str) -> str:
    """Where a click in a panel leads: another dashboard at the same time, its variables given."""
    chosen = "".join(f"&var-{variable}={value}" for variable, value in variables.items())
    return f"/d/{conventions.dashboard_uid(platform, name)}?${{__url_time_range}}{chosen}"


def label_values(names: Iterable[str], platform: Platform, label: str) -> str:
    """The query of a variable: every value of a label on recordings."""
    return f"label_values({selector(names, [equal('platform', platform.name)])}, {label})"


def split_variables(platform: Platform, labels: Iterable[str]) -> list[Variable]:
    """One choice per split label; series without the label are never left out by "all"."""
    found = []
    for label in labels:
        names = {conventions.budget_consumed(slo.window) for slo in platform.slos if label in slo.split_labels}
        found.append(Variable(label, label, label_values(names, platform, label)))
    return found


def _links(platform: Platform, page: DashboardPage) -> list[Json]:
    others = [
        _link(title, f"/d/{conventions.dashboard_uid(platform, name)}", keep=True)
        for name, title in TITLES.items()
        if name != page.name
    ]
    boards = platform.dashboards
    outside = [("Logs", boards.logs), ("Traces", boards.traces)]
    return others + [_link(title, url) for title, url in [*page.links, *outside] if url]


def _link(title: str, url: str, *, keep: bool = False) -> Json:
    return {
        "title": title,
        "type": "link",
        "url": url if keep else literal(url),
        "icon": "dashboard" if keep else "external link",
        "tooltip": "",
        "tags": [],
        "asDropdown": False,
        "targetBlank": not keep,
        "includeVars": keep,
        "keepTime": keep,
    }


def _annotations(platform: Platform) -> list[Json]:
    """Pages that fired, and deployments where the platform says how to see them."""
    pages = firing(platform, like("burn_tier", "p1-.*"))
    found = [_annotation("Incidents (P1)", f"max by (alertname, slo) ({pages})", "red", "{{alertname}}")]
    if platform.dashboards.deploys is not None:
        found.append(_annotation("Deployments", literal(platform.dashboards.deploys.text), "blue", "Deployment"))
    return found


def _annotation(name: str, expr: str, color: str, title: str) -> Json:
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": color,
        "expr": expr,
        "step": "60s",
        "titleFormat": title,
        "textFormat": "{{slo}}",
        "tagKeys": "slo",
        "useValueForTime": False,
    }


def _datasource() -> Json:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "hide": 0,
        "regex": "",
        "refresh": 1,
        "skipUrlSync": False,
    }


def _logs(page: DashboardPage) -> list[Json]:
    """The choice of a Loki, where a panel shows logs."""
    if not any(panel.kind == "logs" for panel in page.panels):
        return []
    return [_datasource() | {"name": LOGS_SOURCE["uid"].strip("${}"), "label": "Loki", "query": "loki"}]


def _variable(variable: Variable) -> Json:
    value: Json = {"name": variable.name, "label": variable.label, "hide": 0, "skipUrlSync": False}
    if variable.query is None:
        default = variable.default
        return value | {"type": "textbox", "query": default, "current": {"text": default, "value": default}}
    value |= {
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": variable.query, "refId": f"variable-{variable.name}"},
        "refresh": 2,
        "sort": 2 if variable.last_first else 1,
        "regex": "",
        "multi": variable.every,
        "includeAll": variable.every,
    }
    if variable.every:
        value |= {"allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}}
    return value


def _used_constants(value: Json) -> list[Json]:
    """Hidden constants for the signs that would begin a variable inside a specification's own words."""
    text = repr(value)
    fixed = {"type": "constant", "hide": 2, "skipUrlSync": True}
    return [
        fixed | {"name": name.strip("${}"), "query": sign, "current": {"text": sign, "value": sign}}
        for name, sign in ((DOLLAR, "$"), (BRACKET, "["))
        if name in text
    ]
