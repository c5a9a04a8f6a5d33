"""The part of a Rollout that uses the templates: weights, gates and the guard, as a patch of its canary strategy."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sloctl import conventions
from sloctl.model.canary import POD_HASH, Canary, Versions
from sloctl.model.catalogue import Service


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
    by_pod = any(matcher.label == POD_HASH for matcher in arms.matchers)
    if by_pod:
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
