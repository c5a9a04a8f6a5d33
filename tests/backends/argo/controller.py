"""The analysis controller of Argo Rollouts itself, as an oracle: built from its Go module, once."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from testing.servers import ROOT
from tests.conftest import absent

MODULE = "github.com/argoproj/argo-rollouts"
VERSION = "v1.8.4"
SOURCES = Path(__file__).parent / "decisions"
USED = ("analysis", "metric", "metricproviders/prometheus", "metricproviders/webmetric", "pkg", "utils")
"""Folders of its module that decide; the rest connects it to a cluster and to other tools."""
REPLACED = {"controller.go": "analysis/controller.go", "record.go": "utils/record/record.go"}
CACHE = ROOT / ".cache" / "argo"


def endings(stories: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How each story ends: `Phase`, `Seconds` and how often anything was `Asked`; see `decisions/main.go`."""
    ran = subprocess.run(
        [controller()], input=json.dumps(stories), capture_output=True, text=True, timeout=300, check=True
    )
    found: list[dict[str, Any]] = json.loads(ran.stdout)
    return found


def controller() -> Path:
    """The program. Without Go the test fails in CI and is skipped elsewhere."""
    if shutil.which("go") is None:
        absent("go is missing, which builds the controller of Argo Rollouts")
    files = sorted(SOURCES.rglob("*.go"))
    digest = hashlib.sha256(b"".join([VERSION.encode(), *(file.read_bytes() for file in files)])).hexdigest()
    program = CACHE / f"controller-{digest[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if not program.exists():
            _build(program)
    return program


def _build(program: Path) -> None:
    found = json.loads(_go("mod", "download", "-json", f"{MODULE}@{VERSION}", cwd=CACHE))
    module, here = Path(found["Dir"]), CACHE / "build"
    shutil.rmtree(here, ignore_errors=True)
    for folder in USED:
        shutil.copytree(module / folder, here / "rollouts" / folder, copy_function=shutil.copyfile)
        (here / "rollouts" / folder).chmod(0o755)
    for path in (here / "rollouts").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (here / "rollouts" / "analysis" / "sync.go").unlink()
    for name, place in REPLACED.items():
        shutil.copyfile(SOURCES / "wiring" / name, here / "rollouts" / place)
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(module / name, here / "rollouts" / name)
    shutil.copyfile(module / "go.sum", here / "go.sum")
    shutil.copyfile(SOURCES / "main.go", here / "main.go")
    go = next(line for line in (module / "go.mod").read_text().splitlines() if line.startswith("go "))
    text = f"module gates\n\n{go}\n\nrequire {MODULE} {VERSION}\n\nreplace {MODULE} => ./rollouts\n"
    (here / "go.mod").write_text(text)
    _go("build", "-mod=mod", "-o", str(program), ".", cwd=here)
    shutil.rmtree(here)


def _go(*words: str, cwd: Path) -> str:
    ran = subprocess.run(["go", *words], cwd=cwd, capture_output=True, text=True, timeout=1800, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout
