"""The backend `alertmanager`: one file for all platforms, which `sloctl routes merge` puts into a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sloctl import conventions
from sloctl.backends.alertmanager.receivers import SECRETS
from sloctl.backends.alertmanager.routes import (
    inhibit_rules,
    receivers,
    route_tree,
    routed,
    time_intervals,
    verify,
)
from sloctl.model.artifact import Artifact
from sloctl.model.catalogue import Catalogue


class AlertmanagerBackend:
    """Routes, receivers, inhibit rules and time intervals for Alertmanager 0.25 and later."""

    name: Final = "alertmanager"
    folders: Final = ("rules/alertmanager",)

    def compile(self, catalogue: Catalogue) -> Iterator[Artifact]:
        """One artifact, where a platform says where its alerts go."""
        if platforms := routed(catalogue):
            sources = {source for platform in platforms for source in platform.sources}
            sources |= {source for platform in platforms for service in platform.services for source in service.sources}
            yield Artifact(conventions.ROUTES_PATH, fragment(catalogue), tuple(sorted(sources)))


def fragment(catalogue: Catalogue, secrets: str = SECRETS) -> dict[str, list[dict[str, object]]]:
    """The four lists that become part of an Alertmanager configuration, by its own keys.

    Raises:
        SloctlError: an alert would reach nobody, or no alert a route.
    """
    tree = route_tree(catalogue)
    verify(catalogue, tree)
    return {
        "routes": [tree.value()],
        "receivers": receivers(catalogue, tree, secrets),
        "inhibit_rules": inhibit_rules(catalogue),
        "time_intervals": time_intervals(catalogue, tree),
    }
