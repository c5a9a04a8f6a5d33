"""A route that nothing takes.

A team's routes besides those of the severities are taken by tiers that name them in `notify`. A route that no tier
names is left out of the Alertmanager configuration. Name it, or remove it.
"""

from __future__ import annotations

from typing import Final

from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Catalogue

CODE: Final = "SLO144"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """Every further route of a team is named by a tier."""
    for platform in catalogue.platforms:
        named = {(slo.team, name) for slo in platform.slos for tier in slo.tiers for name in tier.notify}
        for team in platform.teams.values():
            for name in team.routes:
                if (team.name, name) not in named:
                    message = f"no tier sends anything to the route `{name}` of team `{team.name}`"
                    found.note(CODE, team.place, message, f"write `notify: [{name}]` in a tier, or remove the route")
