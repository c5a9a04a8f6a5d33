"""What each SLI kind counts, in the rule engine of a real Prometheus."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.backends.prometheus.conftest import RuleTest

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
UP = {'up{job="api", instance="a"}': "1x400"}


def spec(sli: str, slo: str = "") -> str:
    return SPEC.format(sli=sli, slo=slo)


def tiles(kind: str, *values: float | tuple[str, float]) -> list[dict[str, Any]]:
    """Tiles of the SLO: a value, or (labels, value) for each split value."""
    pairs = [value if isinstance(value, tuple) else ("", value) for value in values]
    fixed = 'platform="default", service="api", slo="api-ok"'
    return [
        {"labels": f"slo:sli_{kind}:increase1m{{{fixed}{', ' if more else ''}{more}}}", "value": value}
        for more, value in pairs
    ]


def pair(at: str, total: Any, errors: Any) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Both tiles at a moment; a list holds one entry for each split value, None means no tile."""
    sides = {"total": total, "errors": errors}
    return [
        (
            at,
            f"slo:sli_{kind}:increase1m",
            [] if value is None else tiles(kind, *(value if isinstance(value, list) else [value])),
        )
        for kind, value in sides.items()
    ]


def histogram(labels: str = "", fast: int = 20, slow: int = 5, bound: str = "0.3") -> dict[str, str]:
    base = f'job="api", instance="a"{labels}'
    return {
        f"latency_seconds_count{{{base}}}": f"0+{fast + slow}x60",
        f'latency_seconds_bucket{{{base}, le="{bound}"}}': f"0+{fast}x60",
        f'latency_seconds_bucket{{{base}, le="+Inf"}}': f"0+{fast + slow}x60",
    }


@pytest.mark.server
@pytest.mark.parametrize(("bound", "at_most"), [("0.3", "300ms"), ("1", "1s"), ("1.0", "1s"), ("2.5", "2.5s")])
def test_latency_counts_what_lies_above_the_bound_however_it_is_written(
    rule_test: RuleTest, bound: str, at_most: str
) -> None:
    sli = f"latency: {{histogram: latency_seconds, at_most: {at_most}}}"
    rule_test(spec(sli), UP | histogram(bound=bound), values=pair("10m", 50, 10))


@pytest.mark.server
def test_a_bound_that_is_spelt_otherwise_from_a_scrape_on_loses_and_invents_nothing(rule_test: RuleTest) -> None:
    """As after an update of Prometheus or of the client library, which write `1.0` and not `1`."""
    base = 'latency_seconds_%s{job="api", instance="a"'
    series = {
        f"{base % 'count'}}}": "1000000+60x120",
        f'{base % "bucket"}, le="1"}}': "900000+54x60 stale",
        f'{base % "bucket"}, le="1.0"}}': "_x61 903294+54x59",
    }
    values = [
        ("59m30s", f"sum(sum_over_time(slo:sli_{kind}:increase1m[40m]))", [{"labels": "{}", "value": value}])
        for kind, value in (("total", 4800), ("errors", 480))
    ]
    sli = "latency: {histogram: latency_seconds, at_most: 1s}"
    rule_test(spec(sli), UP | series, values=values)


@pytest.mark.server
def test_a_bound_without_a_bucket_is_missing_data_and_never_errors(rule_test: RuleTest) -> None:
    sli = "latency: {histogram: latency_seconds, at_most: 500ms}"
    rule_test(spec(sli), UP | histogram(), values=pair("10m", None, None))


@pytest.mark.server
def test_a_latency_slo_without_traffic_counts_zero_of_zero(rule_test: RuleTest) -> None:
    sli = "latency: {histogram: latency_seconds, at_most: 300ms}"
    quiet = dict.fromkeys(histogram(), "7x60")
    rule_test(spec(sli), UP | quiet, values=pair("10m", 0, 0))


