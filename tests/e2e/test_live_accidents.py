"""Live rules while targets and Prometheus itself have accidents; the long run of the same is `make bench-rules`."""

from __future__ import annotations

import pytest

from bench.rules_live import JOBS, LOST_TO_RESETS, SHORT, Outcome, run
from tests.conftest import program

pytestmark = pytest.mark.xdist_group("accidents")  # one Prometheus serves all


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """Births, resets, pods replaced, a target down, a label added, a restart, kill -9: once for all tests here."""
    program("prometheus")
    return run(SHORT)


@pytest.mark.server
def test_everything_was_measured(outcome: Outcome) -> None:
    events = {(kind.job, kind.kind): kind.scraped for kind in outcome.counted}
    assert set(events) == {(job, kind) for job in JOBS for kind in ("total", "errors")}
    assert [what for what, scraped in events.items() if not scraped] == [("down", "errors")]  # it never fails


@pytest.mark.server
def test_nothing_is_ever_counted_twice(outcome: Outcome) -> None:
    assert [kind for kind in outcome.counted if kind.worst > 0] == []


@pytest.mark.server
def test_tiles_hold_what_was_scraped_but_for_the_end_of_a_crashed_process(outcome: Outcome) -> None:
    assert [kind for kind in outcome.counted if kind.tiles != kind.scraped and kind.job != "resets"] == []
    resets = [kind for kind in outcome.counted if kind.job == "resets"]
    assert sum(kind.scraped - kind.tiles for kind in resets) <= LOST_TO_RESETS


@pytest.mark.server
def test_no_accident_of_prometheus_pages_anybody(outcome: Outcome) -> None:
    assert outcome.fired == ()


@pytest.mark.server
def test_no_rule_fails_and_the_rule_manager_never_warns(outcome: Outcome) -> None:
    assert outcome.complaints == ()
