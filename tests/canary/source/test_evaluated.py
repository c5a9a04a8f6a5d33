"""Expressions over time as counters: what the server makes of them is judged by an absolute limit."""

from __future__ import annotations

import json
import math
from decimal import Decimal

import numpy as np
import pytest

from sloctl.canary.source.evaluated import evaluated
from sloctl.model.indicator import Across, Query, Threshold
from sloctl.model.selector import Expression
from sloctl.prometheus import Series
from tests.canary.server.conftest import MakeHook, hook_of
from tests.canary.source.test_look import SPEC
from tests.canary.stub import NOW, Answer, matrix

__all__ = ["hook_of"]

GRID = np.arange(0.0, 121.0, 10.0)
VALUE = Expression("max by (pod) (memory_bytes)")


def over_time(values: list[float], step: float = 10.0) -> Series:
    times = tuple(step * (index + 1) for index in range(len(values)))
    return Series({}, times, tuple(values))


@pytest.mark.parametrize(
    ("across", "bad", "total"),
    [(Across.EACH, 3, 5), (Across.ANY, 2, 3), (Across.ALL, 2, 3), (Across.MOST, 2, 3)],
)
def test_a_sample_of_a_gauge_out_of_bounds_is_a_bad_slice(across: Across, bad: int, total: int) -> None:
    pods = over_time([5, 9, 9]), over_time([5, 9])
    threshold = Threshold(VALUE, at_least=Decimal(1), at_most=Decimal(8), across=across)
    found = evaluated(threshold, GRID[:4], lambda *_: pods)
    assert [found[role][0].values[-1] for role in ("bad", "total")] == [bad, total]


def test_where_the_server_says_nothing_nothing_is_known() -> None:
    found = evaluated(Threshold(VALUE, at_most=Decimal(8)), GRID[:5], lambda *_: (over_time([5, 9]),))
    assert found["total"][0].values.tolist()[:3] == [0, 1, 2]
    assert np.isnan(found["total"][0].values[3:]).all()


def test_a_query_counts_the_events_of_windows() -> None:
    asked: list[tuple[str, float]] = []

    def ask(text: str, step: float) -> tuple[Series, ...]:
        asked.append((text, step))
        times = (40.0, 80.0, 120.0)
        return (Series({}, times, (100.0, 100.0, 100.0) if "all" in text else (1.0, 0.0, 2.0)),)

    query = Query(total=Expression("sum(increase(all[$window]))"), bad=Expression("sum(increase(bad[$window]))"))
    found = evaluated(query, GRID, ask)
    assert asked == [("sum(increase(all[40s]))", 40.0), ("sum(increase(bad[40s]))", 40.0)]
    assert found["bad"][0].values.tolist() == [0] * 4 + [1] * 8 + [3]
    assert found["total"][0].values[-1] == 300


LAG = SPEC.replace(
    "canary:",
    """  - name: lag
    objective: 99%
    alerts: none
    sli: {threshold: {value: 'max(lag)', at_most: 1000}}
canary:""",
).replace("worse_by: 0%}]", "worse_by: 0%}, {name: lag, slo: lag, error_rate: 5%}]")


@pytest.mark.parametrize(
    ("bad", "said"), [(0, "promote/healthy"), (2, "promote/healthy"), (3, "rollback/harm"), (60, "rollback/harm")]
)
def test_a_gauge_is_a_gate_of_its_own(hook_of: MakeHook, bad: int, said: str) -> None:
    hook = hook_of(LAG)

    def answer(query: str) -> Answer:
        if "lag" not in query:
            return hook.stub.healthy(query)
        values = [[NOW - 600 + 10 * k, "2000" if k <= bad else "10"] for k in range(1, 60)]
        return 200, matrix(({}, values))

    hook.stub.body = answer
    assert hook.said() == said
    checks = {check["name"]: check for check in hook.seen[-1]["checks"]}
    assert checks["lag"]["canary"]["x"] == min(bad, 58)
    assert math.isfinite(checks["lag"]["canary"]["n"])
    assert json.dumps(checks)
