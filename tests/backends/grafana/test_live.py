"""Every expression of every dashboard, answered by a Prometheus in which the generated rules have run.

An expression that parses may still ask for a metric that nobody writes; so each must return a series, and all that
count errors, spend or cost must return more than zero, because the exporter made some of each happen.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import pytest

from examples.pictures.world import World, world
from sloctl.backends.grafana.preview.evaluate import interpolated, label_values, moment_of
from sloctl.prometheus import PrometheusClient
from tests.backends.grafana.conftest import dashboards_of
from tests.conftest import program

EMPTY = {
    "Firing alerts": "no alert fires on a platform whose SLOs are all kept",
    "Alerts": "the same for one SLO over time",
    "Alerts by team and severity": "nobody was paged on such a platform",
    "Pages": "the same, as a number",
}
"""Panels that are rightly empty on some platforms, with the reason; on at least one platform each returns series."""
ZERO = {
    "Young": "a month of history is loaded",
    "No data": "every metric of the exporter exists",
    "Quiet": "every metric of the exporter has traffic",
    "Fine": "a platform may have none",
    "State": "all is well",
    "At risk": "a platform may have none",
    "Exhausted": "a platform may have none",
    "Objectives missed": "a platform may have none",
    "Firing alerts": "a platform may have none",
    "Pages": "a platform may have none",
    "even spending": "at the end of the time shown, where it is asked, nothing is to be left",
    "When robots failed": "all may be well at the moment asked",
    "Credits at risk": "a contract may be kept",
    "Credits by contract": "a contract may be kept",
    "Where bad events come from": "the chosen SLO may have none",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One expression with what it returned, over every value of the dashboard's single choices."""

    dashboard: str
    panel: str
    legend: str
    series: int
    not_zero: int
    expr: str

    def __str__(self) -> str:
        return f"{self.dashboard}, {self.panel!r}, {self.legend!r}: {self.series} series\n{self.expr}"


def ask_all(live: World, client: PrometheusClient, now: float) -> Iterator[Asked]:
    for path, dashboard in dashboards_of(live.catalogue).items():
        for panel in dashboard["panels"]:
            for target in panel.get("targets", ()):
                if panel["type"] != "logs":
                    yield ask(path, dashboard, panel, target, client, now)


def ask(path: str, dashboard, panel, target, client: PrometheusClient, now: float) -> Asked:  # type: ignore[no-untyped-def]
    series = not_zero = 0
    expr = ""
    opened = moment_of(dashboard, client, now, {variable["name"]: ".*" for variable in dashboard["templating"]["list"]})
    constants = {
        variable["name"]: variable["query"]
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "constant"
    }
    for chosen in choices(dashboard, target["expr"], client, now):
        moment = replace(opened, values={**opened.values, **constants, **chosen}, rate_interval=30)
        moment = moment.since(panel["timeFrom"]) if "timeFrom" in panel else moment
        expr = interpolated(target["expr"], moment)
        samples = client.query(expr, moment.end)
        series += len(samples)
        not_zero += sum(sample.value != 0 for sample in samples)
        if not_zero:
            break
    return Asked(path, panel["title"], target["legendFormat"], series, not_zero, expr)


def choices(dashboard, expr: str, client: PrometheusClient, now: float) -> Iterator[dict[str, str]]:  # type: ignore[no-untyped-def]
    """Every combination of the variables with one value that the expression uses."""
    single = [
        variable
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "query" and not variable["includeAll"]
    ]
    used = [variable for variable in single if f"${variable['name']}" in expr]
    moment = moment_of(dashboard, client, now, {variable["name"]: "" for variable in dashboard["templating"]["list"]})
    values = [label_values(each["query"]["query"], client, moment) for each in used]
    for combination in product(*values):
        yield {each["name"]: value for each, value in zip(used, combination, strict=True)}


@pytest.mark.server
def test_every_expression_returns_what_the_generator_caused(tmp_path: Path) -> None:
    program("prometheus")
    program("promtool")
    with world(tmp_path) as live, PrometheusClient(live.server.url) as client:
        assert [rule for rule in live.server.rules() if rule.health == "err"] == []
        asked = list(ask_all(live, client, time.time()))
    assert len(asked) > 400
    empty = [answer for answer in asked if not answer.series and answer.panel not in EMPTY]
    zero = [
        answer
        for answer in asked
        if answer.series and not answer.not_zero and not {answer.panel, answer.legend} & {*ZERO, *EMPTY}
    ]
    whole = {(answer.dashboard, answer.panel) for answer in asked if answer.not_zero}
    zero = [answer for answer in zero if answer.legend != "__auto" or (answer.dashboard, answer.panel) not in whole]
    never = sorted(panel for panel in EMPTY if not any(answer.series for answer in asked if answer.panel == panel))
    problems = [
        *map(str, empty),
        *(f"zero everywhere: {answer}" for answer in zero),
        *(f"never any series: {each}" for each in never),
    ]
    if problems:
        pytest.fail("\n\n".join(problems), pytrace=False)
