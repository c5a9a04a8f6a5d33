"""One request from the look to the answer: the release's state, samples, verdict, group, record."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import Any, Final, TypeVar

from sloctl.canary.analysis.verdict import Decision
from sloctl.canary.audit.chain import Entry, Kind, Subject
from sloctl.canary.audit.store import ReleaseState, Store, StoreError
from sloctl.canary.judging import Judged, judge
from sloctl.canary.recording import evidence_bytes
from sloctl.canary.server import answers
from sloctl.canary.server.coalescing import Coalescing
from sloctl.canary.server.configuration import Configuration, JudgeableService
from sloctl.canary.server.group import after_group
from sloctl.canary.server.metrics import ServerMetrics
from sloctl.canary.server.queries import Shared, TimedQueries
from sloctl.canary.server.shapes import ApprovalRequest, EvaluateRequest, MalformedError
from sloctl.canary.server.turns import Turns
from sloctl.canary.source.arms import Release
from sloctl.canary.source.history import Recent
from sloctl.canary.source.look import MAX_LENGTH, SKEW, CanarySource
from sloctl.errors import SloctlError
from sloctl.model.canary import Canary

LOG: Final = logging.getLogger(__name__)
T = TypeVar("T")
LOOK_SECONDS: Final = 5.0
"""For all queries of one look, so that with its turn and the audit store's limits every answer is sent within 8 s."""
FOLLOW_SECONDS: Final = 7.0
"""How long one waits for the same look of another."""
STARTS_SECONDS: Final = 3600.0
"""So long it is remembered when a canary got its first sample."""
MOST_STARTS: Final = 1024


