"""A tier that one bad slice fires, and the default that prevents it."""

from __future__ import annotations

import pytest

from sloctl.checks import unreachable_tier
from sloctl.checks.one_bad_slice import CODE
from tests.checks.specifications import FRESH, RATIO, findings, slo, specification


@pytest.mark.parametrize(
    ("tier", "fires"),
    [
        ("burn: 14.4, over: 1h", False),
        ("burn: 14.4, over: 1h, min_bad: 0", True),
        ("burn: 14.4, over: 1h, min_bad: 1", True),
        ("burn: 14.4, over: 1h, min_bad: 2", False),
        ("burn: 14.4, over: 2h, min_bad: 0", False),  # 1 of 120 is 0.83 %
        ("burn: 14.4, over: 1h, also_over: 5m, min_bad: 0, for: 5m", False),
        ("burn: 14.4, over: 1h, min_bad: 0, guard: statistical", False),
        ("burn: 1, over: 1m", True),
        ("burn: 1, over: 1m, for: 2m", False),
        ("budget_left: 25%", False),
    ],
)
def test_one_slice_is_above_the_threshold_or_not(tier: str, fires: bool) -> None:
    text = specification(slo(f"[{{severity: P2, {tier}}}]", sli=FRESH))
    assert bool(findings(text, CODE)) is fires
    assert findings(text, unreachable_tier.CODE) == []


def test_timeslices_are_slices_and_events_are_not() -> None:
    alerts = "[{severity: P2, burn: 14.4, over: 1h, min_bad: 0}]"
    assert findings(specification(slo(alerts, sli=RATIO)), CODE) == []
    assert len(findings(specification(slo(alerts, sli=RATIO, more="timeslices: {target: 99%}")), CODE)) == 1


def test_a_tier_that_asks_for_more_slices_than_there_are_can_never_fire() -> None:
    for key in ("min_bad", "min_events"):
        text = specification(slo(f"[{{severity: P2, burn: 1, over: 2m, {key}: 3}}]", sli=FRESH))
        assert len(findings(text, unreachable_tier.CODE)) == 1
        each = text.replace(", across: all", "")  # each series counts, and there may be many
        assert findings(each, unreachable_tier.CODE) == []
