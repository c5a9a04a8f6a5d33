"""All proofs of a catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sloctl.backends.prometheus.backend import platform_groups
from sloctl.model.catalogue import Catalogue
from sloctl.proof.calendars import calendar_proofs
from sloctl.proof.health import health_proofs
from sloctl.proof.proof import Proof, Rule, rules_of
from sloctl.proof.slos import slo_proofs


def proofs(catalogue: Catalogue, seen: Mapping[str, Sequence[Rule]] | None = None) -> Iterator[Proof]:
    """Every claim about every SLO; `seen` are the groups of rule files by name, by default what compiles now."""
    for platform in catalogue.platforms:
        compiled = {group.name: group.value()["rules"] for group in platform_groups(platform)}
        shared = compiled if seen is None else {name: seen.get(name, []) for name in compiled}
        rules = [rule for group in shared.values() for rule in group]
        yield from calendar_proofs(platform, rules)
        yield from health_proofs(platform, rules)
        for slo in platform.slos:
            yield from slo_proofs(slo, rules_of(platform, slo, seen))
