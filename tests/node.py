"""Packages of npm as oracles: published schemas and types that we did not write."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from pathlib import Path

from testing.servers import ROOT
from tests.conftest import absent

MODULES = ROOT / ".cache" / "node"


def node_packages(*names: str) -> Path:
    """A folder with these packages (`name@version`) below `node_modules`; fetched once.

    Without node or npm the test fails in CI and is skipped elsewhere.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        absent("node and npm are missing; run: make test")
    MODULES.mkdir(parents=True, exist_ok=True)
    with (MODULES / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        missing = [name for name in names if not _is_there(name)]
        if missing:
            command = [
                "npm",
                "install",
                "--no-save",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--prefix",
                MODULES,
            ]
            kept = [path.name for path in MODULES.glob("*.installed")]
            subprocess.run([*command, *names, *map(_named, kept)], check=True, capture_output=True, timeout=300)
            for name in missing:
                (MODULES / _marker(name)).touch()
    return MODULES


def run_node(script: str, value: object) -> str:
    """What an ECMAScript module prints that finds `value` as JSON on its standard input."""
    ran = subprocess.run(
        ["node", "--input-type=module", "-e", script],
        cwd=MODULES,
        input=json.dumps(value),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def _marker(name: str) -> str:
    return name.replace("/", "!") + ".installed"


def _named(marker: str) -> str:
    return marker.removesuffix(".installed").replace("!", "/")


def _is_there(name: str) -> bool:
    return (MODULES / _marker(name)).exists()
