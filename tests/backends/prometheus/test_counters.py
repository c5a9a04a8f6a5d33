"""Worlds in which a counter's history must not become one minute's events, nor a first value be lost.

Every world is written as what Prometheus stored, in steps of five seconds, so that scrapes, stale markers and
evaluations fall between each other as they do on a server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.backends.prometheus.conftest import RuleTest

pytestmark = pytest.mark.server

STEP = 5
HOUR = 3600
STALE = "stale"
HISTORY = 1_000_000
Sample = float | str

SPEC = """
apiVersion: sloctl/v1
kind: Service
service: api
scrape_interval: {scrape}s
{service}
slos:
  - name: ok
    objective: 99.9%
    sli: {{ratio: {{total: 'requests_total{{job="api"}}', bad_if: 'code="500"'}}}}
"""
Series = Mapping[int, Sample]


def scrapes(first: int, until: int, value: Callable[[int], Sample], every: int = 15) -> dict[int, Sample]:
    """Samples at the scrapes from `first` on, before `until`, in seconds."""
    return {moment: value(moment) for moment in range(first, until, every)}


def counting(rate: float, start: int = 0, history: float = 0) -> Callable[[int], Sample]:
    """A counter that grows by `rate` per second from `history` on."""
    return lambda moment: round(history + rate * (moment - start))


def values(series: Series) -> str:
    """As promtool writes samples in steps of five seconds."""
    return " ".join(str(series.get(moment, "_")) for moment in range(0, max(series) + STEP, STEP))


class World:
    """Series as Prometheus stored them, and the events that its rules counted."""

    def __init__(self, rule_test: RuleTest, scrape: int = 15, service: str = "") -> None:
        self.rule_test, self.scrape, self.service = rule_test, scrape, service
        self.series: dict[str, dict[int, Sample]] = {}

    def add(self, code: int | str, samples: Series, instance: str = "a", more: str = "") -> None:
        name = f'requests_total{{job="api", instance="{instance}", code="{code}"{more}}}'
        self.series[name] = dict(samples)

    def up(self, first: int, until: int, instance: str = "a", value: int = 1) -> None:
        name = f'up{{job="api", instance="{instance}"}}'
        self.series.setdefault(name, {}).update(scrapes(first, until, lambda _: value, self.scrape))

    def counts(self, total: tuple[float, float], errors: tuple[float, float], at: int = HOUR) -> None:
        """All tiles up to `at` hold as many events as this, at least and at most."""
        expectations: list[tuple[str, str, list[dict[str, Any]]]] = []
        for kind, (least, most) in (("total", total), ("errors", errors)):
            counted = f"sum(sum_over_time(slo:sli_{kind}:increase1m[{at}s]))"
            within = f"({counted} >= bool {least}) * ({counted} <= bool {most})"
            expectations.append((f"{at}s", within, [{"labels": "{}", "value": 1}]))
        text = SPEC.format(scrape=self.scrape, service=self.service)
        stored = {name: values(samples) for name, samples in self.series.items()}
        self.rule_test(text, stored, values=expectations, interval=f"{STEP}s", only="fast")


@pytest.mark.parametrize("scrape", [15, 30, 60])
@pytest.mark.parametrize("phase", [0, 15, 30, 45, 55])
def test_labels_that_change_at_a_reload_are_no_events(rule_test: RuleTest, scrape: int, phase: int) -> None:
    """Prometheus writes the old series' stale marker one interval and a tenth after the new one's first sample."""
    world, change = World(rule_test, scrape), 1800 + phase
    first = change % scrape
    world.up(first, HOUR)
    for code, rate in ((200, 2.0), (500, 0.02)):
        old = scrapes(first, change, counting(rate, history=HISTORY), scrape)
        world.add(code, old | {change + scrape + 5: STALE})
        world.add(code, scrapes(change, HOUR, counting(rate, history=HISTORY), scrape), more=', team="x"')
    world.counts((2.0 * (HOUR - 400), 2.02 * HOUR), (0, 0.02 * HOUR + 1))


@pytest.mark.parametrize("pause", [0, 30, 60, 180, 480, 1200, 2400])
@pytest.mark.parametrize("marker", [True, False])
def test_labels_that_change_while_prometheus_is_away_are_no_events(
    rule_test: RuleTest, pause: int, marker: bool
) -> None:
    world, stop = World(rule_test), 900
    back = stop + 15 + pause
    world.up(0, stop)
    world.up(back, HOUR)
    for code in (200, 500):
        ended = {stop: STALE} if marker else {}
        world.add(code, scrapes(0, stop, counting(2, history=HISTORY)) | ended)
        world.add(code, scrapes(back, HOUR, counting(2, history=HISTORY)), more=', team="x"')
    seen = 2 * (HOUR - 15 - pause)
    world.counts((2 * seen - 400, 4 * HOUR), (seen - 200, 2 * HOUR))


@pytest.mark.parametrize("marker", [True, False])
@pytest.mark.parametrize("away", [600, 1200, 1800])
def test_what_an_exporter_reads_comes_back_with_its_history(rule_test: RuleTest, away: int, marker: bool) -> None:
    world, lost = World(rule_test), 900
    world.up(0, HOUR)
    for code, rate in ((200, 20.0), (500, 0.0)):
        ended = {lost: STALE} if marker else {}
        world.add(
            code,
            scrapes(0, lost, counting(rate, history=HISTORY))
            | ended
            | scrapes(lost + away, HOUR, counting(rate, history=HISTORY)),
        )
    world.counts((20 * (HOUR - away - 100), 20 * HOUR), (0, 0))


def test_pushed_counters_come_back_after_a_gap_without_their_history(rule_test: RuleTest) -> None:
    world = World(rule_test, service="new_series: count")
    for code, rate in ((200, 20.0), (500, 0.1)):
        pushed = scrapes(0, 900, counting(rate, history=HISTORY)) | scrapes(2100, HOUR, counting(rate, history=HISTORY))
        world.add(code, pushed)
    world.counts((20 * (HOUR - 1300), 20.1 * HOUR), (0.1 * (HOUR - 1400), 0.1 * HOUR))


def test_a_counter_restored_from_a_minute_ago_is_no_reset(rule_test: RuleTest) -> None:
    world = World(rule_test)
    world.up(0, HOUR)
    for code, rate in ((200, 20.0), (500, 0.5)):
        restored = scrapes(1800, HOUR, counting(rate, start=60, history=HISTORY))
        world.add(code, scrapes(0, 1800, counting(rate, history=HISTORY)) | restored)
    world.counts((20 * (HOUR - 200), 20.5 * HOUR), (0.5 * (HOUR - 200), 0.5 * HOUR))


@pytest.mark.parametrize("first", [1, 3, 50, 5000])
@pytest.mark.parametrize("phase", [0, 15, 30, 45])
def test_the_first_value_of_a_new_code_counts(rule_test: RuleTest, first: int, phase: int) -> None:
    world = World(rule_test)
    world.up(0, HOUR)
    world.add(200, scrapes(0, HOUR, counting(20)))
    world.add(500, scrapes(1800 + phase, HOUR, lambda _: first))
    world.counts((20 * (HOUR - 100), 20 * HOUR + first), (first, first))


@pytest.mark.parametrize("first", [1, 5000])
@pytest.mark.parametrize("ended", [-300, -60, -30])
def test_the_first_value_counts_after_another_series_expired(rule_test: RuleTest, first: int, ended: int) -> None:
    world = World(rule_test)
    world.up(0, HOUR)
    world.add(200, scrapes(0, HOUR, counting(20)))
    world.add(500, scrapes(0, 1800 + ended, lambda _: 7) | {1800 + ended: STALE}, more=', path="/old"')
    world.add(500, scrapes(1860, HOUR, lambda _: first), more=', path="/new"')
    world.counts((20 * (HOUR - 100), 20 * HOUR + first), (first, first))


@pytest.mark.parametrize("pause", [60, 240, 600, 780])
def test_the_first_value_counts_although_prometheus_was_away(rule_test: RuleTest, pause: int) -> None:
    world = World(rule_test)
    back = 1815 + pause
    world.up(0, 1800)
    world.up(back, HOUR)
    world.add(200, scrapes(0, 1800, counting(20)) | scrapes(back, HOUR, counting(20)))
    world.add(500, scrapes(back, HOUR, lambda _: 300))
    world.counts((20 * (HOUR - 100), 20 * HOUR + 300), (300, 300))


@pytest.mark.parametrize("marker", [True, False])
@pytest.mark.parametrize("away", [15, 45, 120])
def test_the_first_error_of_a_process_that_restarted_counts(rule_test: RuleTest, away: int, marker: bool) -> None:
    """Its other series begin anew, and that of another code is not born again."""
    world, crash = World(rule_test), 1800
    back = crash + away
    world.up(0, crash)
    world.up(crash, back, value=0)
    world.up(back, HOUR)
    ended = {crash: STALE} if marker else {}
    reborn = scrapes(back, HOUR, counting(20, start=back - 5))
    world.add(200, scrapes(0, crash, counting(20)) | ended | reborn)
    world.add(503, scrapes(0, crash, lambda _: 4) | ended)
    world.add(500, scrapes(back, HOUR, lambda _: 3))
    world.counts((20 * (HOUR - away - 100), 20 * HOUR), (3, 3))


def test_the_first_errors_of_a_new_pod_count(rule_test: RuleTest) -> None:
    world = World(rule_test)
    world.up(0, HOUR)
    world.add(200, scrapes(0, HOUR, counting(20)))
    world.up(1800, HOUR, instance="b")
    world.add(200, scrapes(1800, HOUR, counting(2, start=1795)), instance="b")
    world.add(500, scrapes(1800, HOUR, lambda _: 7), instance="b")
    world.counts((20 * (HOUR - 100), 22 * HOUR), (7, 7))


def test_a_process_that_is_read_for_the_first_time_has_its_history_left_out(rule_test: RuleTest) -> None:
    world = World(rule_test)
    world.up(0, HOUR)
    world.add(200, scrapes(0, HOUR, counting(20)))
    world.up(1800, HOUR, instance="b")
    world.add(200, scrapes(1800, HOUR, counting(20, history=HISTORY)), instance="b")
    world.add(500, scrapes(1800, HOUR, lambda _: 90), instance="b")
    world.counts((20 * (HOUR - 100), 40 * HOUR), (0, 0))


def test_pushed_metrics_without_up_count_their_first_errors(rule_test: RuleTest) -> None:
    world = World(rule_test)
    world.add(200, scrapes(0, HOUR, counting(0.5)))
    for number in range(6):
        world.add(500, scrapes(1200 + 300 * number, HOUR, lambda _: 1), more=f', reason="{number}"')
    world.counts((0.5 * (HOUR - 100), HOUR), (6, 6))


@pytest.mark.parametrize("position", [0, 15, 30, 45])
@pytest.mark.parametrize("count", [1, 3])
def test_a_sample_that_is_no_number_takes_no_events_with_it(rule_test: RuleTest, position: int, count: int) -> None:
    world = World(rule_test)
    world.up(0, HOUR)
    spoilt = {1800 + position + 15 * number + 5: "NaN" for number in range(count)}
    world.add(200, scrapes(0, HOUR, counting(20)) | spoilt)
    world.add(500, scrapes(0, HOUR, counting(0.2)) | spoilt)
    world.counts((20.2 * (HOUR - 100), 20.2 * HOUR), (0.2 * (HOUR - 100), 0.2 * HOUR))


@pytest.mark.parametrize("scrape", [120, 240])
@pytest.mark.parametrize("phase", [0, 35, 60])
def test_scrapes_that_are_rarer_than_tiles_are_counted_to_the_event(
    rule_test: RuleTest, scrape: int, phase: int
) -> None:
    world = World(rule_test, scrape)
    world.up(phase, HOUR)
    world.add(200, scrapes(phase, HOUR, counting(2, history=HISTORY), scrape))
    world.add(500, scrapes(1800 // scrape * scrape + phase, HOUR, lambda _: 7, scrape))
    last = (HOUR - 15 - phase) // scrape * scrape
    world.counts((2 * last + 7, 2 * last + 7), (7, 7))
