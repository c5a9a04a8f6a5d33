"""The same rules in the forms that the Prometheus operator and Mimir read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sloctl import conventions
from sloctl.backends.prometheus.backend import platform_groups, service_groups
from sloctl.model.artifact import Artifact
from sloctl.model.catalogue import Catalogue

_SHARED: Final = "_sloctl"


class KubernetesRules:
    """One `PrometheusRule` object a service, and one a platform for what its services share."""

    name: Final = "prometheus"
    folders: Final = ("rules/kubernetes/prometheus",)

    def compile(self, catalogue: Catalogue) -> Iterator[Artifact]:
        """The objects, sorted by platform and service."""
        for platform, name, groups, sources in _sets(catalogue):
            path = f"{self.folders[0]}/{platform}/{name}.yaml"
            yield Artifact(path, _prometheus_rule(platform, name, groups), sources)


class MimirRules:
    """Rule files with the `namespace` that mimirtool asks for: one a service."""

    name: Final = "prometheus"
    folders: Final = ("rules/mimir",)

    def compile(self, catalogue: Catalogue) -> Iterator[Artifact]:
        """The files, sorted by platform and service."""
        for platform, name, groups, sources in _sets(catalogue):
            value = {"namespace": _name(platform, name), "groups": groups}
            yield Artifact(f"{self.folders[0]}/{platform}/{name}.yaml", value, sources)


def _prometheus_rule(platform: str, name: str, groups: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {
            "name": conventions.kubernetes_name(_name(platform, name)),
            "labels": {"app.kubernetes.io/managed-by": "sloctl", "platform": platform},
        },
        "spec": {"groups": groups},
    }


def _name(platform: str, name: str) -> str:
    """Unique because no name of ours holds a dot."""
    return f"slo.{platform}" if name == _SHARED else f"slo.{platform}.{name}"


def _sets(catalogue: Catalogue) -> Iterator[tuple[str, str, list[dict[str, Any]], tuple[str, ...]]]:
    """Platform, name, groups and sources of each set of rules that belongs together."""
    for platform in catalogue.platforms:
        for service in platform.services:
            groups = [group.value() for group in service_groups(platform, service)]
            yield platform.name, service.name, groups, service.sources
        yield platform.name, _SHARED, [group.value() for group in platform_groups(platform)], platform.sources
