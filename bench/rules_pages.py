"""False pages of a service that keeps its objective: with and without the guard against small numbers.

Twice: drawn for many months, and by the generated alerts themselves on the month with one request a minute.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.rows import Row
from bench.rules_accuracy import WIDTH
from bench.rules_month import Month, compiled
from bench.rules_traffic import DAY, INCIDENTS, START, WINDOW, poisson
from sloctl.conventions import burn_tier
from sloctl.model.alerting import Tier
from sloctl.model.budget import error_threshold, guard_minimum
from sloctl.model.quantities import MINUTE, Objective

SPEC: Final = """
apiVersion: sloctl/v1
kind: Service
service: night
runbook: https://runbooks.example.com/night
slos:
  - {name: google, objective: 99.9%, sli: {ratio: {total: requests_total, bad_if: 'code="500"'}}}
  - name: one-window
    objective: 99.9%
    sli: {ratio: {total: requests_total, bad_if: 'code="500"'}}
    alerts:
      - {severity: P1, burn: 14.2, over: 5m}
      - {severity: P2, burn: 6, over: 14m}
      - {severity: P3, burn: 3, over: 30m}
"""
OBJECTIVE: Final = Objective(Decimal("0.999"))
ERROR_RATIO: Final = 0.0007
MINUTES: Final = 30 * 24 * 60
APART: Final = 10
"""Minutes; what fires again sooner is the same page."""
RATES: Final = {1: 40, 5: 10, 20: 10}
"""Requests a minute, and how many months of them are drawn."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Running totals of events and errors by the minute, from zero."""

    total: Sequence[int]
    errors: Sequence[int]


def simulated() -> Iterator[Row]:
    """Rows for one request a minute; prints every tier at every rate."""
    tiers = _tiers()
    table = Table("requests a minute, tier", "guarded", "unguarded", title=_TITLE, title_justify="left")
    for rate, count in RATES.items():
        months = [_month(rate, random.Random(f"{rate}/{number}")) for number in range(count)]
        guarded = {name: sum(_episodes(month, tier, _guard) for month in months) for name, tier in tiers.items()}
        bare = {name: sum(_episodes(month, tier, lambda _: 0) for month in months) for name, tier in tiers.items()}
        for name in tiers:
            table.add_row(f"{rate}/min {name}", f"{guarded[name] / count:.2f}", f"{bare[name] / count:.2f}")
        if rate == 1:
            yield Row("1/min: false alerts of all tiers per 30 d", sum(guarded.values()) / count, at_most=0)
            worst = bare["google p1-1h"] / count
            yield Row("1/min: the same of p1-1h without the guard, as a proof that it would show", worst, at_least=10)
    Console(width=WIDTH).print(table)


_TITLE: Final = f"False alerts per 30 d at 0.07 % errors, objective 99.9 %, months drawn: {RATES}"


def _tiers() -> dict[str, Tier]:
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as folder:
        catalogue = compiled(SPEC, Path(folder))
    slos = [slo for platform in catalogue.platforms for slo in platform.slos]
    return {f"{slo.name} {burn_tier(tier)}": tier for slo in slos for tier in slo.tiers}


def _month(rate: int, chance: random.Random) -> Counts:
    totals = [poisson(chance, rate) for _ in range(MINUTES)]
    errors = [poisson(chance, total * ERROR_RATIO) for total in totals]
    return Counts([0, *accumulate(totals)], [0, *accumulate(errors)])


def _episodes(month: Counts, tier: Tier, guard: Callable[[int], float]) -> int:
    """How often a tier begins to fire."""
    threshold = float(error_threshold(tier, OBJECTIVE))
    over = int(tier.averaged_over / MINUTE)
    also = int(tier.also_over / MINUTE) if tier.also_over else over
    fired = (minute for minute in range(1, MINUTES + 1) if _fires(month, minute, over, also, threshold, guard))
    return episodes(fired)


def _fires(month: Counts, minute: int, over: int, also: int, threshold: float, guard: Callable[[int], float]) -> bool:
    since = max(0, minute - also)
    errors = month.errors[minute] - month.errors[since]
    if not errors or errors <= threshold * (month.total[minute] - month.total[since]):
        return False
    since = max(0, minute - over)
    errors, total = month.errors[minute] - month.errors[since], month.total[minute] - month.total[since]
    return errors > threshold * total and errors >= guard(total)


@cache
def _guard(total: int) -> float:
    return float(guard_minimum(Decimal(total), OBJECTIVE))


def episodes(minutes: Iterable[float]) -> int:
    """Groups of minutes that lie no more than `APART` from each other."""
    count, last = 0, float("-inf")
    for minute in minutes:
        count += minute - last > APART
        last = minute
    return count


def evaluated(month: Month) -> Iterator[Row]:
    """What the generated alerts say of the month in Prometheus' own engine."""
    fired = {slo: _fired(month, slo) for slo in ("low", "unguarded", "clean", "gap")}
    table = Table("fired in the month", *fired, title="Episodes of each generated alert", title_justify="left")
    for tier in fired["low"]:
        table.add_row(tier, *(str(episodes(at / 60 for at in side[tier])) for side in fired.values()))
    Console(width=WIDTH).print(table)
    yield Row("low: alerts in 30 d, 28 errors in 43 200 requests", sum(map(len, fired["low"].values())), at_most=0)
    for slo in ("clean", "gap"):
        pages = [at for tier, moments in fired[slo].items() if tier.startswith("p1") for at in moments]
        yield Row(f"{slo}: pages outside of incidents", sum(not _in_incident(at) for at in pages), at_most=0)
        missed = [
            incident.name for incident in INCIDENTS if incident.ratio > 0.01 and not _paged(incident.begin, pages)
        ]
        yield Row(f"{slo}: incidents above 1 % of errors without a page", len(missed), at_most=0)


def _in_incident(at: float) -> bool:
    """Whether an incident goes on, or its windows of 30 min and its late tiles may still be full."""
    return any(START + incident.begin <= at <= START + incident.end + 35 * 60 for incident in INCIDENTS)


def _paged(begin: float, pages: Iterable[float]) -> bool:
    return any(0 <= at - START - begin <= 15 * 60 for at in pages)


def _fired(month: Month, slo: str) -> Mapping[str, list[float]]:
    """The moments at which each tier's condition held, in Unix seconds, on its group's grid."""
    grids = (
        (month.group(slo, "fast"), month.last(slo, "1m"), 60),
        (month.group(slo, "slow"), month.last(slo, "4m"), 240),
    )
    return {
        rule["labels"]["burn_tier"]: list(_moments(month, rule["expr"], end, step))
        for group, end, step in grids
        for rule in group["rules"]
        if "alert" in rule and rule["labels"]["burn_tier"] != "blind"
    }


def _moments(month: Month, expr: str, end: float, step: int) -> Iterator[float]:
    """Each evaluation of the window at which the expression has a sample; asked in pieces of six days."""
    begin = end - WINDOW
    while begin < end:
        until = min(begin + 6 * DAY - step, end)
        found = month.server.ask("query_range", query=expr, start=str(begin), end=str(until), step=str(step))
        yield from sorted(float(at) for series in found["result"] for at, _ in series["values"])
        begin = until + step
