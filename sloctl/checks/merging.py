"""One finding for all SLOs that inherit what is wrong, instead of one each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from sloctl.diagnostics import Diagnostic, Diagnostics, Place, Related, Severity
from sloctl.model.alerting import Tier
from sloctl.model.catalogue import Catalogue, Platform, Slo

SLOS: Final = "<slos>"
"""Stands for the SLOs in a message."""


class Opinion(NamedTuple):
    """What is wrong at a place, with `SLOS` where the message names whom it concerns."""

    place: Place
    message: str
    help: str


def tiers(catalogue: Catalogue) -> Iterator[tuple[Platform, Slo, Tier]]:
    """Every tier of every SLO."""
    return ((platform, slo, tier) for platform in catalogue.platforms for slo in platform.slos for tier in slo.tiers)


def merge(
    found: Diagnostics,
    severity: Severity,
    code: str,
    opinions: Iterable[tuple[Slo, Opinion, Sequence[Related]]],
) -> None:
    """Add each opinion once; the other places are those of its first SLO."""
    merged: dict[Opinion, tuple[list[Slo], Sequence[Related]]] = {}
    for slo, opinion, related in opinions:
        merged.setdefault(opinion, ([], related))[0].append(slo)
    for opinion, (slos, related) in merged.items():
        message = opinion.message.replace(SLOS, named(slos), 1)
        found.add(Diagnostic(severity, code, message, opinion.place, opinion.help, tuple(related)))


def named(slos: Sequence[Slo]) -> str:
    """Which SLOs are meant: one or two by their ids, then how many more."""
    first, *rest = (slo.id for slo in slos)
    if not rest:
        return first
    return f"{first} and {rest[0]}" if len(rest) == 1 else f"{first} and {len(rest)} other SLOs"
