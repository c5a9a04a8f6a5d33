"""Two versions of a real service under load on loopback, scraped by a real Prometheus, judged by `sloctl canary`.

python -m bench.canary_live PORT [ERRORS]    one version; ERRORS is the share of its answers that are 500

POST /errors?share=0.03 changes the share. The tests use the same service.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

import httpx

from bench.rows import Row
from testing import servers

CANARY, STABLE = "7ddf8", "5c577"
SPEC = """\
apiVersion: sloctl/v1
kind: Platform
name: live
scrape_interval: {scrape}s
resolution: 1m
---
apiVersion: sloctl/v1
kind: Service
service: {service}
slos:
  - name: availability
    objective: 99.9%
    sli:
      ratio:
        total: http_server_request_duration_seconds_count{{job="{service}"}}
        bad_if: http_response_status_code=~"5.."
    alerts: none
canary:
  steps: [{{weight: 5%, hold: {hold}s, deadline: {deadline}s}}, {{weight: 100%}}]
  checks:
    - {{name: errors, slo: availability, by: [http_route], error_rate: {limit}, worse_by: 0%}}
"""


def serve(port: int, errors: float) -> None:
    """One version of the service, until the process ends."""
    import uvicorn

    uvicorn.run(service(errors), host="127.0.0.1", port=port, log_level="warning", access_log=False)


def service(errors: float) -> Any:
    """An ASGI app with one business endpoint and the usual histogram."""
    from fastapi import FastAPI, Response
    from prometheus_client import CollectorRegistry, Histogram, generate_latest

    app, registry, share = FastAPI(), CollectorRegistry(), [errors]
    seconds = Histogram(
        "http_server_request_duration_seconds",
        "Time to answer.",
        ["http_route", "http_response_status_code"],
        registry=registry,
    )
    chance = random.Random()

    @app.get("/pay")
    async def pay() -> Response:
        began = time.perf_counter()
        status = 500 if chance.random() < share[0] else 200
        seconds.labels("/pay", str(status)).observe(time.perf_counter() - began)
        return Response(status_code=status)

    @app.post("/errors")
    async def change(to: float) -> float:
        share[0] = to
        return to

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    return app


@dataclass
class Load:
    """Requests at a steady rate to each port, over one keep-alive connection each, until stopped."""

    rates: dict[int, float]
    sent: dict[int, int] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Load:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    async def _all(self) -> None:
        await asyncio.gather(*(self._one(port, rate) for port, rate in self.rates.items()))

    async def _one(self, port: int, rate: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.monotonic()
        while not self._stop.is_set():
            due = int((time.monotonic() - began) * rate)
            if due > self.sent.get(port, 0):
                await _request(reader, writer)
                self.sent[port] = self.sent.get(port, 0) + 1
            else:
                await asyncio.sleep(0.005)
        writer.close()


async def _request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"GET /pay HTTP/1.1\r\nHost: pay.example\r\n\r\n")
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0
    )
    await reader.readexactly(length)


@dataclass(frozen=True)
class Version:
    """A running version."""

    name: str
    hash: str
    port: int

    def fail(self, share: float) -> None:
        """From now on this share of its answers is 500."""
        httpx.post(f"http://127.0.0.1:{self.port}/errors", params={"to": share}).raise_for_status()


@contextmanager
def version(name: str, hash_: str, errors: float, folder: Path) -> Iterator[Version]:
    """Start a version and wait until it answers."""
    port = servers.free_port()
    command = [sys.executable, "-m", "bench.canary_live", str(port), str(errors)]
    with servers.running(f"{name} {hash_}", command, folder / f"{name}-{hash_}.log") as process:
        with httpx.Client(timeout=2) as client:
            url = f"http://127.0.0.1:{port}/metrics"
            process.wait_for(lambda: servers.answers(client, url), "it answers", within=30)
        yield Version(name, hash_, port)


def scraping(targets: Path, scrape: float) -> dict[str, object]:
    """A Prometheus that reads its targets from a file, so that a canary can appear later."""
    return {
        "global": {"scrape_interval": f"{scrape:g}s", "scrape_timeout": f"{min(scrape, 1):g}s"},
        "scrape_configs": [
            {"job_name": "live", "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}]}
        ],
    }


def write_targets(targets: Path, versions: Sequence[Version]) -> None:
    """Tell Prometheus which versions run; the file is replaced whole."""
    groups = [
        {
            "targets": [f"127.0.0.1:{version.port}"],
            "labels": {"job": version.name, "rollouts_pod_template_hash": version.hash},
        }
        for version in versions
    ]
    new = targets.with_suffix(".new")
    new.write_text(json.dumps(groups), encoding="utf-8")
    new.replace(targets)


def write_spec(
    folder: Path, service_name: str, scrape: int, hold: int, limit: str = "0.5%", deadline: int | None = None
) -> Path:
    """The specification of one service, in a folder of its own because it has its own Platform."""
    file = folder / "specs" / service_name / "service.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    text = SPEC.format(
        service=service_name, scrape=scrape, hold=hold, limit=limit, deadline=deadline or max(hold * 2, 60)
    )
    file.write_text(text, encoding="utf-8")
    return file


def evaluate(spec: Path, service_name: str, url: str, *more: str) -> subprocess.CompletedProcess[str]:
    """`sloctl canary evaluate` as a user types it."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "sloctl", "canary", "evaluate", str(spec), "--root", str(spec.parent)),
            *("--service", service_name, "--canary", CANARY, "--stable", STABLE),
            *("--prometheus", url, "--format", "json", *more),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass(frozen=True)
