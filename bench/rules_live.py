"""Rules in a live rule manager while targets and Prometheus itself misbehave; time runs 12 times faster.

What the tiles should hold is worked out from the raw samples that Prometheus stored, read back afterwards: each
sample's increase over the one before it in its series. A reset counts what was counted since, a series that appears
on a target that was scraped before counts whole, and so does one of a target that is new and began with few events.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from rich.console import Console
from rich.table import Table

from bench import rules_away
from bench.rows import Row
from bench.rules_accuracy import WIDTH
from bench.rules_server import Server
from sloctl.artifacts import OutputTarget, write
from sloctl.backends.prometheus.backend import PrometheusBackend
from sloctl.backends.prometheus.counters import SMALL
from sloctl.compiler import compile_specs
from testing.servers import ROOT, answers, free_port, running

SPEC: Final = """
# 12 times faster than in production: tiles of 5s instead of 1m, a scrape each second, windows divided by 12.
apiVersion: sloctl/v1
kind: Platform
name: live
resolution: 5s
scrape_interval: 1s
window: 1d
runbook: https://runbooks.example.com/$service/$slo
policies:
  loose:
    - {severity: P1, burn: 2, over: 5m, also_over: 25s, keep_firing_for: 5s}
    - {severity: P2, burn: 2, over: 30s}
    - {severity: P3, burn: 1, over: 2h, also_over: 10m}
  strict:
    - {severity: P1, burn: 14.4, over: 5m, also_over: 25s, keep_firing_for: 5s}
    - {severity: P3, burn: 1, over: 6h, also_over: 30m}
alerts: loose
---
apiVersion: sloctl/v1
kind: Service
service: live
slos:
"""
JOBS: Final = ("steady", "births", "resets", "replaced", "down", "relabelled", "slow")
RATIO: Final = """\
  - name: {job}
    objective: {objective}
    sli: {{ratio: {{total: 'http_requests_total{{job="{job}"}}', bad_if: 'code="500"'}}}}
    alerts: {alerts}
"""
SLICES: Final = """\
  - name: throughput
    objective: 99.9%
    sli: {throughput: {counter: 'http_requests_total{job="steady"}', at_least: 5/s}}
    alerts: strict
  - name: freshness
    objective: 99.9%
    sli: {freshness: {timestamp: 'last_success_timestamp_seconds{job="steady"}', max_age: 10s}}
    alerts: strict
  - name: probe
    objective: 99.9%
    sli: {probe: {gauge: 'probe_success{job="steady"}'}}
    alerts: strict
"""
TILE_MS: Final = 5000
SHIFT_MS: Final = 1500
LOST_AT_STOP: Final = 1 + SHIFT_MS / TILE_MS
"""Tiles that are not counted yet when Prometheus stops: the one that runs, and what selectors are shifted by."""
RESETS: Final = (0.25, 0.75)
"""Shares of the undisturbed time after which a process crashes and starts again."""
PER_SECOND: Final = 20
LOST_TO_RESETS: Final = len(RESETS) * 1.1 * PER_SECOND * TILE_MS / 1000
"""At most the events of one tile, a tenth of them counted as errors too, for each process that crashes."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long each act lasts, in seconds.

    Attributes:
        steady: nothing is done to Prometheus; a target is down for a third of it.
        replace_every: after which the pod `replaced` gets a successor.
        after: time to recover after each accident.
        outage: how long Prometheus is away at the restart.
    """

    steady: float
    replace_every: float
    after: float
    outage: float


FULL: Final = Pace(steady=75, replace_every=20, after=20, outage=15)
SHORT: Final = Pace(steady=14, replace_every=7, after=9, outage=8)


@dataclass(frozen=True, slots=True)
class Counted:
    """One kind of events of one job: what the tiles hold, and what was scraped.

    Attributes:
        tiles: the sum of all tiles.
        scraped: events scraped within these tiles.
        worst: the largest excess of a single tile over the events scraped within it.
        between: events scraped in the run, but while no tile was recorded.
    """

    job: str
    kind: str
    tiles: float
    scraped: float
    worst: float
    between: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run showed; `complaints` are rules that failed and what the rule manager logged."""

    counted: tuple[Counted, ...]
    fired: tuple[str, ...]
    complaints: tuple[str, ...]
    missed: float


def rows() -> Iterator[Row]:
    """The targets of the long run; prints every count."""
    outcome = run(FULL)
    Console(width=WIDTH).print(_table(outcome))
    for job in JOBS:
        both = [kind for kind in outcome.counted if kind.job == job]
        total, pods = both[0], 2 if job == "steady" else 1
        yield Row(f"{job}: most events that one tile holds too much", max(count.worst for count in both), at_most=0)
        lost = sum(count.scraped - count.tiles for count in both)
        yield Row(f"{job}: events that tiles lack", lost, at_most=LOST_TO_RESETS if job == "resets" else 0)
        tile = pods * PER_SECOND * TILE_MS / 1000
        yield Row(
            f"{job}: tiles' worth that two restarts left uncounted", total.between / tile, at_most=2 * LOST_AT_STOP
        )
    yield from _quiet_rows(outcome)
    yield from rules_away.rows()


