"""Two tiers of one SLO that nothing tells apart.

The label `burn_tier` is made of a tier's severity and its `over`, such as `p1-1h`. Routes, dashboards and the
alert's name use it, so it is unique within an SLO. Give one of the two another severity or another `over`.
"""

from __future__ import annotations

from typing import Final

from sloctl import conventions
from sloctl.diagnostics import Diagnostics, Related
from sloctl.model.alerting import Tier
from sloctl.model.catalogue import Catalogue, Slo

CODE: Final = "SLO104"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """Every tier of an SLO has a `burn_tier` of its own."""
    for slo in catalogue.slos:
        _check_slo(slo, found)


def _check_slo(slo: Slo, found: Diagnostics) -> None:
    first: dict[str, Tier] = {}
    for tier in slo.tiers:
        name = conventions.burn_tier(tier)
        other = first.setdefault(name, tier)
        if other is not tier:
            message = f"two tiers of {slo.id} are `{name}`: the same severity and the same `over`"
            related = Related(other.place, "the other one")
            help_ = "give one of them another severity or another `over`"
            found.error(CODE, tier.place, message, help_, related)
