"""Everything that runs: three stores, the services, Prometheus with the generated rules, Alertmanager and a sink."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import redis as redis_client

from examples.tracking_pipeline.settings import CANARY, STABLE, Settings
from examples.tracking_pipeline.switches import client_of, switch
from testing.brokers import mosquitto
from testing.databases import postgresql, redis
from testing.routed import configure, scraping, sloctl
from testing.servers import (
    PATIENCE,
    ROOT,
    Alertmanager,
    Prometheus,
    Running,
    ServerError,
    alertmanager,
    answers,
    listens,
    prometheus,
    running,
)
from testing.sink import Sink, sink

SPECS: Final = ROOT / "examples/tracking_pipeline/slo-specs"
CANARY_SERVICE: Final = "tracking-api-canary"
JUDGE: Final = "canary-server"
STARTED: Final = ("gateway", "tracking-api-stable", "ingestion", "projection")
PORTS: Final = (
    *STARTED, CANARY_SERVICE, "prometheus", "alertmanager", "sink", JUDGE, "redis", "mosquitto", "postgresql",
)  # fmt: skip
"""A busy machine takes long to import; nobody waits so long on an idle one."""
VERSION_LABEL: Final = "rollouts_pod_template_hash"


@dataclass(slots=True)
class World:
    """What runs, and what can be done to it.

    Attributes:
        told: Alertmanager.
        sink: plays PagerDuty and Slack.
        folder: logs, spans, generated files.
    """

    settings: Settings
    client: httpx.Client
    switches: redis_client.Redis
    prometheus: Prometheus
    told: Alertmanager
    sink: Sink
    folder: Path
    processes: dict[str, Running]
    canary: ExitStack = field(default_factory=ExitStack)

    def require_alive(self) -> None:
        """Raise a ServerError when a process has ended."""
        for process in self.processes.values():
            if process.process.poll() is not None:
                raise process.failed(f"ended with exit code {process.process.returncode}")

    def switch(self, **values: float) -> None:
        """Turn switches; see `switches.SWITCHES`."""
        switch(self.switches, **values)

    def deploy_canary(self) -> None:
        """Start the new version beside the stable one; it gets no requests yet."""
        process = self.canary.enter_context(service(CANARY_SERVICE, self.folder))
        wait_until_ready({CANARY_SERVICE: process}, self.settings, self.client)
        write_targets(self.settings, with_canary=True)

    def remove_canary(self) -> None:
        """Send it nothing more, and stop it."""
        self.switch(canary_weight=0)
        write_targets(self.settings, with_canary=False)
        self.canary.close()

    def logged(self, process: str) -> Iterator[dict[str, Any]]:
        """The log lines of a process."""
        with self.settings.log(process).open(encoding="utf-8") as lines:
            yield from (json.loads(line) for line in lines if line.endswith("\n"))


def ports(first: int | None) -> dict[str, int]:
    """A port for each that needs one: free ones, or those from `first` on.

    Raises:
        ServerError: somebody listens on one of them.
    """
    if first is None:
        with ExitStack() as held:
            probes = {name: held.enter_context(socket.socket()) for name in PORTS}
            for probe in probes.values():
                probe.bind(("127.0.0.1", 0))
            return {name: int(probe.getsockname()[1]) for name, probe in probes.items()}
    wanted = {name: first + offset for offset, name in enumerate(PORTS)}
    if busy := [f"{port} ({name})" for name, port in wanted.items() if listens(port)]:
        last = first + len(PORTS) - 1
        raise ServerError(
            f"somebody listens on port {', '.join(busy)} already; `--port {first}` needs {first} to {last} on "
            "127.0.0.1. Choose another, or leave --port out to get free ones"
        )
    return wanted


@contextmanager
def service(name: str, folder: Path) -> Iterator[Running]:
    """One of our services."""
    command = [sys.executable, "-m", "examples.tracking_pipeline.services", name, str(folder)]
    with running(name, command, folder / f"{name}.out", ROOT) as process:
        yield process


@contextmanager
def canary_server(settings: Settings, server: Prometheus) -> Iterator[Running]:
    """`sloctl canary serve`, as Argo Rollouts asks it; what it decides is in PostgreSQL."""
    listen = f"127.0.0.1:{settings.ports[JUDGE]}"
    words = ["--prometheus", server.url, "--store", settings.postgresql, "--listen", listen]
    command = [sys.executable, "-m", "sloctl", "canary", "serve", str(SPECS), *words]
    with running("sloctl canary serve", command, settings.output / f"{JUDGE}.out") as process:
        yield process


def wait_until_ready(processes: dict[str, Running], settings: Settings, client: httpx.Client) -> None:
    for name, process in processes.items():
        url = f"{settings.url(name)}/metrics"
        process.wait_for(partial(answers, client, url), "it answers")


def write_targets(settings: Settings, *, with_canary: bool) -> None:
    """Tell Prometheus which versions of the tracking API run, as service discovery does in a cluster."""
    versions = {STABLE: "tracking-api-stable"} | ({CANARY: CANARY_SERVICE} if with_canary else {})
    found = [
        {"targets": [f"127.0.0.1:{settings.ports[name]}"], "labels": {VERSION_LABEL: version}}
        for version, name in versions.items()
    ]
    written = settings.output / "targets.json.new"
    written.write_text(json.dumps(found), encoding="utf-8")
    written.replace(settings.output / "targets.json")


def scrape_config(settings: Settings, told: Alertmanager) -> dict[str, object]:
    """Prometheus' configuration: each service each second."""
    fixed = {name: settings.url(name) for name in (*STARTED, JUDGE) if name != "tracking-api-stable"}
    config: dict[str, Any] = scraping(fixed, told, "1s")
    versions = {"job_name": "tracking-api", "file_sd_configs": [{"files": [str(settings.output / "targets.json")]}]}
    config["scrape_configs"].append(versions)
    return config


