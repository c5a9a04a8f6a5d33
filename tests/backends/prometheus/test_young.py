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


def test_a_split_value_that_left_is_forgotten_with_its_last_tile(rule_test: RuleTest) -> None:
    """Until then nobody takes it for a new one, however rarely it comes: `seldom` is seen by none of the few looks."""
    here = {"stays": "1x900", "left": "1x90", "seldom": "_x2 1x1 _x900"}
    window = {"stays": "1x900", "left": f"1x{90 + 360}", "seldom": "_x2 1x900"}
    series = {
        f'slo:sli_total:increase{length}{{platform="default", service="api", slo="api-ok", tenant="{tenant}"}}': values
        for lengths, shown in ((("1m", "4m"), here), (("1d",), window))
        for length in lengths
        for tenant, values in shown.items()
    }

    def known(*tenants: str) -> list[dict[str, object]]:
        return [{"labels": f'{{tenant="{tenant}"}}', "value": 1} for tenant in tenants]

    since = "count by (tenant) (slo:measured_since:timestamp_seconds)"
    rule_test(
        SPEC.format(slo="by: [tenant]\n    window: 1d"),
        series,
        values=[
            ("24h", since, known("left", "seldom", "stays")),
            ("48h", since, known("seldom", "stays")),
            ("48h", *between("sum(slo:measured_since:timestamp_seconds{tenant='seldom'})", 400, 500)),
        ],
        interval="4m",
        every="4m",
        only="fast",
    )


@pytest.mark.parametrize("by", [False, True])
def test_a_page_says_how_much_of_its_period_is_measured(rule_test: RuleTest, by: bool) -> None:
    """Of a month that began at zero; what of it is still to come is not missing."""
    outage = requests("0+300x40 12000x400", "0x40 300+300x400", ', tenant="x"')
    more = {"tenant": "x"} if by else {}
    own = "platform='default'" + (", tenant='x'" if by else "")
    slo = "window: {calendar: month, time_zone: UTC}\n    annotations: {note: '$young.'}"
    slo += "\n    alerts: [{severity: P2, burn: 2, over: 5m}]"
    labels = {"platform": "default", "service": "api", "slo": "api-ok", "sloctl": "v1", "severity": "P2"}

    def told(since: int, note: str) -> None:
        at = "slo:measured_since:timestamp_seconds{" + own.replace("'", '"') + ', service="api", slo="api-ok"}'
        description = (
            "api promises 99.9% over month (UTC). A few minutes ago a part that is not yet counted of the error "
            "budget was spent; at the rate of the last 5m the rest is gone in 43m 12s. "
            f"{note}Follow the runbook before the budget is gone. `sloctl why api-ok` says where it burns."
        )
        summary = f"api-ok{' for tenant x' if by else ''}: 100% of events are bad over 5m, above 2x the error budget"
        texts = {"summary": summary, "description": description, "note": f"{note}."}
        rule_test(
            SPEC.format(slo=slo + ("\n    by: [tenant]" if by else "")),
            UP
            | outage
            | {
                at: f"{since}x90",
                'slo:period_start:timestamp_seconds{platform="default", calendar="month_UTC"}': "0x90",
            },
            alerts=[
                (
                    "40m",
                    "ApiOkBudgetBurnP2Over5m",
                    [{"exp_labels": {**labels, **more, "burn_tier": "p2-5m"}, "exp_annotations": texts}],
                )
            ],
            only="fast",
        )

    told(600, "Only 30m 0s of this month are measured, and what is not counts as clean. ")
    told(-31_536_000, "")
