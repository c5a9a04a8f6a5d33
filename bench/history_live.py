"""Four minutes of a real Prometheus at twelve times the usual pace: its `ALERTS` and recordings against a replay.

Tiles of 5 s instead of a minute. What is replayed are the tiles that the same rules recorded, read back afterwards.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from math import isclose
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias

import numpy as np

from bench.rows import Row
from sloctl import conventions
from sloctl.artifacts import OutputTarget, write
from sloctl.backends.table import BACKENDS
from sloctl.compiler import compile_specs
from sloctl.conventions.inventory import Metric
from sloctl.history.recordings import recorded
from sloctl.history.replay import Replayed, replayed
from sloctl.live.history import Past, Reach, Reader, Source, read_past
from sloctl.model.catalogue import Catalogue, Platform, Slo
from sloctl.model.quantities import HOUR
from sloctl.prometheus import PrometheusClient
from sloctl.promql.selectors import label_selector, selector_text
from testing import servers
from testing.exposition import Exposition

SECONDS: Final = 240
SPEC: Final = """
apiVersion: sloctl/v1
kind: Platform
name: quick
resolution: 5s
scrape_interval: 1s
window: 1d
inhibition: rule
target_labels: [job, instance]
runbook: https://runbooks.example.com/$service/$slo
---
apiVersion: sloctl/v1
kind: Service
service: api
slos:
  - name: ok
    objective: 95%
    sli: {ratio: {total: requests_total, bad_if: 'code="500"'}}
    alerts:
      - {severity: P2, burn: 1, over: 30s, for: 10s}
      - {severity: P1, burn: 3, over: 1m, also_over: 10s, keep_firing_for: 15s}
      - {severity: P1, error_rate: 60%, over: 20s, min_bad: 2, guard: none, keep_firing_for: 0s}
      - {severity: P3, burn: 1, over: 40s, min_events: 50}
  - name: slow
    objective: 95%
    sli: {ratio: {total: requests_total, bad_if: 'code="500"'}}
    alerts:
      - {severity: P1, burn: 0.1, over: 2h, also_over: 1m, guard: none}
      - {severity: P1, budget_left: 99.9%}
  - name: paths
    objective: 95%
    by: [path]
    max_series: 5
    sli: {ratio: {total: requests_total, bad_if: 'code="500"'}}
    alerts:
      - {severity: P1, burn: 4, over: 30s, keep_firing_for: 10s}
