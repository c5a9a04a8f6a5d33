"""Severities that always fire together."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sloctl.checks.same_minute import CODE
from sloctl.model.budget import detection_time
from sloctl.model.quantities import Duration
from tests.checks.specifications import findings, slo, specification

TOGETHER = "[{severity: P1, burn: 14.2, over: 5m}, {severity: P2, burn: 6, over: 14m}]"


@pytest.mark.parametrize(("inhibition", "count"), [("none", 1), ("alertmanager", 0), ("rule", 0)])
def test_it_is_silent_where_the_higher_mutes_the_lower(inhibition: str, count: int) -> None:
    text = specification(slo(TOGETHER), platform=f"inhibition: {inhibition}")
    assert len(findings(text, CODE)) == count


@pytest.mark.parametrize(
    "alerts",
    [
        "google",
        "[{severity: P1, burn: 14.2, over: 5m}, {severity: P1, burn: 6, over: 14m}]",
        "[{severity: P1, burn: 14.2, over: 5m}, {severity: P2, burn: 6, over: 14m, for: 2m}]",
        "[{severity: P1, burn: 14.2, over: 5m}, {severity: P3, budget_left: 25%}]",
    ],
)
def test_it_is_silent_where_one_comes_later_or_the_severity_is_the_same(alerts: str) -> None:
    assert findings(specification(slo(alerts), platform="inhibition: none"), CODE) == []


@pytest.mark.property
@settings(max_examples=60)
@given(
    high=st.tuples(st.integers(1, 20), st.integers(1, 120)),
    low=st.tuples(st.integers(1, 20), st.integers(1, 240)),
)
def test_together_means_within_a_minute_at_every_error_ratio(high: tuple[int, int], low: tuple[int, int]) -> None:
    text = "[{{severity: P1, burn: {}, over: {}m}}, {{severity: P2, burn: {}, over: {}m}}]"
    said = findings(specification(slo(text.format(*high, *low)), platform="inhibition: none"), CODE)
    minute, limits = Duration.of(minutes=1), [Decimal(burn) / 1000 for burn, _ in (high, low)]
    ratios = [max(limits) + (1 - max(limits)) * step / 50 for step in range(1, 51)]
    apart = 0
    for ratio in ratios:
        times = [
            detection_time(limit, minute * over, ratio, minute)
            for limit, (_, over) in zip(limits, (high, low), strict=True)
        ]
        assume(None not in times)
        apart = max(apart, abs(times[0].milliseconds - times[1].milliseconds) // 60_000)  # type: ignore[union-attr]
    if said:
        assert apart <= 1
        later = said[0].help.split("`over: ")[1].split("`")[0]
        better = text.format(*high, low[0], later).replace("mm}", "m}").replace("hm}", "h}")
        assert findings(specification(slo(better), platform="inhibition: none"), CODE) == []
    if apart > 1:
        assert not said