class Ended:
    """How one canary ended, and seconds after its first request."""

    verdict: str
    seconds: float


def until_decided(spec: Path, name: str, url: str, began: float, limit: float) -> Ended:
    """Look with every scrape until there is a verdict other than continue."""
    while True:
        finished = evaluate(spec, name, url)
        if finished.returncode not in {0, 1, 3, 4}:
            raise RuntimeError(finished.stderr)
        found = json.loads(finished.stdout)["verdict"]
        spent = time.monotonic() - began
        if found != "continue" or spent > limit:
            return Ended(found, spent)
        time.sleep(0.5)


def one_canary(
    folder: Path, run: str, scrape: int, canary_errors: float, rates: tuple[float, float], hold: int, limit: float
) -> Ended:
    """A canary beside a stable version that already runs, until its verdict."""
    with ExitStack() as stack:
        targets = folder / f"{run}.json"
        stable = stack.enter_context(version(run, STABLE, 0.001, folder))
        write_targets(targets, [stable])
        prometheus = stack.enter_context(servers.prometheus(scraping(targets, scrape)))
        stack.enter_context(Load({stable.port: rates[1]}))
        time.sleep(3 * scrape)
        canary = stack.enter_context(version(run, CANARY, canary_errors, folder))
        write_targets(targets, [stable, canary])
        stack.enter_context(Load({canary.port: rates[0]}))
        spec = write_spec(folder, run, scrape, hold)
        return until_decided(spec, run, prometheus.url, time.monotonic(), limit)


RUNS = {2: 10, 15: 4}
"""How many canaries, by seconds between scrapes; two run at a time."""
SECONDS = {2: 30, 15: 75}


def rows() -> Iterator[Row]:
    """Seconds until a canary with 3 % errors is rolled back: 5 % of 200 requests a second, looks all the time."""
    for scrape, runs in RUNS.items():
        with tempfile.TemporaryDirectory(prefix="sloctl-canary-") as name, ThreadPoolExecutor(2) as pool:
            names = [f"pay{run}" for run in range(runs)]
            found = list(pool.map(bad_canary, repeat(Path(name)), names, repeat(scrape)))
        print(f"{scrape} s scrapes, seconds until rollback:", *(f"{finding.seconds:.0f}" for finding in found))
        yield Row(f"{scrape} s scrapes, 3% errors: rolled back, of {runs}", _rolled_back(found), at_least=runs)
        yield Row(f"{scrape} s scrapes, 3% errors: median seconds", _median(found), at_most=SECONDS[scrape])


def bad_canary(folder: Path, run: str, scrape: int) -> Ended:
    """One canary with 3 % errors, at 10 of 200 requests a second."""
    return one_canary(folder, run, scrape, 0.03, (10, 190), hold=600, limit=180)


def _rolled_back(found: Sequence[Ended]) -> int:
    return sum(finding.verdict == "rollback" for finding in found)


def _median(found: Sequence[Ended]) -> float:
    return statistics.median(finding.seconds if finding.verdict == "rollback" else math.inf for finding in found)


if __name__ == "__main__":
    serve(int(sys.argv[1]), *map(float, sys.argv[2:3] or ["0"]))
