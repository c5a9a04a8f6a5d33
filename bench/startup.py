"""What starting the command costs, in CPU time of the process and its children, beside an empty program."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence

from bench.rows import Row

REPEATS = 15


def cpu_seconds(command: Sequence[str]) -> float:
    """User and system time that one run of the command takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def medians(*commands: Sequence[str]) -> list[float]:
    """The median CPU seconds of each command, run in turns so that a busy machine hits all alike."""
    rounds = [[cpu_seconds(command) for command in commands] for _ in range(REPEATS)]
    return [statistics.median(runs) for runs in zip(*rounds, strict=True)]


def rows() -> Iterator[Row]:
    """`sloctl --help` beside an interpreter that only imports click."""
    python = sys.executable
    help_seconds, click_seconds = medians([python, "-m", "sloctl", "--help"], [python, "-c", "import click"])
    yield Row("sloctl --help, ms of CPU time", 1000 * help_seconds, at_most=100)
    yield Row("sloctl --help, times `import click`", help_seconds / click_seconds, at_most=2)
