"""What a decision was made of is read back as it was, and stores of earlier releases are still read."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import product
from pathlib import Path as File
from typing import Any, get_args

import numpy as np
import pytest

from sloctl.canary.analysis.analyse import counted
from sloctl.canary.analysis.question import BUCKET, clock_at
from sloctl.canary.analysis.samples import ArmSamples, CheckSamples, CounterSeries, Path
from sloctl.canary.audit.chain import Entry, Kind, Subject
from sloctl.canary.audit.store import Store
from sloctl.canary.judging import Judged, judge_counts
from sloctl.canary.recording import (
    _path,
    _path_json,
    evidence_bytes,
    replayed,
    service_bytes,
    service_digest,
    service_from,
)
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
from testing.canaries import LATENCY, canary, errors, mismatches, slo

DATA = File(__file__).parent / "audit" / "data"
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
def earlier(tmp_path: File) -> Iterator[Store]:
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


def test_counts_are_recorded_as_they_grow() -> None:
    """Whole numbers, what is not certain and what is no whole number come back to the last digit."""
    certain, open_, parts = (
        np.array([0.0, 5, 9, 9, 1e15]),
        np.array([0.0, 9, 9, 9, 1e15]),
        np.array([0, 0.5, 1.25, 7.1]),
    )
    for path in (Path(certain, certain), Path(certain, open_), Path(parts, parts)):
        again = _path(json.loads(json.dumps(_path_json(path))))
        assert np.array_equal(again.low, path.low)
        assert np.array_equal(again.high, path.high)


LE = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, math.inf)


def fleet(pods: int, rate: float, points: int, seconds: float) -> tuple[ArmSamples, ArmSamples]:
    """Requests by route and status, and their latencies, of so many pods; at so many requests a second."""
    rng = np.random.default_rng(pods)
    series: dict[str, list[CounterSeries]] = {"total": [], "bad": []}
    latencies = []
    for pod, route in product(range(pods), range(20)):
        labels = {"__name__": "http_requests_total", "job": "shop", "instance": f"10.0.{pod}.17:8000",
                  "pod": f"checkout-5c577d9f4-{pod:05d}", "http_route": f"/api/v1/resource{route}"}  # fmt: skip
        each = rate * seconds / pods / 20
        for status, mean in (("200", each), ("404", each / 50), ("500", each / 1000)):
            values = np.cumsum(rng.poisson(mean, points)) + 1e5
            series["total"].append(CounterSeries({**labels, "code": status}, values))
            if status == "500":
                series["bad"].append(series["total"][-1])
        shares = rng.multinomial(rng.poisson(each, points), [1 / len(LE)] * len(LE)).cumsum(axis=1).cumsum(axis=0)
        latencies += [CounterSeries({**labels, "le": f"{le:g}"}, shares[:, i] + 0.0) for i, le in enumerate(LE)]
    arms = {role: tuple(each) for role, each in series.items()}
    return ArmSamples(arms, points, ("instance",)), ArmSamples({BUCKET: tuple(latencies)}, points, ("instance",))


def test_a_record_of_a_large_service_is_small_and_gives_the_same_verdict() -> None:
    """20 pods with 20 routes and a histogram at the end of ten minutes: a year of 800 releases a day has room."""
    checks = errors(by=("http_route",)), errors(name="latency", quantile="0.99", worse_by="0.3", error_rate=None)
    arms = zip(fleet(1, 150, 41, 15), fleet(20, 3000, 41, 15), fleet(20, 3000, 121, 30), strict=True)
    found = dict(zip(("errors", "latency"), (CheckSamples(*each) for each in arms), strict=True))
    spec = canary(*checks)
    whole = service(slo(), judged=spec)
    slow = replace(slo(LATENCY), name="latency")
    whole = replace(
        whole, slos=(slo(), slow), canary=replace(spec, checks=(checks[0], replace(checks[1], slo="latency")))
    )
    clock = clock_at(spec, 0.0, 600.0, 15.0, 0, 0.0)
    counts = counted(found, spec)
    verdict = replace(judge_counts(whole, counts, clock), service="pay", canary="7ddf8", stable="5c577")
    record = evidence_bytes(Judged(verdict, counts), approved=True)
    assert sum(len(each) for arm in found.values() for each in arm.baseline.series.values()) > 7000
    assert len(record) <= 20 * 1024
    assert replayed(record, service_from(service_bytes(whole))).same
