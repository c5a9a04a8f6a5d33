"""What a change means, in sentences where it deserves them, and each key that differs."""

from __future__ import annotations

import pytest

from sloctl.diagnostics import Diagnostics
from sloctl.explain.diff import compared, markdown
from sloctl.language.document import parse_documents
from sloctl.model.catalogue import Catalogue
from sloctl.resolve import resolve

PLATFORM = """\
apiVersion: sloctl/v1
kind: Platform
name: shop
teams:
  web: {P1: {pagerduty: web}, P2: {slack: '#web'}, P3: {email: web@example.com}}
---
"""
SERVICE = """\
apiVersion: sloctl/v1
kind: Service
service: cart
team: web
slos:
  - name: availability
    objective: 99.9%
    alerts: [{severity: P1, burn: 10, over: 1h}]
    sli: {ratio: {total: requests_total, bad_if: 'code=~"5.."'}}
  - name: load
    objective: 99%
    alerts: none
    sli: {saturation: {used: used, capacity: capacity, at_most: 80%}}
"""
CANARY = """\
canary:
  steps: [{weight: 5%, hold: 10m}, {weight: 100%}]
  checks: [{name: errors, slo: availability, error_rate: 0.5%}]
"""
WHOLE = PLATFORM + SERVICE + CANARY


def loaded(text: str) -> Catalogue:
    found = Diagnostics()
    catalogue = resolve(parse_documents(text.encode(), "shop.yaml", found), found)
    assert found.errors == []
    return catalogue


def said(old: str, new: str) -> str:
    return markdown(compared(loaded(old), loaded(new)))


def test_a_canary_that_lets_half_of_all_requests_fail_is_told() -> None:
    changed = WHOLE.replace("0.5%", "50%").replace("hold: 10m", "hold: 1m")
    assert said(WHOLE, changed) == (
        "### shop/cart\n\n"
        "- canary.steps.1.hold: 10m → 1m\n"
        "- canary.steps.1.deadline: 20m → 2m\n"
        "- canary.checks.errors.error_rate: 0.5% → 50%"
    )


def test_what_comes_or_goes_as_a_whole_is_told_as_a_whole() -> None:
    without = PLATFORM + SERVICE
    assert said(without, WHOLE) == (
        "### shop/cart\n\n- canary **added**: steps.1 weight 5%, hold 10m, deadline 20m; steps.2 weight 100%; "
        "checks.errors slo availability, error_rate 0.5%, needs any, shared hold; alpha rollback 0.01, promote 0.01"
    )
    assert said(WHOLE, without) == "### shop/cart\n\n- canary **removed**"
    forecast = without + "    forecast: {within: 15d}\n"
    assert said(without, forecast) == (
        "### shop/cart/load\n\n- forecast **added**: within 15d, from 14d, to 1, severity P3"
    )
    assert said(forecast, forecast.replace("15d", "20d")) == "### shop/cart/load\n\n- forecast.within: 15d → 20d"


def test_receivers_of_a_team_are_compared() -> None:
    changed = WHOLE.replace("{slack: '#web'}", "{slack: '#web', email: web@example.com}").replace(
        "pagerduty: web", "sns: 'a:b'"
    )
    assert said(WHOLE, changed) == (
        "### shop\n\n"
        "- teams.web.P1.pagerduty: web → none\n"
        "- teams.web.P1.sns: none → a:b\n"
        "- teams.web.P2.email: none → web@example.com"
    )


def test_what_is_counted_is_told_with_the_part_that_changes() -> None:
    assert said(WHOLE, WHOLE.replace("requests_total", "calls_total")) == (
        "### shop/cart/availability\n\n"
        "- **counts something else**: until a window has passed, budget and averages mix both\n"
        "- sli.ratio.total: requests_total → calls_total\n"
        '- sli.ratio.bad: requests_total{code=~"5.."} → calls_total{code=~"5.."}'
    )


def test_a_tier_tells_its_speed_once_and_its_other_keys_beside_it() -> None:
    changed = WHOLE.replace("burn: 10, over: 1h", "burn: 20, over: 1h, min_events: 50, labels: {paging: loud}")
    assert said(WHOLE, changed) == (
        "### shop/cart/availability\n\n"
        "- tier `p1-1h`: above 1% errors over 1h → above 2% errors over 1h; "
        "pages after 1m → 2m at 100%, 2m → 3m at 50%, 7m → 13m at 10%, 13m → 25m at 5%\n"
        "- tier `p1-1h`: min_events: 0 → 50\n"
        "- tier `p1-1h`: labels.paging: none → loud"
    )


def test_nobody_is_told_where_no_team_is_left() -> None:
    assert "- team: web → nobody" in said(WHOLE, WHOLE.replace("team: web\n", ""))


@pytest.mark.parametrize("text", [WHOLE, PLATFORM + SERVICE])
def test_a_specification_does_not_differ_from_itself(text: str) -> None:
    assert compared(loaded(text), loaded(text)) == []


def test_services_and_platforms_come_and_go_with_their_slos() -> None:
    renamed = said(WHOLE, WHOLE.replace("service: cart", "service: basket"))
    assert "### shop/basket\n\n- **new**\n\n### shop/basket/availability\n\n- **new**: 99.9% over 30d" in renamed
    assert "### shop/cart\n\n- **removed**\n\n### shop/cart/availability\n\n- **removed**: nobody" in renamed
