"""Catalogues for tests: compiled from text, or made larger from one compiled SLO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sloctl.compiler import load
from sloctl.diagnostics import Diagnostics, Place
from sloctl.model.alerting import Severity
from sloctl.model.catalogue import Catalogue, Platform, Service
from sloctl.model.ownership import OfficeHours, Route, Team

ONE = """\
apiVersion: sloctl/v1
kind: Platform
name: shop
runbook: https://runbooks.example.com/$service/$slo
team: web
teams:
  web:
    P1: {pagerduty: web, slack: '#web-pages'}
    P2: {slack: '#web'}
    P3: {email: web@example.com}
---
apiVersion: sloctl/v1
kind: Service
service: api
slos:
  - name: ok
    objective: 99.9%
    sli: {ratio: {total: requests_total, bad_if: 'code="500"'}}
    alerts: [google, {severity: P2, burn: 6, over: 14m}]
"""


def catalogue(*specs: str) -> Catalogue:
    """The catalogue of specifications without findings; each text has a folder of its own."""
    with TemporaryDirectory() as folder:
        for number, spec in enumerate(specs):
            (Path(folder) / str(number)).mkdir()
            (Path(folder) / str(number) / "spec.yaml").write_text(spec)
        found = Diagnostics()
        made = load([folder], found, root=Path(folder))
    assert found.errors == []
    return made


@cache
def one() -> Platform:
    """A platform with one SLO."""
    return catalogue(ONE).platforms[0]


@dataclass(frozen=True, slots=True)
class Owned:
    """A service in few words: its team, and for each SLO the labels that it is split by."""

    name: str
    team: str
    slos: Mapping[str, Sequence[str]]


def platform(name: str, teams: Sequence[str], services: Sequence[Owned]) -> Platform:
    """A platform of these, each team with every route."""
    return replace(
        one(),
        name=name,
        team=None,
        teams={team: _team(name, team) for team in teams},
        services=tuple(_service(name, service) for service in services),
    )


def _team(platform: str, name: str) -> Team:
    routes = {
        Severity.P1: Route(pagerduty=f"{platform}-{name}", slack=f"#{name}"),
        Severity.P2: Route(slack=f"#{name}"),
        Severity.P3: Route(email=f"{name}@example.com"),
    }
    hours = OfficeHours(("monday",), "09:00", "17:00", "Europe/Berlin")
    return Team(name, routes, {"incident": Route(slack="#incident")}, hours, Place("spec.yaml"))


def _service(platform: str, owned: Owned) -> Service:
    first = one().services[0]
    slo = replace(first.slos[0], platform=platform, service=owned.name, team=owned.team)
    notifying = replace(slo.tiers[0], notify=("incident",))
    slos = tuple(
        replace(slo, name=name, by=tuple(by), tiers=(notifying, *slo.tiers[1:])) for name, by in owned.slos.items()
    )
    return replace(first, name=owned.name, team=owned.team, slos=slos)
