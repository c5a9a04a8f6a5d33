"""The whole story, headless, and what happens when it cannot be told."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from examples.tracking_pipeline import run
from examples.tracking_pipeline.world import PORTS, lock
from testing import servers
from testing.servers import ROOT, Running
from tests.conftest import program
from tests.console import matches

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("tracking-pipeline")]

COMMAND = [sys.executable, "-m", "examples.tracking_pipeline.run"]
ACTS = ("Start", "Specification", "Healthy", "Canary", "Outage", "Resolve", "Trace", "Backtest")


@pytest.fixture(autouse=True)
def programs(temporary_folder: Path) -> Path:
    """Everything is there; the lock and all folders lie apart, so that a `make demo` beside disturbs neither."""
    for name in run.PROGRAMS:
        program(name)
    return temporary_folder


def still_running(folder: Path) -> list[str]:
    """Command lines of processes that name a folder, or work in it."""
    return [line for line in command_lines() if str(folder) in line]


def command_lines() -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            yield (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended meanwhile
            continue


def test_every_act_happens_and_nothing_is_left_running(tmp_path: Path) -> None:
    ran = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, timeout=1800, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = ran.stdout
    summary = told[told.index("What happened") :]
    assert [act for act in ACTS if f"│ {act} " in summary] == list(ACTS)
    assert "errors http_route=/track" in told
    assert "rollback (harm)" in told
    assert "PagerDuty trigger tracking" in told
    assert "the page's runbook: https://runbooks.routemesh.example/tracking-api/tracking-api-availability" in told
    assert "PagerDuty resolve tracking" in told
    assert "earliest failing hop: ingestion (ingest event)" in told
    assert told.rstrip().endswith("Every act happened. Nothing is left running.")
    assert still_running(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == [f"sloctl-demo-{os.getuid()}.lock"]
    assert matches(plain(tour()), plain(told.splitlines())), "the README's tour tells another story than:\n" + told


def tour() -> list[str]:
    """What the README shows of the story."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = page[page.index("$ make demo\n...") + len("$ make demo\n") :]
    return shown[: shown.index("```")].splitlines()


def plain(lines: Iterable[str]) -> list[str]:
    """Lines without what differs each time: numbers, IDs, the width of columns, and which request was chosen."""
    found = []
    for line in lines:
        text = re.sub(r"\b[0-9a-f]{32}\b", "ID", line.replace("GET /shipments/{shipment}", "POST /track"))
        found.append(re.sub(r" {2,}", " ", re.sub(r"\d+([.:]\d+)*", "N", text)).strip())
    return found


def test_ctrl_c_in_the_middle_stops_everything_that_was_started(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(COMMAND, cwd=ROOT, stdout=file, stderr=file, start_new_session=True)
    try:
        Running("demo", process, output).wait_for(lambda: "everything runs" in output.read_text(), "it runs", 600)
        assert len(still_running(tmp_path)) >= 6
        for _ in range(2):  # an impatient person
            os.kill(process.pid, signal.SIGINT)
            time.sleep(0.2)
        assert process.wait(600) == 130
    finally:
        process.kill()
    assert output.read_text().rstrip().endswith("Stopped, with everything that was started.")
    assert still_running(tmp_path) == []


def test_a_busy_port_is_named_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        first = min(port, 65535 - len(PORTS))
        assert run.main(["--port", str(first)]) == 1
    said = capsys.readouterr().out
    assert f"somebody listens on port {port} (" in said
    assert f"`--port {first}` needs {first} to" in said
    assert still_running(tmp_path) == []


def test_a_second_copy_is_refused_and_names_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = lock(tmp_path / f"sloctl-demo-{os.getuid()}.lock")
    try:
        assert run.main([]) == 1
    finally:
        os.close(held)
    assert f"another copy runs already (process {os.getpid()}); wait for it" in capsys.readouterr().out
    assert still_running(tmp_path) == []


@pytest.mark.parametrize(("name", "target"), [("redis-server", "redis"), ("mosquitto", "mosquitto")])
def test_a_missing_program_is_named_with_the_command_that_brings_it(
    name: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = servers.find_program
    monkeypatch.setattr(run, "find_program", lambda each: found(each) if each != name else absent(each, monkeypatch))
    assert run.main([]) == 1
    assert f"no {name} in .cache/debian/ or on PATH; `make {target}` downloads it" in capsys.readouterr().out
    assert still_running(tmp_path) == []


def absent(name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Look for a program where there is none."""
    monkeypatch.setattr(servers, "ROOT", Path("/nonexistent"))
    monkeypatch.setenv("PATH", "/nonexistent")
    return servers.find_program(name)
