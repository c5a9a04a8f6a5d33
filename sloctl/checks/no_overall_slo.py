"""An SLO that is split by labels, and none beside it that counts everything.

With `by` each value of the labels is an SLO with alerts of its own. Events that lack the label, such as requests
before login, belong to no value and are counted nowhere; and a failure of all small values at once exceeds the
thresholds of none. Keep an SLO without `by` beside it. `sli: NAME` reuses the selectors of the other one:

    - {name: availability-by-tenant, objective: 99.9%, by: [tenant], sli: {ratio: {...}}}
    - {name: availability, objective: 99.95%, sli: availability-by-tenant}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Catalogue, Service, Slo
from sloctl.model.indicator import counts_events

CODE: Final = "SLO108"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """A service whose SLOs count events has one that counts all of them."""
    services = (service for platform in catalogue.platforms for service in platform.services)
    for slo in (slo for service in services for slo in _lonely(service)):
        labels = ", ".join(f"`{label}`" for label in slo.by)
        message = f"events of {slo.id} that lack {labels} are counted by no SLO of {slo.service}"
        help_ = f"add `- {{name: {_free_name(slo)}, objective: {slo.objective}, sli: {slo.name}}}`"
        found.warning(CODE, slo.at("by"), message, help_)


def _lonely(service: Service) -> Iterator[Slo]:
    counting = [slo for slo in service.slos if counts_events(slo.indicator)]
    if any(slo.tiers for slo in counting) and all(slo.by for slo in counting):
        yield next(slo for slo in counting if slo.tiers)


def _free_name(slo: Slo) -> str:
    base = slo.name.partition("-by-")[0]
    return base if base != slo.name else f"{slo.name}-overall"[:63]
