"""ConfigMaps for the sidecar of Grafana's Helm chart."""

from __future__ import annotations

import json
import re

import yaml

from sloctl.backends.grafana.kubernetes import LIMIT, KubernetesDashboards
from sloctl.model.catalogue import Catalogue
from sloctl.rendering import render
from tests.backends.grafana.conftest import Dashboards

NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def test_each_dashboard_is_a_config_map_that_the_sidecar_finds(catalogue: Catalogue, dashboards: Dashboards) -> None:
    artifacts = list(KubernetesDashboards().compile(catalogue))
    assert len(artifacts) == len(dashboards) == 35
    for artifact, dashboard in zip(artifacts, dashboards.values(), strict=True):
        manifest = yaml.safe_load(render(artifact))
        assert (manifest["apiVersion"], manifest["kind"]) == ("v1", "ConfigMap")
        assert manifest["metadata"]["labels"] == {"grafana_dashboard": "1"}
        assert NAME.fullmatch(manifest["metadata"]["name"])
        (name, text), *rest = manifest["data"].items()
        assert rest == []
        assert name == f"{dashboard['uid']}.json"
        assert json.loads(text) == dashboard
        assert len(text.encode()) < LIMIT


def test_names_are_unique_in_a_namespace(catalogue: Catalogue) -> None:
    names = [artifact.value["metadata"]["name"] for artifact in KubernetesDashboards().compile(catalogue)]  # type: ignore[index]
    assert len(set(names)) == len(names)
