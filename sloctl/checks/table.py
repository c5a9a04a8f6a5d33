"""The explicit table of checks."""

from __future__ import annotations

from typing import Final

from sloctl.checks import (
    no_route,
    no_runbook,
    no_team,
    route_names,
    same_burn_tier,
    shared_key,
    sns_address,
    split_and_fixed,
    unreachable_tier,
    unused_route,
)
from sloctl.checks.check import Check
from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Catalogue

CHECKS: Final[tuple[Check, ...]] = (
    unreachable_tier,
    no_runbook,
    no_team,
    same_burn_tier,
    no_route,
    shared_key,
    route_names,
    sns_address,
    unused_route,
    split_and_fixed,
)


def run_checks(catalogue: Catalogue, found: Diagnostics) -> None:
    """Run every check."""
    for check in CHECKS:
        check.check(catalogue, found)
