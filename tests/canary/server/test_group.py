"""Services that are released together wait for each other, as long as the other is under way."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from sloctl.canary.analysis.verdict import Decision, Finding, Reason, RolloutClock, Verdict
from sloctl.canary.audit.chain import Entry, Subject
from sloctl.canary.audit.store import GroupMember, ReleaseState, Store
from sloctl.canary.server.configuration import JudgeableService
from sloctl.canary.server.group import after_group
from sloctl.diagnostics import Place
from sloctl.model.canary import After, Canary
from sloctl.model.catalogue import Service
from sloctl.model.quantities import MINUTE, Duration
from testing.canaries import canary

NOW = 1_800_000_000.0
HEALTHY = Finding("errors", Decision.PROMOTE, Reason.HEALTHY)
AFTER = After("availability", (), MINUTE * 5, canary().alpha.promote)


def after(other: Canary, *, step: int, ago: Duration, verdict: str = "continue") -> Decision:
    """What becomes of a promote at a step when the other service decided so long ago, at the same step."""
    latest = Entry(
        "decision", "1", int(NOW * 1000) - ago.milliseconds, Subject("shop", "book"), step=step, verdict=verdict
    )

    class Kept:
        def group_member(self, *_: object) -> GroupMember:
            return GroupMember(latest if verdict == "rollback" else None, latest, promoted_step=-1)

    book = Service("book", None, (), Place("book.yaml"), "book.yaml", canary=other)
    pay = JudgeableService("shop", replace(book, name="pay"), canary(), b"", "", (book,))
    clock = RolloutClock(NOW - 600, NOW, 10.0, step, held=True, deadline=None)
    own = Verdict(Decision.PROMOTE, Reason.HEALTHY, "", (HEALTHY,), clock)
    return after_group(own, pay, ReleaseState(first_at=0), cast("Store", Kept()), NOW).decision


@pytest.mark.parametrize(
    ("other", "step", "under_way_for"),
    [
        (canary(hold=MINUTE * 10), 0, MINUTE * 20),
        (canary(after=AFTER), 1, MINUTE * 10),
    ],
    ids=["until the deadline", "twice what is looked at after promotion"],
)
def test_a_release_is_waited_for_as_long_as_its_step_may_take(
    other: Canary, step: int, under_way_for: Duration
) -> None:
    assert after(other, step=step, ago=under_way_for) is Decision.CONTINUE
    assert after(other, step=step, ago=under_way_for + MINUTE) is Decision.PROMOTE


def test_a_step_without_any_time_is_under_way_for_an_hour() -> None:
    one_step = replace(canary(), steps=canary().steps[-1:])
    assert after(one_step, step=0, ago=MINUTE * 60) is Decision.CONTINUE
    assert after(one_step, step=0, ago=MINUTE * 61) is Decision.PROMOTE


def test_one_rollback_rolls_all_back() -> None:
    assert after(canary(), step=0, ago=MINUTE * 600, verdict="rollback") is Decision.ROLLBACK
