"""What the rules compute, in the rule engine of a real Prometheus."""

from __future__ import annotations

import re
from pathlib import Path

import promql_parser
import pytest
import yaml

from testing.shapes import shape
from tests.backends.prometheus.conftest import RuleTest, write_rules

SPEC = """
apiVersion: sloctl/v1
kind: Service
service: api
{service}
slos:
  - name: ok
    objective: 99.9%
    sli: {{ratio: {{{ratio}}}}}
    {slo}
"""
TOTAL = 'requests_total{job="api"}'


def spec(ratio: str = f"""total: '{TOTAL}', bad_if: 'code="500"'""", slo: str = "", service: str = "") -> str:
    return SPEC.format(ratio=ratio, slo=slo, service=service)


def tiles(kind: str, value: float, **labels: str) -> list[dict[str, object]]:
    """The one tile of the SLO with this value."""
    more = "".join(f', {name}="{text}"' for name, text in labels.items())
    name = f'slo:sli_{kind}:increase1m{{platform="default", service="api", slo="api-ok"{more}}}'
    return [{"labels": name, "value": value}]


UP = {'up{job="api", instance="a"}': "1x200"}
STEADY = {'requests_total{job="api", instance="a", code="200"}': "0+30x200"}


@pytest.mark.server
def test_steady_traffic_is_counted_to_the_event_and_no_errors_are_zero_errors(rule_test: RuleTest) -> None:
    rule_test(
        spec(),
        UP | STEADY,
        values=[
            ("10m", "slo:sli_total:increase1m", tiles("total", 60)),
            ("10m", "slo:sli_errors:increase1m", tiles("errors", 0)),
        ],
    )


@pytest.mark.server
def test_an_error_series_born_with_three_counts_three_errors_at_once(rule_test: RuleTest) -> None:
    born = {'requests_total{job="api", instance="a", code="500"}': "_x19 3x60"}  # first seen at 9m30s
    errors = "slo:sli_errors:increase1m"
    rule_test(
        spec(),
        UP | STEADY | born,
        values=[
            ("9m", errors, tiles("errors", 0)),
            ("10m", errors, tiles("errors", 3)),
            ("11m", errors, tiles("errors", 0)),
        ],
    )


@pytest.mark.server
@pytest.mark.parametrize(("new_series", "errors"), [("count", 3), ("ignore", 0)])
def test_new_series_decides_whether_a_birth_without_up_counts(
    rule_test: RuleTest, new_series: str, errors: int
) -> None:
    born = {'requests_total{job="api", instance="a", code="500"}': "_x19 3x60"}
    rule_test(
        spec(service=f"new_series: {new_series}"),
        STEADY | born,
        values=[("10m", "slo:sli_errors:increase1m", tiles("errors", errors))],
    )


@pytest.mark.server
def test_a_new_target_brings_no_history_with_it(rule_test: RuleTest) -> None:
    late = {
        'up{job="api", instance="b"}': "_x19 1x60",
        'requests_total{job="api", instance="b", code="500"}': "_x19 1000000+10x60",
    }
    rule_test(
        spec(),
        UP | STEADY | late,
        values=[("10m", "sum_over_time(slo:sli_errors:increase1m[20m]) < bool 100", [_plain(1)])],
    )


@pytest.mark.server
def test_a_target_label_that_is_added_brings_no_history_with_it(rule_test: RuleTest) -> None:
    relabelled = {
        'up{job="api", instance="a"}': "1x19 stale",
        'requests_total{job="api", instance="a", code="200"}': "1000000+30x19 stale",
        'up{job="api", instance="a", team="x"}': "_x20 1x60",
        'requests_total{job="api", instance="a", code="200", team="x"}': "_x20 1000600+30x60",
    }
    rule_test(
        spec(), relabelled, values=[("12m", "max_over_time(slo:sli_total:increase1m[12m]) <= bool 120", [_plain(1)])]
    )


@pytest.mark.server
def test_a_reset_counts_what_was_counted_since(rule_test: RuleTest) -> None:
    reset = {'requests_total{job="api", instance="a", code="200"}': "5000+30x18 20+30x60"}
    rule_test(spec(), UP | reset, values=[("10m", "slo:sli_total:increase1m", tiles("total", 20))])


