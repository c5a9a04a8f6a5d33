"""Alerts without an owner.

An SLO without a team has no routes of its own: its alerts go to the platform's fallback, where nobody in
particular feels meant. Write `team:` in the service, or once in the Platform for all of them.
"""

from __future__ import annotations

from typing import Final

from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Catalogue

CODE: Final = "SLO103"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """Every SLO with alerts, on a platform that has teams, has a team."""
    for platform in catalogue.platforms:
        for slo in platform.slos if platform.teams else ():
            if slo.tiers and slo.team is None:
                names = ", ".join(sorted(platform.teams))
                found.warning(
                    CODE,
                    slo.place,
                    f"nobody owns {slo.id}: its alerts go to the fallback",
                    f"write `team:` with one of {names}",
                )
