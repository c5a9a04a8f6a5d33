"""Ctrl-C and SIGTERM, whenever they come: the command ends soon, says no traceback and leaves nothing behind."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from sloctl.cli import main
from testing.servers import until

ENOUGH = 120  # seconds, far beyond anything that is not a hang, on a busy machine as well
SLO = """
  - name: ok-{number}
    objective: 99.9%
    sli: {{ratio: {{total: requests_total, bad: failures_total}}}}
    alerts: [{{severity: P1, burn: 14.2, over: 5m}}]
"""
SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)


def write_specs(slos: int) -> None:
    """Specifications in `slo-specs/` of the folder we are in, which becomes the only one that is written to."""
    head = "apiVersion: sloctl/v1\nkind: Service\nservice: api\nslos:\n"
    Path("slo-specs").mkdir()
    Path("slo-specs/api.yaml").write_text(head + "".join(SLO.format(number=number) for number in range(slos)))
    Path("temporary").mkdir()


def write_promtool(does: str) -> None:
    """A promtool that tells its version, and does this for every test."""
    program = Path("promtool")
    version = '[ "$1" = --version ] && { touch asked; echo "promtool, version 2.42.0"; exit; }'
    program.write_text(f"#!/bin/sh\nHERE={Path.cwd()}\n{version}\n{does}\n")
    program.chmod(0o755)


@contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[str]]:
    """`sloctl` with temporary files in `temporary/`, ended with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sloctl", *words],
        env={**os.environ, "TMPDIR": str(Path("temporary").resolve())},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def end(process: subprocess.Popen[str], number: signal.Signals) -> str:
    """Send a signal; what the process said until its end."""
    process.send_signal(number)
    return process.communicate(timeout=ENOUGH)[1]


def left_behind() -> list[str]:
    """Temporary files, and programs that work in them or in the folder we are in."""
    here, found = str(Path.cwd()), [str(path) for path in Path("temporary").iterdir()]
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended, or belongs to somebody else
            works_in = str((process / "cwd").readlink())
            if works_in.startswith(here) and process.name != str(os.getpid()):
                found.append((process / "cmdline").read_text())
    return found


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def proofs_begun() -> int:
    return len(list(Path("temporary").glob("sloctl-test-*/*")))


@SIGNALS
@pytest.mark.parametrize(
    ("promtool", "moment"),
    [
        ("exec sleep 600", Path("asked").exists),
        ("exec sleep 600", lambda: any(Path("temporary").iterdir())),
        ("touch $HERE/running; exec sleep 600", Path("running").exists),
        ("touch $HERE/running; sleep 600", Path("running").exists),  # a script around promtool
        ("exec sleep 1", lambda: proofs_begun() > 20),
        ("exec sleep 1", lambda: proofs_begun() > 100),
    ],
    ids=["version", "folder", "promtool", "its-child", "many", "more"],
)
def test_an_interrupted_test_leaves_no_folder_and_no_program(
    number: signal.Signals, promtool: str, moment: Callable[[], bool]
) -> None:
    write_specs(20)
    write_promtool(promtool)
    with started("test", "--each", "--promtool", "./promtool") as process:
        until(moment)
        said = end(process, number)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number], said
    assert "Traceback" not in said
    assert left_behind() == []


def test_an_interrupted_test_says_that_nothing_is_decided() -> None:
    write_specs(1)
    write_promtool("touch $HERE/running; exec sleep 600")
    with started("test", "--promtool", "./promtool") as process:
        until(Path("running").exists)
        said = end(process, signal.SIGINT)
    assert "interrupted after 0 of" in said
    assert said.strip().endswith("nothing is decided")


def test_a_signal_that_does_not_wake_the_main_thread_is_heard_too() -> None:
    """As one that comes in the instant before a wait: here another thread gets it."""
    write_specs(1)
    write_promtool("touch $HERE/running; exec sleep 600")

    def ask() -> None:
        until(Path("running").exists)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    asking = threading.Thread(target=ask)
    asking.start()
    with pytest.raises(SystemExit, match="143"):
        main(["test", "--promtool", "./promtool"])
    asking.join()
    assert left_behind() == []


@SIGNALS
@pytest.mark.parametrize("words", [["test", "--promtool", "./promtool"], ["generate"], ["validate"]], ids=" ".join)
def test_whenever_a_signal_comes_nothing_is_left_behind(words: list[str], number: signal.Signals) -> None:
    """At drawn moments, from before the first import until after the end. Python's own start may say a traceback."""
    write_specs(20)
    write_promtool("exec sleep 0.01")
    moments = random.Random(words[0])
    for _ in range(5):
        with started(*words) as process:
            time.sleep(moments.uniform(0, 1.5))  # whatever has happened by then is right
            said = end(process, number)
        assert "/sloctl/cli/" not in said, said
        assert process.returncode in {0, 128 + number, -number} or "Traceback" in said
        assert left_behind() == []
        assert not list(Path().glob(".sloctl-*"))
        shutil.rmtree("rules", ignore_errors=True)


@pytest.mark.parametrize(("asked", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_a_signal_that_python_wraps_into_another_error_is_no_bug(
    asked: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Python 3.11 does while it makes a class."""

    def wrapped(*_: object, **__: object) -> None:
        raise RuntimeError("Error calling __set_name__") from asked

    monkeypatch.setattr("sloctl.cli.cli.main", wrapped)
    try:
        ended: object = main([])
    except SystemExit as error:
        ended = error.code
    assert ended == code


def test_what_is_ignored_when_it_starts_stays_ignored() -> None:
    """A shell lets programs that it starts with `&` ignore Ctrl-C, and `nohup` lets them ignore SIGHUP."""
    write_specs(1)
    write_promtool("touch $HERE/running; exec sleep 600")
    ignoring = (
        "import os, signal, sys; [signal.signal(n, signal.SIG_IGN) for n in (1, 2)]; os.execv(*eval(sys.argv[1]))"
    )
    command = [sys.executable, "-m", "sloctl", "test", "--promtool", "./promtool"]
    process = subprocess.Popen(
        [sys.executable, "-c", ignoring, repr((sys.executable, command))],
        env={**os.environ, "TMPDIR": str(Path("temporary").resolve())},
        stderr=subprocess.DEVNULL,
    )
    with process:
        try:
            until(Path("running").exists)
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGTERM)
            assert process.wait(ENOUGH) == 143
        finally:
            process.kill()
    assert left_behind() == []