@contextmanager
def world(folder: Path, first_port: int | None = None) -> Iterator[World]:
    """Start everything; all of it is stopped when the block ends, in whichever way.

    Raises:
        ServerError: a program is missing, a port is busy, or something did not start.
    """
    at = ports(first_port)
    with ExitStack() as stack:
        enter = stack.enter_context
        database = enter(postgresql(at["postgresql"]))
        enter(redis(at["redis"]))
        enter(mosquitto(at["mosquitto"]))
        settings = Settings(at, database, folder)
        settings.write()
        processes = {name: enter(service(name, folder)) for name in STARTED}
        sloctl("generate", SPECS, "-o", folder)
        rules = sorted((folder / "rules/prometheus").rglob("*.yaml"))
        heard = enter(sink(at["sink"]))
        told = enter(alertmanager(configure(SPECS, folder, heard), at["alertmanager"]))
        client = enter(httpx.Client(timeout=PATIENCE))
        wait_until_ready(processes, settings, client)
        write_targets(settings, with_canary=False)
        server = enter(prometheus(scrape_config(settings, told), rules, port=at["prometheus"]))
        judge = enter(canary_server(settings, server))
        judge.wait_for(lambda: answers(client, f"{settings.url(JUDGE)}/readyz"), "it is ready")
        processes[JUDGE] = judge
        made = World(settings, client, client_of(settings), server, told, heard, folder, processes)
        enter(made.canary)
        processes["load"] = enter(service("load", folder))
        yield made


def stop_when_asked() -> None:
    """Let every way of being asked to stop end the `with` blocks, once: asking again does not disturb their end."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def end(*_: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, end)


def lock(path: Path) -> int:
    """Be the only one; returns the open file, which holds the lock until it is closed.

    Raises:
        ServerError: another copy runs.
    """
    import fcntl

    held = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        other = os.read(held, 20).decode().strip() or "unknown"
        os.close(held)
        raise ServerError(f"another copy runs already (process {other}); wait for it, or stop it with Ctrl-C") from None
    os.truncate(held, 0)
    os.write(held, f"{os.getpid()}\n".encode())
    return held
