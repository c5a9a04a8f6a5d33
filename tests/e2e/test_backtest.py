"""Four minutes of a real Prometheus at twelve times the usual pace: its `ALERTS` against a replay of its tiles."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

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
from testing.exposition import Exposition
from testing.servers import Prometheus
from tests.conftest import StartPrometheus

SECONDS = 240
SPEC = """
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
ERRORS = ((20, 45, 0.8), (70, 80, 0.4), (95, 97, 1.0), (120, 150, 0.15), (170, 176, 0.7), (178, 190, 0.9))
"""Seconds since the start between which this share of requests fails."""


class Page(Exposition):
    """Ten requests a second on each of two paths; the second one goes away for good in the last third."""

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
        shown = {key: value for key, value in self.counts.items() if key[0] != "/b" or now < SECONDS * 2 / 3}
        lines = [f'requests_total{{path="{path}",code="{code}"}} {value}' for (path, code), value in shown.items()]
        self.answer("# TYPE requests_total counter\n" + "\n".join(lines) + "\n")


@contextmanager
def exporter() -> Iterator[str]:
    Page.began = time.monotonic()
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as page:
        thread = threading.Thread(target=page.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"127.0.0.1:{page.server_port}"
        finally:
            page.shutdown()
            thread.join()


def compiled(folder: Path) -> tuple[Catalogue, list[Path]]:
    (folder / "spec.yaml").write_text(SPEC)
    compilation = compile_specs([str(folder / "spec.yaml")], [BACKENDS["prometheus"]], relative_to=folder)
    assert compilation.found.errors == []
    written = write(compilation.files, OutputTarget(folder, ("rules/prometheus",))).written
    return compilation.catalogue, [folder / path for path in written]


def alerts(client: PrometheusClient, slo: Slo, until: float) -> dict[tuple[str, str, str], set[int]]:
    """When each alert was pending and when it fired, by tier, split value and state, in Unix milliseconds."""
    found: dict[tuple[str, str, str], set[int]] = {}
    for one in client.samples(f'ALERTS{{slo="{slo.id}", burn_tier!~"blind|down|health"}}', "10m", until):
        key = one.labels["burn_tier"], one.labels.get("path", ""), one.labels["alertstate"]
        found.setdefault(key, set()).update(round(moment * 1000) for moment in one.times)
    return found


def evaluations(past: Past, done: Replayed) -> dict[tuple[str, str, str], set[int]]:
    """The same of a replay."""
    name, path = conventions.burn_tier(done.tier), past.split.get("path", "")
    slow = done.tier.over is None or past.slo.sampling.reads_rollups(done.tier.over)
    at = past.history.evaluated_slowly if slow else past.history.evaluated
    found: dict[tuple[str, str, str], set[int]] = {}
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


def check_recordings(client: PrometheusClient, platform: Platform, past: Past, end: int) -> int:
    """Hold what follows from the counts to what the rules recorded; how many samples were compared."""
    count, unsure = 0, read_by_chance([past])
    own = {"slo": past.slo.id, **past.split}
    for one in recorded(platform, past.slo, past.history):
        labels = {"slo": past.slo.id} if one.recording.metric is Metric.OBJECTIVE else own
        selector = selector_text(label_selector(one.recording.name, labels))
        seen: dict[int, float] = {}
        for series in client.samples(selector, "10m", end / 1000):
            seen |= {round(moment * 1000): value for moment, value in series.points if round(moment * 1000) <= end}
        made = dict(zip(one.at.tolist(), one.values.tolist(), strict=True))
        if one.recording.metric is Metric.OBJECTIVE:  # it is there before the first roll-up
            seen = {moment: value for moment, value in seen.items() if moment >= min(made)}
        for moment in unsure:
            made.pop(moment, None)
            seen.pop(moment, None)
        assert made.keys() == seen.keys(), one.recording.name
        assert made == pytest.approx(seen, rel=1e-12), one.recording.name
        count += len(made)
    return count


def no_tiles(_: Slo) -> tuple[str, str]:
    raise AssertionError("all tiles are recorded")


@pytest.mark.server
def test_a_replay_of_recorded_tiles_is_what_prometheus_did_evaluation_by_evaluation(
    prometheus: StartPrometheus, tmp_path: Path
) -> None:
    catalogue, rules = compiled(tmp_path)
    with exporter() as address:
        config: dict[str, Any] = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "5s"},
            "scrape_configs": [{"job_name": "api", "static_configs": [{"targets": [address]}]}],
        }
        server: Prometheus = prometheus(config, rules)
        began = time.time()
        last = "min(timestamp(slo:measured_since:timestamp_seconds))"
        server.wait_for(
            lambda: (server.value(last) or 0) > began + SECONDS, "four minutes of tiles", within=SECONDS + 240
        )
        until = server.value(last)
        assert until is not None
        with PrometheusClient(server.url) as client:
            end = round(until * 1000)
            reach = Reach(round(began * 1000), end, HOUR)
            pasts = list(read_past(list(catalogue.slos), Reader(client, end), reach, no_tiles, Source.TILES))
            kinds = set[tuple[str, str, str]]()
            for slo in catalogue.slos:
                expected: dict[tuple[str, str, str], set[int]] = {}
                for past in (past for past in pasts if past.slo is slo):
                    for done in replayed(slo, past.history, inhibited=True):
                        expected |= evaluations(past, done)
                seen = {key: {at for at in moments if at <= end} for key, moments in alerts(client, slo, until).items()}
                unsure = read_by_chance([past for past in pasts if past.slo is slo])
                assert {key: sorted(found - unsure) for key, found in expected.items() if found - unsure} == {
                    key: sorted(found - unsure) for key, found in seen.items() if found - unsure
                }
                kinds |= seen.keys()
            (platform,) = catalogue.platforms
            compared = sum(check_recordings(client, platform, past, end) for past in pasts)
        assert compared > 1000
        # it would be a poor witness if nothing had happened
        assert {tier for tier, _, state in kinds if state == "firing"} >= {
            "p1-1m",
            "p2-30s",
            "p1-20s",
            "p1-30s",
            "p1-2h",
            "p1-left-99_9",
        }
        assert {path for _, path, _ in kinds} == {"", "/a", "/b"}
