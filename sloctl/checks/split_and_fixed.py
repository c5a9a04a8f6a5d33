"""One label name with two meanings.

Incidents are grouped by the split labels of a platform (the labels of `by`). A fixed label with such a name becomes
part of the identity of its own SLO's incidents: those that are open when the other SLO is added stay open, and tiers
that differ in it page twice. Choose another name for the fixed label.
"""

from __future__ import annotations

from typing import Final

from sloctl.diagnostics import Diagnostics, Related
from sloctl.model.catalogue import Catalogue, Slo

CODE: Final = "SLO145"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """No SLO fixes a label that another SLO of its platform is split by."""
    for platform in catalogue.platforms:
        split: dict[str, Slo] = {}
        for slo in platform.slos:
            for label in slo.split_labels:
                split.setdefault(label, slo)
        for slo in platform.slos if platform.teams else ():
            for label in sorted({*slo.labels, *(label for tier in slo.tiers for label in tier.labels)} & split.keys()):
                other = split[label]
                message = f"`{label}` is a fixed label of {slo.id}, and {other.id} is split by it"
                related = Related(other.at("by"), "it is split here")
                found.warning(CODE, slo.at("labels"), message, "choose another name for the fixed label", related)
