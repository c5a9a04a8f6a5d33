"""Real versions of a service under load, scraped by a real Prometheus and judged by the command."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.canary_live import (
    CANARY,
    STABLE,
    Load,
    Version,
    evaluate,
    scraping,
    version,
    write_spec,
    write_targets,
)
from testing.servers import until
from tests.conftest import StartPrometheus

pytest.importorskip("fastapi")
pytestmark = pytest.mark.server

SCRAPE, HOLD = 1, 20
RATE = 60
"""Requests a second of each arm of each service."""


@dataclass
class World:
    """Three services, each with its two versions, and where Prometheus listens."""

    folder: Path
    url: str
    pid: int
    versions: dict[str, dict[str, Version]]

    def judged(self, service: str, *more: str) -> tuple[int, dict[str, object]]:
        spec = write_spec(self.folder, service, SCRAPE, HOLD, limit="3%", deadline=120)
        finished = evaluate(spec, service, self.url, *more)
        assert finished.returncode in {0, 1, 3, 4}, finished.stderr
        return finished.returncode, json.loads(finished.stdout)

    def until(self, service: str, wanted: set[str]) -> dict[str, object]:
        """The first verdict that is one of those."""
        return until(lambda: answer if (answer := self.judged(service)[1])["verdict"] in wanted else None)


@pytest.fixture
def world(prometheus: StartPrometheus, tmp_path: Path) -> Iterator[World]:
    targets = tmp_path / "targets.json"
    # Their history is four seconds: more errors than hardly any look as if the baseline had never been so bad.
    usual = 0.0002
    errors = {"good": (usual, usual), "bad": (0.15, usual), "storm": (usual, usual)}
    with ExitStack() as stack:
        running = {
            name: {
                CANARY: stack.enter_context(version(name, CANARY, canary, tmp_path)),
                STABLE: stack.enter_context(version(name, STABLE, stable, tmp_path)),
            }
            for name, (canary, stable) in errors.items()
        }
        stables = [versions[STABLE] for versions in running.values()]
        write_targets(targets, stables)
        server = prometheus(scraping(targets, SCRAPE))
        stack.enter_context(Load({stable.port: RATE for stable in stables}))
        old = f"count(sum_over_time(up[1m]) >= 4) >= {len(stables)}"
        server.wait_for(lambda: server.query(old), "four scrapes of each")
        canaries = [versions[CANARY] for versions in running.values()]
        write_targets(targets, [*stables, *canaries])
        stack.enter_context(Load({canary.port: RATE for canary in canaries}))
        yield World(tmp_path, server.url, server.running.process.pid, running)


def test_a_rollout_waits_for_the_right_verdict(world: World) -> None:
    """A bad canary is rolled back, a good one promoted at the end of its step, and a storm is nobody's fault."""
    code, bad = world.judged("bad", "--watch")
    assert (code, bad["verdict"], bad["reason"]) == (1, "rollback", "harm"), bad
    assert str(bad["sentence"]).startswith("errors"), bad["sentence"]
    assert bad["checks"][0]["canary"]["n"] > bad["checks"][0]["canary"]["x"] > 0  # type: ignore[index]

    for each in world.versions["storm"].values():
        each.fail(0.5)
    seen = {(answer["verdict"], answer["reason"]) for answer in (look(world, "storm") for _ in range(6))}
    assert not {verdict for verdict, _ in seen} & {"rollback", "promote"}, seen

    good = world.until("good", {"rollback", "promote"})
    assert (good["verdict"], good["reason"]) == ("promote", "healthy"), good
    assert good["window"]["end"] - good["window"]["start"] >= HOLD  # type: ignore[index]
    storm = world.judged("storm")[1]
    assert (storm["verdict"], storm["reason"]) == ("continue", "shared_degradation"), storm

    os.kill(world.pid, signal.SIGSTOP)
    assert world.judged("good")[0] == 3
    os.kill(world.pid, signal.SIGKILL)
    code, answer = world.judged("good")
    assert (code, answer["reason"]) == (3, "source_unavailable")


def look(world: World, service: str) -> dict[str, object]:
    time.sleep(0.5)
    return world.judged(service)[1]
