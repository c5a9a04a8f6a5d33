"""Many services with two versions each, as one exporter shows them; and the server that judges them.

python -m bench.canary_server_world PORT SERVICES    the exporter, until the process ends
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Final

import httpx

from testing import servers
from testing.exposition import Exposition

SCRAPE: Final = 2
"""Seconds; 40 looks are there after 80 s, as after ten minutes with the usual 15 s."""
CANARY, STABLE = "7ddf8", "5c577"
PODS: Final = {CANARY: 1, STABLE: 3}
REQUESTS: Final = {CANARY: 50, STABLE: 250}
"""A second and pod."""
ROUTES: Final = ("/cart", "/pay")
BOUNDS: Final = ("0.1", "0.25", "0.5", "1.0", "+Inf")
SERIES: Final = 72
"""Of each service."""
SPEC: Final = """\
apiVersion: sloctl/v1
kind: Service
service: {service}
scrape_interval: {scrape}s
slos:
  - name: availability
    objective: 99.9%
    sli: {{ratio: {{total: 'request_seconds_count{{job="{service}"}}', bad_if: 'code=~"5.."'}}}}
    alerts: none
  - name: latency
    objective: 99%
    sli: {{latency: {{histogram: 'request_seconds{{job="{service}"}}', at_most: 500ms}}}}
    alerts: none
canary:
  steps: [{{weight: 5%, hold: {hold}s, deadline: 1h}}, {{weight: 100%}}]
  checks:
    - {{name: errors, slo: availability, by: [route], error_rate: 1%, worse_by: 0%}}
    - {{name: latency, slo: latency, quantile: 99%, worse_by: 30%}}
"""


def names(count: int) -> list[str]:
    """The services."""
    return [f"service-{number:02}" for number in range(count)]


def exposition(services: Sequence[str], seconds: float) -> Iterator[str]:
    """Every counter so many seconds after its start: 0.1 % of requests fail, in both versions."""
    yield "# TYPE request_seconds histogram"
    for service in services:
        for version, pods in PODS.items():
            for pod in range(pods):
                for route in ROUTES:
                    labels = f'job="{service}",instance="{version}-{pod}",rollouts_pod_template_hash="{version}"'
                    yield from _route(f'{labels},route="{route}"', REQUESTS[version] * seconds / len(ROUTES))


def _route(labels: str, total: float) -> Iterator[str]:
    bad = int(total / 1000)
    good = int(total) - bad
    for share, bound in zip((0.7, 0.95, 0.995, 0.999, 1.0), BOUNDS, strict=True):
        yield f'request_seconds_bucket{{{labels},code="200",le="{bound}"}} {int(good * share)}'
    yield f'request_seconds_count{{{labels},code="200"}} {good}'
    yield f'request_seconds_bucket{{{labels},code="500",le="+Inf"}} {bad}'
    yield f'request_seconds_bucket{{{labels},code="500",le="0.5"}} {bad}'
    yield f'request_seconds_count{{{labels},code="500"}} {bad}'


def serve(port: int, services: int) -> None:
    """The exporter."""
    began = time.time()

    class Handler(Exposition):
        def do_GET(self) -> None:
            self.answer("\n".join([*exposition(names(services), time.time() - began), ""]))

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


@dataclass(frozen=True, slots=True)
class Server:
    """A running `sloctl canary serve`."""

    url: str
    running: servers.Running


@contextmanager
def scraped(services: int, folder: Path) -> Iterator[servers.Prometheus]:
    """A Prometheus that scrapes the exporter."""
    port = servers.free_port()
    command = [sys.executable, "-m", "bench.canary_server_world", str(port), str(services)]
    config: Mapping[str, object] = {
        "global": {"scrape_interval": f"{SCRAPE}s", "scrape_timeout": "1s"},
        "scrape_configs": [
            {
                "job_name": "versions",
                "honor_labels": True,
                "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
            }
        ],
    }
    with servers.running("exporter", command, folder / "exporter.log", servers.ROOT), servers.prometheus(config) as one:
        yield one


def write_specs(services: int, folder: Path, hold: int) -> Path:
    """One specification of all services."""
    file = folder / "services.yaml"
    file.write_text("---\n".join(SPEC.format(service=name, scrape=SCRAPE, hold=hold) for name in names(services)))
    return file


@contextmanager
def server(specs: Path, prometheus: str, store: str, folder: Path, *more: str) -> Iterator[Server]:
    """The server, ready."""
    port = servers.free_port()
    command: list[str | Path] = [sys.executable, "-m", "sloctl", "canary", "serve", specs, "--root", specs.parent]
    command += ["--prometheus", prometheus, "--store", store, "--listen", f"127.0.0.1:{port}", *more]
    with ExitStack() as stack:
        running = stack.enter_context(servers.running("sloctl", command, folder / f"{port}.log"))
        client = stack.enter_context(httpx.Client(timeout=5))
        url = f"http://127.0.0.1:{port}"
        running.wait_for(lambda: servers.answers(client, f"{url}/readyz"), "it is ready", within=20)
        yield Server(url, running)


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
