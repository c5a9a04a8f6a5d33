"""Prometheus was away for long: what counters counted meanwhile is in the budget, once, and nothing older."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.backends.prometheus.conftest import RuleTest

pytestmark = pytest.mark.server

STEP = 15
HISTORY = 1_000_000
STOP = 3 * 3600
"""When Prometheus stops, in seconds."""

SPEC = """
apiVersion: sloctl/v1
kind: Service
service: api
slos:
  - name: ok
    objective: 99.9%
    {slo}
    sli: {sli}
"""
RATIO = "{ratio: {total: 'requests_total{job=\"api\"}', bad_if: 'code=\"500\"'}}"
LATENCY = "{latency: {histogram: 'api_seconds{job=\"api\"}', at_most: 1s}}"
Value = Callable[[int], float]


@dataclass
class Pause:
    """What was read before and after a pause, in steps of 15 seconds, and the tiles that were recorded."""

    rule_test: RuleTest
    away: int
    sli: str = RATIO
    slo: str = ""
    every: str = "10m"
    series: dict[str, str] = field(default_factory=dict)

    @property
    def back(self) -> int:
        """When Prometheus is back."""
        return STOP + self.away

    @property
    def end(self) -> int:
        """An hour later."""
        return self.back + 3600

    def read(self, name: str, value: Value, first: int = 0, last: int | None = None) -> None:
        """A series that is scraped from a moment on until another, unless Prometheus is away."""
        last = self.end if last is None else last
        moments = range(0, self.end + 1, STEP)
        here = [first <= moment < last and not STOP <= moment < self.back for moment in moments]
        self.series[name] = " ".join(
            str(value(moment)) if is_read else "_" for moment, is_read in zip(moments, here, strict=True)
        )

    def requests(self, code: int, value: Value, more: str = "", first: int = 0, last: int | None = None) -> None:
        self.read(f'requests_total{{job="api", instance="a", code="{code}"{more}}}', value, first, last)

    def missed(self, total: float, errors: float, split: str = "") -> None:
        """So many events are counted after the pause, all in all."""
        own = f'platform="default", service="api", slo="api-ok"{split}'
        tiles = [f"{moment % 60}" if not STOP <= moment < self.back else "_" for moment in range(0, self.end + 1, STEP)]
        tile = " ".join("7" if value == "0" else "_" for value in tiles)
        values = [
            (
                f"{self.end}s",
                f"sum_over_time(slo:missed_{kind}:increase[{self.end}s])",
                [{"labels": f"{{{own}}}", "value": value}] if value >= 0 else [],
            )
            for kind, value in (("total", total), ("errors", errors))
        ]
        self.rule_test(
            SPEC.format(sli=self.sli, slo=self.slo),
            self.series | {f"slo:sli_total:increase1m{{{own}}}": tile},
            values=values,
            interval=f"{STEP}s",
            every=self.every,
            only="repairs",
        )


NOTHING = -1


def counting(rate: float, history: float = HISTORY) -> Value:
    return lambda moment: round(history + rate * moment, 3)


@pytest.mark.parametrize("away", [1200, 1500, 1800, 7200, 7380, 5 * 3600])
@pytest.mark.parametrize("every", ["2m", "10m"])
def test_all_that_was_counted_in_a_pause_is_counted_once(rule_test: RuleTest, away: int, every: str) -> None:
    """However often it is asked."""
    world = Pause(rule_test, away, every=every)
    world.requests(200, counting(10))
    world.requests(500, lambda moment: 7 if moment < STOP + 60 else 250)
    seconds = away + STEP
    world.missed(10 * seconds + 243, 243)


@pytest.mark.parametrize("away", [0, 300, 900])
def test_a_pause_that_a_tile_bridges_is_not_counted_again(rule_test: RuleTest, away: int) -> None:
    world = Pause(rule_test, away)
    world.requests(200, counting(10))
    world.requests(500, counting(1))
    world.missed(NOTHING, NOTHING)


def test_the_first_errors_of_a_series_that_began_in_the_pause_count(rule_test: RuleTest) -> None:
    world = Pause(rule_test, 7200)
    world.requests(200, counting(10))
    world.requests(500, lambda _: 3000, first=STOP + 60)
    world.missed(10 * 7215 + 3000, 3000)


def test_labels_that_changed_in_the_pause_are_no_events(rule_test: RuleTest) -> None:
    world = Pause(rule_test, 7200)
    for code in (200, 500):
        world.requests(code, counting(10), last=STOP)
        world.requests(code, counting(10), ', team="x"', first=STOP)
    world.missed(0, 0)


def test_labels_of_one_code_that_changed_in_the_pause_are_no_errors(rule_test: RuleTest) -> None:
    world = Pause(rule_test, 7200)
    world.requests(200, counting(10))
    world.requests(500, counting(10), last=STOP)
    world.requests(500, counting(10), ', team="x"', first=STOP)
    world.missed(10 * 7215, 0)


def test_a_process_that_began_in_the_pause_counts_from_its_beginning(rule_test: RuleTest) -> None:
    world, began = Pause(rule_test, 7200), STOP + 3600
    started = 'process_start_time_seconds{job="api", instance="a"}'
    world.read(started, lambda moment: began if moment > began else 5)
    world.requests(200, lambda moment: 10 * (moment - began) if moment > began else HISTORY)
    world.requests(500, lambda moment: 700 if moment > began else 600)
    world.missed(10 * (STOP + 7200 - began) + 700, 700)


def test_a_process_of_unknown_age_that_fell_counts_nothing(rule_test: RuleTest) -> None:
    world, began = Pause(rule_test, 7200), STOP + 3600
    world.requests(200, lambda moment: 10 * (moment - began) if moment > began else HISTORY)
    world.requests(500, lambda moment: 700 if moment > began else 900)
    world.missed(0, 0)


def test_slow_requests_of_a_pause_are_counted(rule_test: RuleTest) -> None:
    world = Pause(rule_test, 7200, LATENCY)
    target = 'job="api", instance="a"'
    world.read(f"api_seconds_count{{{target}}}", counting(10))
    for le, rate in (("1", 8), ("+Inf", 10)):
        world.read(f'api_seconds_bucket{{{target}, le="{le}"}}', counting(rate))
    world.missed(10 * 7215, 2 * 7215)


def test_each_value_of_a_split_has_its_own(rule_test: RuleTest) -> None:
    world = Pause(rule_test, 7200, slo="by: [tenant]")
    world.requests(200, counting(10), ', tenant="x"')
    world.requests(500, counting(1), ', tenant="x"')
    world.missed(11 * 7215, 7215, ', tenant="x"')


def test_a_roll_up_counts_what_was_missed_before_it(rule_test: RuleTest) -> None:
    own = '{platform="default", service="api", slo="api-ok"}'
    rule_test(
        SPEC.format(sli=RATIO, slo=""),
        {
            f"slo:sli_total:increase1m{own}": "10x20",
            f"slo:sli_errors:increase1m{own}": "1x20",
            f"slo:missed_total:increase{own}": "_x9 500 _x10",
            f"slo:missed_errors:increase{own}": "_x9 50 _x10",
        },
        values=[
            ("12m", "sum(slo:sli_total:increase4m)", [{"labels": "{}", "value": 540}]),
            ("12m", "sum(slo:sli_errors:increase4m)", [{"labels": "{}", "value": 54}]),
            ("16m", "sum(slo:sli_total:increase4m)", [{"labels": "{}", "value": 40}]),
        ],
        interval="1m",
        every="4m",
        only="slow",
    )
