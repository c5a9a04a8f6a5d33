"""What one look and one record cost a large service, and a year of rollouts the audit store."""

from __future__ import annotations

import gc
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import orjson

from bench.rows import Row
from sloctl.canary.audit.chain import Entry, Kind, Subject
from sloctl.canary.audit.store import Store
from sloctl.canary.judging import Judged, judge
from sloctl.canary.recording import evidence_bytes, service_bytes, service_digest
from sloctl.canary.server import answers
from sloctl.canary.server.serving import COLLECT_AFTER
from sloctl.canary.source.arms import Release
from sloctl.canary.source.look import CanarySource
from sloctl.compiler import load
from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Service
from sloctl.prometheus import Sample, Series
from sloctl.prometheus import series_of as parsed

NOW: Final = 1_800_000_000.0
SCRAPE: Final = 15.0
RELEASE: Final = Release("7ddf8", "5c577")
DEPLOYS: Final = 8 * 365
SERVICES: Final = 100
DECISIONS: Final = 7
"""Of one deployment: each step waits, holds and goes on, and some change in between."""
SPEC: Final = """\
apiVersion: sloctl/v1
kind: Service
service: pay
scrape_interval: 15s
slos:
  - name: availability
    objective: 99.9%
    sli: {ratio: {total: 'requests_total{job="pay"}', bad_if: 'code=~"5.."'}}
    alerts: none
  - name: latency
    objective: 99%
    sli: {latency: {histogram: 'request_seconds{job="pay"}', at_most: 500ms}}
    alerts: none
canary:
  steps: [{weight: 5%, hold: 9m, deadline: 20m}, {weight: 100%}]
  checks:
    - {name: errors, slo: availability, error_rate: 0.5%, worse_by: 0%, by: [route]}
    CHECK
"""
LATENCY: Final = "- {name: latency, slo: latency, quantile: 99%, worse_by: 30%}"
LE: Final = (
    "0.005",
    "0.01",
    "0.025",
    "0.05",
    "0.075",
    "0.1",
    "0.25",
    "0.5",
    "0.75",
    "1",
    "2.5",
    "5",
    "7.5",
    "10",
    "+Inf",
)


class World:
    """A Prometheus in memory, whose answers are read as from HTTP.

    Args:
        pods: of the canary and of the stable version.
        histogram: whether there are latencies as well.
    """

    def __init__(self, pods: tuple[int, int], routes: int, *, histogram: bool) -> None:
        self.now, self.own = NOW, 0.0
        rng = np.random.default_rng(1)
        self.series: list[tuple[dict[str, str], np.ndarray, np.ndarray]] = []
        for version, count, born in (("7ddf8", pods[0], NOW - 600), ("5c577", pods[1], NOW - 4200)):
            for pod in range(count):
                times = np.arange(born + pod % 15, NOW + 300, SCRAPE)
                for route in range(routes):
                    labels = {
                        "job": "pay",
                        "instance": f"10.0.{pod}.17:8000",
                        "pod": f"pay-{version}-{pod:05d}",
                        "namespace": "shop",
                        "rollouts_pod_template_hash": version,
                        "route": f"/api/v1/resource{route}",
                        "method": "GET",
                    }
                    for code, mean in (("200", 150.0), ("302", 5.0), ("404", 2.0), ("500", 0.15)):
                        named = {"__name__": "requests_total", **labels, "code": code}
                        self.series.append((named, times, np.cumsum(rng.poisson(mean, len(times)))))
                    if histogram:
                        shares = rng.multinomial(150, [1 / len(LE)] * len(LE), len(times)).cumsum(1).cumsum(0)
                        named = {"__name__": "request_seconds_bucket", **labels}
                        self.series += [({**named, "le": le}, times, shares[:, i]) for i, le in enumerate(LE)]

    def query(self, promql: str, at: float | None = None) -> tuple[Sample, ...]:
        del promql, at
        return (Sample({}, self.now, self.now),)

    def samples(self, selector: str, length: str, at: float) -> tuple[Series, ...]:
        units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
        seconds = sum(float(number) * units[unit] for number, unit in re.findall(r"(\d+)(ms|[hms])", length))
        return self._answer(selector, at - seconds, at, None)

    def query_range(self, promql: str, start: float, end: float, step: float) -> tuple[Series, ...]:
        return self._answer(promql, start, end, step)

    def _answer(self, selector: str, after: float, until: float, step: float | None) -> tuple[Series, ...]:
        """What the client makes of the answer; its making is none of the look's time."""
        began = time.process_time()
        metric = selector.partition("{")[0]
        versions = set(re.findall(r"7ddf8|5c577", selector))
        found = []
        for labels, times, values in self.series:
            if labels["__name__"] != metric or labels["rollouts_pod_template_hash"] not in versions:
                continue
            if "code=~" in selector and labels["code"] != "500":
                continue
            if step is None:
                here = slice(*np.searchsorted(times, [after, until], side="right"))
                shown, counts = times[here], values[here]
            else:
                grid = np.arange(after, until + 1, step)
                index = np.searchsorted(times, grid, side="right") - 1
                shown, counts = grid[index >= 0], values[index[index >= 0]]
            if len(shown):
                pairs = zip(shown.tolist(), counts.tolist(), strict=True)
                found.append({"metric": labels, "values": [[moment, str(count)] for moment, count in pairs]})
        body = orjson.dumps(found)
        self.own += time.process_time() - began
        return tuple(map(parsed, orjson.loads(body)))


