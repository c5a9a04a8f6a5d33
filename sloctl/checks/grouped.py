"""One finding for all SLOs that inherit what is wrong, instead of one each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from sloctl.diagnostics import Place, Related
from sloctl.model.alerting import Tier
from sloctl.model.catalogue import Catalogue, Slo

SLOS: Final = "<slos>"
"""Stands for the SLOs in a message."""


class GroupedFinding(NamedTuple):
    """What is wrong at a place, with `SLOS` where the message names whom it concerns."""

    slo: Slo
    place: Place
    message: str
    help: str
    related: tuple[Related, ...] = ()


def tiers(catalogue: Catalogue) -> Iterator[tuple[Slo, Tier]]:
    """Every tier of every SLO."""
    return ((slo, tier) for slo in catalogue.slos for tier in slo.tiers)


def report(add: Callable[..., None], code: str, findings: Iterable[GroupedFinding]) -> None:
    """Add what differs in its SLO only once; the other places are those of its first SLO.

    Args:
        add: `error`, `warning` or `note` of the diagnostics.
    """
    groups: dict[tuple[Place, str, str], list[GroupedFinding]] = {}
    for finding in findings:
        groups.setdefault((finding.place, finding.message, finding.help), []).append(finding)
    for (place, message, help_), group in groups.items():
        text = message.replace(SLOS, named([finding.slo for finding in group]), 1)
        add(code, place, text, help_, *group[0].related)


def named(slos: Sequence[Slo]) -> str:
    """Which SLOs are meant: one or two by their ids, then how many more."""
    first, *rest = (slo.id for slo in slos)
    if not rest:
        return first
    return f"{first} and {rest[0]}" if len(rest) == 1 else f"{first} and {len(rest)} other SLOs"
