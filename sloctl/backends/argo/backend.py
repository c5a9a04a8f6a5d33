"""The backend `argo`: AnalysisTemplates that ask the webhook, and the canary steps that use them, for each service."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any, Final

from sloctl import conventions
from sloctl.backends.argo.steps import rollout
from sloctl.backends.argo.templates import gate, guard
from sloctl.model.artifact import Artifact
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
