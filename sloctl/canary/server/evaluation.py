"""One request from the look to the answer: standing, samples, verdict, group, record."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sloctl.canary.audit.chain import Entry, Kind, Subject
from sloctl.canary.audit.store import Standing, Store, StoreError
from sloctl.canary.judging import Judged, judge
from sloctl.canary.recording import evidence_bytes
from sloctl.canary.server import answers
from sloctl.canary.server.configuration import Configuration, Subjected
from sloctl.canary.server.group import after_group
from sloctl.canary.server.metrics import ServerMetrics
from sloctl.canary.server.queries import Shared, TimedQueries
from sloctl.canary.server.shapes import ApprovalRequest, EvaluateRequest, MalformedError
from sloctl.canary.source import MAX_LENGTH, SKEW, Release, Source
from sloctl.canary.verdict import Verdict
from sloctl.errors import SloctlError

LOG: Final = logging.getLogger(__name__)
T = TypeVar("T")
LOOK_SECONDS: Final = 5.5
"""For all queries of one look, so that with the audit store's limits every answer is sent within 8 s."""


class UnknownError(Exception):
    """There is no such service or deployment; the message is for the caller."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Makes verdicts; blocks, so it runs in threads.

    Attributes:
        look_seconds: for all queries of one look.
        clock: Unix seconds.
    """

    store: Store
    shared: Shared
    metrics: ServerMetrics
    look_seconds: float = LOOK_SECONDS
    clock: Callable[[], float] = time.time

    def evaluate(self, asked: EvaluateRequest, caller: str, configuration: Configuration) -> dict[str, Any]:
        """The answer to a request; it is on disk.

        Raises:
            UnknownError: there is no such service.
            MalformedError: a step or a pair of hashes that makes no sense.
            StoreError: nothing can be recorded, so there is no verdict.
        """
        one = _found(configuration, asked.service)
        subject = Subject(one.platform, one.service.name, asked.canary, asked.stable, asked.revision or "")
        standing = self._stored(lambda: self.store.standing(subject))
        if standing.rolled_back is not None:
            return self._sent(answers.answer(standing.rolled_back.body, standing.rolled_back))
        release = _release(asked, one, standing, self.clock())
        approved = _is_approved(one, standing)
        source = Source(TimedQueries(self.shared, self.look_seconds), self.clock)
        judged = judge(one.service, release, source, approved=approved)
        final = self._stored(lambda: after_group(judged.verdict, one, standing, self.store, self.clock()))
        return self._recorded(judged, final, _Asked(one, subject, release.step, caller, approved))

    def approve(self, asked: ApprovalRequest, caller: str, configuration: Configuration) -> dict[str, Any]:
        """Record that a person approves a deployment.

        Raises:
            UnknownError: there is no such service, or no such deployment of it.
            StoreError: nothing can be recorded.
        """
        one = _found(configuration, asked.service)
        subject = Subject(one.platform, one.service.name, revision=asked.revision)
        try:
            return answers.entry(self._stored(lambda: self.store.approve(subject, asked.by, caller)))
        except StoreError:
            raise
        except SloctlError as error:
            raise UnknownError(str(error)) from error

    def check_store(self) -> bool:
        """Whether the store takes entries now."""
        try:
            self._stored(self.store.check_writable)
        except StoreError as error:
            LOG.warning("not ready: %s", error)
            return False
        return True

    def _recorded(self, judged: Judged, final: Verdict, asked: _Asked) -> dict[str, Any]:
        body = answers.body(final, asked.one.platform, asked.subject.revision, asked.one.digest)
        draft = Entry(
            Kind.DECISION.value,
            "",
            int(self.clock() * 1000),
            asked.subject,
            step=asked.step,
            verdict=final.decision.value,
            reason=final.reason.value,
            own=judged.verdict.decision.value,
            config=asked.one.digest,
            caller=asked.caller,
            body=body,
            evidence=evidence_bytes(judged, approved=asked.approved),
        )
        began = time.perf_counter()
        decision = self._stored(lambda: self.store.decide(draft, asked.one.packed))
        self.metrics.audit_seconds.observe(time.perf_counter() - began)
        return self._sent(answers.answer(body, decision))

    def _sent(self, answer: dict[str, Any]) -> dict[str, Any]:
        labels = answer["platform"], answer["service"], answer["verdict"], answer["reason"]
        self.metrics.verdicts.labels(*labels).inc()
        return answer

    def _stored(self, call: Callable[[], T]) -> T:
        """What the store says, remembering whether it works."""
        try:
            found = call()
        except StoreError:
            self.metrics.audit_writable.set(0)
            raise
        self.metrics.audit_writable.set(1)
        return found


@dataclass(frozen=True, slots=True)
class _Asked:
    one: Subjected
    subject: Subject
    step: int
    caller: str
    approved: bool


def _found(configuration: Configuration, name: str) -> Subjected:
    found = configuration.find(name)
    if not found:
        raise UnknownError("there is no service of this name with a `canary`")
    if len(found) > 1:
        raise UnknownError("several platforms have a service of this name; write platform/service")
    return found[0]


def _release(asked: EvaluateRequest, one: Subjected, standing: Standing, now: float) -> Release:
    """Where the rollout stands: a step that is asked about for the first time begins now."""
    assert one.service.canary is not None
    last = len(one.service.canary.steps) - 1
    step = asked.step if asked.step is not None else min(standing.step or 0, last)
    if step > last:
        raise MalformedError(f"the canary of this service has the steps 0 to {last}")
    started = asked.started_seconds
    if started is not None and not now - float(MAX_LENGTH.seconds) <= started <= now + SKEW:
        raise MalformedError("`started` lies in the last 24 hours")
    step_started = None  # known from the canary's first sample, or from how long earlier steps last
    if step > 0 and standing.first_at is not None:
        step_started = dict(standing.steps_began).get(step, now * 1000) / 1000
    try:
        return Release(asked.canary, asked.stable, started, step, step_started)
    except SloctlError as error:
        raise MalformedError(str(error)) from error


def _is_approved(one: Subjected, standing: Standing) -> bool:
    assert one.service.canary is not None
    return standing.approved or standing.promoted >= one.service.canary.first_deployments