def _table(outcome: Outcome) -> Table:
    table = Table(
        "target", "events", "in tiles", "scraped", "uncounted at restarts", title=_TITLE, title_justify="left"
    )
    for kind in outcome.counted:
        table.add_row(kind.job, kind.kind, f"{kind.tiles:.0f}", f"{kind.scraped:.0f}", f"{kind.between:.0f}")
    return table


_TITLE: Final = "Live: births, resets, pods replaced, a target down, a label added, a restart, kill -9"


def _quiet_rows(outcome: Outcome) -> Iterator[Row]:
    for text in (*outcome.fired, *outcome.complaints):
        print(text)
    yield Row("alerts that fired", len(outcome.fired), at_most=0)
    yield Row("rules that failed, and warnings of the rule manager", len(outcome.complaints), at_most=0)
    yield Row("evaluations missed", outcome.missed, at_most=0)


def run(pace: Pace) -> Outcome:
    """Play every act and look at what was recorded."""
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as text, ExitStack() as stack:
        stage = Stage(Path(text), stack)
        stage.play(pace)
        return stage.outcome()


class Stage:
    """Targets, Prometheus and the acts."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.ports = {job: [free_port()] for job in JOBS}
        self.ports["steady"].append(free_port())
        self.ports["replaced"] += [free_port() for _ in range(9)]
        words = [f"{job}={port}" for job, ports in self.ports.items() for port in ports]
        command = [sys.executable, "-m", "bench.rules_exporter", *words]
        self.orders = stack.enter_context(httpx.Client(timeout=10))
        exporter = stack.enter_context(running("the exporter", ["env", f"PYTHONPATH={ROOT}", *command], folder / "log"))
        for ports in self.ports.values():
            url = f"http://127.0.0.1:{ports[-1]}/metrics"
            exporter.wait_for(lambda url=url: answers(self.orders, url), "it serves metrics", within=30)  # type: ignore[misc]
        self._complaints: list[str] = []
        self._missed = 0.0
        self._list_pod(0)
        self.server = stack.enter_context(Server(folder, self._config(), self._rules()))

    def play(self, pace: Pace) -> None:
        """Undisturbed; a label is added; a restart; a crash."""
        self.server.start()
        began = time.monotonic()
        self.server.now.wait_for(lambda: self._tiles("steady"), "first tiles", within=30)
        acts: list[tuple[float, Callable[[], None]]] = [
            (0.35 * pace.steady, lambda: self._order("down", "down")),
            (0.65 * pace.steady, lambda: self._order("down", "up")),
        ]
        replacements = min(9, int(pace.steady / pace.replace_every))
        acts += [(share * pace.steady, lambda: self._order("resets", "start")) for share in RESETS]
        acts += [(number * pace.replace_every, self._replace(number)) for number in range(1, replacements + 1)]
        for moment, act in sorted(acts, key=lambda each: each[0]):
            time.sleep(max(0.0, began + moment - time.monotonic()))
            act()
        time.sleep(max(0.0, began + pace.steady - time.monotonic()))
        self.server.reload(self._config(team="platform"))
        time.sleep(pace.after)
        self._listen()
        self.server.stop()
        time.sleep(pace.outage)
        self.server.start()
        time.sleep(pace.after)
        self._listen()
        self.server.kill()
        self.server.start()
        time.sleep(pace.after)
        self._listen()

    def outcome(self) -> Outcome:
        """Compare what was recorded with what was scraped."""
        counted = tuple(self._counted(job, kind) for job in JOBS for kind in ("total", "errors"))
        found = self._matrix('ALERTS{alertstate="firing", alertname!="SloctlWatchdog"}')
        fired = tuple(sorted(json.dumps(labels) for labels, _ in found))
        logged = [line for log in self.server.logs for line in log.read_text().splitlines() if _is_complaint(line)]
        return Outcome(counted, fired, (*self._complaints, *logged), self._missed)

    def _counted(self, job: str, kind: str) -> Counted:
        seen = min(at for _, samples in self._matrix(f'up{{job="{job}"}}') for at, value in samples if value == 1)
        # the tile of the first scrape of all is left out: what is born in it cannot be told from history
        tiles = [(end, value) for end, value in self._tiles(job, kind) if end - TILE_MS - SHIFT_MS >= seen]
        events = [(at + SHIFT_MS, count) for at, count in self._events(job, 'code="500"' if kind == "errors" else "")]
        within = [sum(count for at, count in events if end - TILE_MS < at <= end) for end, _ in tiles]
        scraped = sum(count for at, count in events if tiles[0][0] - TILE_MS < at <= tiles[-1][0])
        return Counted(
            job,
            kind,
            tiles=sum(value for _, value in tiles),
            scraped=sum(within),
            worst=max(value - true for (_, value), true in zip(tiles, within, strict=True)),
            between=scraped - sum(within),
        )

    def _events(self, job: str, matcher: str) -> Iterator[tuple[int, float]]:
        """Every increase that was scraped: its moment in milliseconds, and how many events."""
        first_scrape = {
            _target(labels): min(at for at, value in samples if value == 1)
            for labels, samples in self._matrix(f'up{{job="{job}"}}')
            if any(value == 1 for _, value in samples)
        }
        began = Counter[tuple[str | None, ...]]()
        for labels, samples in self._matrix(f'http_requests_total{{job="{job}"}}'):
            began[_target(labels)] += round(samples[0][1])
        started = {target for target, at in first_scrape.items() if at > min(first_scrape.values())}
        young = {target for target in started if began[target] <= SMALL}
        for labels, samples in self._matrix(f'http_requests_total{{job="{job}", {matcher}}}'):
            before: float | None = None
            for at, value in samples:
                if before is None:
                    target = _target(labels)
                    yield at, value if at > first_scrape[target] or target in young else 0
                else:
                    yield at, value - before if value >= before else value
                before = value

    def _tiles(self, job: str, kind: str = "total") -> list[tuple[int, float]]:
        found = self._matrix(f'slo:sli_{kind}:increase5s{{slo="live-{job}"}}')
        return found[0][1] if found else []

    def _matrix(self, selector: str) -> list[tuple[Mapping[str, str], list[tuple[int, float]]]]:
        """Stored samples of each series: milliseconds and value."""
        found = self.server.ask("query", query=f"{selector}[1h]")["result"]
        return [
            (finding["metric"], [(round(float(at) * 1000), float(value)) for at, value in finding["values"]])
            for finding in found
        ]

    def _listen(self) -> None:
        """Note failed rules and missed evaluations of this life of Prometheus."""
        rules = self.server.now.rules()
        self._complaints += [f"{rule.group} {rule.name}: {rule.last_error}" for rule in rules if rule.health == "err"]
        metrics = self.server.now.client.get(f"{self.server.url}/metrics").text
        failures = _metric(metrics, "prometheus_rule_evaluation_failures_total")
        self._complaints += [f"{failures:.0f} evaluations failed"] if failures else []
        self._missed += _metric(metrics, "prometheus_rule_group_iterations_missed_total")

    def _order(self, job: str, order: str, pod: int = 0) -> None:
        self.orders.post(f"http://127.0.0.1:{self.ports[job][pod]}/{order}").raise_for_status()

    def _replace(self, pod: int) -> Callable[[], None]:
        """A new pod starts and takes the place of the old one."""

        def replace() -> None:
            self._order("replaced", "start", pod)
            self._list_pod(pod)

        return replace

    def _list_pod(self, pod: int) -> None:
        value = [{"targets": [f"127.0.0.1:{self.ports['replaced'][pod]}"]}]
        file = self.folder / "pods.json"
        file.with_suffix(".new").write_text(json.dumps(value), encoding="utf-8")
        file.with_suffix(".new").replace(file)

    def _config(self, **labels: str) -> dict[str, Any]:
        jobs: list[dict[str, Any]] = []
        for job, ports in self.ports.items():
            jobs.append({"job_name": job, **self._discovered(job, ports, labels if job == "relabelled" else {})})
        return {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}

    def _discovered(self, job: str, ports: list[int], labels: Mapping[str, str]) -> dict[str, Any]:
        if job == "replaced":
            return {"file_sd_configs": [{"files": [str(self.folder / "pods.json")]}]}
        targets = [f"127.0.0.1:{port}" for port in ports]
        return {"static_configs": [{"targets": targets, "labels": labels}]}

    def _rules(self) -> list[Path]:
        file = self.folder / "spec.yaml"
        # a target that never fails is held to a strict objective: one invented error would page
        strict, loose = {"objective": "99.9%", "alerts": "strict"}, {"objective": "80%", "alerts": "loose"}
        slos = [RATIO.format(job=job, **(strict if job == "down" else loose)) for job in JOBS]
        file.write_text("".join([SPEC, *slos, SLICES]), encoding="utf-8")
        compilation = compile_specs([str(file)], [PrometheusBackend()], root=self.folder)
        assert not compilation.found.errors, compilation.found.errors
        written = write(compilation.files, OutputTarget(self.folder, ("rules/prometheus",))).written
        return [self.folder / path for path in written]


def _target(labels: Mapping[str, str]) -> tuple[str | None, ...]:
    return labels["instance"], labels.get("team")


def _metric(page: str, name: str) -> float:
    """The sum of a metric on a page."""
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", page, re.MULTILINE))


def _is_complaint(line: str) -> bool:
    return 'component="rule manager"' in line and ("level=warn" in line or "level=error" in line)
