"""The explicit table of checks."""

from __future__ import annotations

import inspect
from datetime import date
from types import ModuleType
from typing import Final, Protocol

from sloctl.checks import (
    absent_summand,
    average_over_time,
    calendar_table,
    eaten_by_for,
    equals_a_pattern,
    impossible_matcher,
    no_overall_slo,
    no_route,
    no_runbook,
    no_team,
    one_bad_slice,
    one_event,
    route_names,
    same_burn_tier,
    same_minute,
    secret,
    shared_key,
    silent_promote,
    small_budget,
    sns_address,
    split_and_fixed,
    tiny_bound,
    unreachable_tier,
    unused_route,
    use_bad_if,
)
from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Catalogue


class Check(Protocol):
    """One opinion: a module whose docstring is the page that users read.

    Attributes:
        CODE: stable identifier such as `SLO101`.
    """

    @property
    def CODE(self) -> str: ...  # noqa: N802 - a constant of a module

    def check(self, catalogue: Catalogue, found: Diagnostics) -> None:
        """Add what is wrong to `found`."""
        ...


CHECKS: Final[tuple[Check, ...]] = (
    unreachable_tier,
    no_runbook,
    no_team,
    same_burn_tier,
    one_event,
    eaten_by_for,
    equals_a_pattern,
    same_minute,
    no_overall_slo,
    one_bad_slice,
    use_bad_if,
    impossible_matcher,
    average_over_time,
    small_budget,
    no_route,
    shared_key,
    route_names,
    sns_address,
    unused_route,
    split_and_fixed,
    tiny_bound,
    absent_summand,
    silent_promote,
)


def run_checks(catalogue: Catalogue, found: Diagnostics, today: date | None = None) -> None:
    """Run every check on a valid catalogue; the texts are looked at even when it is not valid.

    Args:
        today: without it the one check that looks at the calendar is left out.
    """
    secret.check(found)
    if found.errors:
        return
    for check in CHECKS:
        check.check(catalogue, found)
    if today is not None:
        calendar_table.check(catalogue, found, today)


def _page(module: ModuleType) -> tuple[str, str]:
    """Title and text of a check's docstring."""
    title, _, text = inspect.cleandoc(module.__doc__ or "").partition("\n\n")
    return title.removesuffix("."), text


PAGES: Final[dict[str, tuple[str, str]]] = {
    module.CODE: _page(module) for module in (*CHECKS, secret, calendar_table) if isinstance(module, ModuleType)
}
"""Title and text by code."""
