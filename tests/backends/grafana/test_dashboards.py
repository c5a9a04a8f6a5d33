"""What dashboards say: thresholds from the model, words literally, the same bytes whatever the order."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from sloctl.backends.grafana.backend import GrafanaBackend
from sloctl.backends.grafana.texts import literal, markdown
from sloctl.compiler import compile_specs
from sloctl.rendering import render
from testing.servers import ROOT
from tests.backends.grafana.conftest import catalogue_of, dashboards_of

SPEC = """
apiVersion: sloctl/v1
kind: Platform
name: shop
description: %s
team: web
dashboards: {logs: 'https://grafana.example/explore'}
---
apiVersion: sloctl/v1
kind: Service
service: api
runbook: https://runbooks.example/$service/$slo
cost: sum(cost_usd{zone=~"a|b$slo"})
slos:
  - name: availability
    description: %s
    objective: 99.9%%
    sli: {ratio: {total: 'requests_total{path=~"^/x$", q="[[slo]] $slo \\"\\\\"}', bad_if: 'code=~"5.."'}}
    alerts: [{severity: P1, burn: 14.4, over: 1h, also_over: 5m}, {severity: P3, budget_left: 25%%}]
  - name: reads
    objective: 99%%
    sli: {ratio: {total: reads_total, bad_if: 'code=~"5.."'}}
    alerts: [{severity: P2, error_rate: 2%%, over: 30m}]
"""
NASTY = """<script>alert("x")</script> $slo ${slo} [[slo]] \\\\ 'q' & `code` **bold** {{x}}""".replace("{{x}}", "{x}")


def compiled(folder: Path, text: str = "A shop.") -> dict[str, Any]:
    quoted = "'" + text.replace("'", "''") + "'"
    (folder / "spec.yaml").write_text(SPEC % (quoted, quoted))
    return dashboards_of(catalogue_of(str(folder / "spec.yaml")))


def panel(dashboard: dict[str, Any], title: str) -> dict[str, Any]:
    return next(panel for panel in dashboard["panels"] if panel["title"] == title)


def test_the_alerts_own_thresholds_are_lines(tmp_path: Path) -> None:
    detail = compiled(tmp_path)["dashboards/shop/detail.json"]
    lines = {target["legendFormat"]: target["expr"] for target in panel(detail, "Burn rate by window")["targets"]}
    gate = '0 * max(slo:objective:info{platform="shop", slo="$slo", slo=~"%s"})'
    assert lines["P1 above 14.4x over 1h and 5m"] == f"14.4 + {gate % 'api-availability'}"
    assert lines["P2 above 2x over 30m"] == f"2 + {gate % 'api-reads'}"
    left = {target["legendFormat"]: target["expr"] for target in panel(detail, "Budget burn-down")["targets"]}
    assert left["P3 below 25 % left"] == f"0.25 + {gate % 'api-availability'}"


def test_the_runbook_and_the_promise_of_the_chosen_slo_are_shown(tmp_path: Path) -> None:
    detail = compiled(tmp_path)["dashboards/shop/detail.json"]
    overrides = panel(detail, "Promise")["fieldConfig"]["overrides"]
    words = {
        override["matcher"]["options"]: {
            key: found["text"]
            for prop in override["properties"]
            if prop["id"] == "mappings"
            for mapping in prop["value"]
            for key, found in mapping["options"].items()
        }
        for override in overrides
    }
    assert words["Promise"] == {"api-availability": "A shop."}
    assert words["Runbook"] == {
        "api-availability": "https://runbooks.example/api/api-availability",
        "api-reads": "https://runbooks.example/api/api-reads",
    }
    assert words["Specification"] == {"api-availability": "spec.yaml", "api-reads": "spec.yaml"}


def test_words_of_a_specification_never_become_variables_or_markup(tmp_path: Path) -> None:
    dashboards = compiled(tmp_path, NASTY)
    overview = dashboards["dashboards/shop/overview.json"]
    constants = {
        variable["name"]: variable["query"]
        for variable in overview["templating"]["list"]
        if variable["type"] == "constant"
    }
    assert constants == {"dollar": "$", "bracket": "["}
    shown = overview["description"]
    for name, sign in constants.items():
        shown = shown.replace(f"${{{name}}}", sign)
    assert shown == NASTY
    assert "$slo" not in overview["description"]
    canary = dashboards["dashboards/shop/canary.json"]
    exprs = [target["expr"] for panel in canary["panels"] for target in panel.get("targets", ())]
    assert any('path=~"^/x$"' in expr and "${bracket}[slo]] ${dollar}slo" in expr for expr in exprs)
    assert not any('"$slo' in expr or " $slo" in expr for expr in exprs)


@pytest.mark.parametrize(
    ("text", "shown"), [("a $b", "a ${dollar}b"), ("${b}", "${dollar}{b}"), ("$ 5", "$ 5"), ("[[x]]", "${bracket}[x]]")]
)
def test_a_sign_that_begins_a_variable_is_escaped(text: str, shown: str) -> None:
    assert literal(text) == shown


def test_markdown_and_html_are_shown_as_they_are() -> None:
    assert markdown("<b>*x*</b> `y`") == r"&lt;b&gt;\*x\*&lt;/b&gt; \`y\`"


def test_shuffled_specifications_give_the_same_bytes(tmp_path: Path) -> None:
    files = [str(file) for file in sorted((ROOT / "slo-specs").rglob("*.yaml"))]
    rendered = []
    for seed in (None, 1, 2):
        order = list(files)
        if seed is not None:
            random.Random(seed).shuffle(order)
        compilation = compile_specs(order, [GrafanaBackend()])
        rendered.append({file.path: file.content for file in compilation.files})
    assert rendered[0] == rendered[1] == rendered[2]
    assert len(rendered[0]) == 35


def test_no_dashboard_of_a_thousand_slos_is_over_a_mebibyte() -> None:
    catalogue = catalogue_of(str(ROOT / "slo-specs"))
    platform = next(platform for platform in catalogue.platforms if platform.name == "routemesh")
    service = next(service for service in platform.services if service.name == "tracking-api")
    slos = tuple(replace(service.slos[0], name=f"promise-{number}") for number in range(1000))
    large = replace(catalogue, platforms=(replace(platform, services=(replace(service, slos=slos),)),))
    sizes = {artifact.path: len(render(artifact)) for artifact in GrafanaBackend().compile(large)}
    assert max(sizes.values()) < 1024 * 1024, sizes


def test_a_platform_without_slos_has_no_dashboards(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("apiVersion: sloctl/v1\nkind: Platform\nname: shop\n")
    assert list(GrafanaBackend().compile(catalogue_of(str(tmp_path / "spec.yaml")))) == []


def test_json_has_sorted_keys(tmp_path: Path) -> None:
    catalogue = catalogue_of(str(ROOT / "slo-specs"))
    for artifact in GrafanaBackend().compile(catalogue):
        text = render(artifact)
        assert orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2) + b"\n" == text
