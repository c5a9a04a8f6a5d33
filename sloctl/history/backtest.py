"""Alert policies on the past of one SLO: what they would have sent, what of that was worth it, what they missed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sloctl import conventions
from sloctl.history.incidents import Incident, incidents, measured
from sloctl.history.replay import Replayed, replayed
from sloctl.history.score import Notification, Score, notifications, scored
from sloctl.history.tiles import History
from sloctl.model.alerting import Severity, Tier
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import ZERO, Duration

PAGES: Final = frozenset((Severity.P1, Severity.P2))
"""Severities that somebody is told of at once; the other one is a ticket."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time that counts, in Unix milliseconds; what is read reaches further back."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class KnownIncident:
    """An incident that somebody wrote down.

    Attributes:
        start: Unix milliseconds, and
        end: as well.
        services: those that it was about; empty for all.
    """

    start: int
    end: int
    name: str = ""
    services: tuple[str, ...] = ()

    def concerns(self, slo: Slo) -> bool:
        """Whether it was about this SLO's service."""
        return not self.services or slo.service in self.services


@dataclass(frozen=True, slots=True)
class TierResult:
    """What one tier would have done in the span.

    Attributes:
        name: as the label `burn_tier` has it.
        judged: whether the past fills its window; what it did is not counted otherwise.
        most: the largest number of notifications over the phases at which it may be evaluated, as `least`.
        longest: milliseconds of its longest notification.
    """

    tier: Tier
    name: str
    score: Score
    judged: bool
    least: int
    most: int
    longest: int


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """What the tiers of an SLO together would have done in the span.

    Attributes:
        name: of the policy that was tried; empty for what is written.
        pages: notifications of P1 and P2, each severity by itself, with how well they told.
        tickets: those of P3.
        told: for each significant incident by severity how many milliseconds until somebody was told; None for never.
    """

    name: str
    tiers: tuple[TierResult, ...]
    pages: Score
    tickets: Score
    told: tuple[Mapping[Severity, int | None], ...]

    @property
    def every(self) -> tuple[Notification, ...]:
        """All notifications."""
        return tuple(sorted((*self.pages.notifications, *self.tickets.notifications), key=lambda one: one.start))

    @property
    def precision(self) -> float | None:
        """Share of all notifications that told of a significant incident; None without any."""
        count = len(self.every)
        return (self.pages.right + self.tickets.right) / count if count else None

    @property
    def recall(self) -> float | None:
        """Share of the significant incidents that somebody was told of; None without any."""
        known = [any(after is not None for after in told.values()) for told in self.told]
        return sum(known) / len(known) if known else None