@pytest.mark.server
def test_fast_failures_count_as_bad_where_the_specification_says_so(rule_test: RuleTest) -> None:
    sli = "latency: {histogram: latency_seconds, at_most: 300ms, bad_if: 'code=\"500\"'}"
    series = histogram(', code="200"', fast=20, slow=5) | histogram(', code="500"', fast=3, slow=1)
    rule_test(spec(sli), UP | series, values=pair("10m", 58, 18))  # 2 x (25 + 4), 2 x (5 slow + 3 failed + 1 both)


@pytest.mark.server
def test_latency_is_split_and_a_list_of_histograms_is_summed(rule_test: RuleTest) -> None:
    other = {series.replace("latency", "grpc"): points for series, points in histogram(', region="eu"').items()}
    series = histogram(', region="eu"') | histogram(', region="us"', fast=10, slow=0) | other
    sli = "latency: {histogram: [latency_seconds, grpc_seconds], at_most: 300ms}"
    expected = (
        [('region="eu"', 100), ('region="us"', 20)],
        [('region="eu"', 20), ('region="us"', 0)],
    )
    rule_test(spec(sli, "by: [region]"), UP | series, values=pair("10m", *expected))


@pytest.mark.server
def test_a_query_counts_what_its_expressions_return_for_the_length_of_a_tile(rule_test: RuleTest) -> None:
    series = {'orders{shop="x"}': "0+10x60", 'lost{shop="x"}': "0+1x60", 'orders{shop="y"}': "0+10x60"}
    sli = (
        "query: {total: 'sum by (shop) (orders - orders offset $window)', "
        "bad: 'sum by (shop) (lost - lost offset $window)'}"
    )
    expected = ([('shop="x"', 20), ('shop="y"', 20)], [('shop="x"', 2), ('shop="y"', 0)])
    rule_test(spec(sli, "by: [shop]"), series, values=pair("10m", *expected))


@pytest.mark.server
def test_a_query_by_good_events_counts_the_rest_as_bad(rule_test: RuleTest) -> None:
    series = {"orders": "0+10x60", "kept": "0+9x60"}
    sli = "query: {total: 'sum(orders - orders offset $window)', good: 'sum(kept - kept offset $window)'}"
    rule_test(spec(sli), series, values=pair("10m", 20, 2))


@pytest.mark.server
def test_a_bare_bad_ratio_is_an_average_over_time_and_nan_is_not_counted(rule_test: RuleTest) -> None:
    series = {"bad": "0x20 2x20 0x60", "all": "0x20 8x20 0x60"}
    sli = "query: {bad_ratio: 'sum(sum_over_time(bad[$window])) / sum(sum_over_time(all[$window]))'}"
    rule_test(spec(sli), series, values=[*pair("5m", None, None), *pair("15m", 1, 0.25)])


@pytest.mark.server
def test_each_sample_of_a_probe_is_an_event_good_by_its_value(rule_test: RuleTest) -> None:
    series = {'probe{point="a"}': "1x60", 'probe{point="b"}': "0.7x60", 'probe{point="c"}': "0x60"}
    rule_test(spec("probe: {gauge: probe}"), series, values=pair("10m", 6, 2.6))


@pytest.mark.server
@pytest.mark.parametrize(
    ("across", "errors"), [("any", [1, 1, 0]), ("most", [1, 0, 0]), ("all", [0, 0, 0]), ("each", None)]
)
def test_across_says_how_many_bad_series_make_a_slice_bad(
    rule_test: RuleTest, across: str, errors: list[int] | None
) -> None:
    series = {
        f'fresh{{journey="{journey}", point="{point}"}}': f"{'0' if point < bad else '100000'}x60"
        for journey, bad in (("x", 2), ("y", 1), ("z", 0))
        for point in range(3)
    }
    sli = f"freshness: {{timestamp: fresh, max_age: 5m, across: {across}}}"
    labels = [f'journey="{journey}"' for journey in "xyz"]
    total = [(label, 3 if across == "each" else 1) for label in labels]
    wanted = list(zip(labels, errors or [2, 1, 0], strict=True))
    rule_test(spec(sli, "by: [journey]"), series, values=pair("10m", total, wanted))


