"""Budgets, calendars, credits, forecasts and regressions, in the rule engine of a real Prometheus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sloctl.backends.prometheus import calendars
from tests.backends.prometheus.conftest import RuleTest, write_rules

SPEC = """
apiVersion: sloctl/v1
kind: Service
service: api
alerts: none
slos:
  - name: ok
    objective: 99%
    sli: {{{sli}}}
    {slo}
"""
RATIO = "ratio: {total: requests, bad: failures}"
FIXED = 'platform="default", service="api", slo="api-ok"'


MEASURED = {"slo:measured_since:timestamp_seconds": "-31536000x3000"}


def spec(slo: str = "", sli: str = RATIO) -> str:
    return SPEC.format(sli=sli, slo=slo)


def rolled(total: str, errors: str, more: str = "") -> dict[str, str]:
    """Tiles of an SLO that has been measured for a year; tests of the slow group run at its interval."""
    tiles = {"slo:sli_total:increase1m": total, "slo:sli_errors:increase1m": errors}
    return {f"{name}{{{FIXED}{more}}}": values for name, values in (tiles | MEASURED).items()}


def rollup_expression(folder: Path) -> str:
    groups = yaml.safe_load(write_rules(spec(), folder).read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    expr: str = next(rule["expr"] for rule in rules if rule.get("record") == "slo:sli_total:increase4m")
    return expr


def sample(metric: str, value: float, more: str = "") -> dict[str, Any]:
    return {"labels": f"{metric}{{{FIXED}{more}}}", "value": value}


@pytest.mark.server
def test_a_rollup_holds_every_tile_once(rule_test: RuleTest) -> None:
    rule_test(
        spec(),
        rolled("1+1x200", "0x200"),
        interval="1m",
        every="4m",
        only="slow",
        values=[("100m", "sum_over_time(slo:sli_total:increase4m[59m59s])", [_unnamed(sum(range(41, 101)))])],
    )


@pytest.mark.server
def test_a_rollup_holds_four_tiles_wherever_its_group_lies_on_the_clock(rule_test: RuleTest, tmp_path: Path) -> None:
    expr = rollup_expression(tmp_path)
    series = {f"slo:sli_total:increase1m{{{FIXED}}}": "1x60", f"slo:sli_total:increase4m{{{FIXED}}}": "4x60"}
    phases = [second for second in range(60) if second != 30]  # ranges of 2.x hold both of their ends
    values = [(f"40m{second}s", expr, [_unnamed(4)]) for second in phases]
    rule_test(spec(), series, interval="1m", every="1m", only="none", values=values)


@pytest.mark.server
@pytest.mark.parametrize(("missed", "tiles"), [(0, 4), (1, 8), (2, 12), (3, 16), (4, 4), (9, 4)])
def test_missed_rollups_are_caught_up_by_the_next_one_without_counting_a_tile_twice(
    rule_test: RuleTest, tmp_path: Path, missed: int, tiles: int
) -> None:
    series = {f"slo:sli_total:increase1m{{{FIXED}}}": "1x200", f"slo:sli_total:increase4m{{{FIXED}}}": "_x41 4 stale"}
    at = f"{41 + 4 * (missed + 1)}m"  # the last roll-up before the pause was at 41m
    values = [(at, rollup_expression(tmp_path), [_unnamed(tiles)])]
    rule_test(spec(), series, interval="1m", every="1m", only="none", values=values)


@pytest.mark.server
def test_a_rollup_that_finds_no_tile_leaves_the_next_one_to_catch_up(rule_test: RuleTest, tmp_path: Path) -> None:
    paused = {
        f"slo:sli_total:increase1m{{{FIXED}}}": "1x40 _x5 1x40",
        f"slo:sli_total:increase4m{{{FIXED}}}": "_x41 4 stale",
    }
    values = [("45m", rollup_expression(tmp_path), [])]  # no tile since: nothing, instead of the ones before again
    rule_test(spec(), paused, interval="1m", every="1m", only="none", values=values)


@pytest.mark.server
def test_the_budget_is_bad_events_over_the_share_of_all_events_that_may_be_bad(rule_test: RuleTest) -> None:
    series = rolled("100x2000", "0x1000 2x1000")  # 199 tiles with errors of 1200 in all
    rule_test(
        spec(),
        series,
        interval="1m",
        every="4m",
        only="slow",
        values=[
            ("1200m", "slo:error_budget_consumed:ratio_increase30d", [_budget(398 / 1200)]),
            # 1 % of 120 000 events are allowed and 398 went bad. Each hour 120 go bad and 58 more are allowed: 6 000
            # events come, and a 720th of those of the window leaves
            ("1200m", "round(slo:time_to_exhaustion:seconds)", [_unnamed(46819)]),
            ("800m", "slo:time_to_exhaustion:seconds", []),  # nothing burns
        ],
    )


MONTH = "window: {calendar: month, time_zone: Asia/Kolkata}"


@pytest.fixture
def boundary_at_10_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table whose second period begins at 36600 s and ends at 86400 s: promtool's time begins at 0."""
    monkeypatch.setattr(calendars, "period_starts", lambda _: (0, 36600, 86400, 172800))


