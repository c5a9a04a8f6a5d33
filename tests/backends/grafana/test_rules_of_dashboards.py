"""Closure and layout of dashboards, and the rules of Grafana's dashboard-linter that make sense here.

Left out, with reasons: `template-job`, `template-instance`, `target-job` and `target-instance`, because recordings
aggregate those labels away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import pytest

from tests.backends.grafana.conftest import Dashboards

Json = Mapping[str, Any]
REFERENCE = re.compile(r"\$(?:\{(\w+)[^}]*\}|(\w+))")
BUILT_IN = re.compile(r"__\w+|\d+")
COUNTER = re.compile(r"\b\w+(?:_total|_count|_sum|_bucket)\b(?=[{\[])")
DRAWN = {"stat", "timeseries", "table", "bargauge", "state-timeline", "logs"}


def drawn(dashboard: Json) -> list[Json]:
    return [panel for panel in dashboard["panels"] if panel["type"] in DRAWN]


def queries(dashboard: Json) -> Iterator[tuple[str, str]]:
    for panel in drawn(dashboard):
        yield from ((panel["title"], target["expr"]) for target in panel["targets"])


def strings(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key != "mappings":  # shown as they are: Grafana fills no variables in there
                yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def findings(dashboards: Dashboards, rule: Any) -> list[str]:
    return [f"{path}: {text}" for path, dashboard in dashboards.items() for text in rule(dashboard)]


def referenced(dashboard: Json) -> set[str]:
    names = {found[1] or found[2] for text in strings(dashboard) for found in REFERENCE.finditer(text)}
    return {name for name in names if not BUILT_IN.fullmatch(name)}


def test_there_are_seven_dashboards_a_platform(dashboards: Dashboards) -> None:
    names = ["canary", "capacity", "detail", "overview", "scorecard", "tenant", "user-experience"]
    platforms = ["ecommerce", "finflow", "gps-logistics", "retailflow", "routemesh"]
    assert sorted(dashboards) == [f"dashboards/{platform}/{name}.json" for platform in platforms for name in names]


def test_uids_are_unique_and_short_and_carry_the_tag(dashboards: Dashboards) -> None:
    uids = [dashboard["uid"] for dashboard in dashboards.values()]
    assert len(set(uids)) == len(uids)
    assert max(map(len, uids)) <= 40
    assert all(
        "slo" in dashboard["tags"] and not dashboard["editable"] and dashboard["schemaVersion"] <= 41
        for dashboard in dashboards.values()
    )


def test_every_link_leads_to_a_dashboard_that_exists(dashboards: Dashboards) -> None:
    uids = {dashboard["uid"]: dashboard for dashboard in dashboards.values()}
    found = [
        target
        for dashboard in dashboards.values()
        for text in strings(dashboard)
        for target in re.findall(r"/d/([\w-]+)", text)
    ]
    assert len(found) > 35 * 6
    assert set(found) <= set(uids)


def test_a_link_passes_only_variables_that_its_target_has(dashboards: Dashboards) -> None:
    uids = {dashboard["uid"]: dashboard for dashboard in dashboards.values()}
    for dashboard in dashboards.values():
        for text in strings(dashboard):
            for uid, rest in re.findall(r"/d/([\w-]+)\?(\S*)", text):
                known = {variable["name"] for variable in uids[uid]["templating"]["list"]}
                assert set(re.findall(r"var-(\w+)=", rest)) <= known, text


def test_dashboards_of_a_platform_link_to_each_other_with_time_and_variables(dashboards: Dashboards) -> None:
    for path, dashboard in dashboards.items():
        inside = [link for link in dashboard["links"] if link["url"].startswith("/d/") and link["keepTime"]]
        assert len(inside) == 6, path
        assert all(link["includeVars"] for link in inside)


def test_every_variable_used_is_defined_and_every_one_defined_is_used(dashboards: Dashboards) -> None:
    for path, dashboard in dashboards.items():
        defined = {variable["name"] for variable in dashboard["templating"]["list"]}
        assert referenced(dashboard) == defined, path


def test_panel_ids_are_unique_and_panels_do_not_overlap(dashboards: Dashboards) -> None:
    def rule(dashboard: Json) -> Iterator[str]:
        ids = [panel["id"] for panel in dashboard["panels"]]
        if len(set(ids)) != len(ids):
            yield "an id is used twice"
        for combination, other in combinations(dashboard["panels"], 2):
            a, b = combination["gridPos"], other["gridPos"]
            if (
                a["x"] < b["x"] + b["w"]
                and b["x"] < a["x"] + a["w"]
                and a["y"] < b["y"] + b["h"]
                and b["y"] < a["y"] + a["h"]
            ):
                yield f"{combination['title']} and {other['title']} overlap"
        yield from (
            f"{panel['title']} is too wide"
            for panel in dashboard["panels"]
            if panel["gridPos"]["x"] + panel["gridPos"]["w"] > 24
        )

    assert findings(dashboards, rule) == []


def test_panels_have_a_title_a_description_and_a_unit(dashboards: Dashboards) -> None:
    def rule(dashboard: Json) -> Iterator[str]:
        for panel in drawn(dashboard):
            words = [panel["title"], panel["description"], panel["fieldConfig"]["defaults"]["unit"]]
            if not all(words):
                yield f"{panel['title']} lacks one of {words}"

    assert findings(dashboards, rule) == []


def test_panels_and_targets_read_the_data_source_that_is_chosen(dashboards: Dashboards) -> None:
    def rule(dashboard: Json) -> Iterator[str]:
        sources = {
            variable["name"]: variable["query"]
            for variable in dashboard["templating"]["list"]
            if variable["type"] == "datasource"
        }
        for panel in drawn(dashboard):
            for place in (panel, *panel["targets"]):
                source = place["datasource"]
                if sources.get(source["uid"].strip("${}")) != source["type"]:
                    yield f"{panel['title']}: {source}"

    assert findings(dashboards, rule) == []


def test_query_variables_are_refreshed_when_the_time_changes(dashboards: Dashboards) -> None:
    variables = [variable for dashboard in dashboards.values() for variable in dashboard["templating"]["list"]]
    asked = [variable for variable in variables if variable["type"] == "query"]
    assert asked
    assert all(answer["refresh"] == 2 for answer in asked)


def test_counters_are_rates_over_the_interval_that_fits(dashboards: Dashboards) -> None:
    """Recordings and CloudWatch's own counts (`_sum` of five minutes) are gauges."""

    def rule(dashboard: Json) -> Iterator[str]:
        for title, expr in queries(dashboard):
            for found in COUNTER.finditer(expr):
                before, after = expr[: found.start()], expr[found.start() :]
                if found[0].startswith("aws_"):
                    continue
                if not before.endswith(("rate(", "increase(")):
                    yield f"{title}: {found[0]} is no rate"
                if "[$__rate_interval]" not in after.partition(")")[0]:
                    yield f"{title}: {found[0]} has a range of its own"

    assert findings(dashboards, rule) == []


def test_expressions_are_promql(dashboards: Dashboards) -> None:
    import promql_parser

    stand_ins = {"$__rate_interval": "1m", "$__range_s": "3600", "$__range": "1h", "$__to": "1", "$__from": "0"}
    asked = 0
    for dashboard in dashboards.values():
        for panel in drawn(dashboard):
            for target in panel["targets"] if panel["type"] != "logs" else ():
                expr = target["expr"]
                for name, value in stand_ins.items():
                    expr = expr.replace(name, value)
                promql_parser.parse(expr)
                asked += 1
    assert asked > 400


@pytest.mark.parametrize("rule", ["unit", "description"])
def test_the_rules_notice_what_is_missing(dashboards: Dashboards, rule: str) -> None:
    broken = json.loads(json.dumps(next(iter(dashboards.values()))))
    panel = drawn(broken)[0]
    if rule == "unit":
        panel["fieldConfig"]["defaults"]["unit"] = ""
    else:
        panel["description"] = ""
    with pytest.raises(AssertionError):
        test_panels_have_a_title_a_description_and_a_unit({"x": broken})
