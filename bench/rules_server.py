"""A Prometheus that may be stopped, killed and started again on the same data."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx

from testing.servers import Prometheus, ServerError, answers, find_program, free_port, running

FLAGS: Final = ("--storage.tsdb.retention.time=100y", "--query.timeout=10m", "--query.max-samples=200000000")


class Server:
    """One Prometheus on loopback with its configuration and data in a folder; use it as a context manager."""

    def __init__(
        self, folder: Path, config: Mapping[str, object], rules: Sequence[Path] = (), flags: Sequence[str] = ()
    ) -> None:
        self.folder, self.data, self.rules, self.flags = folder, folder / "data", rules, flags
        self.url = f"http://127.0.0.1:{free_port()}"
        self.logs: list[Path] = []
        self._file = folder / "prometheus.yml"
        self._stack = ExitStack()
        self._now: Prometheus | None = None
        self.configure(config)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def now(self) -> Prometheus:
        """The running server and the questions that one can ask it."""
        assert self._now is not None, "Prometheus is not running"
        return self._now

    def configure(self, config: Mapping[str, object]) -> None:
        """Write the configuration, which is JSON and so YAML."""
        whole = {**config, "rule_files": [str(rule.resolve()) for rule in self.rules]}
        self._file.write_text(json.dumps(whole), encoding="utf-8")

    def start(self) -> Prometheus:
        """Start it and wait until it is ready."""
        log = self.folder / f"prometheus-{len(self.logs)}.log"
        self.logs.append(log)
        command: list[str | Path] = [
            find_program("prometheus"),
            f"--config.file={self._file}",
            f"--storage.tsdb.path={self.data}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
            *FLAGS,
            *self.flags,
        ]
        process = self._stack.enter_context(running("Prometheus", command, log))
        client = self._stack.enter_context(httpx.Client(timeout=600))
        process.wait_for(lambda: answers(client, f"{self.url}/-/ready"), "it is ready", within=60)
        self._now = Prometheus(self.url, process, client)
        return self._now

    def stop(self) -> None:
        """End it politely."""
        self._stack.close()
        self._now = None

    def kill(self) -> None:
        """End it as a crash does."""
        os.killpg(self.now.running.process.pid, signal.SIGKILL)
        self.stop()

    def restart(self) -> Prometheus:
        """Stop and start; new blocks in the data folder are loaded."""
        self.stop()
        return self.start()

    def reload(self, config: Mapping[str, object]) -> None:
        """Change the configuration and send SIGHUP."""
        self.configure(config)
        self.now.running.process.send_signal(signal.SIGHUP)

    def ask(self, path: str, **parameters: str) -> Any:
        """The data that the HTTP API answers."""
        body = self.now.client.get(f"{self.url}/api/v1/{path}", params=parameters).json()
        if body["status"] != "success":
            raise ServerError(f"Prometheus refused {path} {parameters}: {body['error']}")
        return body["data"]

    def value(self, promql: str, at: float) -> float:
        """The one value of an expression at a moment; not a number where it has none."""
        found = self.now.query(promql, at)
        if len(found) > 1:
            raise ServerError(f"{promql} has {len(found)} series")
        return found[0].value if found else float("nan")

    def samples_read(self, promql: str, at: float) -> int:
        """How many samples Prometheus reads to evaluate an expression once, by its own statistics."""
        data = self.ask("query", query=promql, time=str(at), stats="all")
        return int(data["stats"]["samples"]["totalQueryableSamples"])


def promtool(*words: str | Path, cwd: Path | None = None) -> str:
    """Run promtool; what it says.

    Raises:
        ServerError: it failed.
    """
    command = [str(find_program("promtool")), *map(str, words)]
    ran = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if ran.returncode:
        raise ServerError(f"promtool {' '.join(command[1:3])} failed:\n{ran.stdout[-4000:]}")
    return ran.stdout