@pytest.mark.server
def test_a_gap_of_ten_minutes_is_recovered_in_the_first_tile_after_it(rule_test: RuleTest) -> None:
    gap = {'requests_total{job="api", instance="a", code="200"}': "0+30x20 _x20 1230+30x60"}
    total = "slo:sli_total:increase1m"
    rule_test(spec(), UP | gap, values=[("15m", total, tiles("total", 0)), ("21m", total, tiles("total", 630))])


@pytest.mark.server
@pytest.mark.parametrize(
    "ratio",
    [
        "total: requests_total, bad: failures_total",
        "total: requests_total, good: successes_total",
        "bad: failures_total, good: successes_total",
        "total: [successes_total, failures_total], bad: failures_total",
    ],
)
@pytest.mark.parametrize("by", ["", "by: [tenant]"])
def test_every_pair_says_the_same_of_the_same_events(rule_test: RuleTest, ratio: str, by: str) -> None:
    labels = '{job="api", instance="a", tenant="t"}'
    series = {
        f"requests_total{labels}": "0+30x60",
        f"failures_total{labels}": "0+3x60",
        f"successes_total{labels}": "0+27x60",
    }
    split = {"tenant": "t"} if by else {}
    rule_test(
        spec(ratio, by),
        UP | series,
        values=[
            ("10m", "slo:sli_total:increase1m", tiles("total", 60, **split)),
            ("10m", "slo:sli_errors:increase1m", tiles("errors", 6, **split)),
        ],
    )


@pytest.mark.server
def test_each_value_of_a_split_has_zero_errors_until_its_first_one(rule_test: RuleTest) -> None:
    series = {
        'requests_total{job="api", instance="a", tenant="calm", code="200"}': "0+30x60",
        'requests_total{job="api", instance="a", tenant="ill", code="200"}': "0+30x60",
        'requests_total{job="api", instance="a", tenant="ill", code="500"}': "_x19 4x60",
        'requests_total{job="api", instance="a", code="500"}': "0+9x60",  # belongs to no tenant
    }
    expected = tiles("errors", 0, tenant="calm") + tiles("errors", 4, tenant="ill")
    rule_test(spec(slo="by: [tenant]"), UP | series, values=[("10m", "slo:sli_errors:increase1m", expected)])


@pytest.mark.server
def test_a_split_by_a_reserved_label_is_recorded_under_another_name(rule_test: RuleTest) -> None:
    series = {'requests_total{job="api", instance="a", service="inner"}': "0+30x60"}
    rule_test(
        spec(slo="by: [service]"),
        UP | series,
        values=[("10m", "slo:sli_total:increase1m", tiles("total", 60, exported_service="inner"))],
    )


@pytest.mark.server
@pytest.mark.parametrize(("counts", "value", "events"), [("per_second", 2, 120), ("per_5m", 600, 120)])
def test_rates_and_deltas_become_the_events_of_one_tile(
    rule_test: RuleTest, counts: str, value: int, events: int
) -> None:
    series = {"requests": f"{value}x60", "failures": "0x60"}
    rule_test(
        spec(f"total: requests, bad: failures, counts: {counts}"),
        series,
        values=[("10m", "slo:sli_total:increase1m", tiles("total", events))],
    )


@pytest.mark.server
def test_without_traffic_there_is_no_ratio_and_no_alert(rule_test: RuleTest) -> None:
    quiet = {'requests_total{job="api", instance="a", code="200"}': "77x200"}
    rule_test(
        spec(),
        UP | quiet,
        values=[("90m", '{__name__=~"slo:sli_error:ratio.*"}', [])],
        alerts=[("90m", "ApiOkBlind", [])],
    )


@pytest.mark.server
def test_one_error_at_low_traffic_pages_nobody(rule_test: RuleTest) -> None:
    lonely = {
        'requests_total{job="api", instance="a", code="200"}': "0+1x400",
        'requests_total{job="api", instance="a", code="500"}': "_x200 1x200",
    }
    at = ["101m", "102m", "105m", "120m", "150m"]
    names = ["ApiOkBudgetBurnP1Over1h", "ApiOkBudgetBurnP1Over6h"]
    rule_test(spec(), UP | lonely, alerts=[(time, name, []) for time in at for name in names])


