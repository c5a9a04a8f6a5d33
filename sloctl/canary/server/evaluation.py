"""One request from the look to the answer: standing, samples, verdict, group, record."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from sloctl.canary.analysis.verdict import Verdict
from sloctl.canary.audit.chain import Entry, Kind, Subject
from sloctl.canary.audit.store import Standing, Store, StoreError
from sloctl.canary.judging import Judged, judge
from sloctl.canary.recording import evidence_bytes
from sloctl.canary.server import answers
from sloctl.canary.server.coalescing import Coalescing
from sloctl.canary.server.configuration import Configuration, Subjected
from sloctl.canary.server.group import after_group
from sloctl.canary.server.metrics import ServerMetrics
from sloctl.canary.server.queries import Shared, TimedQueries
from sloctl.canary.server.shapes import ApprovalRequest, EvaluateRequest, MalformedError
from sloctl.canary.server.turns import Turns
from sloctl.canary.source.arms import Release
from sloctl.canary.source.look import MAX_LENGTH, SKEW, Source
from sloctl.errors import SloctlError

LOG: Final = logging.getLogger(__name__)
T = TypeVar("T")
LOOK_SECONDS: Final = 5.0
"""For all queries of one look, so that with its turn and the audit store's limits every answer is sent within 8 s."""
FOLLOW_SECONDS: Final = 7.0
"""How long one waits for the same look of another."""
STARTS_SECONDS: Final = 3600.0
MOST_STARTS: Final = 1024


class Starts:
    """When counting began for the releases that go on: looking for a canary's first sample again finds the same."""

    def __init__(self) -> None:
        self._known: OrderedDict[Subject, float] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, subject: Subject, now: float) -> float | None:
        """Unix seconds, or None for a release that is not known, or not of late."""
        with self._lock:
            start = self._known.get(subject)
        return start if start is not None and now - start <= STARTS_SECONDS else None

    def keep(self, subject: Subject, judged: Judged) -> None:
        """Remember the start of a first step that was judged on samples."""
        clock = judged.verdict.clock
        if clock is None or clock.step > 0 or not judged.samples:
            return
        with self._lock:
            self._known[subject] = clock.start
            if len(self._known) > MOST_STARTS:
                self._known.popitem(last=False)


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
    starts: Starts = field(default_factory=Starts)
    looks: Coalescing = field(default_factory=Coalescing)
    turns: Turns = field(default_factory=Turns)

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
        now = self.clock()
        release = _release(asked, one, standing, now)
        if release.started is None:
            release = replace(release, started=self.starts.find(subject, now))
        approved = _is_approved(one, standing)
        judged = self._judged(one, release, approved=approved)
        self.starts.keep(subject, judged)
        final = self._stored(lambda: after_group(judged.verdict, one, standing, self.store, self.clock()))
        return self._recorded(judged, final, _Asked(one, subject, release.step, caller, approved))

    def _judged(self, one: Subjected, release: Release, *, approved: bool) -> Judged:
        """One look for all who ask the same at the same time, as a rollout's gate and its guard do."""

        def look() -> Judged:
            with self.turns.one():
                source = Source(TimedQueries(self.shared, self.look_seconds), self.clock, history=self.shared.history)
                return judge(one.service, release, source, approved=approved)

        return self.looks.once((one.platform, one.digest, release, approved), look, FOLLOW_SECONDS)

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
        )

        def evidence() -> bytes:
            return evidence_bytes(judged, approved=asked.approved)

        began = time.perf_counter()
        decision = self._stored(lambda: self.store.decide(draft, evidence, asked.one.packed))
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
    last = one.service.canary.last_step
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
