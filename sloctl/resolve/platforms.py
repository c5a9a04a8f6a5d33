"""Platforms: which one applies where, and what it sets for its services."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter, itemgetter
from pathlib import PurePath
from typing import Final

from sloctl.diagnostics import Diagnostics, Place, Related
from sloctl.language import alerting, document, ownership
from sloctl.language.document import Document
from sloctl.language.files import STDIN, RealPaths
from sloctl.language.problems import did_you_mean, nearest
from sloctl.model.alerting import Severity
from sloctl.model.catalogue import Dashboards, Kubernetes, KubernetesDashboards, NewSeries, Sampling
from sloctl.model.ownership import OfficeHours, Route, Team
from sloctl.model.periods import zone_names
from sloctl.model.quantities import MINUTE, SECOND
from sloctl.model.selector import Expression
from sloctl.resolve import codes
from sloctl.resolve.building import built
from sloctl.resolve.duplicates import duplicates
from sloctl.resolve.layers import Layer, Layers
from sloctl.resolve.reading import PromqlReading

DEFAULT_NAME: Final = "default"


@dataclass(frozen=True, slots=True)
class PlatformScope:
    """What a Platform, with those above it, sets for the services of its folder.

    Attributes:
        policies: tiers by name, with the layer that wrote them.
        tried: the policy that every SLO has instead of what is written, to see what it would do; None for what is.
    """

    name: str
    layers: Layers
    place: Place
    teams: Mapping[str, Team]
    policies: Mapping[str, tuple[tuple[alerting.Tier, ...], Layer]]
    sources: tuple[str, ...] = ()
    services: list[Document] = field(default_factory=list)
    tried: str | None = None


def scopes(documents: list[Document], found: Diagnostics) -> list[PlatformScope]:
    """Every Platform with the Service documents it applies to; services without one share the default."""
    real = RealPaths()
    platforms = _by_folder(documents, real, found)
    chains: dict[str, list[Document]] = {}
    made: dict[str, PlatformScope] = {}
    for written in documents:
        if isinstance(written.spec, document.Service):
            folder = _folder(written.path, real)
            if folder not in chains:
                chains[folder] = [platforms[above] for above in _with_parents(folder) if above in platforms]
            chain = chains[folder]
            key = chain[0].path if chain else ""
            if key not in made:
                made[key] = _scope(chain, written, found)
            made[key].services.append(written)
    _unique_names(list(made.values()), found)
    return sorted(made.values(), key=lambda scope: scope.name)


LONGEST_SCRAPE: Final = MINUTE * 4
"""An instant selector looks five minutes back for a sample; one scrape may be late."""


def sampling(layers: Layers, found: Diagnostics) -> Sampling:
    """How raw series become tiles, with everything that must fit together."""
    resolution = layers.value("resolution")
    interval = layers.value("scrape_interval")
    timeout = layers.value("scrape_timeout") or min(SECOND * 10, interval)
    place = layers.place("scrape_interval") or layers.place("resolution")
    if resolution < min(interval, MINUTE) and place:
        message = f"a tile of {resolution} is shorter than one scrape of {interval}"
        found.error(codes.SAMPLING, place, message, "write a shorter `scrape_interval`, or a `resolution` up to 1m")
    if interval > LONGEST_SCRAPE and place:
        message = f"Prometheus takes a series that is scraped every {interval} for one that has ended"
        found.error(codes.SAMPLING, place, message, f"scrape at least every {LONGEST_SCRAPE}")
    if timeout > interval and (written := layers.place("scrape_timeout")):
        message = f"`scrape_timeout` {timeout} is longer than `scrape_interval` {interval}"
        found.error(codes.SAMPLING, written, message, "write a time up to the scrape interval")
    labels, new_series = layers.value("target_labels"), layers.value("new_series")
    if not labels and new_series is NewSeries.COUNT_IF_UP:
        place = layers.place("target_labels")
        assert place is not None
        message = "without target labels nothing tells whether a target was up"
        found.error(codes.SAMPLING, place, message, "name the labels of a target, or write `new_series: count`")
    return _sampling(resolution, interval, timeout, labels, new_series, layers.value("late_by"))


_sampling: Final = lru_cache(maxsize=256)(Sampling)


def severities(layers: Layers) -> dict[Severity, str]:
    """The platform's own words for the severities."""
    words = layers.whole("severities", document.Severities)
    return {severity: getattr(words, severity.value) for severity in Severity}


def dashboards(layers: Layers, found: Diagnostics) -> Dashboards:
    """Where links lead."""
    return built(Dashboards, layers.whole("dashboards", document.Dashboards), deploys=_deploys(layers, found))


