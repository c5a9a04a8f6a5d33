"""`--emit kubernetes`: one ConfigMap per dashboard, for the sidecar of Grafana's Helm chart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from sloctl.backends.grafana.backend import GrafanaBackend
from sloctl.errors import SloctlError
from sloctl.model.artifact import Artifact
from sloctl.model.catalogue import Catalogue

LIMIT: Final = 1_048_576
"""Bytes of data that Kubernetes accepts in a ConfigMap."""


class KubernetesDashboards:
    """ConfigMaps with the label `grafana_dashboard`, which the sidecar looks for."""

    name: Final = "grafana"
    folders: Final = ("rules/kubernetes/grafana",)

    def compile(self, catalogue: Catalogue) -> Iterator[Artifact]:
        """One artifact per dashboard.

        Raises:
            SloctlError: a dashboard is larger than a ConfigMap may be.
        """
        for dashboard in GrafanaBackend().compile(catalogue):
            assert isinstance(dashboard.value, Mapping)
            yield _config_map(dashboard, dashboard.value)


def _config_map(dashboard: Artifact, value: Mapping[str, Any]) -> Artifact:
    path = PurePosixPath(dashboard.path)
    platform, uid = path.parent.name, str(value["uid"])
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    if (size := len(text.encode())) > LIMIT:
        raise SloctlError(f"{dashboard.path} has {size} bytes; a ConfigMap holds at most {LIMIT}: split the platform")
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": uid, "labels": {"grafana_dashboard": "1"}},
        "data": {f"{uid}.json": text},
    }
    return Artifact(f"rules/kubernetes/grafana/{platform}/{path.stem}.yaml", manifest, dashboard.sources)
