"""Kill `sloctl generate` at random moments; prints what was found as JSON. Used by a test and by the benchmark.

    python -m tests.artifacts.killed_runs FOLDER KILLS SEED

One process imports sloctl and forks a generator for each kill, so that every kill hits the generating and none the
importing. The generator compiles two versions of a service in turn until it is killed with SIGKILL.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from sloctl.artifacts import MANIFEST
from sloctl.cli import main

SPEC = "slo-specs/checkout.yaml"
SLO = """  - name: slo-{number}
    objective: {objective}
    sli: {{ratio: {{total: 'requests_total{{job="checkout-{number}"}}', bad_if: 'code=~"5.."'}}}}
"""
HEADS = [f"apiVersion: sloctl/v1\nkind: Service\nservice: service-{number}\nslos:\n" for number in range(6)]
LONGEST = 0.08  # seconds of its own CPU time that a generator lives at most; two versions take about 0.05


def specification(objective: str) -> str:
    slos = "".join(SLO.format(number=number, objective=objective) for number in range(3))
    return "---\n".join(head + slos for head in HEADS)


VERSIONS = [specification("99.9%"), specification("99.5%")]


def generate(version: str) -> int:
    Path(SPEC).write_text(version)
    return main(["generate"])


def tree() -> dict[str, bytes]:
    """Every generated file by its path."""
    return {str(path): path.read_bytes() for path in Path("rules").rglob("*") if path.is_file()}


def in_child(versions: list[str]) -> int:
    """Fork a process that compiles these in turn; its process id."""
    child = os.fork()
    if child == 0:
        forever(versions)
    return child


def forever(versions: list[str]) -> NoReturn:
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    while True:
        for version in versions:
            with suppress(SystemExit):
                generate(version)


def cpu_seconds(process: int) -> float:
    """CPU time that a process has used, from the clock that clock_getcpuclockid(3) names."""
    return time.clock_gettime(~process << 3 | 2)


def killed_once(moment: float) -> None:
    child = in_child(VERSIONS)
    while cpu_seconds(child) < moment:
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def damage(whole: list[dict[str, bytes]]) -> Counter[str]:
    """Files that are of neither version, files of both versions that are gone, and manifests that are no JSON."""
    found: Counter[str] = Counter()
    now = tree()
    for path in whole[0]:
        content = now.get(path)
        if content is None:
            found["missing"] += 1
        elif path.endswith(MANIFEST):
            json.loads(content)
        elif content not in [version[path] for version in whole]:
            found["half"] += 1
    found["unknown"] += len(now.keys() - whole[0].keys())
    return found


def run(kills: int, seed: int) -> Counter[str]:
    """What `kills` kills did to the files of the folder we are in."""
    Path("slo-specs").mkdir()
    whole = []
    for version in VERSIONS:
        assert generate(version) == 0
        whole.append(tree())
    moments, found = random.Random(seed), Counter[str]()
    for number in range(kills):
        killed_once(moments.uniform(0.001, LONGEST))
        found += damage(whole)
        found["interrupted"] += any(Path().glob(".sloctl-staging-*")) or tree() not in whole
        version = number % 2
        found["next run failed"] += generate(VERSIONS[version]) != 0
        found["not converged"] += tree() != whole[version]
        found["left behind"] += any(Path().glob(".sloctl-*"))
    return +found  # without zeros


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    printed, sys.stdout, sys.stderr = sys.stdout, open(os.devnull, "w"), open(os.devnull, "w")  # noqa: SIM115, PTH123
    found = run(int(sys.argv[2]), int(sys.argv[3]))
    printed.write(json.dumps(found))
