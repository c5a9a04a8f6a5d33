"""Serve an ASGI application on a real socket: in this process, or by several workers."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from testing.servers import ROOT, Running, answers, free_port, running


@contextmanager
def serving(app: Any, **settings: Any) -> Iterator[int]:
    """uvicorn on a free port, in a thread that ends with the block; `settings` are uvicorn's."""
    port = free_port()
    chosen = {"log_level": "error", "lifespan": "off", **settings}
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, **chosen))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise AssertionError("uvicorn did not start")
        threading.Event().wait(0.02)
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join(10)


@dataclass(frozen=True)
class Workers:
    """Several processes behind one port."""

    server: Running
    url: str

    def kill_one(self, pid: int) -> None:
        """End a worker without a chance to say goodbye; it must be one of ours."""
        assert _parent(pid) == self.server.process.pid
        os.kill(pid, signal.SIGKILL)


@contextmanager
def workers(program: Path, count: int, environment: dict[str, str] | None = None, path: str = "/") -> Iterator[Workers]:
    """`uvicorn program:app --workers count`, ready when the path is answered."""
    port = free_port()
    variables = [f"{key}={value}" for key, value in {"PYTHONPATH": str(ROOT), **(environment or {})}.items()]
    serve: list[str | Path] = [
        sys.executable,
        "-m",
        "uvicorn",
        f"{program.stem}:app",
        "--app-dir",
        program.parent,
        "--port",
        str(port),
    ]
    command: list[str | Path] = ["env", *variables, *serve, "--workers", str(count), "--log-level", "warning"]
    url = f"http://127.0.0.1:{port}"
    with running("uvicorn", command, program.parent / "server.log") as server:
        with httpx.Client() as client:
            server.wait_for(lambda: answers(client, url + path), "it answers")
        yield Workers(server, url)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
