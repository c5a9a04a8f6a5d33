"""The backend `grafana`: seven dashboards per platform."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from sloctl.backends.grafana.canary import canary
from sloctl.backends.grafana.capacity import capacity
from sloctl.backends.grafana.dashboard import DashboardPage, artifact
from sloctl.backends.grafana.detail import detail
from sloctl.backends.grafana.experience import experience
from sloctl.backends.grafana.overview import overview
from sloctl.backends.grafana.scorecard import scorecard
from sloctl.backends.grafana.tenant import tenant
from sloctl.model.artifact import Artifact
from sloctl.model.catalogue import Catalogue, Platform

PAGES: Final[tuple[Callable[[Platform], DashboardPage], ...]] = (
    overview,
    detail,
    canary,
    tenant,
    scorecard,
    experience,
    capacity,
)


class GrafanaBackend:
    """Dashboards of Grafana 10 and later, in the classic schema."""

    name: Final = "grafana"
    folders: Final = ("dashboards",)

    def compile(self, catalogue: Catalogue) -> Iterator[Artifact]:
        """Seven artifacts per platform that has SLOs."""
        for platform in catalogue.platforms:
            if any(platform.slos):
                yield from (artifact(platform, page(platform)) for page in PAGES)
