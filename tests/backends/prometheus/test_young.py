"""The first hours of an SLO, of a calendar period and of a split value: minutes are never judged as a month."""

from __future__ import annotations

import pytest

from tests.backends.prometheus.conftest import RuleTest

pytestmark = pytest.mark.server

SPEC = """
apiVersion: sloctl/v1
kind: Service
service: api
slos:
  - name: ok
    objective: 99.9%
    sli: {{ratio: {{total: 'requests_total{{job="api"}}', bad_if: 'code="500"'}}}}
    {slo}
"""
UP = {'up{job="api", instance="a"}': "1x400"}
ALERTS = "count by (alertname) (ALERTS{alertstate='firing'})"


def requests(good: str, bad: str, more: str = "") -> dict[str, str]:
    labels = f'job="api", instance="a"{more}'
    return {f'requests_total{{{labels}, code="200"}}': good, f'requests_total{{{labels}, code="500"}}': bad}


BAD_START = requests("1000000+294x30 1009114+300x400", "0+6x30 180x400")
"""10 requests per second, of which 2 % fail in the first 15 minutes."""


def between(expr: str, least: float, most: float, labels: str = "{}") -> tuple[str, list[dict[str, object]]]:
    return f"({expr} >= bool {least}) * ({expr} <= bool {most})", [{"labels": labels, "value": 1}]


def test_ten_minutes_are_not_sold_as_a_month(rule_test: RuleTest) -> None:
    spent = "sum(slo:error_budget_consumed:ratio_increase30d)"
    rule_test(
        SPEC.format(slo=""),
        UP | BAD_START,
        values=[
            ("12m", *between(spent, 0.004, 0.0062)),  # 12 minutes of 2 % are 0.56 % of a month's budget
            ("60m", *between(spent, 0.006, 0.0076)),  # promtool evaluates roll-ups too often: some begin late
            ("60m", *between("sum(slo:window_covered:ratio)", 0.0013, 0.0015)),
            ("10m", "ALERTS{alertstate='firing'}", []),
            ("60m", "max_over_time(ALERTS{alertstate='firing'}[1h])", []),
        ],
    )


def test_a_total_outage_of_an_slo_that_is_one_minute_old_pages_as_fast_as_any(rule_test: RuleTest) -> None:
    outage = requests("1000000+300x2 1000600x400", "0x2 300+300x400")
    rule_test(
        SPEC.format(slo=""),
        UP | outage,
        values=[("4m", "count(ALERTS{alertstate='firing', burn_tier='p1-1h'})", [{"labels": "{}", "value": 1}])],
    )


def test_a_new_split_value_is_young_for_itself(rule_test: RuleTest) -> None:
    old = requests("0+300x400", "0x400", ', tenant="old"')
    new = requests("_x239 0+294x160", "_x239 0+6x160", ', tenant="new"')
    spent = "sum by (tenant) (slo:error_budget_consumed:ratio_increase30d) > 0"
    rule_test(
        SPEC.format(slo="by: [tenant]"),
        UP | old | new,
        values=[("140m", *between(spent, 0.005, 0.01, '{tenant="new"}'))],
    )


def test_a_pause_of_prometheus_does_not_make_a_window_young(rule_test: RuleTest) -> None:
    since = '{platform="default", service="api", slo="api-ok"}'
    rule_test(
        SPEC.format(slo=""),
        UP
        | requests("0+300x100 _x60 48300+300x240", "0+3x100 _x60 483+3x240")
        | {f"slo:measured_since:timestamp_seconds{since}": "-31536000x50 _x400"},
        values=[("90m", *between("sum(slo:sli_error:ratio_increase1h)", 0.0098, 0.0101))],
        only="fast",
    )


def test_what_a_server_has_forgotten_is_not_covered(rule_test: RuleTest) -> None:
    """The rules ran for a day, and the tiles of its first half are gone: told to a thirtieth of the longest tier."""
    rolled = '{platform="default", service="api", slo="api-ok"}'
    rule_test(
        SPEC.format(slo="window: 1d"),
        {f"slo:sli_total:increase4m{rolled}": "_x179 100x180"},
        values=[("1436m", *between("sum(slo:measured_since:timestamp_seconds) / 3600", 12 - 72 / 30, 12))],
        only="fast",
        interval="4m",
    )
