"""A tier that one bad event fires at the declared traffic."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloctl.checks.one_event import CODE
from tests.checks.specifications import FRESH, findings, slo, specification


@pytest.mark.parametrize(
    ("tier", "fires"),
    [
        ("burn: 2, over: 1h, guard: none", True),  # 360 events: one is 0.28 %, above 0.2 %
        ("burn: 2, over: 2h, guard: none", False),  # 720 events: one is 0.14 %
        ("burn: 2, over: 1h", False),
        ("burn: 2, over: 1h, guard: none, min_bad: 2", False),
        ("burn: 2, over: 1h, guard: none, min_bad: 1", True),
        ("burn: 2, over: 1h, guard: none, min_events: 361", False),
        ("burn: 2, over: 1h, guard: none, min_events: 360", True),
        ("burn: 2, over: 1h, also_over: 5m, guard: none, for: 4m", True),
        ("burn: 2, over: 1h, also_over: 5m, guard: none, for: 5m", False),  # it is out of the window again
        ("budget_left: 25%", False),
    ],
)
def test_a_tier_fires_on_one_event_when_that_is_above_its_threshold(tier: str, fires: bool) -> None:
    text = specification(slo(f"[{{severity: P2, {tier}}}]", more="traffic: 6/min"))
    assert bool(findings(text, CODE)) is fires


def test_it_is_silent_without_traffic_and_for_slices() -> None:
    alerts = "[{severity: P2, burn: 2, over: 1h, guard: none, min_bad: 1}]"
    assert findings(specification(slo(alerts)), CODE) == []
    assert findings(specification(slo(alerts, sli=FRESH, more="traffic: 6/min")), CODE) == []


@pytest.mark.property
@given(rate=st.decimals("0.01", "1000", places=2), burn=st.integers(1, 20), over=st.integers(1, 1440))
def test_the_proposed_time_is_long_enough(rate: Decimal, burn: int, over: int) -> None:
    def found(minutes: int) -> str:
        alerts = f"[{{severity: P2, burn: {burn}, over: {minutes}m, guard: none}}]"
        return "".join(
            finding.help for finding in findings(specification(slo(alerts, more=f"traffic: {rate}/min")), CODE)
        )

    help_ = found(over)
    assert bool(help_) is (max(rate * over, Decimal(1)) * burn / 1000 < 1)
    if "average" in help_:
        longer = help_.split("average `over` ")[1].split(" or longer")[0]
        alerts = f"[{{severity: P2, burn: {burn}, over: {longer}, guard: none}}]"
        assert findings(specification(slo(alerts, more=f"traffic: {rate}/min")), CODE) == []
