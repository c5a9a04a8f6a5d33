"""Four minutes of a real Prometheus: what it alerted and recorded, against a replay of its own tiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.history_live import run
from tests.conftest import program


@pytest.mark.server
def test_a_replay_of_recorded_tiles_is_what_prometheus_did_evaluation_by_evaluation(tmp_path: Path) -> None:
    program("prometheus")
    agreement = run(tmp_path)
    assert agreement.different == []
    assert agreement.samples > 500
    # it would be a poor witness if nothing had happened
    firing = {tier for tier, _, state in agreement.seen if state == "firing"}
    assert firing >= {"p1-1m", "p2-30s", "p1-20s", "p1-30s", "p1-2h", "p1-left-99_9"}
    assert {path for _, path, _ in agreement.seen} == {"", "/a", "/b"}