@pytest.mark.server
def test_the_fast_page_comes_at_the_computed_minute_and_says_what_is_known(rule_test: RuleTest) -> None:
    # 5 % errors from minute 70 on: 14.4 x 0.1 % of an hour is passed after 18 minutes (see `detection_time`); the
    # first failed scrape is already in the tile of minute 70, so the page comes one minute earlier.
    series = {
        'requests_total{job="api", instance="a", code="200"}': "0+600x139 83970+570x100",
        'requests_total{job="api", instance="a", code="500"}': "_x139 30+30x100",
        'up{job="api", instance="a"}': "1x300",
    }
    labels = {
        "platform": "default",
        "service": "api",
        "slo": "api-ok",
        "sloctl": "v1",
        "severity": "P1",
        "burn_tier": "p1-1h",
    }
    annotations = {
        "summary": "api-ok: 1.458% of events are bad over 1h, above 14.4x the error budget",
        "description": "$budget is not ours to fill in",
    }
    name = "ApiOkBudgetBurnP1Over1h"
    # the built-in description asks the slow group, whose turn in promtool's engine is drawn by lot
    rule_test(
        spec(slo="annotations: {description: $budget is not ours to fill in}"),
        series,
        alerts=[("86m", name, []), ("87m", name, [{"exp_labels": labels, "exp_annotations": annotations}])],
    )


@pytest.mark.server
def test_a_vanished_metric_is_blind_and_a_quiet_one_is_not(rule_test: RuleTest) -> None:
    gone = {'requests_total{job="api", instance="a", code="200"}': "0+30x60 stale"}  # ends at 30m
    labels = {
        "platform": "default",
        "service": "api",
        "slo": "api-ok",
        "sloctl": "v1",
        "severity": "P2",
        "burn_tier": "blind",
    }
    annotations = {
        "summary": "api-ok: its metric has had no usable samples for 15m, so nothing is measured",
        "description": 'No series match requests_total{job="api"}, or their samples are too old when they come. Either '
        "the service or its scrape is gone, or the metric was renamed: check the target first, then the selector and "
        "`late_by` in the specification. Until then no other alert of api-ok can fire.",
    }
    rule_test(
        spec(),
        UP | gone,
        alerts=[
            ("48m", "ApiOkBlind", []),
            ("50m", "ApiOkBlind", [{"exp_labels": labels, "exp_annotations": annotations}]),
        ],
    )


def test_a_google_slo_costs_25_rules_and_17_series_and_two_after_a_pause(tmp_path: Path) -> None:
    rules = [rule for group in _groups(spec(), tmp_path) for rule in group["rules"]]
    assert len(rules) == 25
    assert sum("record" in rule for rule in rules) == 17 + 2


def test_every_constant_scales_with_the_resolution_but_the_shift_and_blind(tmp_path: Path) -> None:
    platform = "apiVersion: sloctl/v1\nkind: Platform\nname: default\nresolution: 5s\nscrape_interval: 1s\n---"
    text = (write_rules(platform + spec(), tmp_path)).read_text()
    lengths = set(re.findall(r"\[([0-9a-z]+)\]|offset ([0-9a-z]+)", text))
    flat = {length for pair in lengths for length in pair if length}
    assert {"5s", "1m15s", "20s", "25s", "2s500ms", "1s500ms", "6s500ms", "15m", "4m59s"} <= flat
    assert "15s" not in flat


@pytest.mark.parametrize("by", ["", "by: [tenant]"])
def test_expressions_keep_their_shape_whatever_the_selectors_say(tmp_path: Path, by: str) -> None:
    plain, odd = tmp_path / "plain", tmp_path / "odd"
    plain.mkdir()
    odd.mkdir()
    hostile = (
        """total: 'requests_total{job="a\\"}[5m])) or vector(0) or sum(rate(up{x=\\"", path=~"(a|b).*\\\\\\\\{"}'"""
    )
    simple = """total: 'requests_total{job="x", path=~"y"}'"""
    shapes = [
        [
            shape(promql_parser.parse(rule["expr"]))
            for group in _groups(spec(f"{total}, bad_if: 'code=\"500\"'", by), folder)
            for rule in group["rules"]
        ]
        for folder, total in ((plain, simple), (odd, hostile))
    ]
    assert shapes[0] == shapes[1]


def _groups(text: str, folder: Path) -> list[dict[str, list[dict[str, str]]]]:
    groups: list[dict[str, list[dict[str, str]]]] = yaml.safe_load(write_rules(text, folder).read_text())["groups"]
    return groups


def _plain(value: float) -> dict[str, object]:
    return {"labels": '{platform="default", service="api", slo="api-ok"}', "value": value}