@pytest.mark.server
def test_a_position_older_than_its_limit_is_bad_and_one_that_is_gone_is_not_counted(rule_test: RuleTest) -> None:
    series = {
        'seen{vehicle="a"}': "0+30x60",  # as new as each scrape
        'seen{vehicle="b"}': "0x60",  # never updated
        'seen{vehicle="c"}': "0+30x4 stale",
    }
    rule_test(
        spec("freshness: {timestamp: seen, max_age: 5m}"),
        series,
        values=[*pair("2m", 3, 0), *pair("5m", 2, 0), *pair("6m", 2, 1)],
    )


@pytest.mark.server
def test_an_age_is_read_as_it_is(rule_test: RuleTest) -> None:
    sli = "freshness: {age: backup_age, max_age: 1h}"
    rule_test(spec(sli), {"backup_age": "3600x10 3601x50"}, values=[*pair("4m", 1, 0), *pair("10m", 1, 1)])


@pytest.mark.server
def test_a_throughput_below_its_bound_is_bad_and_so_is_none_at_all(rule_test: RuleTest) -> None:
    series = {'done{job="api", instance="a"}': "0+10x20 200+2x20 _x20 300+10x40"}
    sli = "throughput: {counter: 'done{job=\"api\"}', at_least: 10/min}"
    rule_test(
        spec(sli), UP | series, values=[*pair("8m", 1, 0), *pair("14m", 1, 1), *pair("28m", 1, 1), *pair("40m", 1, 0)]
    )


