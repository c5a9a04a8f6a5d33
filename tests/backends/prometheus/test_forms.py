"""The forms for the Prometheus operator and for Mimir hold the same rules, in the shape that their owners publish."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sloctl.backends.table import BACKENDS, FORMS
from sloctl.compiler import compile_specs
from testing.servers import ROOT
from tests.node import node_packages, run_node

VALIDATE = """
import { readFileSync } from 'fs';
import { PrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule';
const objects = JSON.parse(readFileSync(0));
for (const object of objects) {
  try { new PrometheusRule(object).validate(); console.log('ok'); }
  catch (error) { console.log(error.message.split('\\n')[0]); }
}
"""


def emitted(form: str) -> dict[str, Any]:
    [backend] = [each for each in FORMS[form] if each.name == "prometheus"]
    compilation = compile_specs([str(ROOT / "slo-specs")], [backend])
    return {file.path: yaml.safe_load(file.content) for file in compilation.files}


def plain_groups() -> list[dict[str, Any]]:
    compilation = compile_specs([str(ROOT / "slo-specs")], [BACKENDS["prometheus"]])
    return [group for file in compilation.files for group in yaml.safe_load(file.content)["groups"]]


def names(groups: list[dict[str, Any]]) -> list[str]:
    return sorted(group["name"] for group in groups)


@pytest.mark.server
def test_the_operators_schema_accepts_every_object_and_refuses_a_broken_one() -> None:
    node_packages("@kubernetes-models/prometheus-operator@6")
    objects = list(emitted("kubernetes").values())
    broken = {**objects[0], "spec": {"groups": [{"rules": []}]}}  # a group without a name
    *said, refused = run_node(VALIDATE, [*objects, broken]).splitlines()
    assert said == ["ok"] * len(objects)
    assert refused != "ok"


def test_an_object_has_a_name_of_its_own_and_the_rules_of_its_service() -> None:
    objects = emitted("kubernetes")
    assert len({resource["metadata"]["name"] for resource in objects.values()}) == len(objects)
    groups = [group for resource in objects.values() for group in resource["spec"]["groups"]]
    assert names(groups) == names(plain_groups())


def test_mimirs_files_have_a_namespace_of_their_own_and_the_same_rules() -> None:
    files = emitted("mimir")
    assert len({file["namespace"] for file in files.values()}) == len(files)
    assert names([group for file in files.values() for group in file["groups"]]) == names(plain_groups())
    assert Path("rules/mimir/finflow/_sloctl.yaml").as_posix() in files
