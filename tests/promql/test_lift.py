"""Ratios of other tools are taken apart without a change of meaning, or the change is named."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sloctl.errors import PromqlError
from sloctl.promql.lift import INVERTED, KEPT, Sli, lift_events, lift_ratio

REQUESTS = "sum(rate(requests_total[$window]))"
ALL = "sum(rate(http_seconds_count[$window]))"
FAST = 'sum(rate(http_seconds_bucket{le="0.3"}[$window]))'
FAST_SLI: Sli = {"latency": {"histogram": "http_seconds", "at_most": "300ms"}}
FAILED_SLI: Sli = {"ratio": {"total": "requests_total", "bad_if": 'code=~"5.."'}}


@pytest.mark.parametrize(
    ("side", "events", "total", "sli"),
    [
        ("bad", 'sum(rate(requests_total{code=~"5.."}[$window]))', REQUESTS, FAILED_SLI),
        ("bad", 'sum(increase(requests_total{code=~"5.."}[$window])) or vector(0)', f"{REQUESTS} > 0", FAILED_SLI),
        ("bad", '(sum(rate(requests_total{code=~"5.."}[$window]) or 0 * absent(x)))', REQUESTS, FAILED_SLI),
        ("good", 'sum(rate(requests_total{code!~"5.."}[$window]))', REQUESTS, FAILED_SLI),
        ("bad", f'{REQUESTS} - sum(rate(requests_total{{code!~"5.."}}[$window]))', REQUESTS, FAILED_SLI),
        ("bad", f'clamp_min({REQUESTS} - sum(rate(requests_total{{code!~"5.."}}[$window])), 0)', REQUESTS, FAILED_SLI),
        ("bad", "sum(rate(errors_total[$window]))", REQUESTS,
         {"ratio": {"total": "requests_total", "bad": "errors_total"}}),
        ("bad", "sum(rate(a_total[$window])) + sum(rate(b_total[$window]))", REQUESTS,
         {"ratio": {"total": "requests_total", "bad": ["a_total", "b_total"]}}),
        ("good", 'sum(rate(requests_total{code="2", a="b"}[$window]))', REQUESTS,
         {"ratio": {"total": "requests_total", "good": 'requests_total{code="2", a="b"}'}}),
        ("bad", 'sum(rate(r{code="500", a="x"}[$window]))', 'sum(rate(r{a="y"}[$window]))',
         {"ratio": {"total": 'r{a="y"}', "bad": 'r{code="500", a="x"}'}}),
        ("bad", f"{ALL} - {FAST}", ALL, FAST_SLI),
        ("bad", f"{ALL} - {FAST}", 'sum(rate(http_seconds_bucket{le="+Inf"}[$window]))', FAST_SLI),
        ("good", FAST, ALL, FAST_SLI),
        ("good", 'sum(rate(x_ms_bucket{le="0.5", a="b"}[$window]))', 'sum(rate(x_ms_count{a="b"}[$window]))',
         {"latency": {"histogram": 'x_ms{a="b"}', "at_most": Decimal("0.5")}}),
        ("bad", "sum(count_over_time(up[$window])) - sum(sum_over_time(up[$window]))",
         "sum(count_over_time(up[$window]))", {"probe": {"gauge": "up"}}),
    ],
)  # fmt: skip
def test_sums_of_counters_and_buckets_become_selectors(side: str, events: str, total: str, sli: Sli) -> None:
    lifted = lift_events(side, events, total)
    assert lifted.sli == sli
    assert not lifted.changes
    assert not lifted.mistakes


@pytest.mark.parametrize(
    ("side", "text", "sli"),
    [
        ("bad", f'sum(rate(requests_total{{code=~"5.."}}[$window])) / {REQUESTS}', FAILED_SLI),
        ("bad", f'1 - sum(rate(requests_total{{code!~"5.."}}[$window])) / {REQUESTS}', FAILED_SLI),
        ("good", f'((sum(rate(requests_total{{code!~"5.."}}[$window])) / {REQUESTS})) or vector(1)', FAILED_SLI),
        ("bad", f"1 - ({FAST} / {ALL})", FAST_SLI),
        ("bad", "1 - (sum(sum_over_time(up[$window])) / sum(count_over_time(up[$window])))",
         {"probe": {"gauge": "up"}}),
    ],
)  # fmt: skip
def test_a_ratio_is_split_into_its_events_and_says_so(side: str, text: str, sli: Sli) -> None:
    lifted = lift_ratio(side, text)
    assert lifted.sli == sli
    assert [change for change in lifted.changes if "averages ratios" in change]


def test_a_plain_average_of_a_gauge_is_a_probe() -> None:
    lifted = lift_ratio("bad", '1 - avg by (job) (avg_over_time(probe_success{a="b"}[$window]))')
    assert (lifted.sli, lifted.by) == ({"probe": {"gauge": 'probe_success{a="b"}'}}, ("job",))
    assert not lifted.changes


def test_a_grouping_becomes_by() -> None:
    lifted = lift_events("bad", "sum by (b, a) (rate(e[$window]))", "sum by (a, b) (rate(t[$window]))")
    assert lifted.by == ("a", "b")


@pytest.mark.parametrize("form", ["rate", "max_over_time"])
def test_a_label_that_a_matcher_fixes_is_no_part_of_by(form: str) -> None:
    lifted = lift_events("bad", f'sum by (a, b) ({form}(e{{a="1"}}[$window]))', f"sum by (a, b) ({form}(t[$window]))")
    assert lifted.by == ("b",)
    assert any("`a` is left out of `by`" in change for change in lifted.changes)


@pytest.mark.parametrize(
    ("events", "total", "mistake"),
    [
        (FAST, ALL, INVERTED),
        ('sum(rate(requests_total{code="500"}[5m]))', REQUESTS, "a fixed range stands where the window belongs"),
        ("sum by (a) (rate(e[$window]))", REQUESTS, "events grouped by `a` are divided by events grouped by nothing"),
    ],
)
def test_mistakes_of_the_source_are_named(events: str, total: str, mistake: str) -> None:
    lifted = lift_events("bad", events, total)
    assert any(found.startswith(mistake) for found in lifted.mistakes), lifted.mistakes


@pytest.mark.parametrize(
    ("events", "total", "query", "by"),
    [
        ("sum(max_over_time(a[$window]))", "sum(max_over_time(b[$window]))",
         {"bad": "sum(max_over_time(a[$window]))", "total": "sum(max_over_time(b[$window]))"}, ()),
        ("sum by (x) (rate(a[$window]) * 2)", "sum by (x) (rate(b[$window]))",
         {"bad": "sum by (x) (increase(a[$window]) * 2)", "total": "sum by (x) (increase(b[$window]))"}, ("x",)),
        ("sum(rate(a[$window]) * rate(b[$window]))", "sum(rate(c[$window]))",
         {"bad": "sum(rate(a[$window]) * rate(b[$window]))", "total": "sum(rate(c[$window]))"}, ()),
        ("max_over_time(a[$window])", "max_over_time(b[$window])",
         {"bad": "sum(max_over_time(a[$window]))", "total": "sum(max_over_time(b[$window]))"}, ()),
    ],
)  # fmt: skip
def test_anything_else_stays_promql_and_says_what_is_lost(
    events: str, total: str, query: dict[str, str], by: tuple[str, ...]
) -> None:
    lifted = lift_events("bad", events, total)
    assert ({key: " ".join(text.split()) for key, text in lifted.sli["query"].items()}, lifted.by) == (query, by)
    assert KEPT in lifted.changes


@pytest.mark.parametrize("text", ["sum(x) / sum(y)", "max_over_time(x[5m])", "sum(rate(x[$window])", "1"])
def test_without_a_window_or_without_promql_nothing_is_guessed(text: str) -> None:
    with pytest.raises(PromqlError):
        lift_ratio("bad", text)