def kubernetes(layers: Layers) -> Kubernetes:
    """Where Kubernetes objects go."""
    written = layers.whole("kubernetes", document.Kubernetes)
    dashboards = (
        KubernetesDashboards() if written.dashboards is None else built(KubernetesDashboards, written.dashboards)
    )
    return built(Kubernetes, written, dashboards=dashboards)


def _deploys(layers: Layers, found: Diagnostics) -> Expression | None:
    for layer in layers.writing("dashboards"):
        text = getattr(layer.spec, "dashboards").deploys  # noqa: B009 - a key of Platforms only
        if text is not None:
            reading = PromqlReading(layer, found, layers.matchers, help="write PromQL whose samples mark a deployment")
            return reading.expression(text, "dashboards", "deploys")
    return None


def known_team(scope: PlatformScope, layer: Layer, found: Diagnostics) -> Team | None:
    """The team that a layer names, or None where the Platform has no teams or another word is meant."""
    name, teams = layer.spec.team, scope.teams
    assert name is not None
    if not teams or name in teams:
        return teams.get(name)
    related = Related(next(iter(teams.values())).place, "teams are named here")
    message = f"`{name}` is not a team of platform `{scope.name}`"
    help_ = did_you_mean(name, sorted(teams)) or f"write one of {', '.join(sorted(teams))}"
    found.error(codes.UNKNOWN_TEAM, layer.place("team"), message, help_, related, *layer.related)
    return None


def zone_help(name: str) -> str:
    """What to write instead of a time zone that does not exist."""
    zones = {zone.lower(): zone for zone in sorted(zone_names()) if "/" in zone}  # abbreviations are all alike
    near = nearest(name, list(zones))
    return (
        f"did you mean `{zones[near]}`?"
        if near is not None
        else "write an IANA name such as `Europe/Berlin` or `Asia/Kolkata`"
    )


def route(written: ownership.Route | None) -> Route | None:
    """A route, where one is written."""
    return None if written is None else built(Route, written)


def _folder(path: str, real: RealPaths) -> str:
    """The folder of a file as it really is; standard input stands in the working directory."""
    return real.folder("") if path == STDIN else os.path.dirname(real(path))  # noqa: PTH120 - text, as keys


def _with_parents(folder: str) -> list[str]:
    return [str(path) for path in (PurePath(folder), *PurePath(folder).parents)]


def _by_folder(documents: list[Document], real: RealPaths, found: Diagnostics) -> dict[str, Document]:
    written = [
        (_folder(platform.path, real), platform)
        for platform in documents
        if isinstance(platform.spec, document.Platform)
    ]
    for (_, platform), (_, first) in duplicates(written, itemgetter(0)):
        message, other = "this folder has two Platforms", Related(first.place("name"), "the other one")
        found.error(codes.TWO_PLATFORMS, platform.place("name"), message, "keep one, or use folders", other)
    return dict(written)


def _unique_names(made: list[PlatformScope], found: Diagnostics) -> None:
    for scope, other in duplicates(made, attrgetter("name")):
        message, related = f"two Platforms are called `{scope.name}`", Related(other.place, "the other one")
        found.error(codes.TWO_PLATFORMS, scope.place, message, "rename one", related)


def _scope(chain: list[Document], service: Document, found: Diagnostics) -> PlatformScope:
    specs = [(written.tree, written.spec) for written in chain if isinstance(written.spec, document.Platform)]
    layers = Layers(tuple(Layer(tree, spec=spec) for tree, spec in specs))
    return PlatformScope(
        name=specs[0][1].name if specs else DEFAULT_NAME,
        layers=layers,
        place=chain[0].place("name") if chain else service.place("service"),
        teams={name: _team(name, team, layer, found) for name, (team, layer) in layers.merged("teams").items()},
        policies=layers.merged("policies"),
        sources=tuple(written.path for written in chain),
    )


def _team(name: str, written: ownership.Team, layer: Layer, found: Diagnostics) -> Team:
    ways = {severity: getattr(written, severity.value) for severity in Severity}
    return Team(
        name=name,
        severities={severity: built(Route, way) for severity, way in ways.items() if way is not None},
        routes={name: built(Route, way) for name, way in written.routes.items()},
        office_hours=_office_hours(name, written.office_hours, layer, found),
        place=layer.key_place("teams", name),
    )


def _office_hours(
    team: str, written: ownership.OfficeHours | None, layer: Layer, found: Diagnostics
) -> OfficeHours | None:
    if written is None:
        return None
    zone = written.time_zone
    if zone not in zone_names():
        place = layer.place("teams", team, "office_hours", "time_zone")
        found.error(codes.UNKNOWN_ZONE, place, f"there is no time zone `{zone}`", zone_help(zone))
    return built(OfficeHours, written, start=written.from_, end=written.to)
