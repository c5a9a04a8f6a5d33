"""Names that other tools allow, and the `id` by which series are known when a name changes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sloctl.backends.table import BACKENDS
from sloctl.compiler import compile_specs, load
from sloctl.diagnostics import Diagnostics
from sloctl.explain.diff import compared
from sloctl.model.catalogue import Catalogue
from sloctl.proof.series import series_text
from tests.backends.prometheus.conftest import RuleTest, write_rules

SPEC = """
apiVersion: sloctl/v1
kind: Platform
name: default
dashboards: {{base_url: https://grafana.example.com}}
runbook: https://runbooks.example.com/$slo
---
apiVersion: sloctl/v1
kind: Service
service: {service}
slos:
  - name: {name}
    {more}
    objective: 99.9%
    sli: {{ratio: {{total: 'requests_total{{job="api"}}', bad_if: 'code="500"'}}}}
    alerts: [{{severity: P1, burn: 2, over: 5m}}]
"""
OTHERS = ["Production_GRPC_edit_items", "xyz-latency-10ms-99.99%", "a.b", "9"]


def spec(name: str, more: str = "", service: str = "api") -> str:
    return SPEC.format(name=json.dumps(name), more=more, service=service)


def catalogue(folder: Path, text: str) -> Catalogue:
    folder.mkdir(exist_ok=True)
    (folder / "spec.yaml").write_text(text)
    found = Diagnostics()
    loaded = load([str(folder / "spec.yaml")], found)
    assert found.errors == []
    return loaded


@pytest.mark.server
@pytest.mark.parametrize(("name", "by"), [(name, by) for name in OTHERS for by in ("", "by: [tenant]")])
def test_an_slo_keeps_the_name_that_it_had_elsewhere(rule_test: RuleTest, name: str, by: str) -> None:
    """Its texts ask for its own budget, its links lead to it, and its alert is called by its letters and digits."""
    tenant = {"tenant": "x"} if by else {}
    target = {"job": "api", "instance": "a", **tenant}
    alert = f"Api{''.join(part[:1].upper() + part[1:] for part in re.split('[^A-Za-z0-9]', name))}BudgetBurnP1Over5m"
    quoted = name.replace("%", "%25")
    whom = " for tenant x" if by else ""
    more = f"&var-tenant={tenant['tenant']}" if by else ""
    own = {"platform": "default", "service": "api", "slo": f"api-{name}", **tenant}
    spent = (
        "api promises 99.9% over 30d. A few minutes ago 40% of the error budget was spent; at the rate of the last 5m "
        f"the rest is gone in 51m 50s. Only {20 if by else 21}m 0s of 30d are measured, and what is not counts as "
        "clean. Users are affected now, so follow the runbook and open an incident. "
        f"`sloctl why api-{name}` says where it burns."
    )
    rule_test(
        spec(name, by),
        {
            series_text("up", target): "1x60",
            series_text("requests_total", {**target, "code": "200"}): "0+500x60",
            series_text("requests_total", {**target, "code": "500"}): "0+500x60",
            series_text("slo:error_budget_consumed:ratio_increase30d", own): "0.4x60",
        },
        alerts=[
            (
                "20m",
                alert,
                [
                    {
                        "exp_labels": {**own, "severity": "P1", "burn_tier": "p1-5m", "sloctl": "v1"},
                        "exp_annotations": {
                            "summary": f"api-{name}{whom}: 50% of events are bad over 5m, above 2x the error budget",
                            "description": spent,
                            "runbook_url": f"https://runbooks.example.com/api-{quoted}",
                            "dashboard_url": "https://grafana.example.com/d/slo-default-detail"
                            f"?var-slo=api-{quoted}{more}",
                        },
                    }
                ],
            )
        ],
        only="-fast",
    )


def test_dashboards_ask_for_exactly_the_names_that_are_meant(tmp_path: Path) -> None:
    text = "".join([spec("a.b"), "  - name: axb\n    objective: 99%\n    sli: a.b\n    alerts: none\n"])
    (tmp_path / "spec.yaml").write_text(text)
    compiled = compile_specs([str(tmp_path / "spec.yaml")], [BACKENDS["grafana"]])
    assert compiled.found.errors == []
    patterns = {
        json.loads(f'"{found}"').replace("\\\\", "\\")
        for file in compiled.files
        for found in re.findall(r'slo=~\\"((?:[^"\\]|\\\\)*)\\"', file.content.decode())
    }
    assert patterns
    assert not [pattern for pattern in patterns if re.fullmatch(pattern, "api-axb") and "axb" not in pattern]


def test_an_id_goes_on_when_the_name_changes(tmp_path: Path) -> None:
    before = write_rules(spec("ok"), tmp_path).read_text()
    after = write_rules(spec("available", "id: api-ok"), tmp_path).read_text()
    assert after.replace("ApiAvailable", "ApiOk") == before


def test_a_name_that_changes_is_told_as_that_and_not_as_a_new_slo(tmp_path: Path) -> None:
    old, new = catalogue(tmp_path / "a", spec("ok")), catalogue(tmp_path / "b", spec("available", "id: api-ok"))
    (changes,) = compared(old, new)
    assert (changes.path, changes.sentences) == (
        "default/api/available",
        [
            "name: ok → available",
            "its alerts are called `ApiOk...` → `ApiAvailable...`: silences by `alertname` no longer hold",
        ],
    )


def test_history_is_lost_by_labels_that_come_and_not_by_those_that_go(tmp_path: Path) -> None:
    plain, gold = catalogue(tmp_path / "a", spec("ok")), catalogue(tmp_path / "b", spec("ok", "labels: {tier: gold}"))
    lost = "**its series lose their history**: labels or `by` change, so budget and averages begin anew"
    assert [lost in changes.sentences for changes in compared(plain, gold)] == [True]
    assert [lost in changes.sentences for changes in compared(gold, plain)] == [False]


def test_two_slos_with_one_id_are_refused(tmp_path: Path) -> None:
    text = "".join([spec("ok"), "  - name: two\n    id: api-ok\n    objective: 99%\n    sli: ok\n"])
    (tmp_path / "spec.yaml").write_text(text)
    found = Diagnostics()
    load([str(tmp_path / "spec.yaml")], found)
    assert [error.message for error in found.errors] == ["two SLOs have the id `api-ok`"]


@pytest.mark.server
@pytest.mark.parametrize(
    ("before", "now", "goes_on"),
    [
        ({}, "labels: {tier: gold}", False),
        ({"tier": "silver"}, "labels: {tier: gold}", False),
        ({"tier": "silver"}, "", True),
        ({"service": "elsewhere"}, "id: api-ok", False),
        ({"tenant": "x"}, "", True),
        ({}, "by: [tenant]", False),
    ],
    ids=["added", "changed", "removed", "moved", "no longer split", "split"],
)
def test_rules_go_on_when_labels_change(rule_test: RuleTest, before: dict[str, str], now: str, goes_on: bool) -> None:
    """Recordings with the labels of before lie in all windows; those of a label that is gone are counted on."""
    own = {"platform": "default", "service": "api", "slo": "api-ok", **before}
    old = {
        series_text(f"slo:sli_{kind}:increase{length}", own): f"{value}x{count} stale"
        for kind, value in (("total", 100), ("errors", 10))
        for length, count in (("1m", 60), ("4m", 60))
    }
    target = {"job": "api", "instance": "a", "tenant": "x"}
    new = {
        series_text("up", target): "1x200",
        series_text("requests_total", {**target, "code": "200"}): "_x65 100+100x120",
    }
    tenant = '{tenant="x"}' if "by" in now else "{}"
    rule_test(
        spec("ok", now),
        old | new,
        values=[
            (
                "100m",
                "count by (tenant) (slo:error_budget_consumed:ratio_increase30d)",
                [{"labels": tenant, "value": 1}],
            ),
            (
                "100m",
                "sum(slo:error_budget_consumed:ratio_increase30d) > bool 0",
                [{"labels": "{}", "value": int(goes_on)}],
            ),
            ("100m", "count(slo:measured_since:timestamp_seconds)", [{"labels": "{}", "value": 1}]),
        ],
        interval="1m",
    )