def service(folder: Path, *, histogram: bool) -> Service:
    """The service as it is specified."""
    file, found = folder / "pay.yaml", Diagnostics()
    file.write_text(SPEC.replace("CHECK", LATENCY if histogram else ""), encoding="utf-8")
    return load((str(file),), found, root=folder).platforms[0].services[0]


def rows() -> Iterator[Row]:
    """Looks, records and a year of both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield from look_rows(folder)
        yield from record_rows(folder)
        yield from year_rows(folder)


def look_rows(folder: Path) -> Iterator[Row]:
    """CPU time of looks at 8 400 series: the first reads all, the others what is new."""
    one, world = service(folder, histogram=False), World((5, 100), 20, histogram=False)
    usual = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])  # as the server does
    source, started, spent = CanarySource(world, clock=lambda: world.now), None, []
    for _ in range(6):
        world.own, began = 0.0, time.process_time()
        found = judge(one, Release(RELEASE.canary, RELEASE.stable, started), source)
        spent.append(time.process_time() - began - world.own)
        assert found.verdict.clock is not None
        started = found.verdict.clock.start
        world.now += 30
    gc.unfreeze()
    gc.set_threshold(*usual)
    yield Row(f"look at {len(world.series)} series, the first, s of CPU time", spent[0], at_most=2)
    yield Row(
        f"look at {len(world.series)} series, later ones, s of CPU time", float(np.median(spent[1:])), at_most=0.1
    )


def record_rows(folder: Path) -> Iterator[Row]:
    """The largest that is usual."""
    one, world = service(folder, histogram=True), World((1, 20), 20, histogram=True)
    judged = judge(one, RELEASE, CanarySource(world, clock=lambda: world.now))
    size = len(evidence_bytes(judged, approved=True)) / 1024
    yield Row("record of 20 pods x 20 routes with a histogram, KiB", size, at_most=20)


def year_rows(folder: Path) -> Iterator[Row]:
    """A store with a year of one service's decisions: its size for 100 of them, and what a look needs of it.

    They are spread over the step, and the counts of all but 90 days are pruned.
    """
    one, world = service(folder, histogram=False), World((1, 6), 5, histogram=False)
    looks = []
    for step in range(DECISIONS):
        world.now = NOW - 540 + 90 * step
        looks.append(judge(one, RELEASE, CanarySource(world, clock=lambda: world.now)))
    store = Store.open(str(folder / "audit.db"))
    empty = _state_seconds(store, "first")
    packed = service_bytes(one)
    for number in range(DEPLOYS):
        for step, judged in enumerate(looks):
            _decide(store, judged, packed, number, step)
    full = _state_seconds(store, "next")
    store.prune(int(NOW * 1000) + 1000 * (DEPLOYS - 8 * 90))
    store.close()
    size = sum(file.stat().st_size for file in folder.glob("audit.db*"))
    what = f"a year of {SERVICES} services with 8 deploys a day, counts of 90 days"
    yield Row(f"{what}, GiB", size * SERVICES / 2**30, at_most=10)
    yield Row("a release's state after a year, times that of an empty store", full / empty, at_most=2)


def _decide(store: Store, judged: Judged, packed: bytes, number: int, step: int) -> None:
    digest = f"sha256:{service_digest(packed)}"
    subject = Subject("shop", "pay", f"canary-{number}", f"canary-{number - 1}", str(number))
    body = answers.body(judged.verdict, "shop", subject.revision, digest)
    verdict = "promote" if step == DECISIONS - 1 else "continue"
    at = int(NOW * 1000) + number * 1000 + step
    draft = Entry(Kind.DECISION.value, "", at, subject, step, verdict, str(step), verdict, digest, "argo", body)
    store.decide(draft, lambda: evidence_bytes(judged, approved=True), packed)


def _state_seconds(store: Store, canary: str) -> float:
    """Median time of what each look asks of the store."""
    subject, spent = Subject("shop", "pay", canary, "stable", "1"), []
    for _ in range(50):
        began = time.perf_counter()
        store.release_state(subject)
        spent.append(time.perf_counter() - began)
    return float(np.median(spent))
