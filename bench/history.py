"""What backtests and backfill cost: CPU seconds here and in Prometheus, memory, beside other ways to know the same."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from bench.measured import Measured, succeeded
from bench.rows import Row
from bench.rules_server import Server, promtool
from bench.rules_stages import block_hours, stages
from sloctl import conventions
from sloctl.backends.prometheus.backend import PrometheusBackend
from sloctl.cli.options import rule_texts
from sloctl.history.recordings import recorded
from sloctl.history.tiles import History, Tiles
from sloctl.live.backfill import Blocks, Written
from sloctl.model.artifact import Artifact
from sloctl.model.budget import error_threshold
from sloctl.model.catalogue import Catalogue, Platform, Slo
from sloctl.model.quantities import number
from sloctl.rendering import to_yaml
from testing.histories import catalogue_of
from testing.servers import find_program

SLOS: Final = 50
DAYS: Final = 90
END: Final = 1_790_035_200
"""Unix seconds; a midnight in September 2026."""
RAW_DAYS: Final = 31
RAW_SERIES: Final = 4
SCRAPE: Final = 15
RULES_HOURS: Final = 6
BACKFILL_DAYS: Final = 30
SERVICE_SLOS: Final = 3
HEAD: Final = """\
apiVersion: sloctl/v1
kind: Platform
name: shop
scrape_interval: 15s
runbook: https://runbooks.example.com/$slo
---
apiVersion: sloctl/v1
kind: Service
service: api
slos:
"""
ONE: Final = """\
  - name: slo-{number}
    objective: 99.9%
    sli: {{ratio: {{total: 'requests_total{{job="{job}"}}', bad_if: 'code=~"5.."'}}}}
