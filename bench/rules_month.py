"""The month in a real Prometheus, with everything that rules record of it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench import rules_data, rules_others, rules_traffic
from bench.rules_data import Ledger
from bench.rules_server import Server, promtool
from bench.rules_stages import block_hours, stages
from bench.rules_traffic import END, START
from sloctl import conventions
from sloctl.backends.prometheus.backend import PrometheusBackend
from sloctl.compiler import compile_specs
from sloctl.model.catalogue import Catalogue

SPEC: Final = """
apiVersion: sloctl/v1
kind: Platform
name: bench
runbook: https://runbooks.example.com/$service/$slo
policies:
  unguarded:
    - {severity: P1, burn: 14.4, over: 1h, also_over: 5m, guard: none}
    - {severity: P1, burn: 6, over: 6h, also_over: 30m, guard: none}
    - {severity: P3, burn: 3, over: 1d, also_over: 2h, guard: none}
    - {severity: P3, burn: 1, over: 3d, also_over: 6h, guard: none}
---
apiVersion: sloctl/v1
kind: Service
service: month
slos:
  - name: clean
    objective: 99.9%
    sli: {ratio: {total: 'http_requests_total{job="clean"}', bad_if: 'code=~"5.."'}}
  - name: latency
    objective: 99%
    sli: {latency: {histogram: 'http_request_duration_seconds{job="clean"}', at_most: 300ms}}
  - name: gap
    objective: 99.9%
    sli: {ratio: {total: 'http_requests_total{job="gap"}', bad_if: 'code=~"5.."'}}
  - name: low
    objective: 99.9%
    sli: {ratio: {total: 'http_requests_total{job="low"}', bad_if: 'code=~"5.."'}}
  - {name: unguarded, objective: 99.9%, sli: low, alerts: unguarded}
"""
JOBS: Final = ("clean", "gap", "low")


@dataclass(frozen=True, slots=True)
class Month:
    """What was measured on, and what it is measured against.

    Attributes:
        groups: the generated rule groups of the service, by name.
        ledgers: what happened and what was scraped, by job.
    """

    server: Server
    groups: Mapping[str, Mapping[str, Any]]
    ledgers: Mapping[str, Ledger]

    def group(self, slo: str, speed: str) -> Mapping[str, Any]:
        """The `fast` or the `slow` group of an SLO."""
        return self.groups[f"slo-bench-month-{slo}-{speed}"]

    def last(self, slo: str, tile: str) -> float:
        """The moment at which a tile (`1m` or `4m`) was last recorded."""
        return self.server.value(f"timestamp({conventions.TOTAL}{tile}{own(slo)})", END)


def own(slo: str) -> str:
    """The matchers of an SLO's recordings."""
    return f'{{slo="month-{slo}"}}'


@contextmanager
def month() -> Iterator[Month]:
    """Draw the month, load it and evaluate every recording rule over it; takes minutes."""
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as text:
        folder = Path(text)
        ledgers, files = rules_data.write(rules_traffic.busy(), rules_traffic.quiet(), folder)
        with Server(folder, {}) as server:
            _load(files, server.data)
            server.start()
            catalogue = compiled(SPEC, folder)
            artifacts = [
                artifact for artifact in PrometheusBackend().compile(catalogue) if "_sloctl" not in artifact.path
            ]
            found = stages(artifacts)
            for stage in found:
                _evaluate(server, list(stage.groups), f"{block_hours(found)}h")
            _evaluate(server, _others(), "162h")
            groups = {group["name"]: group for artifact in artifacts for group in _groups(artifact.value)}
            yield Month(server, groups, ledgers)


def compiled(spec: str, folder: Path) -> Catalogue:
    """The catalogue of one specification."""
    file = folder / "spec.yaml"
    file.write_text(spec, encoding="utf-8")
    compilation = compile_specs([str(file)], [], root=folder)
    assert not compilation.found.errors, compilation.found.errors
    return compilation.catalogue


def _groups(value: Any) -> Iterable[Mapping[str, Any]]:
    return value["groups"]  # type: ignore[no-any-return]


def _load(files: Sequence[Path], data: Path) -> None:
    """OpenMetrics to blocks, two at a time."""

    def load(file: Path) -> None:
        promtool("tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=162h", "--quiet", file, data)
        file.unlink()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(load, files))


def _evaluate(server: Server, groups: list[Mapping[str, Any]], block: str) -> None:
    """Record rules over the month; the server has the new series afterwards."""
    (server.folder / "rules.yaml").write_text(json.dumps({"groups": groups}), encoding="utf-8")
    promtool(
        "tsdb", "create-blocks-from", "rules", f"--max-block-duration={block}", "--quiet", f"--url={server.url}",
        f"--start={START + 3600}", f"--end={END}", f"--output-dir={server.data}", "rules.yaml", cwd=server.folder,
    )  # fmt: skip
    server.restart()


def _others() -> list[Mapping[str, Any]]:
    """The ratios that the other shape averages."""
    sides = {job: rules_others.availability(job) for job in JOBS} | {"latency": rules_others.LATENCY}
    rules = [
        {"record": f"{rules_others.RATIO}5m", "expr": side.ratio("5m"), "labels": {"slo": slo}}
        for slo, side in sides.items()
    ]
    return [{"name": "others", "interval": "1m", "rules": rules}]
