"""Start real servers on free loopback ports, ask them questions, and stop exactly what was started.

Each server is a context manager: leaving it in any way (an exception, Ctrl-C) ends its process group.
Programs come from `.cache/debian/` (see `tools/debian-package`), then from PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx

ROOT = Path(__file__).resolve().parent.parent
LOG_TAIL_LINES = 20
POLL_SECONDS = 0.1
STOP_SECONDS = 60
PATIENCE = 120
"""Seconds to wait for what takes a moment on a quiet machine: whoever waits so long looks at a hang."""

T = TypeVar("T")
PACKAGES: Final = {
    "promtool": "prometheus",
    "prometheus-alertmanager": "alertmanager",
    "amtool": "alertmanager",
    "redis-server": "redis",
    "erl": "rabbitmq",
    "nats-server": "nats",
    "postgres": "postgresql",
    "initdb": "postgresql",
}
"""Target of the Makefile by program, where their names differ."""


class ServerError(Exception):
    """A server is missing, did not start, gave an error or did not get there in time."""


def find_program(name: str) -> Path:
    """The path of a program.

    A folder in the variable `SLOCTL_PROGRAMS` comes first: the same tests with programs of another version.

    Raises:
        ServerError: it is neither there, nor in `.cache/debian/`, nor on PATH.
    """
    if (other := os.environ.get("SLOCTL_PROGRAMS")) and (Path(other) / name).is_file():
        return Path(other) / name
    for candidate in sorted(ROOT.glob(f".cache/debian/*/usr/bin/{name}")):
        return candidate
    if found := shutil.which(name):
        return Path(found)
    # Debian keeps PostgreSQL's programs out of PATH.
    for candidate in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")):
        return candidate
    target = PACKAGES.get(name, name)
    raise ServerError(f"no {name} in .cache/debian/ or on PATH; `make {target}` downloads it, without installing it")


def free_port() -> int:
    """A loopback TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody listens on this loopback TCP port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True, slots=True)
class Running:
    """A started program with the file that its output goes to."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def log_tail(self) -> str:
        """The last lines that the program wrote."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-LOG_TAIL_LINES:]) or "    (nothing)"

    def failed(self, why: str) -> ServerError:
        """An error that shows why, and what the program said last."""
        return ServerError(f"{self.name} {why}; it said last:\n{self.log_tail()}")

    def wait_for(self, ask: Callable[[], T], what: str, within: float = PATIENCE) -> T:
        """Ask again and again until the answer is truthy; return that answer.

        Args:
            ask: returns something falsy while it is not yet so.
            what: what is awaited, for the error: "is ready".
            within: seconds to wait at most.

        Raises:
            ServerError: the program ended, or the time is over; with the last answer.
        """
        deadline = time.monotonic() + within
        while True:
            answer = ask()
            if answer:
                return answer
            if self.process.poll() is not None:
                raise self.failed(f"ended with exit code {self.process.returncode} before: {what}")
            if time.monotonic() > deadline:
                raise self.failed(f"did not get there in {within:g} s: {what} (last answer: {answer!r})")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End the program's whole process group: politely, then whatever is left of it by force."""
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        self._signal(signal.SIGKILL)
        self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


@contextmanager
def running(
    name: str, command: Sequence[str | Path], log: Path, cwd: Path | None = None, user: str | None = None
) -> Iterator[Running]:
    """Run a program in a process group of its own, which ends with the `with` block; as another user if told so."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            user=user,
            start_new_session=True,
        )
    program = Running(name, process, log)
    try:
        yield program
    finally:
        program.stop()


def until(happened: Callable[[], T], within: float = PATIENCE) -> T:
    """Ask again and again until the answer is truthy; return that answer.

    Raises:
        TimeoutError: the seconds are over.
    """
    deadline = time.monotonic() + within
    while not (answer := happened()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"it did not happen in {within:g} s (last answer: {answer!r})")
        time.sleep(POLL_SECONDS / 10)
    return answer


def answers(client: httpx.Client, url: str) -> bool:
    """Whether a GET of the URL is answered with success."""
    try:
        return client.get(url).is_success
    except httpx.TransportError:
        return False


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an instant vector."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as Prometheus has it now; `state` is pending or firing."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    state: str

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.labels["alertname"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as Prometheus has it now.

    Attributes:
        kind: recording or alerting.
        labels: those of the rule itself.
        state: of an alert: inactive, pending or firing; empty for a recording.
        health: ok, err or unknown (not evaluated yet).
    """

    group: str
    name: str
    kind: str
    labels: Mapping[str, str]
    state: str
    health: str
    last_error: str


