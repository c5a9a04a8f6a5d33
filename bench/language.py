"""What the compiler costs: CPU beside PyYAML's bare C loader on the same files in the same run, memory, open files.

Each figure is the best of three rounds in which all programs run in turns, so that a busy machine hits all alike. The
loader's figure is its loading alone; the compiler's are whole processes, with the start of the interpreter.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bench.measured import Measured, succeeded
from bench.rows import Row
from bench.specs import write_short_specs, write_specs

MANY: Final = 10_000
FEWER: Final = 1_000
ROUNDS: Final = 3
OPEN_FILES: Final = 64
LOADER: Final = """
import sys, time, yaml
from pathlib import Path
files = sorted(Path(sys.argv[1]).glob("*.yaml"))
before = time.process_time()
for file in files:
    with file.open("rb") as text:
        for document in yaml.load_all(text, Loader=yaml.CSafeLoader):
            pass
print(time.process_time() - before)
"""


def bare_load(specs: Path) -> float:
    """CPU seconds of PyYAML's C loader for every file of a folder."""
    done = subprocess.run([sys.executable, "-c", LOADER, specs], check=True, capture_output=True, text=True)
    return float(done.stdout)


def cost(*words: str | Path) -> Measured:
    """What one `sloctl` costs, which may have 64 files open and must succeed."""
    return succeeded([sys.executable, "-m", "sloctl", *words], open_files=OPEN_FILES)


def best(runs: Sequence[Measured]) -> Measured:
    """The least CPU and the most memory of some runs."""
    return replace(runs[0], cpu=min(run.cpu for run in runs), memory=max(run.memory for run in runs))


def rows() -> Iterator[Row]:
    """The figures of the specification language."""
    with TemporaryDirectory(prefix="sloctl-bench-") as folder:
        base = Path(folder)
        for name, write, slos in (
            ("one", write_specs, 1),
            ("fewer", write_specs, FEWER),
            ("many", write_specs, MANY),
            ("short", write_short_specs, MANY),
        ):
            write(base / name / "slo-specs", slos)
        yield from _rows([_round(base, number) for number in range(ROUNDS)])


def _round(base: Path, number: int) -> dict[str, Measured]:
    """Every program once; each writes into a folder of its own."""
    specs = {name: base / name / "slo-specs" for name in ("one", "fewer", "many", "short")}
    outputs = {name: base / f"out-{number}" / name for name in specs}
    runs = {f"load {name}": Measured(0, "", bare_load(specs[name]), 0) for name in ("many", "short")}
    runs["validate"] = cost("validate", specs["many"])
    runs |= {f"generate {name}": cost("generate", specs[name], "-o", outputs[name]) for name in specs}
    runs["help"] = cost("--help")
    return runs


def _rows(rounds: Sequence[dict[str, Measured]]) -> Iterator[Row]:
    of = {name: best([round_[name] for round_ in rounds]) for name in rounds[0]}
    load, one = of["load many"].cpu, of["generate one"].cpu
    generate, fewer = of["generate many"], of["generate fewer"]
    yield Row(f"validate {MANY} SLOs, times PyYAML's bare C load", of["validate"].cpu / load, at_most=5)
    yield Row(f"generate {MANY} SLOs, times PyYAML's bare C load", generate.cpu / load, at_most=12)
    yield Row(
        f"generate {MANY} short SLOs, times PyYAML's bare C load",
        of["generate short"].cpu / of["load short"].cpu,
        at_most=24,
    )
    yield Row(f"validate {MANY} SLOs, MiB", of["validate"].memory, at_most=256)
    yield Row(f"generate {MANY} SLOs, MiB", generate.memory, at_most=256)
    yield Row(f"files that may be open while {MANY} SLOs are generated", OPEN_FILES, at_most=64)
    growth = ((generate.cpu - one) / (MANY - 1)) / ((fewer.cpu - one) / (FEWER - 1))
    yield Row(f"an SLO among {MANY}, times an SLO among {FEWER}", growth, at_most=1.15)
    yield Row("generate one SLO, ms of CPU time", 1000 * one, at_most=300)
    yield Row("sloctl --help, ms of CPU time", 1000 * of["help"].cpu, at_most=100)
