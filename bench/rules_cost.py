"""What rules cost: samples that Prometheus reads for them, by its own statistics, and how many they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench import rules_others
from bench.rows import Row
from bench.rules_accuracy import WIDTH
from bench.rules_month import Month
from bench.rules_others import Rule

SLOS: Final = {
    "clean": ("availability", rules_others.AVAILABILITY, "0.001"),
    "latency": ("latency", rules_others.LATENCY, "0.01"),
}


def rows(month: Month) -> Iterator[Row]:
    """The targets; prints the three shapes side by side."""
    table = Table(
        "samples read per SLO and minute", "ours", "mean of 5m ratios", "raw increase",
        title=f"Cost, Prometheus {month.server.ask('status/buildinfo')['version']}", title_justify="left",
    )  # fmt: skip
    found: list[Row] = []
    for slo, (what, sides, budget) in SLOS.items():
        rules = generated(month, slo)
        at = {rule.every: month.last(slo, "1m" if rule.every == 60 else "4m") for rule in rules}
        ours = sum(month.server.samples_read(rule.expr, at[rule.every]) * 60 / rule.every for rule in rules)
        others = [
            sum(month.server.samples_read(rule.expr, at[240]) * 60 / rule.every for rule in shape)
            for shape in (rules_others.ratios(sides, budget, slo), rules_others.raw(sides, budget))
        ]
        series = month.server.value(f"count({sides.total})", at[60])
        table.add_row(f"{what}", f"{ours:,.0f}", *(f"{one:,.0f} ({one / ours:.0f}x)" for one in others))
        recorded = {rule.record for rule in rules if rule.record}
        found += [
            Row(f"{what}: raw series of the total", series, at_least=6 if sides.good else 28, at_most=30),
            Row(f"{what}: samples read per minute", ours, at_most=15_000),
            Row(f"{what}: rules", len(rules), at_most=21),
            Row(f"{what}: recorded series", len(recorded), at_most=16),
        ]
    Console(width=WIDTH).print(table)
    yield from found


def generated(month: Month, slo: str) -> list[Rule]:
    """The generated rules of an SLO."""
    return [
        Rule(rule["expr"], _seconds(group), rule.get("record"))
        for group in (month.group(slo, "fast"), month.group(slo, "slow"))
        for rule in group["rules"]
    ]


def _seconds(group: Mapping[str, Any]) -> float:
    match = re.fullmatch(r"(\d+)m", group["interval"])
    assert match, group["interval"]
    return int(match[1]) * 60