@dataclass(frozen=True, slots=True)
class Target:
    """One scraped target; `health` is up, down or unknown (not scraped yet)."""

    labels: Mapping[str, str]
    health: str
    last_error: str


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus and the questions that one can ask it."""

    url: str
    running: Running
    client: httpx.Client

    def _get(self, path: str, **parameters: str) -> Any:
        try:
            body = self.client.get(f"{self.url}/api/v1/{path}", params=parameters).json()
        except httpx.TransportError as error:
            raise self.running.failed(f"did not answer {path} ({error})") from error
        if body["status"] != "success":
            raise ServerError(f"Prometheus refused {path} {parameters}: {body['error']}")
        return body["data"]

    def query(self, promql: str, at: float | None = None) -> list[Sample]:
        """The instant vector of an expression, now or at a Unix time in seconds."""
        moment = {} if at is None else {"time": str(at)}
        result = self._get("query", query=promql, **moment)["result"]
        return [Sample(series["metric"], float(series["value"][1])) for series in result]

    def value(self, promql: str, at: float | None = None) -> float | None:
        """The one value of an expression, now or at a Unix time in seconds; None where it has no series.

        Raises:
            ServerError: it has more than one.
        """
        samples = self.query(promql, at)
        if len(samples) > 1:
            raise ServerError(f"{promql} has {len(samples)} series: {[dict(sample.labels) for sample in samples]}")
        return samples[0].value if samples else None

    def alerts(self, **labels: str) -> list[Alert]:
        """Every pending or firing alert that has these labels."""
        alerts = [Alert(a["labels"], a["annotations"], a["state"]) for a in self._get("alerts")["alerts"]]
        return [alert for alert in alerts if labels.items() <= alert.labels.items()]

    def rules(self) -> list[Rule]:
        """Every loaded rule, in the order of its file and group."""
        return [
            Rule(
                group=group["name"],
                name=rule["name"],
                kind=rule["type"],
                labels=rule.get("labels", {}),
                state=rule.get("state", ""),
                health=rule["health"],
                last_error=rule.get("lastError", ""),
            )
            for group in self._get("rules")["groups"]
            for rule in group["rules"]
        ]

    def targets(self) -> list[Target]:
        """Every target that is scraped."""
        return [
            Target(target["labels"], target["health"], target["lastError"])
            for target in self._get("targets", state="active")["activeTargets"]
        ]

    def wait_for(self, ask: Callable[[], T], what: str, within: float = PATIENCE) -> T:
        """Ask until the answer is truthy and return it; see `Running.wait_for`."""
        return self.running.wait_for(ask, what, within)


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """A running Alertmanager.

    Attributes:
        config: its configuration file; `reload` reads it again.
    """

    url: str
    running: Running
    client: httpx.Client
    config: Path

    def alerts(self) -> list[dict[str, Any]]:
        """Every alert that it has now, as its API v2 says it: labels, receivers and status."""
        found: list[dict[str, Any]] = self.client.get(f"{self.url}/api/v2/alerts").json()
        return found

    def send(self, alerts: Sequence[Mapping[str, object]]) -> None:
        """Post alerts as Prometheus does."""
        self.client.post(f"{self.url}/api/v2/alerts", json=list(alerts)).raise_for_status()

    def reload(self) -> None:
        """Take the configuration file anew."""
        self.client.post(f"{self.url}/-/reload").raise_for_status()


_SHARED: Final = b"/usr/share/prometheus/alertmanager"


def _relocated(program: Path, folder: Path) -> tuple[Path, Path | None]:
    """Debian's Alertmanager, able to run where it is unpacked but not installed; and the folder to start it in.

    Debian's build reads its notification templates from one absolute path. The copy reads them from a relative path
    of the same length, which is there in the unpacked package.
    """
    root = program.parent.parent.parent
    if Path(_SHARED.decode()).exists() or not Path(f"{root}{_SHARED.decode()}").exists():
        return program, None
    copy = folder / program.name
    relative = _SHARED.removeprefix(b"/").replace(b"/prometheus/", b"/prometheus//")
    copy.write_bytes(program.read_bytes().replace(_SHARED, relative))
    copy.chmod(0o755)
    return copy, root


@contextmanager
def alertmanager(config: Path, port: int | None = None) -> Iterator[Alertmanager]:
    """An Alertmanager of its own, without peers, on a free loopback port or this one.

    Raises:
        ServerError: it is missing or did not start.
    """
    program = find_program("prometheus-alertmanager")
    port = port or free_port()
    with tempfile.TemporaryDirectory(prefix="sloctl-alertmanager-") as folder:
        started, root = _relocated(program, Path(folder))
        command: list[str | Path] = [
            started,
            f"--config.file={config}",
            f"--storage.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ]
        log = Path(folder, "alertmanager.log")
        with running("Alertmanager", command, log, root) as process, httpx.Client(timeout=PATIENCE) as client:
            url = f"http://127.0.0.1:{port}"
            process.wait_for(lambda: answers(client, f"{url}/-/ready"), "it is ready")
            yield Alertmanager(url, process, client, config)


@contextmanager
def prometheus(
    config: Mapping[str, object],
    rules: Sequence[Path] = (),
    flags: Sequence[str] = (),
    port: int | None = None,
    data: Path | None = None,
) -> Iterator[Prometheus]:
    """A Prometheus on a free loopback port, its data in a temporary folder that goes with it.

    Args:
        config: the configuration without `rule_files`.
        rules: rule files; the folders above a relative path count from where the caller stands.
        flags: further command-line flags.
        port: a port to take instead.
        data: its data folder, which stays.

    Raises:
        ServerError: it is missing or did not start.
    """
    program, port = find_program("prometheus"), port or free_port()
    with tempfile.TemporaryDirectory(prefix="sloctl-prometheus-") as folder:
        file = Path(folder, "prometheus.yml")
        # JSON is YAML.
        file.write_text(json.dumps({**config, "rule_files": [str(rule.resolve()) for rule in rules]}), encoding="utf-8")
        command: list[str | Path] = [
            program,
            f"--config.file={file}",
            f"--storage.tsdb.path={data or Path(folder, 'data')}",
            f"--web.listen-address=127.0.0.1:{port}",
            *flags,
        ]
        log = Path(folder, "prometheus.log")
        with running("Prometheus", command, log) as process, httpx.Client(timeout=PATIENCE) as client:
            url = f"http://127.0.0.1:{port}"
            process.wait_for(lambda: answers(client, f"{url}/-/ready"), "it is ready")
            yield Prometheus(url, process, client)
