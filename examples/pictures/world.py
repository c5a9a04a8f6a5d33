"""The platforms of `slo-specs/` alive: their rules in a real Prometheus, on an exporter of all that they read.

Time runs 12 times faster: tiles of 5s instead of 1m, a scrape each second. A month before now is back-filled from
the recordings of the first seconds, so that a page shows more than one minute.
"""

from __future__ import annotations

import math
import re
import subprocess
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from examples.pictures.exporter import exporter_of, serving
from sloctl import conventions
from sloctl.artifacts import OutputTarget, write
from sloctl.backends.table import BACKENDS
from sloctl.compiler import compile_specs
from sloctl.model.catalogue import Catalogue
from testing.servers import ROOT, Prometheus, Sample, find_program, prometheus

LONG = 60
"""A back-filled roll-up stands for so many roll-ups."""
Labels = tuple[tuple[str, str], ...]
INFO, TOTAL, ROLLED_UP = conventions.OBJECTIVE, f"{conventions.TOTAL}5s", f"{conventions.TOTAL}20s"
BURNS = (0.5, 0.8, 0.2, 0.35, 1.15, 0.6)
"""How much of its budget a series spent in a month, by its labels."""
HOUR = 3600
DAY = 24 * HOUR
HISTORY = (*range(32 * DAY, DAY, -HOUR), *range(DAY, 0, -300))
"""How long before its end the history has samples, in seconds: hourly for a month, then every 5 minutes."""


@dataclass(frozen=True, slots=True)
class World:
    """A running Prometheus with the catalogue that its rules come from and the dashboards written beside them."""

    server: Prometheus
    catalogue: Catalogue
    folder: Path


def faster(specs: Path, folder: Path) -> Path:
    """A copy of specifications whose tiles and scrapes are twelve times shorter."""
    copy = folder / "slo-specs"
    for file in sorted(specs.rglob("*.yaml")):
        text = re.sub(r"^(\s*)scrape_interval: .*\n", "", file.read_text(), flags=re.MULTILINE)
        if "kind: Platform" in text:
            text += "resolution: 5s\nscrape_interval: 1s\n"
        (target := copy / file.relative_to(specs)).parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return copy


@contextmanager
def world(folder: Path, specs: Path = ROOT / "slo-specs", flags: Sequence[str] = ()) -> Iterator[World]:
    """Everything running; leaving it stops what was started."""
    backends = [BACKENDS["prometheus"], BACKENDS["grafana"]]
    compilation = compile_specs([str(faster(specs, folder))], backends, root=folder, relative_to=folder)
    if compilation.found.errors:
        raise ValueError(str(compilation.found.errors[0]))
    files = write(compilation.files, OutputTarget(folder, ("rules/prometheus", "dashboards"))).written
    rules = [folder / file for file in files if file.startswith("rules/")]
    exporter = exporter_of(compilation.catalogue)
    with serving(exporter) as address:
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "5s"},
            "scrape_configs": [
                {"job_name": job, "metrics_path": f"/metrics/{job}", "static_configs": [{"targets": [address]}]}
                for job in exporter.series
            ],
        }
        began = int(time.time())
        with prometheus(config, rules, ["--storage.tsdb.retention.time=60d", *flags]) as server:
            missing = (
                f"({INFO} unless on (platform, slo) {ROLLED_UP}) or ({TOTAL} unless ignoring (period) {ROLLED_UP})"
            )
            recorded = f"count({ROLLED_UP}) unless on () ({missing})"
            server.wait_for(lambda: server.query(recorded), "every roll-up was recorded")
            backfill(server, folder, began)
            yield World(server, compilation.catalogue, folder)


def backfill(server: Prometheus, folder: Path, end: int) -> None:
    """A month of history until `end`, of all that is recorded now."""
    text = folder / "history.txt"
    with text.open("w") as file:
        series = sorted(server.query('{__name__=~"slo:.+"}'), key=lambda each: each.labels["__name__"])
        past = Past.of(series)
        last = ""
        for row in series:
            name = row.labels["__name__"]
            if name != last:
                file.write(f"# TYPE {name} gauge\n")
                last = name
            file.writelines(_history(row, past, end))
        file.write("# EOF\n")
    data = server.running.log.parent / "data"
    promtool = find_program("promtool")
    subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=744h", text, data],
        check=True,
        capture_output=True,
    )
    text.unlink()
    probe = f"count({INFO} @ {_moment(end, HISTORY[24])})"
    server.wait_for(lambda: server.query(probe), "its history is loaded")  # it looks for new blocks once a minute
    known = f"min({conventions.WINDOW_COVERED}) > 0.1"
    server.wait_for(lambda: server.query(known), "its rules know since when there is history")


@dataclass(frozen=True, slots=True)
class Past:
    """What the history is made of: the objective of each SLO, and the events of each series in a tile."""

    objectives: Mapping[tuple[str, str], float]
    totals: Mapping[Labels, float]

    @classmethod
    def of(cls, series: Sequence[Sample]) -> Past:
        """From what is recorded now."""
        named = {name: [row for row in series if row.labels["__name__"] == name] for name in (INFO, TOTAL)}
        return cls(
            {_slo(each): each.value for each in named[INFO]}, {_labels(each): each.value for each in named[TOTAL]}
        )

    def tile(self, one: Sample) -> float:
        """Events of a series in one tile of its own length; the first roll-up saw only a part."""
        count = self.totals.get(_labels(one), 0)
        return count if one.labels["__name__"].endswith("increase5s") else 4 * count


def _slo(one: Sample) -> tuple[str, str]:
    return one.labels.get("platform", ""), one.labels.get("slo", "")


def _labels(one: Sample) -> Labels:
    return tuple(sorted((label, text) for label, text in one.labels.items() if label not in {"__name__", "period"}))


def _history(one: Sample, past: Past, end: int) -> Iterator[str]:
    name = one.labels["__name__"]
    if name.endswith(":timestamp_seconds"):
        return
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in one.labels.items() if label != "__name__")
    for back in HISTORY:
        moment = _moment(end, back)
        yield f"{name}{{{inside}}} {_value(one, past, back / HISTORY[0], moment):.10g} {moment}\n"


def _moment(end: int, back: int) -> int:
    """The hourly samples stand at whole hours, where rules look since when there are tiles."""
    moment = end - back
    return moment - moment % HOUR if back > DAY else moment


def _value(one: Sample, past: Past, back: float, moment: int) -> float:
    """What a recording was; `back` is 1 at the beginning of the history and 0 at its end."""
    name, labels = one.labels["__name__"], _labels(one)
    day = 1 + 0.3 * math.sin(moment / DAY * 2 * math.pi)
    length = 1 if name.endswith("increase5s") else LONG * (1 if name.endswith("increase20s") else 0)
    budget = 1 - past.objectives.get(_slo(one), 0)
    burn = BURNS[zlib.crc32(repr(labels).encode()) % len(BURNS)]
    match name.split(":")[1]:
        case "sli_bucket":
            return one.value * day * length
        case "sli_total":
            return past.tile(one) * day * length
        case "sli_errors":
            return past.tile(one) * day * length * budget * burn * (1.6 - 1.2 * back)
        case "error_budget_consumed" | "error_budget_predicted":
            return burn * math.pow(1 - back, 1.4)
        case "sli_error":
            return budget * burn * (1.6 - 1.2 * back) * (1 + 0.4 * math.sin(moment / 5000))
        case "sli_value":
            return one.value * (1 - 0.2 * back) * (1 + 0.02 * math.sin(moment / 7200))
        case _:
            return one.value


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
