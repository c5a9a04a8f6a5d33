"""The explicit table of checks."""

from __future__ import annotations

from typing import Final

from sloctl.checks import no_runbook, no_team, same_burn_tier, unreachable_tier
from sloctl.checks.check import Check
from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Catalogue

CHECKS: Final[tuple[Check, ...]] = (unreachable_tier, no_runbook, no_team, same_burn_tier)


def run_checks(catalogue: Catalogue, found: Diagnostics) -> None:
    """Run every check."""
    for check in CHECKS:
        check.check(catalogue, found)
