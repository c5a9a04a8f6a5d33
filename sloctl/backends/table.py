"""The explicit table of backends."""

from __future__ import annotations

from typing import Final

from sloctl.backends.alertmanager.backend import AlertmanagerBackend
from sloctl.backends.argo.backend import ArgoBackend
from sloctl.backends.backend import Backend
from sloctl.backends.grafana.backend import GrafanaBackend
from sloctl.backends.grafana.kubernetes import KubernetesDashboards, OperatorDashboards
from sloctl.backends.prometheus.backend import PrometheusBackend
from sloctl.backends.prometheus.forms import KubernetesRules, MimirRules

BACKENDS: Final[dict[str, Backend]] = {
    backend.name: backend for backend in (PrometheusBackend(), AlertmanagerBackend(), ArgoBackend(), GrafanaBackend())
}

FORMS: Final[dict[str, tuple[Backend, ...]]] = {
    "kubernetes": (KubernetesRules(), KubernetesDashboards()),
    "grafana-operator": (OperatorDashboards(),),
    "mimir": (MimirRules(),),
}
"""Further forms of the same outputs, by what `--emit` takes."""
