"""Budgets of a few events."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sloctl.checks.small_budget import CODE
from tests.checks.specifications import FRESH, findings, slo, specification


@pytest.mark.parametrize(
    ("traffic", "more", "count"),
    [
        ("1/min", "", 1),  # 43 200 events in 30 days: 43.2 may be bad
        ("2/min", "", 0),
        ("1/min", ", window: 90d", 0),
        ("0/s", "", 1),
    ],
)
def test_fewer_than_fifty_events_are_too_few(traffic: str, more: str, count: int) -> None:
    assert len(findings(specification(slo(more=f"traffic: {traffic}{more}")), CODE)) == count


def test_it_is_silent_without_traffic_without_alerts_and_for_slices() -> None:
    for each in (slo(), slo("none", more="traffic: 1/h"), slo(sli=FRESH, more="traffic: 1/h")):
        assert findings(specification(each), CODE) == []


@pytest.mark.property
@settings(max_examples=60)
@given(rate=st.integers(1, 100), per=st.sampled_from(["min", "h"]), nines=st.sampled_from(["99%", "99.9%", "99.99%"]))
def test_each_proposal_is_enough(rate: int, per: str, nines: str) -> None:
    traffic = f"traffic: {rate}/{per}"
    found = findings(specification(slo(objective=nines, more=traffic)), CODE)
    assume(found)
    for objective in re.findall(r"promise ([\d.]+%)", found[0].help):
        assert findings(specification(slo(objective=objective, more=traffic)), CODE) == []
    for window in re.findall(r"`window: (\d+d)`", found[0].help):
        assert findings(specification(slo(objective=nines, more=f"{traffic}, window: {window}")), CODE) == []
