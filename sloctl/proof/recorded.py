"""The recordings of an SLO as they stand in tests, and claims about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from sloctl import conventions
from sloctl.explain.simulation import Tile
from sloctl.model.catalogue import Slo
from sloctl.model.labels import recorded_label
from sloctl.model.quantities import Duration, number
from sloctl.model.window import CalendarWindow
from sloctl.proof.proof import Case, MissingRuleError, Proof, Rules
from sloctl.proof.series import Raw, series_text

_NEAR: Final = Decimal("1e-9")
"""Floating point in another order of operations."""


def path_of(slo: Slo) -> str:
    """`platform/service/slo`, as people find it."""
    return f"{slo.platform}/{slo.service}/{slo.name}"


def own_series(slo: Slo, metric: str, split: Mapping[str, str]) -> str:
    """A recording of the SLO, as a series."""
    return series_text(metric, {**conventions.series_labels(slo), **recorded(split)})


def recorded(split: Mapping[str, str]) -> dict[str, str]:
    """Split labels by the names that recordings give them."""
    return {recorded_label(name): value for name, value in split.items()}


def split_of(slo: Slo, value: str) -> dict[str, str]:
    """One value of each split label."""
    return dict.fromkeys(slo.by, value)


def tile_series(slo: Slo, tiles: Sequence[Tile], split: Mapping[str, str]) -> Raw:
    """A history written as tiles, with the period of a calendar that has just one."""
    resolution = slo.sampling.resolution
    raw: Raw = {
        own_series(slo, conventions.total_tile(resolution), split): [total if total else None for total, _ in tiles],
        own_series(slo, conventions.errors_tile(resolution), split): [bad if total else None for total, bad in tiles],
    }
    if slo.calendar is not None:
        raw |= period_series(slo, slo.calendar, [Decimal(0)] * len(tiles))
    return raw


def period_series(slo: Slo, calendar: CalendarWindow, starts: Sequence[Decimal]) -> Raw:
    """The table of periods, as a series."""
    return {series_text(conventions.PERIOD_START, conventions.calendar_labels(slo.platform, calendar)): list(starts)}


def checked(slo: Slo, part: str, rules: Rules, every: Duration, names: Sequence[str], cases: Sequence[Case]) -> Proof:
    """The claim that these rules do what the cases say; refuted where the rule file lacks one of them."""
    try:
        return Proof(path_of(slo), part, every, rules.group(names), cases)
    except MissingRuleError as error:
        return Proof(path_of(slo), part, every, refuted=str(error))


def near(expr: str, value: Decimal, within: Decimal = _NEAR) -> str:
    """PromQL that is 1 where an expression has a value, but for a share of it."""
    low, high = sorted((value * (1 - within), value * (1 + within)))
    return f"({expr} >= bool {number(low)}) * ({expr} <= bool {number(high)})"


def unproven(slo: Slo, rules: Rules, name: str, why: str = "no history is known that shows it") -> Proof:
    """A rule that cannot be run; in a rule file it must at least be what the specification compiles to."""
    every, seen = slo.sampling.resolution, rules.seen.get(name)
    if seen is None:
        return Proof(path_of(slo), name, every, refuted=f"the rule file has no rule {name}")
    if seen != rules.meant[name]:
        expected = " ".join(rules.meant[name]["expr"].split())
        text = " ".join(str(seen.get("expr")).split())
        why = f"{name} is not what the specification compiles to: expected {expected}, seen {text}"
        return Proof(path_of(slo), name, every, refuted=why)
    return Proof(path_of(slo), name, every, unproven=why)
