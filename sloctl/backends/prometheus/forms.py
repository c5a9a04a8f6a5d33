"""The same rules in the forms that the Prometheus operator and Mimir read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from sloctl import conventions
from sloctl.backends.prometheus.backend import platform_groups, service_groups
from sloctl.model.artifact import Artifact
from sloctl.model.catalogue import Catalogue, Platform

_SHARED: Final = "_sloctl"
_MOST_BYTES: Final = 200_000
"""`kubectl apply` keeps the whole object in an annotation, and annotations hold 256 KiB at most."""


class _Set(NamedTuple):
    """The groups that belong together: of a service, or of what a platform's services share."""

    platform: Platform
    name: str
    groups: list[dict[str, Any]]
    sources: tuple[str, ...]

    @property
    def full_name(self) -> str:
        """Unique because no name of ours holds a dot."""
        return f"slo.{self.platform.name}" if self.name == _SHARED else f"slo.{self.platform.name}.{self.name}"


class KubernetesRules:
    """`PrometheusRule` objects: one a service, and one a platform for what its services share; large ones in parts."""

    name: Final = "prometheus"
    folders: Final = ("rules/kubernetes/prometheus",)

    def compile(self, catalogue: Catalogue) -> Iterator[Artifact]:
        """The objects, sorted by platform and service."""
        for one in _sets(catalogue):
            for number, groups in enumerate(_parts(one.groups), start=1):
                part = "" if number == 1 else f".{number}"
                path = f"{self.folders[0]}/{one.platform.name}/{one.name}{part}.yaml"
                yield Artifact(path, _prometheus_rule(one, part, groups), one.sources)


class MimirRules:
    """Rule files with the `namespace` that mimirtool asks for: one a service."""

    name: Final = "prometheus"
    folders: Final = ("rules/mimir",)

    def compile(self, catalogue: Catalogue) -> Iterator[Artifact]:
        """The files, sorted by platform and service."""
        for one in _sets(catalogue):
            value = {"namespace": one.full_name, "groups": one.groups}
            yield Artifact(f"{self.folders[0]}/{one.platform.name}/{one.name}.yaml", value, one.sources)


def _prometheus_rule(one: _Set, part: str, groups: list[dict[str, Any]]) -> dict[str, Any]:
    placed = one.platform.kubernetes
    labels = {"app.kubernetes.io/managed-by": "sloctl", "platform": one.platform.name, **(placed.labels or {})}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": placed.metadata(conventions.kubernetes_name(f"{one.full_name}{part}"), labels, placed.annotations),
        "spec": {"groups": groups},
    }


def _parts(groups: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """As many groups as fit into one object, in their order; a group is never parted."""
    part, size = list[dict[str, Any]](), 0
    for group in groups:
        more = len(json.dumps(group))
        if part and size + more > _MOST_BYTES:
            yield part
            part, size = [], 0
        part.append(group)
        size += more
    yield part


def _sets(catalogue: Catalogue) -> Iterator[_Set]:
    for platform in catalogue.platforms:
        for service in platform.services:
            groups = [group.value() for group in service_groups(platform, service)]
            yield _Set(platform, service.name, groups, service.sources)
        yield _Set(platform, _SHARED, [group.value() for group in platform_groups(platform)], platform.sources)