"""
MINUTE: Final = 60


def rows() -> Iterator[Row]:
    """The figures of `docs/backtest.md`."""
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-history-") as name:
        yield from _recorded_rows(Path(name, "recorded"))
        yield from _raw_rows(Path(name, "raw"))


def _catalogue(folder: Path, count: int, job: str = "{number}") -> Catalogue:
    text = HEAD + "".join(ONE.format(number=number, job=job.format(number=number)) for number in range(count))
    folder.mkdir(parents=True)
    (folder / "specs.yaml").write_text(text)
    return catalogue_of(text)


def _recorded_rows(folder: Path) -> Iterator[Row]:
    """Many SLOs whose rules have recorded for months."""
    catalogue = _catalogue(folder, SLOS)
    _record(folder, catalogue)
    with Server(folder, {}) as server:
        server.start()
        before = _cpu(server)
        ran = _backtest(folder, server, DAYS)
        there = _cpu(server) - before
        yield Row(f"{SLOS} SLOs, {DAYS} days of recorded tiles: s of CPU time here", ran.cpu, at_most=10)
        yield Row("the same: MiB of memory", ran.memory, at_most=400)
        share = (ran.cpu + there) / _evaluated(server, catalogue)
        yield Row("the same with Prometheus' part: share of evaluating the alerts there", share, at_most=1 / 15)


def _record(folder: Path, catalogue: Catalogue) -> None:
    """Tiles and roll-ups of all SLOs as blocks, with an incident each few days."""
    (folder / "data" / "wal").mkdir(parents=True)
    draw = np.random.default_rng(5)
    (platform,) = catalogue.platforms
    with Blocks(folder / "data", str(find_program("promtool"))) as blocks:
        for slo in platform.slos:
            tiles = _tiles(draw)
            blocks.add(list(_series(platform, slo, History.of(slo, tiles, since=int(tiles.at[0]) / 1000 - MINUTE))))
        blocks.finish()


def _tiles(draw: np.random.Generator) -> Tiles:
    at = np.arange((END - DAYS * 86_400) * 1000, END * 1000, MINUTE * 1000, dtype=np.int64) + 7_000
    ratio = np.full(len(at), 0.0003)
    for begin in draw.integers(0, len(at) - 200, DAYS // 4):
        ratio[begin : begin + int(draw.integers(3, 120))] = draw.choice([0.004, 0.02, 0.3])
    total = draw.poisson(1200, len(at)).astype(np.float64)
    return Tiles(at, total, draw.binomial(total.astype(np.int64), ratio).astype(np.float64))


def _series(platform: Platform, slo: Slo, history: History) -> Iterator[Written]:
    resolution, rollup = slo.sampling.resolution, slo.sampling.rollup
    sides = (conventions.total_tile, conventions.errors_tile)
    names = {side(length) for side in sides for length in (resolution, rollup)}

    for one in recorded(platform, slo, history):
        if one.recording.name in names:
            yield Written({"__name__": one.recording.name, **one.labels}, one.at, one.values)


def _backtest(folder: Path, server: Server, days: int, *words: str) -> Measured:
    span = ("--end", str(END), "--since", f"{days}d", "--cache", "none", "--format", "csv")
    program = [sys.executable, "-m", "sloctl", "backtest", str(folder / "specs.yaml")]
    return succeeded([*program, "--prometheus", server.url, *span, *words])


def _evaluated(server: Server, catalogue: Catalogue) -> float:
    """CPU seconds of Prometheus to evaluate the tiers of one SLO over the days, times all SLOs."""
    (platform,) = catalogue.platforms
    slo = next(platform.slos)
    texts = rule_texts(platform, slo)
    before = _cpu(server)
    for tier in slo.tiers:
        limit = number(error_threshold(tier, slo.objective))
        parts = [f"({texts[conventions.error_ratio(window)]}) > {limit}" for window in tier.windows]
        start, step = END - DAYS * 86_400, MINUTE * 10_000
        for begin in range(start, END, step):
            bounds = {"start": str(begin), "end": str(min(begin + step, END) - MINUTE), "step": str(MINUTE)}
            server.ask("query_range", query=" and ".join(parts), **bounds)
    return (_cpu(server) - before) * SLOS


def _cpu(server: Server) -> float:
    """User and system seconds of Prometheus so far."""
    fields = Path(f"/proc/{server.now.running.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _raw_rows(folder: Path) -> Iterator[Row]:
    """One SLO without any recording."""
    _catalogue(folder, 1, "api")
    (folder / "raw.om").write_text(_raw_text())
    command = ("tsdb", "create-blocks-from", "--max-block-duration=162h", "openmetrics")
    promtool(*command, folder / "raw.om", folder / "data")

    (folder / "data" / "wal").mkdir(exist_ok=True)
    with Server(folder, {}) as server:
        server.start()
        ran, samples = _backtest(folder, server, RAW_DAYS - 4), RAW_DAYS * 86_400 // SCRAPE * RAW_SERIES
        start = succeeded([sys.executable, "-m", "sloctl", "validate", str(folder / "specs.yaml")]).cpu
        what = f"one SLO, {RAW_DAYS} days, {samples} raw samples: s of CPU time here, beyond `sloctl validate`"
        yield Row(what, ran.cpu - start, at_most=1)
        service = folder / "service"
        old = _old_backfill(folder, server, _catalogue(service, SERVICE_SLOS, "api"))
        before, program = _cpu(server), [sys.executable, "-m", "sloctl", "backfill", str(service / "specs.yaml")]
        span = [_iso(END - BACKFILL_DAYS * 86_400), _iso(END)]
        words = ["--data", str(folder / "data"), "--promtool", str(find_program("promtool"))]
        new = succeeded([*program, "--prometheus", server.url, "--start", span[0], "--end", span[1], *words])
        spent = new.cpu + _cpu(server) - before
        yield Row(f"backfill of {BACKFILL_DAYS} days of {SERVICE_SLOS} SLOs: s of CPU time in all", spent, at_most=60)
        yield Row("the same as a share of evaluating its rules over them, stage by stage", spent / old, at_most=1 / 20)


def _raw_text() -> str:
    lines = list[str]()
    for series in range(RAW_SERIES):
        code, value = ("500" if series % 2 else "200"), 0
        name = f'requests_total{{job="api",instance="{series // 2}",code="{code}"}}'
        for moment in range(END - RAW_DAYS * 86_400, END, SCRAPE):
            value += 150 if code == "200" else int(moment // SCRAPE % 97 == 0)
            lines.append(f"{name} {value} {moment + 3}\n")
    for target in range(RAW_SERIES // 2):
        name = f'up{{job="api",instance="{target}"}}'
        lines += [f"{name} 1 {moment + 3}\n" for moment in range(END - RAW_DAYS * 86_400, END, SCRAPE)]
    return "".join(lines) + "# EOF\n"


def _old_backfill(folder: Path, server: Server, catalogue: Catalogue) -> float:
    """CPU seconds to let promtool and Prometheus evaluate all recording rules; measured on some hours of the days."""
    artifacts: Sequence[Artifact] = list(PrometheusBackend().compile(catalogue))
    found, before = stages(artifacts), _cpu(server)
    hours, total = block_hours(found), 0.0
    for index, stage in enumerate(found):
        rules = folder / "stage.yaml"
        rules.write_text(to_yaml({"groups": list(stage.groups)}))
        start, end = END - RULES_HOURS * 3600, END
        command = [
            *(str(find_program("promtool")), "tsdb", "create-blocks-from", "rules", f"--max-block-duration={hours}h"),
            *(f"--url={server.url}", f"--start={start}", f"--end={end}", f"--output-dir={folder / f'stage-{index}'}"),
            str(rules),
        ]
        total += succeeded(command).cpu
    return (total + _cpu(server) - before) * BACKFILL_DAYS * 24 / RULES_HOURS


def _iso(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
