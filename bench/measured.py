"""What a process costs, seen from a small process of its own.

Linux hands the peak memory of the process that starts a program down to it, so a program started by a large one seems
as large. An interpreter that does nothing else starts it here, and hands over about 10 MiB.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_START: Final = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
used = resource.getrusage(resource.RUSAGE_CHILDREN)
json.dump([done.returncode, done.stderr, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024], sys.stdout)
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of a command.

    Attributes:
        exit_code: negative when a signal ended it.
        said: its standard error.
        cpu: user and system seconds of it and its children.
        memory: the most that it, or a child of it, held at once, in MiB.
    """

    exit_code: int
    said: str
    cpu: float
    memory: float


def measured(
    command: Sequence[str | Path], *, open_files: int | None = None, environment: Mapping[str, str] | None = None
) -> Measured:
    """Run a command to its end; it may have `open_files` files open at once."""

    def limit() -> None:
        if open_files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))

    started = subprocess.run(
        [sys.executable, "-c", _START, *command],
        check=True,
        capture_output=True,
        preexec_fn=limit,
        env=environment,
    )
    return Measured(*json.loads(started.stdout))


def succeeded(
    command: Sequence[str | Path], *, open_files: int | None = None, environment: Mapping[str, str] | None = None
) -> Measured:
    """The same of a command that must succeed.

    Raises:
        RuntimeError: it ended with another exit code than 0.
    """
    done = measured(command, open_files=open_files, environment=environment)
    if done.exit_code:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.exit_code}: {done.said[-500:]}")
    return done
