"""A real PostgreSQL of one's own on a free loopback port; leaving the `with` block ends it and removes its data."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from examples.servers import ROOT, Running, ServerError, free_port, running

NOBODY: Final = "nobody"
"""PostgreSQL refuses to run as root; as root it is started as this user."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running PostgreSQL.

    Attributes:
        url: of its database, for SQLAlchemy and libpq.
    """

    url: str
    running: Running


def find_postgres() -> Path:
    """The folder of PostgreSQL's programs.

    Raises:
        ServerError: it is neither in `.cache/debian/` nor installed.
    """
    places = [*ROOT.glob(".cache/debian/*/usr/lib/postgresql/*/bin"), *Path("/usr/lib/postgresql").glob("*/bin")]
    if found := shutil.which("postgres"):
        places.append(Path(found).resolve().parent)
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    raise ServerError("no PostgreSQL in .cache/debian/ or installed; `make postgresql` downloads it")


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL with an empty database.

    Raises:
        ServerError: it is missing or did not start.
    """
    programs = find_postgres()
    with tempfile.TemporaryDirectory(prefix="sloctl-postgres-") as folder:
        data, port = Path(folder, "data"), free_port()
        data.mkdir(mode=0o700)
        who = _unprivileged(Path(folder), data)
        programs = _reachable(programs, Path(folder), who)
        environment = {**os.environ, "LD_LIBRARY_PATH": _libraries(programs), "LC_ALL": "C.UTF-8"}
        made = subprocess.run(
            [programs / "initdb", "-D", data, "-U", "sloctl", "--auth=trust", "-E", "UTF8", "--no-sync"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            **who,
        )
        if made.returncode != 0:
            raise ServerError(f"initdb failed: {made.stderr}")
        command = [programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", data]
        with _started(command, Path(folder, "postgres.log"), environment, who) as program:
            pid = data / "postmaster.pid"
            program.wait_for(lambda: pid.exists() and "ready" in pid.read_text(), "it is ready", within=30)
            try:
                yield Postgres(f"postgresql://sloctl@127.0.0.1:{port}/postgres", program)
            finally:
                program.process.send_signal(signal.SIGQUIT)  # at once: its data goes with it


@contextmanager
def _started(command: list[Any], log: Path, environment: Mapping[str, str], who: dict[str, Any]) -> Iterator[Running]:
    words = [f"{name}={value}" for name, value in environment.items() if name in {"LD_LIBRARY_PATH", "LC_ALL"}]
    changed = ["setpriv", f"--reuid={who['user']}", f"--regid={who['group']}", "--clear-groups"] if who else []
    with running("PostgreSQL", [*changed, "env", *words, *command], log) as program:
        yield program


def _unprivileged(folder: Path, data: Path) -> dict[str, Any]:
    """As whom to run: ourselves, or nobody where we are root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(NOBODY)
    folder.chmod(0o711)
    os.chown(data, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _reachable(programs: Path, folder: Path, who: dict[str, Any]) -> Path:
    """The programs where that user can run them: a copy when they lie in a folder of root's own."""
    try:
        subprocess.run([programs / "postgres", "--version"], check=True, capture_output=True, **who)
    except (PermissionError, subprocess.CalledProcessError):
        root = folder / "root"
        shutil.copytree(programs.parents[4], root, symlinks=True)
        return root / programs.relative_to(programs.parents[4])
    return programs


def _libraries(programs: Path) -> str:
    """Libraries that were unpacked beside the programs."""
    root = programs.parents[4]
    return (
        ""
        if root == Path("/")
        else ":".join(map(str, [*root.glob("usr/lib/*-linux-gnu*"), *root.glob("lib/*-linux-gnu*")]))
    )