class UnknownError(Exception):
    """There is no such service or deployment; the message is for the caller."""


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Makes verdicts; blocks, so it runs in threads.

    Attributes:
        look_seconds: for all queries of one look.
        clock: Unix seconds.
        public_url: the server's address for people, to which verdicts link.
    """

    store: Store
    shared: Shared
    metrics: ServerMetrics
    look_seconds: float = LOOK_SECONDS
    clock: Callable[[], float] = time.time
    public_url: str = ""
    starts: Recent[float] = field(default_factory=lambda: Recent(MOST_STARTS))
    looks: Coalescing = field(default_factory=Coalescing)
    turns: Turns = field(default_factory=Turns)

    def evaluate(self, asked: EvaluateRequest, caller: str, configuration: Configuration) -> dict[str, Any]:
        """The answer to a request; it is on disk.

        Raises:
            UnknownError: there is no such service.
            MalformedError: a step or a pair of hashes that makes no sense.
            StoreError: nothing can be recorded, so there is no verdict.
        """
        judgeable = _found(configuration, asked.service)
        subject = Subject(judgeable.platform, judgeable.service.name, asked.canary, asked.stable, asked.revision or "")
        enough = max(1, judgeable.canary.first_deployments)
        state = self._stored(lambda: self.store.release_state(subject, enough))
        if state.rolled_back is not None:
            step = asked.step if asked.step is not None else state.step or 0
            back = answers.answer(state.rolled_back.body, state.rolled_back, self.public_url)
            sent = self._sent(back, subject, step)
            return self._patient(sent, judgeable.canary, step, state.first_at) if asked.dry_run else sent
        release = self._release(asked, judgeable, state, subject)
        approved = state.approved or state.promoted >= judgeable.canary.first_deployments
        judged = self._judged(judgeable, release, approved=approved)
        self._remember_start(subject, judged)
        final = self._stored(lambda: after_group(judged.verdict, judgeable, state, self.store, self.clock()))
        body = answers.body(final, judgeable.platform, subject.revision, judgeable.digest)
        draft = Entry(
            Kind.DECISION.value,
            "",
            int(self.clock() * 1000),
            subject,
            step=release.step,
            verdict=final.decision.value,
            reason=final.reason.value,
            own=judged.verdict.decision.value,
            config=judgeable.digest,
            caller=caller,
            body=body,
        )
        began = time.perf_counter()
        evidence = partial(evidence_bytes, judged, approved=approved)
        decision = self._stored(lambda: self.store.decide(draft, evidence, judgeable.packed))
        self.metrics.audit_seconds.observe(time.perf_counter() - began)
        sent = self._sent(answers.answer(body, decision, self.public_url), subject, release.step)
        return self._patient(sent, judgeable.canary, release.step, state.first_at) if asked.dry_run else sent

    def _patient(self, sent: dict[str, Any], canary: Canary, step: int, first_at: int | None) -> dict[str, Any]:
        """The answer to a dry run: a rollback ends no gate before a good version would pass it."""
        now = int(self.clock() * 1000)
        held = (now if first_at is None else first_at) + (canary.begins(step) + canary.shortest(step)).milliseconds
        if sent["verdict"] == Decision.ROLLBACK.value and now < held:
            return {**sent, "argo": {**sent["argo"], "verdict": Decision.CONTINUE.value}}
        return sent

    def weights(self, service: str, configuration: Configuration) -> list[Decimal]:
        """The weights of a service's steps.

        Raises:
            UnknownError: there is no such service.
        """
        return [step.weight for step in _found(configuration, service).canary.steps]

    def approve(self, asked: ApprovalRequest, caller: str, configuration: Configuration) -> dict[str, Any]:
        """Record that a person approves a deployment.

        Raises:
            UnknownError: there is no such service, or no such deployment of it.
            StoreError: nothing can be recorded.
        """
        judgeable = _found(configuration, asked.service)
        subject = Subject(judgeable.platform, judgeable.service.name, revision=asked.revision)
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

    def _release(
        self, asked: EvaluateRequest, judgeable: JudgeableService, state: ReleaseState, subject: Subject
    ) -> Release:
        """Where the rollout stands: a step that is asked about for the first time begins now."""
        now, last = self.clock(), judgeable.canary.last_step
        step = asked.step if asked.step is not None else min(state.step or 0, last)
        if step > last:
            raise MalformedError(f"the canary of this service has the steps 0 to {last}")
        started = asked.started_seconds
        if started is not None and not now - float(MAX_LENGTH.seconds) <= started <= now + SKEW:
            raise MalformedError("`started` lies in the last 24 hours")
        if started is None and (known := self.starts.get(subject)) is not None and now - known <= STARTS_SECONDS:
            started = known
        step_started = None  # known from the canary's first sample, or from how long earlier steps last
        if step > 0 and state.first_at is not None:
            step_started = dict(state.steps_began).get(step, now * 1000) / 1000
        try:
            release = Release(asked.canary, asked.stable, started, step, step_started)
        except SloctlError as error:
            raise MalformedError(str(error)) from error
        if state.first_at is not None:
            release = replace(release, began=state.first_at / 1000)
        fixed, other = judgeable.canary.arms.are_fixed, state.other_until
        if fixed or other is not None:  # with fixed arms every release before was known by the same labels
            began = now if release.began is None else release.began
            until = now if fixed or other is None else other / 1000
            release = replace(release, began=began, other_until=until)
        return release

    def _remember_start(self, subject: Subject, judged: Judged) -> None:
        """Looking for a canary's first sample again would find the same: the start of the first step is kept."""
        clock = judged.verdict.clock
        if clock is not None and clock.step == 0 and judged.counts:
            self.starts.put(subject, clock.start)

    def _judged(self, judgeable: JudgeableService, release: Release, *, approved: bool) -> Judged:
        """One look for all who ask the same at the same time, as a rollout's gate and its guard do."""

        def look() -> Judged:
            with self.turns.one():
                queries = TimedQueries(self.shared, self.look_seconds)
                source = CanarySource(queries, self.clock, history=self.shared.history, kept=self.shared.kept)
                return judge(judgeable.service, release, source, approved=approved)

        return self.looks.once((judgeable.platform, judgeable.digest, release, approved), look, FOLLOW_SECONDS)

    def _sent(self, answer: dict[str, Any], subject: Subject, step: int) -> dict[str, Any]:
        self.metrics.judged(subject, step, answer["verdict"])
        labels = answer["platform"], answer["service"], answer["verdict"], answer["reason"]
        page = self.public_url and f"{self.public_url}{answers.PAGES}/services/{labels[0]}/{labels[1]}"
        self.metrics.verdicts.labels(*labels, page).inc()
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


def _found(configuration: Configuration, name: str) -> JudgeableService:
    found = configuration.find(name)
    if not found:
        raise UnknownError("there is no service of this name with a `canary`")
    if len(found) > 1:
        raise UnknownError("several platforms have a service of this name; write platform/service")
    return found[0]
