"""One Kubernetes object a dashboard: for the sidecar of Grafana's Helm chart, or for Grafana's operator."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from sloctl.backends.grafana.backend import GrafanaBackend
from sloctl.errors import SloctlError
from sloctl.model.artifact import Artifact
from sloctl.model.catalogue import Catalogue, Platform

LIMIT: Final = 1_048_576
"""Bytes of data that Kubernetes accepts in an object."""
_FOUND_BY: Final = {"grafana_dashboard": "1"}
_INSTANCES: Final = {"dashboards": "grafana"}


class KubernetesDashboards:
    """ConfigMaps with the label that the sidecar looks for."""

    name: Final = "grafana"
    folders: Final = ("rules/kubernetes/grafana",)

    def compile(self, catalogue: Catalogue) -> Iterator[Artifact]:
        """One artifact per dashboard.

        Raises:
            SloctlError: a dashboard is larger than a ConfigMap may be.
        """
        for dashboard, uid, text, platform in _dashboards(catalogue):
            placed = platform.kubernetes.dashboards
            folder = {placed.folder_annotation: _folder(platform)} if placed.folder_annotation else {}
            annotations = {**folder, **(placed.annotations or {})}
            yield _object(
                self.folders[0],
                dashboard,
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": platform.kubernetes.metadata(uid, placed.labels or _FOUND_BY, annotations),
                    "data": {f"{uid}.json": text},
                },
            )


class OperatorDashboards:
    """`GrafanaDashboard` objects for the operator of Grafana."""

    name: Final = "grafana"
    folders: Final = ("rules/grafana-operator",)

    def compile(self, catalogue: Catalogue) -> Iterator[Artifact]:
        """One artifact per dashboard.

        Raises:
            SloctlError: a dashboard is larger than an object may be.
        """
        for dashboard, uid, text, platform in _dashboards(catalogue):
            placed = platform.kubernetes.dashboards
            yield _object(
                self.folders[0],
                dashboard,
                {
                    "apiVersion": "grafana.integreatly.org/v1beta1",
                    "kind": "GrafanaDashboard",
                    "metadata": platform.kubernetes.metadata(
                        uid, {"app.kubernetes.io/managed-by": "sloctl", **(placed.labels or {})}, placed.annotations
                    ),
                    "spec": {
                        "instanceSelector": {"matchLabels": dict(placed.instances or _INSTANCES)},
                        "folder": _folder(platform),
                        "json": text,
                    },
                },
            )


def _dashboards(catalogue: Catalogue) -> Iterator[tuple[Artifact, str, str, Platform]]:
    """Each dashboard with its identifier, its JSON and its platform."""
    platforms = {platform.name: platform for platform in catalogue.platforms}
    for dashboard in GrafanaBackend().compile(catalogue):
        assert isinstance(dashboard.value, Mapping)
        text = json.dumps(dashboard.value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        if (size := len(text.encode())) > LIMIT:
            message = f"{dashboard.path} has {size} bytes; an object holds at most {LIMIT}: split the platform"
            raise SloctlError(message)
        platform = platforms[PurePosixPath(dashboard.path).parent.name]
        yield dashboard, str(dashboard.value["uid"]), text, platform


def _folder(platform: Platform) -> str:
    return platform.dashboards.folder or platform.name


def _object(root: str, dashboard: Artifact, manifest: dict[str, Any]) -> Artifact:
    path = PurePosixPath(dashboard.path)
    return Artifact(f"{root}/{path.parent.name}/{path.stem}.yaml", manifest, dashboard.sources)
