"""Kubernetes objects go where a Platform says, are found by what it names, and can be applied as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sloctl.cli import main
from tests.backends.alertmanager.catalogues import ONE
from tests.node import node_packages, run_node

PLACED = """kubernetes:
  namespace: monitoring
  labels: {release: kube-prometheus-stack}
  annotations: {example.com/owner: web}
  dashboards:
    labels: {grafana_dashboard: "1", team: web}
    annotations: {example.com/owner: web}
    folder_annotation: grafana_folder
    instances: {dashboards: main}
"""
VALIDATE = """
import { readFileSync } from 'fs';
import { GrafanaDashboard } from '@kubernetes-models/grafana-operator/grafana.integreatly.org/v1beta1/GrafanaDashboard';
for (const object of JSON.parse(readFileSync(0))) {
  try { new GrafanaDashboard(object).validate(); console.log('ok'); }
  catch (error) { console.log(error.message.split('\\n')[0]); }
}
"""


def written(spec: str, folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    (folder / "spec.yaml").write_text(spec)
    assert main(["generate", str(folder / "spec.yaml"), "--root", str(folder), "-o", "-", *words]) == 0
    return list(yaml.safe_load_all(capsys.readouterr().out))


def placed(more: str = PLACED) -> str:
    return ONE.replace("team: web\nteams:", f"{more}team: web\nteams:", 1)


def test_only_kubernetes_prints_objects_that_can_be_applied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    objects = written(placed(), tmp_path, capsys, "--only", "kubernetes")
    assert {each["kind"] for each in objects} == {"PrometheusRule", "ConfigMap"}
    assert all(each["metadata"]["namespace"] == "monitoring" for each in objects)
    rules = [each["metadata"] for each in objects if each["kind"] == "PrometheusRule"]
    assert all(each["labels"]["release"] == "kube-prometheus-stack" for each in rules)
    assert all(each["annotations"] == {"example.com/owner": "web"} for each in rules)
    maps = [each["metadata"] for each in objects if each["kind"] == "ConfigMap"]
    assert all(each["labels"] == {"grafana_dashboard": "1", "team": "web"} for each in maps)
    assert all(each["annotations"] == {"grafana_folder": "shop", "example.com/owner": "web"} for each in maps)


def test_without_a_word_of_it_nothing_is_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for each in written(ONE, tmp_path, capsys, "--only", "kubernetes"):
        assert "namespace" not in each["metadata"]
        assert "annotations" not in each["metadata"]


def test_a_service_with_many_slos_becomes_objects_below_the_limit_of_apply(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [head, slo] = ONE.split("  - name: ok\n")
    many = head + "".join(f"  - name: ok-{number}\n{slo}" for number in range(60))
    objects = [each for each in written(many, tmp_path, capsys, "--only", "kubernetes") if each["kind"] != "ConfigMap"]
    sizes = [len(yaml.safe_dump(each).encode()) for each in objects]
    assert len(sizes) > 3
    assert max(sizes) < 262_144
    assert len({each["metadata"]["name"] for each in objects}) == len(objects)
    groups = [group["name"] for each in objects for group in each["spec"]["groups"]]
    assert len(groups) == len(set(groups))


@pytest.mark.server
def test_grafanas_operator_accepts_its_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node_packages("@kubernetes-models/grafana-operator@3")
    objects = written(placed(), tmp_path, capsys, "--only", "grafana-operator")
    assert all(each["spec"]["instanceSelector"] == {"matchLabels": {"dashboards": "main"}} for each in objects)
    assert run_node(VALIDATE, objects).splitlines() == ["ok"] * len(objects)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('kubernetes: {labels: {"a b": c}}\n', "is not a label's name"),
        ("kubernetes: {labels: {a: 1}}\n", 'put it in quotes: "1"'),
        ("kubernetes: {namespace: Monitoring}\n", "is not a name"),
        ("kubernetes: {names: x}\n", "unknown key `names`"),
    ],
)
def test_what_kubernetes_would_refuse_is_refused_here(
    line: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spec.yaml").write_text(placed(line))
    assert main(["validate", str(tmp_path / "spec.yaml"), "--root", str(tmp_path)]) == 1
    assert said in capsys.readouterr().err
