"""What a decision was made of is read back as it was, and stores of earlier releases are still read."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from sloctl.canary.analysis.samples import CounterSeries
from sloctl.canary.audit.chain import Entry, Kind, Subject
from sloctl.canary.audit.store import Store
from sloctl.canary.recording import _series, _series_json, replayed, service_bytes, service_digest, service_from
from sloctl.diagnostics import Place
from sloctl.model.alerting import Mode
from sloctl.model.canary import After, Canary, CanaryCheck, Parity, WhenMissing
from sloctl.model.catalogue import Service, Slo
from sloctl.model.indicator import (
    Across,
    Counts,
    Every,
    Freshness,
    Indicator,
    Latency,
    PerSecond,
    Probe,
    Query,
    Ratio,
    RunningTotal,
    Saturation,
    Threshold,
    Throughput,
    Unit,
)
from sloctl.model.quantities import DAY, MINUTE, Rate
from sloctl.model.selector import Expression, Matcher, MatchOperator, Selector
from sloctl.model.window import Calendar, CalendarWindow, RollingWindow, Window
from testing.canaries import canary, errors, mismatches, slo

DATA = Path(__file__).parent / "audit" / "data"
ONE, OTHER = (Selector("one_total", (Matcher("job", MatchOperator.REGEX, "a|b"),)),), (Selector("other_total"),)
ASKED = Expression("sum(increase(asked_total[$window]))", (), (Selector("asked_total"),))
COUNTS = [RunningTotal(), PerSecond(), Every(MINUTE * 5)]
INDICATORS = [
    *(Ratio(ONE, OTHER, counts=counts) for counts in COUNTS),
    Latency(ONE, Decimal("0.2"), Unit.SECONDS, bad_if=ONE[0].matchers, native=True),
    Query(total=ASKED, bad=ASKED),
    Probe(ONE[0], Across.ANY),
    Freshness(MINUTE, age=ONE[0]),
    *(Throughput(ONE, at_least=Rate(Decimal(10), MINUTE), counts=counts) for counts in COUNTS),
    Saturation(ONE, OTHER, Decimal("0.8")),
    Threshold(ASKED, at_most=Decimal(8)),
]
WINDOWS = [RollingWindow(DAY * 30), CalendarWindow(Calendar.MONTH, "Europe/Berlin")]
CHECKS = [errors(by=("route",), quantile="0.99"), mismatches("0.01")]


def service(*slos: Slo, judged: Canary | None = None) -> Service:
    return Service("pay", "money", slos, Place("pay.yaml", 3), "pay.yaml", canary=judged or canary())


def kept(value: Service) -> Service:
    return service_from(service_bytes(value))


@pytest.mark.parametrize("indicator", INDICATORS, ids=lambda kind: type(kind).__name__)
def test_each_kind_of_sli_is_read_back(indicator: Indicator) -> None:
    assert kept(service(slo(indicator))).slos[0].indicator == indicator


@pytest.mark.parametrize("window", WINDOWS, ids=lambda kind: type(kind).__name__)
def test_each_kind_of_window_is_read_back(window: Window) -> None:
    assert kept(service(replace(slo(), window=window))).slos[0].window == window


def test_a_canary_is_read_back_without_the_places_of_its_file() -> None:
    after = After("availability", ("route",), MINUTE * 5, Decimal("0.99"))
    nowhere = [replace(check, place=Place("")) for check in CHECKS]
    whole = replace(
        canary(*CHECKS, after=after, when_missing=WhenMissing.ROLLBACK),
        group="money",
        parity=Parity("id", Decimal("0.001"), "exact"),
    )
    found = kept(service(slo(), judged=whole)).canary
    assert found == replace(whole, checks=tuple(nowhere), place=Place(""))


@pytest.mark.parametrize(
    ("union", "tried"), [(Indicator, INDICATORS), (Counts, COUNTS), (Window, WINDOWS), (CanaryCheck, CHECKS)]
)
def test_no_kind_is_left_out_above(union: Any, tried: list[object]) -> None:
    assert {type(value) for value in tried} == set(get_args(union))


def test_what_no_verdict_depends_on_is_not_recorded() -> None:
    plain = service(slo())
    told = replace(slo(), description="Whoever pays", labels={"kind": "money"}, place=Place("pay.yaml", 7))
    moved = replace(service(told), team="other", place=Place("moved.yaml"), path="moved.yaml", runbook="https://x")
    assert service_bytes(moved) == service_bytes(plain)
    assert service_digest(service_bytes(moved)) == service_digest(service_bytes(plain))
    assert service_bytes(service(replace(slo(), mode=Mode.OBSERVE))) != service_bytes(plain)


def test_what_was_read_back_is_recorded_as_before() -> None:
    once = service_bytes(service(*map(slo, INDICATORS)))
    assert service_bytes(service_from(once)) == once


@pytest.fixture
def earlier(tmp_path: Path) -> Iterator[Store]:
    """A store that sloctl wrote before kinds were tagged: three checks, approvals, a group, a source that failed."""
    shutil.copy(DATA / "before_tagged_kinds.db", tmp_path / "audit.db")
    store = Store.open(str(tmp_path / "audit.db"))
    yield store
    store.close()


def test_an_earlier_store_replays_to_the_same_verdicts(earlier: Store) -> None:
    decisions = [entry for entry in earlier.decisions(Subject("shop", "")) if entry.kind == Kind.DECISION.value]
    assert [f"{entry.subject.service} {_replayed(earlier, entry)}" for entry in reversed(decisions)] == [
        "pay promote/healthy",
        "pay continue/source_unavailable",
        "pay continue/partial",
        "pay continue/no_data",
        "book continue/approval_pending",
        "book promote/healthy",
        "book continue/no_data",
        "pay rollback/harm",
        "book rollback/harm",
    ]
    assert earlier.verify().problems == ()


def _replayed(store: Store, decision: Entry) -> str:
    """The verdict that its counts give today, which is the recorded one."""
    (configuration,) = store.find(Kind.CONFIGURATION, decision.config)
    made = replayed(decision.evidence, service_from(configuration.evidence))
    assert made.same
    assert made.method == 1
    return f"{made.now['verdict']}/{made.now['reason']}"


def test_counters_are_recorded_as_they_grow(tmp_path: Path) -> None:
    """Whole numbers with gaps and a restart, and what is no whole number, come back to the last digit."""
    values = [[math.nan, 5.0, math.nan, 9.0, 2.0, 1e15], [0.5, 1.25, math.nan, 7.1, 7.1, 8.0], [math.nan] * 6]
    for each in values:
        series = CounterSeries({"instance": "a"}, np.array(each))
        again = _series(json.loads(json.dumps(_series_json(series))))
        assert np.array_equal(again.values, series.values, equal_nan=True)
