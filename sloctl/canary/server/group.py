"""Services that are released together: one rollback rolls all back, and none goes on before all can."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sloctl.canary.analysis.verdict import Decision, Verdict, in_group, unanswered
from sloctl.canary.analysis.verdict import Reason as Why
from sloctl.canary.audit.chain import Entry
from sloctl.canary.audit.store import GroupMember, ReleaseState, Store
from sloctl.canary.server.configuration import JudgeableService
from sloctl.model.canary import WhenMissing
from sloctl.model.catalogue import Service
from sloctl.model.quantities import HOUR

RELEASE_STALE_AFTER: Final = HOUR
"""Without `hold` and `deadline`, a release counts as under way for so long after its last decision."""


def after_group(own: Verdict, judged: JudgeableService, state: ReleaseState, store: Store, now: float) -> Verdict:
    """A service's verdict after those of the services that are being released together with it.

    Args:
        now: Unix seconds.
    """
    since = state.first_at if state.first_at is not None else int(now * 1000)
    step = own.clock.step if own.clock is not None else state.step or 0
    for other in judged.group:
        member = store.group_member(judged.platform, other.name, since)
        if member.rolled_back is not None:
            return in_group(own, _stands_for(member.rolled_back, Decision.ROLLBACK, "was rolled back"))
        if own.decision is Decision.PROMOTE and member.latest is not None and _holds(member, other, step, now):
            return in_group(own, _stands_for(member.latest, Decision.CONTINUE, f"is at {member.latest.reason}"))
    return own


def _holds(member: GroupMember, service: Service, step: int, now: float) -> bool:
    """Whether another service is being released and is not as far as this one."""
    assert member.latest is not None
    assert service.canary is not None
    canary, latest = service.canary, member.latest
    longest = canary.longest(min(max(latest.step, 0), canary.last_step)) or RELEASE_STALE_AFTER
    if now * 1000 - latest.at > longest.milliseconds or latest.verdict == Decision.ROLLBACK.value:
        return False
    step = min(step, canary.gated_steps[-1])
    return latest.step <= step and member.promoted_step < step


def _stands_for(entry: Entry, decision: Decision, what: str) -> Verdict:
    name = entry.subject.service
    verdict = unanswered(Why.GROUP, f"{name} {what}", None, WhenMissing.HOLD)
    return replace(verdict, decision=decision, sentence=f"{name}, which is released together with it, {what}")
