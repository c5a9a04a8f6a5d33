"""Services that are released together: one rollback rolls all back, and none goes on before all can."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sloctl.canary.analysis.verdict import Decision, Verdict, in_group, unanswered
from sloctl.canary.analysis.verdict import Reason as Why
from sloctl.canary.audit.chain import Entry
from sloctl.canary.audit.store import Mate, Standing, Store
from sloctl.canary.server.configuration import Subjected
from sloctl.model.canary import WhenMissing, gated_steps
from sloctl.model.catalogue import Service
from sloctl.model.quantities import HOUR, Duration

_NO_LIMIT: Final = HOUR
"""How long a release without deadline is taken to go on after its last decision."""


def after_group(own: Verdict, one: Subjected, standing: Standing, store: Store, now: float) -> Verdict:
    """A service's verdict after those of the services that are being released together with it.

    Args:
        now: Unix seconds.
    """
    since = standing.first_at if standing.first_at is not None else int(now * 1000)
    step = own.clock.step if own.clock is not None else standing.step or 0
    for other in one.group:
        mate = store.mate(one.platform, other.name, since)
        if mate.rolled_back is not None:
            return in_group(own, _stands_for(mate.rolled_back, Decision.ROLLBACK, "was rolled back"))
        if own.decision is Decision.PROMOTE and mate.latest is not None and _holds(mate, other, step, now):
            return in_group(own, _stands_for(mate.latest, Decision.CONTINUE, f"is at {mate.latest.reason}"))
    return own


def _holds(mate: Mate, service: Service, step: int, now: float) -> bool:
    """Whether another service is being released and is not as far as this one."""
    assert mate.latest is not None
    assert service.canary is not None
    latest, last = mate.latest, gated_steps(service.canary)[-1]
    if (
        now * 1000 - latest.at > _longest(service, latest.step).milliseconds
        or latest.verdict == Decision.ROLLBACK.value
    ):
        return False
    return latest.step <= min(step, last) and mate.promoted_step < min(step, last)


def _longest(service: Service, step: int) -> Duration:
    assert service.canary is not None
    steps = service.canary.steps
    current = steps[min(max(step, 0), len(steps) - 1)]
    if current.deadline is not None:
        return current.deadline
    return _NO_LIMIT if current.hold is None else current.hold * 2


def _stands_for(entry: Entry, decision: Decision, what: str) -> Verdict:
    name = entry.subject.service
    verdict = unanswered(Why.GROUP, f"{name} {what}", None, WhenMissing.HOLD)
    return replace(verdict, decision=decision, sentence=f"{name}, which is released together with it, {what}")
