"""From documents as written to the catalogue as meant: defaults, inheritance, uniqueness, units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from operator import attrgetter, itemgetter

from sloctl.diagnostics import Diagnostics, Related
from sloctl.language import document
from sloctl.language.document import Document, Template
from sloctl.model.catalogue import Catalogue, Expect, Platform, Service, Slo, Texts
from sloctl.resolve import codes, platforms, services
from sloctl.resolve.building import built
from sloctl.resolve.duplicates import duplicates
from sloctl.resolve.layers import Places
from sloctl.resolve.placeholders import check_placeholders
from sloctl.resolve.platforms import PlatformScope


def resolve(documents: list[Document], found: Diagnostics, policy: str | None = None) -> Catalogue:
    """Everything that the documents promise; what is wrong with them is added to `found`.

    Args:
        documents: emptied, so that the catalogue takes the place of the documents in memory.
        found: takes the findings.
        policy: every SLO has this one instead of its own, or no alerts where its Platform has no such policy.
    """
    templates = _templates(documents, found)
    scopes = [replace(scope, tried=policy) for scope in platforms.scopes(documents, found)]
    documents.clear()
    return Catalogue(tuple(_platform(scope, templates, found) for scope in scopes))


def _taken(services: list[Document]) -> Iterator[Document]:
    """Each document once; it is popped, so that it is freed as soon as it is resolved: peak memory."""
    services.reverse()
    while services:
        yield services.pop()


def _templates(documents: list[Document], found: Diagnostics) -> dict[str, Document]:
    named = [(written.spec.name, written) for written in documents if isinstance(written.spec, Template)]
    for (name, written), (_, first) in duplicates(named, itemgetter(0)):
        message = f"two templates are called `{name}`"
        other = Related(first.place("name"), "the other one")
        found.error(codes.TWO_TEMPLATES, written.place("name"), message, "rename one", other)
    return dict(named)


def _platform(scope: PlatformScope, templates: dict[str, Document], found: Diagnostics) -> Platform:
    layers = scope.layers
    check_placeholders(scope, templates.values(), found)
    resolved = (services.service(scope, written, templates, found) for written in _taken(scope.services))
    members = sorted(resolved, key=lambda service: service.name)
    _unique_services(members, found)
    _unique_ids([slo for service in members for slo in service.slos], found)
    return Platform(
        name=scope.name,
        services=tuple(members),
        teams=scope.teams,
        team=layers.value("team"),
        severities=platforms.severities(layers),
        sampling=platforms.sampling(layers, found),
        place=scope.place,
        texts=built(Texts, layers.whole("texts", document.Texts)),
        dashboards=platforms.dashboards(layers, found),
        kubernetes=platforms.kubernetes(layers),
        buckets={name: bounds for name, (bounds, _) in layers.merged("buckets").items()},
        expect=built(Expect, layers.whole("expect", document.Expect)),
        fallback=platforms.route(layers.value("fallback")),
        watchdog=platforms.route(layers.value("watchdog")),
        pagerduty=layers.value("pagerduty"),
        inhibition=layers.value("inhibition"),
        description=layers.value("description") or "",
        sources=tuple(sorted({source for service in members for source in service.sources})),
        matchers={label: value for label, (value, _) in layers.matchers.items()},
        places=Places.of(layers.stack),
    )


def _unique_services(members: list[Service], found: Diagnostics) -> None:
    for service, other in duplicates(members, attrgetter("name")):
        message = f"two documents own the service `{service.name}`"
        related = Related(other.place, "the other one")
        found.error(codes.TWO_SERVICES, service.place, message, "write all of its SLOs in one", related)


def _unique_ids(slos: list[Slo], found: Diagnostics) -> None:
    for slo, other in duplicates(slos, attrgetter("id")):
        if (other.service, other.name) != (slo.service, slo.name):
            message = f"two SLOs have the id `{slo.id}`"
            related = Related(other.place, f"also that of `{other.name}` of `{other.service}`")
            help_ = "write another `id` in one of them, or rename it"
            found.error(codes.TWO_IDS, slo.places.get("id", slo.place), message, help_, related)