@dataclass(frozen=True, slots=True)
class SloResult:
    """The backtest of one SLO, or of one value of its split labels.

    Attributes:
        significant: the incidents that are worth telling, in order.
        unseen: incidents that somebody wrote down and that left no trace in this SLI.
        spent: share of a window's budget that the span spent, by its own length.
        policies: what is written first.
    """

    slo: Slo
    split: Mapping[str, str]
    significant: tuple[Incident, ...]
    unseen: tuple[KnownIncident, ...]
    spent: float | None
    policies: tuple[PolicyResult, ...]
    measured: float = 1.0
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As people name it, with its split values."""
        split = ", ".join(f"{name}={value}" for name, value in sorted(self.split.items()))
        return f"{self.slo.service}/{self.slo.name}" + (f" {split}" if split else "")

    @property
    def written(self) -> PolicyResult:
        """What the specification says."""
        return self.policies[0]


@dataclass(frozen=True)
class Backtest:
    """How one SLO's past is looked at.

    Attributes:
        share: of the window's budget; incidents that spent it are significant.
        shortest: tiers over a shorter window cannot be judged.
    """

    slo: Slo
    history: History
    span: Span
    share: float = 0.02
    known: tuple[KnownIncident, ...] = ()
    phases: tuple[History, ...] = ()
    shortest: Duration = ZERO
    inhibited: bool = False
    split: Mapping[str, str] = field(default_factory=dict)

    def result(self, policies: Mapping[str, Slo]) -> SloResult:
        """What each policy would have done; what is written has the empty name and stands first.

        Args:
            policies: by its name the SLO with its tiers and its objective; it counts the same.
        """
        significant, unseen = self.worth_telling()
        results = tuple(self.tried(name, slo, significant) for name, slo in policies.items())
        return SloResult(self.slo, self.split, significant, unseen, self.spent(), results)

    def worth_telling(self) -> tuple[tuple[Incident, ...], tuple[KnownIncident, ...]]:
        """The significant incidents of the span, and those written down that cannot be seen in the tiles."""
        tiles = self.history.tiles.between(self.span.start, self.span.end)
        found, unseen = incidents(self.slo, tiles), list[KnownIncident]()
        named: dict[Incident, str] = {}
        for known in self.known:
            if not known.concerns(self.slo) or known.end <= self.span.start or known.start >= self.span.end:
                continue
            same = [one for one in found if one.start < known.end and one.end > known.start]
            if same:
                named[max(same, key=lambda one: one.spent)] = known.name
                continue
            own = measured(self.slo, tiles, known.start, known.end, known.name)
            if own.spent > 0:
                named[own] = known.name
            else:
                unseen.append(known)
        significant = {one: "" for one in found if one.spent >= self.share} | named
        ordered = sorted(significant.items(), key=lambda pair: pair[0].start)
        return tuple(replace(one, name=name) for one, name in ordered), tuple(unseen)

    def spent(self) -> float | None:
        """The share of a window's budget that the span spent at its own mean traffic; None without events."""
        tiles = self.history.tiles.between(self.span.start, self.span.end)
        total = float(tiles.total.sum())
        if not total:
            return None
        ratio = float(tiles.bad.sum()) / total / float(self.slo.objective.error_budget)
        return ratio * min(1.0, (self.span.end - self.span.start) / self.slo.window.length.milliseconds)

    def tried(self, name: str, slo: Slo, significant: Sequence[Incident]) -> PolicyResult:
        """What the tiers of an SLO that counts the same would have done."""
        done = replayed(slo, self.history, inhibited=self.inhibited)
        others = [replayed(slo, other, inhibited=self.inhibited) for other in self.phases]
        rows = tuple(self._tier(one, [other[index] for other in others], significant) for index, one in enumerate(done))
        judged = [one for one, row in zip(done, rows, strict=True) if row.judged]
        by_severity = {
            severity: self._told([one for one in judged if one.tier.severity is severity]) for severity in Severity
        }
        scores = {severity: scored(told, significant) for severity, told in by_severity.items()}
        pages = [one for severity in PAGES for one in by_severity[severity]]
        told = tuple(
            {severity: score.told[index].after for severity, score in scores.items() if by_severity[severity]}
            for index in range(len(significant))
        )
        ordered = sorted(pages, key=lambda one: one.start)
        return PolicyResult(name, rows, scored(ordered, significant), scores[Severity.P3], told)

    def _tier(self, done: Replayed, others: Sequence[Replayed], significant: Sequence[Incident]) -> TierResult:
        told = self._told([done])
        counts = [len(told), *(len(self._told([other])) for other in others)]
        short = done.tier.over is not None and done.tier.over < self.shortest
        return TierResult(
            tier=done.tier,
            name=conventions.burn_tier(done.tier),
            score=scored(told, significant),
            judged=not short and done.measured_from is not None and done.measured_from <= self.span.end,
            least=min(counts),
            most=max(counts),
            longest=max((one.end - one.start for one in told), default=0),
        )

    def _told(self, done: Iterable[Replayed]) -> tuple[Notification, ...]:
        return notifications([one.episodes for one in done], self.span.start, self.span.end)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a policy must keep, or it fails; None for what is not asked.

    Attributes:
        pages: so many in a time.
        detect_within: the median until somebody is told by a page.
    """

    pages: tuple[int, Duration] | None = None
    precision: float | None = None
    recall: float | None = None
    detect_within: Duration | None = None

    def missed(self, result: SloResult, span: Span) -> list[str]:
        """What the policy that is written does not keep, in sentences."""
        written, found = result.written, list[str]()
        count, days = len(written.pages.notifications), (span.end - span.start) / 86_400_000
        if self.pages is not None:
            most, length = self.pages
            allowed = most * (span.end - span.start) / length.milliseconds
            if count > allowed:
                found.append(f"{result.name}: {count} pages in {days:.3g} days, at most {most} in {length} are wanted")
        precision, recall, detection = written.precision, written.recall, written.pages.detection
        if self.precision is not None and precision is not None and precision < self.precision:
            found.append(f"{result.name}: precision {precision:.0%}, at least {self.precision:.0%} is wanted")
        if self.recall is not None and recall is not None and recall < self.recall:
            found.append(f"{result.name}: recall {recall:.0%}, at least {self.recall:.0%} is wanted")
        if self.detect_within is not None and detection is not None and detection > self.detect_within.milliseconds:
            late = Duration(int(detection))
            found.append(f"{result.name}: incidents are told after {late}, within {self.detect_within} is wanted")
        return found
