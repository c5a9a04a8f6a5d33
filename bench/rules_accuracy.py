"""How right the budget is, beside the truth, the events scraped, and two other shapes of rules."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.table import Table

from bench import rules_others
from bench.rows import Row
from bench.rules_month import JOBS, Month, own
from bench.rules_others import RATIO
from bench.rules_traffic import INCIDENTS, START, WINDOW, Incident
from sloctl import conventions

SHIFT: Final = 15
"""Seconds by which rules look back; what was scraped is counted up to then."""
AFTERWARDS: Final = 6 * 60
"""Seconds after an incident until every shape has counted all of it."""
BUDGET: Final = 0.001
LATENCY_BUDGET: Final = 0.01
WIDTH: Final = 130


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity as each shape of rules has it; bad events, or what is charged as such."""

    what: str
    truth: float
    scraped: float
    ours: float
    ratios: float
    raw: float

    def off(self, measured: float) -> float:
        """Per cent off the events scraped."""
        return 100 * (measured / self.scraped - 1)


def figures(month: Month) -> Iterator[Figure]:
    """Every budget, then every incident."""
    for job in JOBS:
        yield _budget(month, job, job, "errors", BUDGET)
    yield _budget(month, "latency", "clean", "slow", LATENCY_BUDGET)
    for job in ("clean", "gap"):
        yield from (_incident(month, job, incident) for incident in INCIDENTS)


def rows(month: Month) -> Iterator[Row]:
    """The targets; prints the whole table."""
    found = list(figures(month))
    Console(width=WIDTH).print(_table(found))
    for figure in found:
        if figure.what.startswith("low"):
            counted = round(figure.ours)
            yield Row("low: errors counted of 28, at 1 request a minute", counted, at_least=25)
            yield Row("low: errors counted that did not happen", counted - figure.truth, at_most=0)
            continue
        most = 0.5 if "budget" in figure.what else 1.5
        yield Row(f"{figure.what}: % off the events scraped", abs(figure.off(figure.ours)), at_most=most)
        if not figure.what.startswith("gap"):  # in the gaps processes crash unread: nobody can know those events
            yield Row(f"{figure.what}: % off the truth", abs(100 * (figure.ours / figure.truth - 1)), at_most=most)


def _budget(month: Month, slo: str, job: str, kind: str, budget: float) -> Figure:
    """Bad events of 30 days as the recorded budget has them."""
    at, ledger, ask = month.last(slo, "4m"), month.ledgers[job], month.server.value
    sides = _sides(slo)
    total = ledger.truth("total", at - WINDOW, at)
    consumed = ask(f"{conventions.BUDGET_CONSUMED}increase30d{own(slo)}", at)
    mean = ask(f'avg_over_time({RATIO}5m{{slo="{slo}"}}[30d])', at)
    return Figure(
        f"{slo}: budget of 30 d",
        truth=ledger.truth(kind, at - WINDOW, at),
        scraped=ledger.seen(kind, at - WINDOW - SHIFT, at - SHIFT),
        ours=consumed * budget * ask(f"sum_over_time({conventions.TOTAL}4m{own(slo)}[30d])", at),
        ratios=mean * total,
        raw=_raw(month, sides, "30d", at),
    )


def _incident(month: Month, job: str, incident: Incident) -> Figure:
    """Bad events charged to an incident; a mean of ratios charges its share of the window's mean."""
    begin, at = START + incident.begin, START + incident.end + AFTERWARDS
    ledger, ask, window = month.ledgers[job], month.server.value, f"{at - START - incident.begin}s"
    end = month.last(job, "4m")
    points = ask(f'count_over_time({RATIO}5m{{slo="{job}"}}[30d])', end)
    share = ask(f'sum_over_time({RATIO}5m{{slo="{job}"}}[{window}])', at) / points
    return Figure(
        f"{job}: {incident.name}",
        truth=ledger.truth("errors", begin, at),
        scraped=ledger.seen("errors", begin - SHIFT, at - SHIFT),
        ours=ask(f"sum_over_time({conventions.ERRORS}1m{own(job)}[{window}])", at),
        ratios=share * ledger.truth("total", end - WINDOW, end),
        raw=_raw(month, _sides(job), window, at),
    )


def _raw(month: Month, sides: rules_others.Sides, window: str, at: float) -> float:
    """Bad events by the increase of raw series; zero where it has no series."""
    bad = f"sum(increase({sides.bad or sides.total}[{window}]))"
    good = f" - sum(increase({sides.good}[{window}]))" if sides.good else ""
    found = month.server.value(bad + good, at)
    return 0.0 if math.isnan(found) else found


def _sides(slo: str) -> rules_others.Sides:
    return rules_others.LATENCY if slo == "latency" else rules_others.availability(slo)


def _table(found: list[Figure]) -> Table:
    title = "Bad events, and % off the events scraped"
    table = Table(
        "", "truth", "scraped", "ours", "mean of 5m ratios", "raw increase", title=title, title_justify="left"
    )
    for figure in found:
        shapes = (figure.ours, figure.ratios, figure.raw)
        table.add_row(
            figure.what,
            f"{figure.truth:.0f}",
            f"{figure.scraped:.0f}",
            *("no number" if math.isnan(value) else f"{value:.0f} ({figure.off(value):+.2f} %)" for value in shapes),
        )
    return table
