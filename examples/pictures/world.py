"""The platforms of `slo-specs/` alive: their rules in a real Prometheus, on an exporter of all that they read.

Time runs 12 times faster: tiles of 5s instead of 1m, a scrape each second. A month before now is back-filled from
the recordings of the first seconds, so that a page shows more than one minute.
"""

from __future__ import annotations

import math
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from examples.pictures.exporter import exporter_of, serving
from examples.servers import ROOT, Prometheus, Sample, find_program, prometheus
from sloctl.artifacts import write
from sloctl.backends.table import BACKENDS
from sloctl.compiler import compile_specs
from sloctl.model.catalogue import Catalogue

WARM_UP = 32
"""Seconds until every roll-up (20 s) was recorded."""
LOADED_WITHIN = 100
"""Prometheus looks for new blocks once a minute."""
DAYS = 32
HOUR = 3600


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
def world(folder: Path, specs: Path = ROOT / "slo-specs") -> Iterator[World]:
    """Everything running; leaving it stops what was started."""
    compilation = compile_specs([str(faster(specs, folder))], BACKENDS.values(), root=folder, relative_to=folder)
    if compilation.found.errors:
        raise ValueError(str(compilation.found.errors[0]))
    files = write(compilation.files, folder, ["rules/prometheus", "dashboards"]).written
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
        with prometheus(config, rules, ["--storage.tsdb.retention.time=60d"]) as server:
            time.sleep(WARM_UP)
            backfill(server, folder)
            yield World(server, compilation.catalogue, folder)


def backfill(server: Prometheus, folder: Path) -> None:
    """A month of history behind what is recorded now."""
    now = time.time()
    end = int(now) // HOUR * HOUR - 3 * HOUR
    text = folder / "history.txt"
    with text.open("w") as file:
        series = sorted(server.query('{__name__=~"slo:.+"}'), key=lambda one: one.labels["__name__"])
        last = ""
        for one in series:
            name = one.labels["__name__"]
            if name != last:
                file.write(f"# TYPE {name} gauge\n")
                last = name
            file.writelines(_history(one, end))
        file.write("# EOF\n")
    data = server.running.log.parent / "data"
    promtool = find_program("promtool")
    subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=744h", text, data],
        check=True,
        capture_output=True,
    )
    text.unlink()
    probe = f"count(slo:objective:info @ {end - 40 * HOUR})"
    server.wait_for(lambda: server.query(probe), "its history is loaded", within=LOADED_WITHIN)


def _history(one: Sample, end: int) -> Iterator[str]:
    """Hourly samples of a recording whose last value is about what it is now."""
    name = one.labels["__name__"]
    if name.endswith(("increase5s", "ratio_increase5s", ":timestamp_seconds")):
        return
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in one.labels.items() if label != "__name__")
    hours = range(DAYS * 24, 0, -1)
    for back in hours:
        moment = end - back * HOUR
        yield f"{name}{{{inside}}} {_value(name, one.value, back / len(hours), moment):.10g} {moment}\n"


def _value(name: str, now: float, back: float, moment: int) -> float:
    """What it was; `back` is 1 at the beginning of the history and 0 at its end."""
    day = 1 + 0.3 * math.sin(moment / 86_400 * 2 * math.pi)
    if name.startswith(("slo:sli_total", "slo:sli_bucket")):
        return round(now * day * HOUR / 20)
    if name.startswith("slo:sli_errors"):
        return round(now * day * HOUR / 20 * (1 - 0.8 * back))
    if name.startswith("slo:error_budget"):
        return now * (1 - back) ** 1.5
    if name.startswith("slo:sli_value"):
        return now * (1 - 0.2 * back) * (1 + 0.02 * math.sin(moment / 7200))
    if name.startswith("slo:sli_error:ratio"):
        return now * (0.4 + 0.6 * (1 - back)) * day
    return now


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
