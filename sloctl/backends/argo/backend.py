"""The backend `argo`: AnalysisTemplates that ask the webhook, and the canary steps that use them, for each service."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final

from sloctl import conventions
from sloctl.backends.argo.templates import gate, guard
from sloctl.model.artifact import Artifact
from sloctl.model.canary import Canary, Versions
from sloctl.model.catalogue import Catalogue, Service


class ArgoBackend:
    """Two files a service with a `canary`, for Argo Rollouts 1.8 and later.

    One holds the AnalysisTemplates, to be applied as they are; the other the part of the service's own Rollout that
    uses them, to be merged into it as a patch.
    """

    name: Final = "argo"
    folders: Final = ("rules/argo",)

    def compile(self, catalogue: Catalogue) -> Iterator[Artifact]:
        """The files, sorted by platform and service."""
        for platform in sorted(catalogue.platforms, key=attrgetter("name")):
            for service in sorted(platform.services, key=attrgetter("name")):
                if service.canary is not None:
                    path = conventions.argo_templates_path(service, platform)
                    yield Artifact(path, templates(platform.name, service), service.sources)
                    path = conventions.argo_rollout_path(service, platform)
                    yield Artifact(path, rollout(service), service.sources)


def templates(platform: str, service: Service) -> dict[str, Any]:
    """A gate for each step that waits for a verdict, and the guard beside all of them."""
    assert service.canary is not None
    gates = [gate(platform, service, step) for step in service.canary.gated_steps]
    return {"apiVersion": "v1", "kind": "List", "items": [*gates, guard(platform, service)]}


def rollout(service: Service) -> dict[str, Any]:
    """What to merge into the service's Rollout: `kubectl patch --type merge --patch-file`, or kustomize's `patches`."""
    assert service.canary is not None
    arguments = _arguments(service.canary.arms)
    scale = _scale(service.canary)
    canary: dict[str, Any] = {
        "analysis": _analysis(conventions.argo_guard(service), arguments),
        "steps": _steps(service, service.canary, arguments, scale),
    }
    if scale != 100:
        canary["trafficRouting"] = {"maxTrafficWeight": scale}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": service.name},
        "spec": {"strategy": {"canary": canary}},
    }


def _steps(service: Service, canary: Canary, arguments: list[dict[str, Any]], scale: int) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    for step in canary.gated_steps:
        steps.append({"setWeight": int(canary.steps[step].weight * scale)})
        steps.append({"analysis": _analysis(conventions.argo_gate(service, step), arguments)})
    return steps


def _analysis(template: str, arguments: list[dict[str, Any]]) -> dict[str, Any]:
    return {"templates": [{"templateName": template}], "args": arguments}


def _arguments(arms: Versions) -> list[dict[str, Any]]:
    """Where Argo finds the versions: its pod template hashes, or annotations that whoever deploys has to set."""
    if arms.named_by_hash:
        versions = {"canary": {"podTemplateHashValue": "Latest"}, "stable": {"podTemplateHashValue": "Stable"}}
    else:
        versions = {name: _annotation(f"sloctl.dev/{name}") for name in ("canary", "stable")}
    values = {**versions, "revision": _annotation("rollout.argoproj.io/revision")}
    return [{"name": name, "valueFrom": value} for name, value in values.items()]


def _annotation(name: str) -> dict[str, Any]:
    return {"fieldRef": {"fieldPath": f"metadata.annotations['{name}']"}}


def _scale(canary: Canary) -> int:
    """What 100 % is: 100, or more where a weight is a fraction of a percent, which needs a traffic router."""
    scale = 100
    while any(step.weight * scale != int(step.weight * Decimal(scale)) for step in canary.steps):
        scale *= 10
    return scale
