"""Argo's own schema takes every object; each service with a canary has its files."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from sloctl.backends.argo.backend import ArgoBackend
from sloctl.compiler import load
from sloctl.diagnostics import Diagnostics
from testing.servers import ROOT
from tests.node import node_packages, run_node

VALIDATE = """
import { readFileSync } from 'fs';
import { AnalysisTemplate } from '@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1/AnalysisTemplate';
import { Rollout } from '@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1/Rollout';
const kinds = { AnalysisTemplate, Rollout };
for (const object of JSON.parse(readFileSync(0))) {
  try { new kinds[object.kind](object).validate(); console.log('ok'); }
  catch (error) { console.log(error.message.split('\\n')[0]); }
}
"""


def validated(objects: list[Any]) -> list[str]:
    node_packages("@kubernetes-models/argo-rollouts@2")
    return run_node(VALIDATE, objects).splitlines()


@pytest.mark.server
def test_argo_s_schema_accepts_every_object_and_refuses_broken_ones(
    files: dict[str, Any], templates: dict[str, Any]
) -> None:
    objects = [*templates.values(), *(value for value in files.values() if value["kind"] == "Rollout")]
    without_provider, wrong_weight = copy.deepcopy(objects[0]), copy.deepcopy(objects[-1])
    del without_provider["spec"]["metrics"][0]["provider"]
    wrong_weight["spec"]["strategy"]["canary"]["steps"][0]["setWeight"] = "five"
    *said, first, second = validated([*objects, without_provider, wrong_weight])
    assert said == ["ok"] * len(objects)
    assert "provider" in first
    assert "setWeight" in second


def test_each_service_with_a_canary_has_its_two_files(files: dict[str, Any]) -> None:
    found = Diagnostics()
    catalogue = load([str(ROOT / "slo-specs")], found)
    wanted = {
        f"rules/argo/{platform.name}/{service.name}-{what}.yaml"
        for platform in catalogue.platforms
        for service in platform.services
        if service.canary is not None
        for what in ("canary", "rollout")
    }
    assert len(wanted) >= 10
    assert set(files) == wanted


def test_the_steps_name_templates_that_are_there(files: dict[str, Any], templates: dict[str, Any]) -> None:
    for value in files.values():
        if value["kind"] != "Rollout":
            continue
        canary = value["spec"]["strategy"]["canary"]
        analyses = [canary["analysis"], *(step["analysis"] for step in canary["steps"] if "analysis" in step)]
        for analysis in analyses:
            [used] = analysis["templates"]
            given = {argument["name"] for argument in analysis["args"]}
            declared = templates[used["templateName"]]["spec"]["args"]
            assert {
                argument["name"] for argument in declared if "value" not in argument and "valueFrom" not in argument
            } == given


def test_the_token_comes_from_a_secret_only(templates: dict[str, Any]) -> None:
    for template in templates.values():
        metric = template["spec"]["metrics"][0]
        assert metric["provider"]["web"]["headers"] == [{"key": "Authorization", "value": "Bearer {{args.token}}"}]
        [token] = [argument for argument in template["spec"]["args"] if argument["name"] == "token"]
        assert token["valueFrom"] == {"secretKeyRef": {"name": "sloctl-canary", "key": "token"}}


def test_versions_that_are_no_pods_come_from_annotations(files: dict[str, Any]) -> None:
    pods = files["rules/argo/routemesh/tracking-api-rollout.yaml"]["spec"]["strategy"]["canary"]["analysis"]["args"]
    functions = files["rules/argo/retailflow/checkout-rollout.yaml"]["spec"]["strategy"]["canary"]["analysis"]["args"]
    assert pods[0] == {"name": "canary", "valueFrom": {"podTemplateHashValue": "Latest"}}
    assert functions[0]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.annotations['sloctl.dev/canary']"}}


def test_weights_that_are_no_whole_percent_need_a_larger_scale(tmp_path: object) -> None:
    from pathlib import Path

    spec = """\
apiVersion: sloctl/v1
kind: Service
service: pay
slos:
  - {name: a, objective: 99%, sli: {ratio: {total: requests_total, bad_if: 'code="500"'}}, alerts: none}
canary:
  steps: [{weight: 0.5%, hold: 5m}, {weight: 20%, hold: 5m}, {weight: 100%}]
  checks: [{name: errors, slo: a, error_rate: 0.5%}]
"""
    file = Path(str(tmp_path)) / "pay.yaml"
    file.write_text(spec, encoding="utf-8")
    found = Diagnostics()
    catalogue = load([str(file)], found, root=file.parent)
    assert not found.errors
    _, rollout = ArgoBackend().compile(catalogue)
    canary = rollout.value["spec"]["strategy"]["canary"]  # type: ignore[index]
    assert canary["trafficRouting"] == {"maxTrafficWeight": 1000}
    assert [step["setWeight"] for step in canary["steps"] if "setWeight" in step] == [5, 200]
