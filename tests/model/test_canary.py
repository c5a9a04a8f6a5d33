"""Steps of a canary: how long each lasts, and which of them wait for a verdict."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from sloctl.canary.analysis.question import clock_at
from sloctl.model.canary import After, Step
from sloctl.model.quantities import MINUTE, ZERO, Duration
from testing.canaries import canary

AFTER = After("availability", (), MINUTE * 5, Decimal(1))


def last(hold: Duration | None = None, deadline: Duration | None = None, after: After | None = None) -> tuple[int, ...]:
    """Minutes that a last step takes at least and at most; 0 for no limit."""
    spec = canary(after=after)
    spec = replace(spec, steps=(spec.steps[0], Step(Decimal(1), hold, deadline)))
    longest = spec.longest(1) or ZERO
    return tuple(int(length / MINUTE) for length in (spec.shortest(1), longest))


def test_a_step_takes_at_most_its_deadline_or_twice_its_hold() -> None:
    spec = canary()
    assert [spec.longest(step) for step in range(2)] == [MINUTE * 20, None]
    assert last(hold=MINUTE) == (1, 2)
    assert last(hold=MINUTE, deadline=MINUTE * 9) == (1, 9)


def test_what_is_judged_after_promotion_takes_its_time() -> None:
    assert last(after=AFTER) == (5, 10)
    assert last(hold=MINUTE, after=AFTER) == (5, 10), "a short hold does not make the deadline come before the verdict"
    assert last(hold=MINUTE * 7, after=AFTER) == (7, 14)


def test_a_step_begins_after_the_shortest_times_of_those_before() -> None:
    assert [canary().begins(step) for step in range(2)] == [ZERO, MINUTE * 10]


def test_the_clock_of_a_last_step_has_not_run_out_before_it_is_held() -> None:
    spec = canary(after=AFTER)
    spec = replace(spec, steps=(spec.steps[0], Step(Decimal(1), MINUTE, None)))
    clock = clock_at(spec, 0.0, 250.0, 10.0, 1, 0.0)
    assert (clock.held, clock.overdue, clock.deadline) == (False, False, 600.0)


@pytest.mark.parametrize(("hold", "after", "gated"), [(None, None, [0]), (None, AFTER, [0, 1]), (MINUTE, None, [0, 1])])
def test_the_last_step_waits_only_for_something_to_judge(
    hold: Duration | None, after: After | None, gated: list[int]
) -> None:
    spec = canary(after=after)
    assert list(replace(spec, steps=(spec.steps[0], Step(Decimal(1), hold, None))).gated_steps) == gated
