# ruff: noqa: E501 - one row for each world
"""Samples that are no number: they are no event and no slice, and take no other sample with them.

CloudWatch exporters write them where there is no datum, and a native histogram's fraction is none before its first
observation. One of them in a sum would take a window of 30 days.
"""

from __future__ import annotations

import pytest

from tests.backends.prometheus.conftest import RuleTest
from tests.backends.prometheus.test_kinds import UP, spec

pytestmark = pytest.mark.server

COUNTER = "0+60x100 NaN 6120+60x139"
STEADY = "0+60x240"


def gauge(value: int) -> str:
    return f"{value}x100 NaN {value}x139"


@pytest.mark.parametrize(
    ("sli", "series", "total", "errors"),
    [
        ("ratio: {total: a_total, bad: b_total}", {"a_total": COUNTER, "b_total": "0+6x100 NaN 612+6x139"}, 14220, 1422),
        ("ratio: {total: a_total, bad: b_total}", {"a_total": STEADY, "b_total": "0+6x100 NaN 612+6x139"}, 14220, 1422),
        ("ratio: {good: g_total, bad: b_total}", {"g_total": COUNTER, "b_total": "0+6x240"}, 15642, 1422),
        ("ratio: {total: a, bad: b, counts: per_second}", {"a": gauge(2), "b": gauge(1)}, 14160, 7080),
        ("ratio: {total: a, bad: b, counts: per_5m}", {"a": gauge(100), "b": gauge(5)}, 2360, 118),
        ("query: {total: 'sum(last_over_time(a[$window]))', bad: 'sum(last_over_time(b[$window]))'}", {"a": "4x100 NaN NaN 4x139", "b": "1x100 NaN NaN 1x139"}, 476, 119),
        ("query: {bad_ratio: 'avg(last_over_time(b[$window]))'}", {"b": "0.25x100 NaN NaN 0.25x139"}, 119, 29.75),
        ("probe: {gauge: p}", {"p": "1x50 0x50 NaN 1x139"}, 237, 51),
        ("probe: {gauge: p, across: any}", {"p": "1x50 0x50 NaN 1x139"}, 119, 26),
        ("freshness: {age: a, max_age: 1m}", {"a": "120x100 NaN 10x139"}, 118, 50),
        ("threshold: {value: t, at_most: 5}", {"t": "6x100 NaN NaN NaN NaN NaN 6x135"}, 118, 118),
        ("threshold: {value: t, at_most: 5}", {"t": "4x100 NaN NaN NaN NaN NaN 4x135"}, 118, 0),
        ("saturation: {used: u, capacity: c, at_most: 80%}", {"u": "9x100 NaN NaN NaN NaN NaN 9x135", "c": "10x240"}, 117, 117),
        ("saturation: {used: u, capacity: c, at_most: 80%}", {"u": gauge(9), "c": gauge(10)}, 119, 119),
        ("throughput: {counter: a_total, at_least: 100/min}", {"a_total": COUNTER}, 116, 0),
        ("throughput: {counter: a, at_least: 100/min, counts: per_second}", {"a": gauge(2)}, 118, 1),  # the world begins with an empty slice
    ],
)  # fmt: skip
def test_a_sample_that_is_no_number_is_no_event_and_no_slice(
    rule_test: RuleTest, sli: str, series: dict[str, str], total: float, errors: float
) -> None:
    named = {f'{name}{{job="api", instance="a"}}': points for name, points in series.items()}
    at = "119m45s"
    values = [
        (at, f"sum_over_time(slo:sli_{kind}:increase1m[2h])", [{"labels": LABELS, "value": value}])
        for kind, value in (("total", total), ("errors", errors))
    ]
    rule_test(spec(sli), UP | named, values=values)


LABELS = '{platform="default", service="api", slo="api-ok"}'
