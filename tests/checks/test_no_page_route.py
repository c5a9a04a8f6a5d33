"""Pages that reach nobody of the team."""

from __future__ import annotations

import pytest

from sloctl.checks.no_page_route import CODE
from tests.checks.specifications import findings, slo, specification

TEAM = "team: web\nteams: {web: {%s}}"


@pytest.mark.parametrize(
    ("routes", "alerts", "more", "count"),
    [
        ("P2: {slack: '#web'}", "google", "", 1),
        ("P1: {pagerduty: web}", "google", "", 0),
        ("P2: {slack: '#web'}", "[{severity: P2, burn: 2, over: 1h}]", "", 0),
        ("P2: {slack: '#web'}", "none", "", 0),
        ("P2: {slack: '#web'}", "google", "mode: observe", 0),
    ],
)
def test_a_team_whose_slos_page_needs_a_p1_route(routes: str, alerts: str, more: str, count: int) -> None:
    text = specification(slo(alerts, more=more), platform=TEAM % routes)
    assert len(findings(text, CODE)) == count


def test_it_is_silent_where_there_are_no_teams() -> None:
    assert findings(specification(slo()), CODE) == []