@pytest.mark.server
@pytest.mark.usefixtures("boundary_at_10_hours")
def test_a_calendar_budget_begins_anew_with_its_period(rule_test: RuleTest) -> None:
    series = rolled("100x2000", "2x609 1x2000")
    begun = {
        'slo:period_start:timestamp_seconds{platform="default", calendar="month_Asia_Kolkata"}': "0x609 36600x2000",
        'slo:period_end:timestamp_seconds{platform="default", calendar="month_Asia_Kolkata"}': "36600x609 86400x2000",
    }
    consumed, ratio = "slo:error_budget_consumed:ratio_period", "slo:sli_error:ratio_period"
    rule_test(
        spec(MONTH),
        series | begun,
        interval="1m",
        every="4m",
        only="slow",
        values=[
            ("608m", f"round({consumed}, 0.01)", [_unnamed(1.99)]),  # 608 of 610 minutes of the period
            ("632m", f"round({ratio}, 0.001) <= bool 0.011", [_unnamed(1)]),
            ("632m", f"round({consumed}, 0.01) <= bool 0.05", [_unnamed(1)]),  # 22 minutes of 830
            ("900m", "count(sum by (period) (slo:sli_total:increase4m))", [{"labels": "{}", "value": 1}]),
            # it goes on at exactly the allowed rate, so the period ends with its budget just spent
            ("900m", "round(slo:error_budget_predicted:ratio_period, 0.01)", [_unnamed(1)]),
        ],
    )


@pytest.mark.server
@pytest.mark.usefixtures("boundary_at_10_hours")
def test_the_table_of_periods_is_a_step_function_of_time(rule_test: RuleTest) -> None:
    expr = calendars.step_function((0, 36600, 86400), (0, 36600, 86400))
    values = [
        (at, expr, [{"labels": "{}", "value": value}]) for at, value in (("609m", 0), ("610m", 36600), ("25h", 86400))
    ]
    rule_test(spec(), rolled("1x10", "0x10"), interval="1m", every="4m", only="slow", values=values)


@pytest.mark.server
def test_credits_at_risk_are_the_highest_credit_missed_times_the_contract(rule_test: RuleTest) -> None:
    sla = (
        "by: [tenant]\n    sla: {window: 1d, credits: [{below: 99.9%, credit: 10%}, {below: 99%, credit: 25%}], "
        "value: contract_usd}"
    )
    series: dict[str, str] = {}
    for tenant, errors in (("fine", "0"), ("late", "5"), ("lost", "20")):
        series |= rolled("1000x600", f"{errors}x600", f', tenant="{tenant}"')
        series[f'contract_usd{{tenant="{tenant}", plan="x"}}'] = "400x600"
    expected = [
        sample("slo:sla_credits_at_risk:currency", owed, f', tenant="{tenant}", currency="USD"')
        for tenant, owed in (("fine", 0), ("late", 40), ("lost", 100))
    ]
    rule_test(
        spec(sla),
        series,
        interval="1m",
        every="4m",
        only="slow",
        values=[("400m", "slo:sla_credits_at_risk:currency", expected)],
    )


SATURATION = "saturation: {used: used_bytes, capacity: size_bytes, at_most: 90%}"


@pytest.mark.server
def test_a_forecast_fires_when_the_line_reaches_the_limit_in_time_and_not_before(rule_test: RuleTest) -> None:
    # from 40 % on 1.5 % more each hour: 40 hours to the limit, of which a day is left after 16
    series = {"used_bytes": "400+0.25x1200", "size_bytes": "1000x1200"}
    labels = {
        "platform": "default",
        "service": "api",
        "slo": "api-ok",
        "sloctl": "v1",
        "severity": "P3",
        "burn_tier": "forecast",
    }
    annotations = {"summary": "s", "description": "d"}
    slo = "forecast: {within: 1d, from: 10h}\n    annotations: {summary: s, description: d}"
    fires = [{"exp_labels": labels, "exp_annotations": annotations}]
    rule_test(
        spec(slo, SATURATION),
        series,
        interval="1m",
        every="4m",
        only="slow",
        values=[("12h", "round(slo:time_to_limit:seconds / 3600)", [_unnamed(28)])],
        alerts=[("15h52m", "ApiOkReachesLimit", []), ("16h8m", "ApiOkReachesLimit", fires)],
    )


@pytest.mark.server
def test_a_quantile_that_is_worse_than_a_week_ago_is_a_regression(rule_test: RuleTest) -> None:
    slo = (
        "regression: {quantile: 75%, over: 4h, earlier: 8h, worse_by: 10%, severity: P2, min_events: 100}\n"
        "    annotations: {summary: s, description: d}"
    )
    sli = "latency: {histogram: vitals_seconds, at_most: 1}"
    tile = "slo:sli_bucket:increase4m"
    series = {
        f'{tile}{{{FIXED}, le="1"}}': "100x180 50x400",
        f'{tile}{{{FIXED}, le="2"}}': "100x600",
        f'{tile}{{{FIXED}, le="+Inf"}}': "100x600",
    }
    labels = {
        "platform": "default",
        "service": "api",
        "slo": "api-ok",
        "sloctl": "v1",
        "severity": "P2",
        "burn_tier": "regression",
    }
    fires = [{"exp_labels": labels, "exp_annotations": {"summary": "s", "description": "d"}}]
    rule_test(
        spec(slo, sli),
        series,
        interval="4m",
        every="4m",
        only="slow",
        alerts=[("12h", "ApiOkRegression", []), ("16h", "ApiOkRegression", fires), ("39h", "ApiOkRegression", [])],
    )


def _unnamed(value: float) -> dict[str, Any]:
    return {"labels": f"{{{FIXED}}}", "value": value}


def _budget(value: float) -> dict[str, Any]:
    return sample("slo:error_budget_consumed:ratio_increase30d", value)
