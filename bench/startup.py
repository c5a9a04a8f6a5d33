"""What starting the command costs, in CPU time of the process and its children, beside an empty program."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Sequence

from bench.measured import succeeded
from bench.rows import Row

REPEATS = 15


def medians(*commands: Sequence[str]) -> list[float]:
    """The median CPU seconds of each command, run in turns so that a busy machine hits all alike."""
    rounds = [[succeeded(command).cpu for command in commands] for _ in range(REPEATS)]
    return [statistics.median(runs) for runs in zip(*rounds, strict=True)]


def rows() -> Iterator[Row]:
    """`sloctl --help` beside an interpreter that only imports click."""
    python = sys.executable
    help_seconds, click_seconds = medians([python, "-m", "sloctl", "--help"], [python, "-c", "import click"])
    yield Row("sloctl --help, ms of CPU time", 1000 * help_seconds, at_most=100)
    yield Row("sloctl --help, times `import click`", help_seconds / click_seconds, at_most=2)
