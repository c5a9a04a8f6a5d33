"""Databases of one's own on free loopback ports, stopped when their `with` block ends: PostgreSQL and Redis."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from testing.servers import ROOT, ServerError, find_program, free_port, listens, running

NOBODY: Final = "nobody"
"""PostgreSQL refuses to run as root; then it runs as this user."""
FAST: Final = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off", "max_connections=40")


@contextmanager
def redis(port: int | None = None) -> Iterator[int]:
    """Debian's Redis without a file on disk; yields its port.

    Raises:
        ServerError: it is missing or did not start.
    """
    program, port = find_program("redis-server"), port or free_port()
    with tempfile.TemporaryDirectory(prefix="sloctl-redis-") as folder:
        words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        with running("Redis", [program, *words], Path(folder, "redis.log")) as process:
            process.wait_for(lambda: listens(port), "it listens")
            yield port


@contextmanager
def postgresql(port: int | None = None) -> Iterator[str]:
    """Debian's PostgreSQL with an empty database, which forgets everything; yields its connection string.

    Raises:
        ServerError: it is missing or did not start.
    """
    port = port or free_port()
    user = NOBODY if os.getuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="sloctl-postgresql-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        data, log = folder / "data", folder / "postgresql.log"
        initdb, server = (_reachable(find_program(program), folder, user) for program in ("initdb", "postgres"))
        _give(folder, user)
        _require_open(folder, user)
        _make_cluster(initdb, data, user)
        settings = [word for setting in FAST for word in ("-c", setting)]
        command: list[str | Path] = [server, "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", "", *settings]
        with running("PostgreSQL", command, log, folder, user) as process:
            process.wait_for(lambda: "ready to accept connections" in log.read_text(), "it is ready")
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"


def _make_cluster(initdb: Path, data: Path, user: str | None) -> None:
    flags = ["-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
    made = subprocess.run([initdb, *flags], cwd=data.parent, user=user, capture_output=True, text=True, check=False)
    if made.returncode:
        raise ServerError(f"initdb ended with exit code {made.returncode}; it said:\n{made.stderr}")


def _give(folder: Path, user: str | None) -> None:
    if user is not None:
        account = pwd.getpwnam(user)
        os.chown(folder, account.pw_uid, account.pw_gid)


def _require_open(folder: Path, user: str | None) -> None:
    closed = [parent for parent in folder.parents if not parent.stat().st_mode & 0o001]
    if user is not None and closed:
        raise ServerError(f"PostgreSQL runs as {user}, who cannot enter {closed[-1]}; set TMPDIR to an open folder")


def _reachable(program: Path, folder: Path, user: str | None) -> Path:
    """The program, or a copy of its package where the other user cannot enter our folders."""
    closed = [parent for parent in program.resolve().parents if not parent.stat().st_mode & 0o001]
    if user is None or not closed:
        return program
    if ROOT not in program.parents:
        raise ServerError(f"{program} cannot be run by {user}, and PostgreSQL refuses to run as root")
    package = program.parent.parent.parent
    copy = folder / "package"
    if not copy.exists():
        shutil.copytree(package, copy, symlinks=True, ignore=shutil.ignore_patterns("bitcode", "doc", "locale"))
    return copy / program.relative_to(package)
