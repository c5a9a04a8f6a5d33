"""A page without a runbook.

A P1 tier wakes somebody. Without a runbook that person begins with nothing. Write `runbook:` once in the
Platform, with the placeholders `$service` and `$slo`, or in the service or SLO.
"""

from __future__ import annotations

from typing import Final

from sloctl.diagnostics import Diagnostics
from sloctl.model.alerting import Severity
from sloctl.model.catalogue import Catalogue

CODE: Final = "SLO102"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """Every SLO with a P1 tier has a runbook."""
    for slo in catalogue.slos:
        if slo.runbook is None and any(tier.severity is Severity.P1 for tier in slo.tiers):
            found.warning(
                CODE,
                slo.place,
                f"{slo.id} pages (P1) without a runbook",
                "write `runbook: https://runbooks.example.com/$service/$slo` in the Platform",
            )
