"""Prometheus rules: how right, how cheap and how quiet; see the modules that it calls."""

from __future__ import annotations

from collections.abc import Iterator

from bench import rules_accuracy, rules_cost, rules_firing, rules_pages, rules_troubles, rules_worlds
from bench.rows import Row
from bench.rules_month import month


def rows() -> Iterator[Row]:
    """All that is measured on the month of data, drawn months, worlds with one fault each and in promtool's engine."""
    with month() as data:
        yield from rules_accuracy.rows(data)
        yield from rules_cost.rows(data)
        yield from rules_pages.evaluated(data)
    yield from rules_cost.many_targets()
    yield from rules_cost.throughput()
    yield from rules_pages.simulated()
    yield from rules_firing.rows()
    yield from rules_troubles.rows()
    yield from rules_worlds.rows()