"""
# The first minute is calm: Prometheus writes no ALERTS at the first two evaluations of a group.
ERRORS: Final = ((60, 85, 0.8), (110, 120, 0.4), (135, 137, 1.0), (150, 180, 0.15), (195, 201, 0.7), (204, 216, 0.9))
"""Seconds since the start between which this share of requests fails."""
Active: TypeAlias = dict[tuple[str, str, str], set[int]]
"""When each alert was pending and when it fired, by tier, split value and state, in Unix milliseconds."""


@dataclass
class Agreement:
    """What was compared.

    Attributes:
        evaluations: at which an alert was active.
        samples: of recordings.
        different: sentences; empty where all is the same.
        seen: tiers, split values and states that there were.
    """

    evaluations: int = 0
    samples: int = 0
    different: list[str] = field(default_factory=list)
    seen: set[tuple[str, str, str]] = field(default_factory=set)


def rows() -> Iterator[Row]:
    """Everything must be the same."""
    with tempfile.TemporaryDirectory(prefix="sloctl-live-") as folder:
        agreement = run(Path(folder))
    yield Row("evaluations with an active alert that were compared with ALERTS", agreement.evaluations, at_least=50)
    yield Row("recorded samples that were compared", agreement.samples, at_least=500)
    yield Row("differences", len(agreement.different), at_most=0)


def run(folder: Path) -> Agreement:
    """Let the rules run for four minutes, then replay them."""
    catalogue, rules = compiled(folder)
    with exporter() as address:
        config: dict[str, Any] = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "5s"},
            "scrape_configs": [{"job_name": "api", "static_configs": [{"targets": [address]}]}],
        }
        with servers.prometheus(config, rules) as server:
            began, last = time.time(), f"min(timestamp({conventions.MEASURED_SINCE}))"
            server.wait_for(
                lambda: (server.value(last) or 0) > began + SECONDS, "four minutes of tiles", within=SECONDS + 240
            )
            end = round((server.value(last) or 0) * 1000)
            with PrometheusClient(server.url) as client:
                return compared(catalogue, client, round(began * 1000), end)


def compared(catalogue: Catalogue, client: PrometheusClient, start: int, end: int) -> Agreement:
    """Hold a replay of what is recorded to what Prometheus did."""
    found = Agreement()
    pasts = list(read_past(list(catalogue.slos), Reader(client, end), Reach(start, end, HOUR), no_tiles, Source.TILES))
    for slo in catalogue.slos:
        own, expected = [past for past in pasts if past.slo is slo], Active()
        for past in own:
            for done in replayed(slo, past.history, inhibited=True):
                expected |= evaluations(past, done)
        unsure, seen = read_by_chance(own), alerts(client, slo, end)
        for key in expected.keys() | seen.keys():
            here, there = expected.get(key, set()) - unsure, seen.get(key, set()) - unsure
            found.evaluations += len(there)
            if here != there:
                found.different.append(f"{slo.id} {key}: here {sorted(here - there)}, there {sorted(there - here)}")
        found.seen |= seen.keys()
    (platform,) = catalogue.platforms
    for past in pasts:
        _compare_recordings(client, platform, past, end, found)
    return found


def _compare_recordings(client: PrometheusClient, platform: Platform, past: Past, end: int, found: Agreement) -> None:
    unsure, own = read_by_chance([past]), {"slo": past.slo.id, **past.split}
    for one in recorded(platform, past.slo, past.history):
        shared = one.recording.metric is Metric.OBJECTIVE
        selector = selector_text(label_selector(one.recording.name, {"slo": past.slo.id} if shared else own))
        seen: dict[int, float] = {}
        for series in client.samples(selector, "10m", end / 1000):
            seen |= {round(moment * 1000): value for moment, value in series.points}
        made = dict(zip(one.at.tolist(), one.values.tolist(), strict=True))
        # two are there before the first roll-up
        first = min(made, default=0) if shared or one.recording.metric is Metric.WINDOW_COVERED else 0
        for moment in {at for at in made.keys() | seen.keys() if first <= at <= end} - unsure:
            found.samples += 1
            here, there = made.get(moment), seen.get(moment)
            if here is None or there is None or not isclose(here, there, rel_tol=1e-12):
                found.different.append(f"{past.slo.id} {one.recording.name} at {moment}: here {here}, there {there}")


def alerts(client: PrometheusClient, slo: Slo, end: int) -> Active:
    """What Prometheus did, by its `ALERTS`."""
    found = Active()
    for one in client.samples(f'ALERTS{{slo="{slo.id}", burn_tier!~"blind|down|health"}}', "10m", end / 1000):
        key = one.labels["burn_tier"], one.labels.get("path", ""), one.labels["alertstate"]
        moments = (round(moment * 1000) for moment in one.times)
        found.setdefault(key, set()).update(moment for moment in moments if moment <= end)
    return found


def evaluations(past: Past, done: Replayed) -> Active:
    """The same of a replay."""
    name, path = conventions.burn_tier(done.tier), past.split.get("path", "")
    slow = done.tier.over is None or past.slo.sampling.reads_rollups(done.tier.over)
    at = past.history.evaluated_slowly if slow else past.history.evaluated
    found = Active()
    for episode in done.episodes:
        firing = episode.until + 1 if episode.firing is None else episode.firing
        for state, start, end in (("pending", episode.since, firing - 1), ("firing", firing, episode.until)):
            inside = at[np.searchsorted(at, start) : np.searchsorted(at, end, side="right")]
            if len(inside):
                found.setdefault((name, path, state), set()).update(inside.tolist())
    return found


def read_by_chance(pasts: list[Past]) -> set[int]:
    """Evaluations of roll-ups within a second after one of tiles: either result of that one may be read."""
    found = set[int]()
    for past in pasts:
        fast, slow = past.history.evaluated, past.history.evaluated_slowly
        newest = fast[np.maximum(np.searchsorted(fast, slow, side="right") - 1, 0)]
        found |= set(slow[slow - newest < 1000].tolist())
    return found


def no_tiles(_: Slo) -> tuple[str, str]:
    """Nothing is asked of the server but what it has recorded."""
    raise AssertionError("all tiles are recorded")


class Page(Exposition):
    """Ten requests a second on one path and five on another; the second path goes away for good in the last third."""

    began = time.monotonic()
    counts: ClassVar[dict[tuple[str, str], float]] = {}
    last = 0.0

    def do_GET(self) -> None:
        now = time.monotonic() - self.began
        share = next((ratio for begin, end, ratio in ERRORS if begin <= now < end), 0.0)
        grown = now - self.last
        type(self).last = now
        for path, requests in (("/a", 10.0), ("/b", 5.0)):
            bad = round(grown * requests * share)
            for code, more in (("200", round(grown * requests) - bad), ("500", bad)):
                if more or (path, code) in self.counts:
                    self.counts[path, code] = self.counts.get((path, code), 0) + more
        shown: Mapping[tuple[str, str], float] = {
            key: value for key, value in self.counts.items() if key[0] != "/b" or now < SECONDS * 2 / 3
        }
        lines = [f'requests_total{{path="{path}",code="{code}"}} {value}' for (path, code), value in shown.items()]
        self.answer("# TYPE requests_total counter\n" + "\n".join(lines) + "\n")


@contextmanager
def exporter() -> Iterator[str]:
    """Serves the page; yields its address."""
    Page.began, Page.last = time.monotonic(), 0.0
    Page.counts.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as page:
        thread = threading.Thread(target=page.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"127.0.0.1:{page.server_port}"
        finally:
            page.shutdown()
            thread.join()


def compiled(folder: Path) -> tuple[Catalogue, list[Path]]:
    """The catalogue, and the files of its rules."""
    (folder / "spec.yaml").write_text(SPEC)
    compilation = compile_specs([str(folder / "spec.yaml")], [BACKENDS["prometheus"]], relative_to=folder)
    assert compilation.found.errors == []
    written = write(compilation.files, OutputTarget(folder, ("rules/prometheus",))).written
    return compilation.catalogue, [folder / path for path in written]
