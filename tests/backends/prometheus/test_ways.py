"""Ways to say what has no key of its own: as helps and the pages name them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from sloctl.compiler import load
from sloctl.diagnostics import Diagnostics
from sloctl.model.indicator import Latency
from sloctl.model.periods import period_starts
from sloctl.model.window import Calendar, CalendarWindow
from tests.backends.prometheus.conftest import RuleTest, write_rules

SPEC = """
apiVersion: sloctl/v1
kind: Service
service: api
slos:
  - name: ok
    objective: {objective}
    sli: {sli}
    {slo}
"""
UP = {'up{job="api", instance="a"}': "1x120"}


def spec(sli: str, slo: str = "", objective: str = "99%") -> str:
    return SPEC.format(sli=sli, slo=slo, objective=objective)


@pytest.mark.server
def test_every_bad_event_is_told_although_no_objective_is_whole(rule_test: RuleTest) -> None:
    sli = "{ratio: {total: 'checks_total{job=\"api\"}', bad_if: 'ok=\"no\"'}}"
    told = "alerts: [{severity: P1, burn: 1, over: 5m, guard: none}]"
    labels = 'job="api", instance="a"'
    rule_test(
        spec(sli, told, "99.999%"),
        UP | {f'checks_total{{{labels}, ok="yes"}}': "0+5x120", f'checks_total{{{labels}, ok="no"}}': "_x59 1x60"},
        values=[
            ("28m", "count(ALERTS{alertstate='firing', severity='P1'})", []),
            ("32m", "count(ALERTS{alertstate='firing', severity='P1'})", [{"labels": "{}", "value": 1}]),
        ],
    )


@pytest.mark.server
@pytest.mark.parametrize(
    ("sli", "sample", "bad"),
    [
        ("{threshold: {value: unavailable, at_most: 0}}", "0", 0),
        ("{threshold: {value: unavailable, at_most: 0}}", "1", 1),
        ("{threshold: {value: 'unavailable < bool 500', at_least: 1}}", "499", 0),
        ("{threshold: {value: 'unavailable < bool 500', at_least: 1}}", "500", 1),
    ],
)
def test_nothing_may_be_used_and_a_bound_that_is_bad_itself(
    rule_test: RuleTest, sli: str, sample: str, bad: int
) -> None:
    expected = [{"labels": "{}", "value": bad}]
    rule_test(spec(sli), {"unavailable": f"{sample}x60"}, values=[("10m", "sum(slo:sli_errors:increase1m)", expected)])


@pytest.mark.server
def test_routes_with_bounds_of_their_own_are_one_ratio_of_buckets(rule_test: RuleTest) -> None:
    sli = (
        """{ratio: {total: ['s_count{route="a"}', 's_count{route="b"}'], """
        """good: ['s_bucket{route="a", le="0.3"}', 's_bucket{route="b", le="1.0"}']}}"""
    )
    target = 'job="api", instance="a"'
    series = {
        f's_count{{{target}, route="a"}}': "0+10x60",
        f's_count{{{target}, route="b"}}': "0+10x60",
        f's_bucket{{{target}, route="a", le="0.3"}}': "0+9x60",
        f's_bucket{{{target}, route="a", le="1.0"}}': "0+10x60",
        f's_bucket{{{target}, route="b", le="0.3"}}': "0+1x60",
        f's_bucket{{{target}, route="b", le="1.0"}}': "0+8x60",
    }
    rule_test(
        spec(sli), UP | series, values=[("10m", "sum(slo:sli_errors:increase1m)", [{"labels": "{}", "value": 6}])]
    )


def test_a_period_that_begins_at_noon_is_one_of_another_zone() -> None:
    starts = period_starts(CalendarWindow(Calendar.MONTH, "Etc/GMT-12"))
    assert {datetime.fromtimestamp(start, UTC).hour for start in starts} == {12}


@pytest.mark.parametrize(
    ("histogram", "more", "at_most", "bound"),
    [
        ("a_microseconds", "", "250ms", "250000"),
        ("a_nanoseconds", "", "250ms", "250000000"),
        ("a_seconds", "", "0.5ms", "0.0005"),
        ("a_seconds", "", "500us", "0.0005"),
        ("a_milliseconds", "", "1.5us", "0.0015"),
        ("a", ", unit: us", "20ms", "20000"),
        ("a", ", unit: ns", "750ns", "750"),
        ("a", ", unit: none", "42", "42"),
    ],
)
def test_bounds_are_in_the_unit_of_their_histogram(
    tmp_path: Path, histogram: str, more: str, at_most: str, bound: str
) -> None:
    sli = f"{{latency: {{histogram: {histogram}, at_most: {at_most}{more}}}}}"
    (tmp_path / "spec.yaml").write_text(spec(sli))
    found = Diagnostics()
    (platform,) = load([str(tmp_path / "spec.yaml")], found).platforms
    assert found.errors == []
    (slo,) = platform.slos
    assert isinstance(slo.indicator, Latency)
    assert slo.indicator.at_most == Decimal(bound)


def test_a_burn_below_one_is_a_trend(tmp_path: Path) -> None:
    sli, tier = "{ratio: {total: a_total, bad: b_total}}", "alerts: [{severity: P3, burn: 0.98, over: 7d}]"
    assert "> 0.0098" in write_rules(spec(sli, tier), tmp_path).read_text()


def test_the_template_actions_that_everybody_writes_are_placeholders(tmp_path: Path) -> None:
    written = "{{ $labels.cluster }} fails {{ $value | humanizePercentage }} of $labels.cluster, {{$value}}"
    slo = f"by: [cluster]\n    annotations: {{note: '{written}'}}"
    text = write_rules(spec("{ratio: {total: a_total, bad: b_total}}", slo), tmp_path).read_text()
    rules = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    (note,) = {rule["annotations"]["note"] for rule in rules if "P1Over1h" in rule.get("alert", "")}
    label, value = "{{ $labels.cluster }}", "{{ $value | humanizePercentage }}"
    assert note == f"{label} fails {value} of {label}, {value}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ $labels.pod }} fails", "`pod` is no label of `by`, so an alert does not have it"),
        ("{{ range query }}", "`{{` would open a template action"),
        ("{{ $labels.cluster }}s", "`{{` would open a template action"),
    ],
)
def test_other_template_actions_and_labels_are_refused(tmp_path: Path, text: str, said: str) -> None:
    slo = f"by: [cluster]\n    annotations: {{note: '{text}'}}"
    (tmp_path / "spec.yaml").write_text(spec("{ratio: {total: a_total, bad: b_total}}", slo))
    found = Diagnostics()
    load([str(tmp_path / "spec.yaml")], found)
    assert [error.message for error in found.errors] == [said]