@pytest.mark.server
@pytest.mark.parametrize("every", [15, 30, 60])
@pytest.mark.parametrize("phase", [0, 10, 25])
@pytest.mark.parametrize(("counted", "read"), [("_", "_"), ("stale", "0")], ids=["lost", "failed"])
def test_late_and_lost_scrapes_are_no_slow_slices(
    rule_test: RuleTest, every: int, phase: int, counted: str, read: str
) -> None:
    """120 events per minute all the time: scrapes come up to ten seconds late, and each seventh is lost or fails."""
    chance = random.Random(f"{every} {phase}")
    scrapes = range(phase % every, 7200 - every, every)
    seen = {moment + 5 * chance.randrange(3): 2 * moment for moment in scrapes if moment // every % 7}
    points = {at: 2 * at for at in seen}
    lost = {moment for moment in scrapes if moment // every % 7 == 0}
    counter = " ".join(str(points.get(at, counted if at in lost else "_")) for at in range(0, 7200, 5))
    up = " ".join("1" if at in points else read if at in lost else "_" for at in range(0, 7200, 5))
    labels = '{job="api", instance="a"}'
    judged = "sum(sum_over_time(slo:sli_{}:increase1m[110m]))".format
    rule_test(
        spec(
            "throughput: {counter: 'done_total{job=\"api\"}', at_least: 110/min, at_most: 130/min}",
            f"scrape_interval: {every}s",
        ),
        {f"done_total{labels}": counter, f"up{labels}": up},
        values=[
            ("119m", judged("errors"), [{"labels": "{}", "value": 0}]),
            ("119m", f"{judged('total')} > bool {80 if every < 60 else 60}", [{"labels": "{}", "value": 1}]),
        ],
        interval="5s",
    )


@pytest.mark.server
def test_a_throughput_is_not_judged_while_nothing_was_scraped(rule_test: RuleTest) -> None:
    series = {
        'up{job="api", instance="a"}': "1x20 _x20 1x20",
        'done{job="api", instance="a"}': "0+10x20 _x20 600+10x20",
    }
    sli = "throughput: {counter: 'done{job=\"api\"}', at_least: 10/min}"
    rule_test(spec(sli), series, values=[*pair("8m", 1, 0), *pair("14m", None, None), *pair("24m", 1, 0)])


@pytest.mark.server
def test_a_throughput_may_have_an_upper_bound_and_be_judged_for_each_series(rule_test: RuleTest) -> None:
    series = {
        'done{job="api", instance="a"}': "0+10x60",
        'done{job="api", instance="b"}': "0+1x60",
        'up{job="api", instance="b"}': "1x60",
    }
    each = "throughput: {counter: 'done{job=\"api\"}', at_least: 10/min, across: each}"
    rule_test(spec(each), UP | series, values=pair("10m", 2, 1))


@pytest.mark.server
def test_an_upper_bound_of_a_throughput_is_broken_by_too_many_events(rule_test: RuleTest) -> None:
    series = {'done{job="api", instance="a"}': "0+10x20 200+50x40"}
    sli = "throughput: {counter: 'done{job=\"api\"}', at_most: 30/min}"
    rule_test(spec(sli), UP | series, values=[*pair("8m", 1, 0), *pair("15m", 1, 1)])


@pytest.mark.server
def test_saturation_divides_sums_and_needs_both_sides(rule_test: RuleTest) -> None:
    series = {
        'reads{table="x"}': "50x60",
        'writes{table="x"}': "40x60",
        'provisioned{table="x"}': "100x60",
        'reads{table="y"}': "10x60",
        'writes{table="y"}': "10x60",
        'provisioned{table="y"}': "100x60",
        'reads{table="z"}': "10x60",
    }
    sli = "saturation: {used: [reads, writes], capacity: provisioned, at_most: 80%}"
    expected = ([('table="x"', 1), ('table="y"', 1)], [('table="x"', 1), ('table="y"', 0)])
    rule_test(spec(sli, "by: [table]"), series, values=pair("10m", *expected))


@pytest.mark.server
def test_a_threshold_is_broken_on_either_side(rule_test: RuleTest) -> None:
    series = {'celsius{pod="a"}': "20x10 4x10 36x40", 'celsius{pod="b"}': "20x60"}
    sli = "threshold: {value: 'max by (pod) (celsius)', at_least: 5, at_most: 35.5}"
    rule_test(spec(sli), series, values=[*pair("4m", 2, 0), *pair("9m", 2, 1), *pair("14m", 2, 1)])


@pytest.mark.server
@pytest.mark.parametrize("by", ["", "by: [tenant]"])
def test_a_timeslice_is_bad_when_too_few_of_its_events_are_good(rule_test: RuleTest, by: str) -> None:
    series = {
        'requests{job="api", instance="a", tenant="t", code="200"}': "0+99x20 1980+90x20 3780x40",
        'requests{job="api", instance="a", tenant="t", code="500"}': "0+1x20 20+10x20 220x40",
    }
    sli = "ratio: {total: requests, bad_if: 'code=\"500\"'}"
    label = 'tenant="t"' if by else ""
    at = [("8m", [(label, 1)], [(label, 0)]), ("15m", [(label, 1)], [(label, 1)]), ("25m", None, None)]
    values = [value for moment in at for value in pair(*moment)]
    rule_test(spec(sli, f"timeslices: {{target: 99%}}\n    {by}"), UP | series, values=values)


@pytest.mark.server
def test_nothing_is_counted_while_a_condition_excludes_it(rule_test: RuleTest) -> None:
    series = {
        'requests{job="api", instance="a", tenant="t"}': "0+10x60",
        'requests{job="api", instance="a", tenant="u"}': "0+10x60",
        'maintenance{tenant="t"}': "0x20 1x40",
        "freeze": "0x40 1x20",
    }
    sli = "ratio: {total: requests, bad_if: 'code=\"500\"'}"
    slo = "by: [tenant]\n    exclude_when: ['sum by (tenant) (maintenance) > 0', 'freeze > 0']"
    both, one = [('tenant="t"', 20), ('tenant="u"', 20)], [('tenant="u"', 20)]
    values = [
        *pair("9m", both, [('tenant="t"', 0), ('tenant="u"', 0)]),
        *pair("15m", one, [('tenant="u"', 0)]),
        *pair("25m", None, None),
    ]
    rule_test(spec(sli, slo), UP | series, values=values)
