"""The worlds of the rules on each Prometheus that can be had: how many of them are right there.

The worlds are the tests of the rules; each version runs every one of them with its own promtool and server.
Prometheus 3 is built from its Go module into `.cache/engines`, where Go is there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from bench.rows import Row
from testing.servers import ROOT

WORLDS: Final = "tests/backends/prometheus"
MODULES: Final[Mapping[str, str]] = {"prometheus-3": "github.com/prometheus/prometheus@latest"}
PROGRAMS: Final = ("prometheus", "promtool")
_COUNTS: Final = re.compile(r"(\d+) (passed|failed|error)")


def built(name: str) -> Path:
    """The folder with the programs of a Go module, built once."""
    folder = ROOT / ".cache" / "engines" / name
    if all((folder / program).is_file() for program in PROGRAMS):
        return folder
    environment = {**os.environ, "GOWORK": "off", "GOFLAGS": "-mod=mod"}
    answer = _run(["go", "mod", "download", "-json", MODULES[name]], ROOT, environment)
    source = folder.with_name(f"{name}-source")
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(json.loads(answer)["Dir"], source, copy_function=shutil.copyfile)
    source.chmod(0o755)
    for below in source.rglob("*"):
        below.chmod(0o755 if below.is_dir() else 0o644)
    folder.mkdir(parents=True, exist_ok=True)
    for program in PROGRAMS:
        _run(["go", "build", "-o", str(folder / program), f"./cmd/{program}"], source, environment)
    shutil.rmtree(source)
    return folder


def _run(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"{' '.join(command[:3])} failed:\n{ran.stderr[-2000:]}")
    return ran.stdout


def right(programs: Path | None) -> tuple[int, int]:
    """How many worlds are right with the programs of a folder, and how many there are."""
    environment = {**os.environ, "CI": "true", **({"SLOCTL_PROGRAMS": str(programs)} if programs else {})}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--tb=line", WORLDS]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    counts = {word: int(count) for count, word in _COUNTS.findall(ran.stdout.splitlines()[-1])}
    if counts.get("passed", 0) < sum(counts.values()):
        print(ran.stdout[-4000:], file=sys.stderr)
    return counts.get("passed", 0), sum(counts.values())


def rows() -> Iterator[Row]:
    """A row a version; without Go only Debian's."""
    engines: dict[str, Path | None] = {"Prometheus of Debian": None}
    if shutil.which("go"):
        engines |= {name: built(name) for name in MODULES}
    for name, programs in engines.items():
        good, all_ = right(programs)
        yield Row(f"{name}: part of {all_} worlds that are right", good / max(all_, 1), at_least=1)
