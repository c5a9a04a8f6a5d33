"""Two teams with one PagerDuty key.

With `pagerduty: per-team-key`, which is the default, the name under `pagerduty` is the file that holds the team's
integration key. Two teams with one name would page each other. Give each team a name of its own, or write
`pagerduty: single-orchestration` in the Platform: then one key serves all, and PagerDuty's own rules decide by the
details `team` and `service`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sloctl.diagnostics import Diagnostics, Related
from sloctl.model.catalogue import Catalogue, PagerDutyKeys, Platform
from sloctl.model.ownership import Team

CODE: Final = "SLO141"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """Every key belongs to one team; a team of several platforms may use its key in all of them."""
    owners: dict[str, Team] = {}
    for platform in catalogue.platforms:
        for key, team in _keys(platform):
            owner = owners.setdefault(key, team)
            if owner.name != team.name:
                message = f"teams `{owner.name}` and `{team.name}` have one PagerDuty key, `{key}`"
                help_ = "name a key of its own, or write `pagerduty: single-orchestration` in the Platform"
                found.error(CODE, team.place, message, help_, Related(owner.place, "the other team"))


def _keys(platform: Platform) -> Iterator[tuple[str, Team]]:
    if platform.pagerduty is not PagerDutyKeys.PER_TEAM_KEY:
        return
    for team in platform.teams.values():
        for route in (*team.severities.values(), *team.routes.values()):
            if route.pagerduty is not None:
                yield route.pagerduty, team
