"""A live Prometheus that is away for longer than a tile bridges: what its counters counted is repaired, once.

Time runs 60 times faster: tiles of a second, and an instant selector that looks five seconds back. Counted is what
tiles and repairs hold; the truth are the counters themselves, read back afterwards.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx

from bench.rows import Row
from bench.rules_server import Server
from sloctl import conventions
from sloctl.artifacts import OutputTarget, write
from sloctl.backends.prometheus.backend import PrometheusBackend
from sloctl.compiler import compile_specs
from sloctl.model.quantities import SECOND
from testing.servers import ROOT, answers, free_port, running

SPEC: Final = """
apiVersion: sloctl/v1
kind: Platform
name: live
resolution: 1s
scrape_interval: 1s
window: 1d
alerts: none
---
apiVersion: sloctl/v1
kind: Service
service: live
slos:
  - name: away
    objective: 99%
    sli: {ratio: {total: 'http_requests_total{job="steady"}', bad_if: 'code="500"'}}
"""
SHIFT: Final = 1.5
STEADY: Final = 25
"""Seconds before Prometheus stops, and after it is back."""
AWAY: Final = (120, 4)
"""Seconds; two hours of production, and a pause that a tile bridges although a start takes some seconds as well."""
LOST: Final = 1 + SHIFT
"""Tiles' worth that is in no tile yet when Prometheus stops: the one that begins, and what it is shifted by."""
_ROUNDED: Final = 1.0
"""One bad event, of which a tile holds one."""
_MISSED: Final = {"total": conventions.MISSED_TOTAL, "errors": conventions.MISSED_ERRORS}
FLAGS: Final = ("--query.lookback-delta=5s",)
Samples = list[tuple[float, float]]


def rows() -> Iterator[Row]:
    """What is lost of a long pause and of one that a tile bridges; nothing is counted twice."""
    for seconds in AWAY:
        for kind, lost in _played(seconds).items():
            what = f"Prometheus away for {seconds} tiles, live: tiles' worth of {kind} lost"
            yield Row(what, lost, at_least=-_ROUNDED, at_most=LOST + _ROUNDED)


def _played(away: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as text, ExitStack() as stack:
        folder, port = Path(text), free_port()
        command = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "bench.rules_exporter", f"steady={port}"]
        exporter = stack.enter_context(running("the exporter", command, folder / "log"))
        client = stack.enter_context(httpx.Client(timeout=10))
        exporter.wait_for(lambda: answers(client, f"http://127.0.0.1:{port}/metrics"), "it serves metrics", within=60)
        job = {"job_name": "steady", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [job]}
        server = stack.enter_context(Server(folder, config, _rules(folder), FLAGS))
        server.start()
        server.now.wait_for(lambda: len(_tiles(server, "total")) > STEADY, "tiles", within=120)
        server.stop()
        time.sleep(away)
        server.start()
        back = time.time()
        server.now.wait_for(lambda: _tiles(server, "total")[-1][0] > back + STEADY, "tiles after it", within=120)
        if away > STEADY:
            server.now.wait_for(lambda: _stored(server, conventions.MISSED_ERRORS), "a repair", within=240)
        return {kind: _compared(server, kind) for kind in ("total", "errors")}


def _rules(folder: Path) -> list[Path]:
    (folder / "spec.yaml").write_text(SPEC, encoding="utf-8")
    compilation = compile_specs([str(folder / "spec.yaml")], [PrometheusBackend()], root=folder)
    assert not compilation.found.errors, compilation.found.errors
    written = write(compilation.files, OutputTarget(folder, ("rules/prometheus",))).written
    return [folder / path for path in written]


def _compared(server: Server, kind: str) -> float:
    """Tiles' worth by which the counters rose more than tiles and repairs hold."""
    tiles = _tiles(server, kind)
    counted = sum(value for _, value in tiles) + sum(
        value for series in _stored(server, _MISSED[kind]) for _, value in series
    )
    begin, end = tiles[0][0] - 1 - SHIFT, tiles[-1][0] - SHIFT
    matcher = ', code="500"' if kind == "errors" else ""
    happened = 0.0
    for series in _stored(server, f'http_requests_total{{job="steady"{matcher}}}'):
        before = [value for at, value in series if at <= begin] or [series[0][1]]
        happened += [value for at, value in series if at <= end][-1] - before[-1]
    return (happened - counted) / (happened / (end - begin))


def _tiles(server: Server, kind: str) -> Samples:
    found = _stored(server, f"slo:sli_{kind}:increase{SECOND}")
    return found[0] if found else []


def _stored(server: Server, selector: str) -> list[Samples]:
    found = server.ask("query", query=f"{selector}[1h]")["result"]
    return [[(float(at), float(value)) for at, value in series["values"]] for series in found]
