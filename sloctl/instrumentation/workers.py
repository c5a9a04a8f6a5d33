"""Several worker processes behind one port: whoever scrapes it reaches one of them, and so a random share.

prometheus-client adds them up in its multiprocess mode (`PROMETHEUS_MULTIPROC_DIR`). Without it, counts would fall and
rise as if the service restarted at each scrape; so that is said at start, and refused at /metrics.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

from sloctl.instrumentation import guard

DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"
ADVICE: Final = (
    f"several worker processes serve this port, and each has metrics of its own: set {DIRECTORY} to an empty folder, "
    "and start again, so that they are added up"
)
LOOK_AGAIN_SECONDS: Final = 10.0
_STANDARD_STREAMS: Final = 3
_PROCESSES: Final = Path("/proc")


class Workers:
    """Whether this process shares its port with others that count for themselves."""

    def __init__(self) -> None:
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._looked_at = -LOOK_AGAIN_SECONDS
        self._several = False

    def warn(self) -> None:
        """Say it at start."""
        if self.uncounted():
            guard.LOG.error(ADVICE)

    def uncounted(self) -> bool:
        """Whether there are several and nothing adds them up; looked at anew every ten seconds."""
        if os.environ.get(DIRECTORY):
            return False
        now = time.monotonic()
        if now - self._looked_at >= LOOK_AGAIN_SECONDS:
            self._looked_at = now
            try:
                self._several = several()
            except OSError as error:
                guard.failed("look for workers", error)
        return self._several


WORKERS: Final = Workers()


def several() -> bool:
    """Whether another child of our parent holds a socket that we hold too, as workers hold the one they accept on.

    Without /proc it is what the command line and `WEB_CONCURRENCY` say.
    """
    if not _PROCESSES.joinpath("self/fd").is_dir():
        return _said_to_be_several()
    ours = _sockets(os.getpid())
    return bool(ours) and any(ours & _sockets(sibling) for sibling in _siblings())


def _siblings() -> Iterator[int]:
    parent = os.getppid()
    for entry in _PROCESSES.iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid() and _parent(entry) == parent:
            yield int(entry.name)


def _parent(process: Path) -> int | None:
    try:
        # "pid (name) state parent ...": the name may hold anything, also a parenthesis.
        return int(process.joinpath("stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return None  # it ended meanwhile


def _sockets(process: int) -> set[str]:
    """The sockets of a process, but for its standard streams, which a service manager hands to all."""
    found = set()
    try:
        for entry in _PROCESSES.joinpath(str(process), "fd").iterdir():
            if int(entry.name) >= _STANDARD_STREAMS and (target := _target(entry)).startswith("socket:"):
                found.add(target)
    except OSError:
        return set()  # it ended, or is somebody else's
    return found


def _target(link: Path) -> str:
    try:
        return os.readlink(link)  # noqa: PTH115 - a socket is no path
    except OSError:
        return ""  # closed meanwhile


def _said_to_be_several() -> bool:
    said = os.environ.get("WEB_CONCURRENCY", "")
    for flag, value in pairwise(sys.argv):
        if flag in ("-w", "--workers"):
            said = value
    return said.isdecimal() and int(said) > 1
