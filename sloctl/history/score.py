"""How well alerts told of incidents: precision, recall, detection and reset time.

The four measures of The Site Reliability Workbook, chapter 5, "Alerting on SLOs", of one SLO's past.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from sloctl.history.incidents import Incident
from sloctl.history.replay import Episode
from sloctl.model.quantities import Duration

MERGED: Final = Duration.of(minutes=5)
"""Whoever is told again within it was told once: Alertmanager's group of one SLO and severity."""
LATE: Final = Duration.of(minutes=30)
"""An alert that begins so long after an incident still belongs to it."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One time that somebody was told, in Unix milliseconds; `tiers` are the indices of the tiers that fired."""

    start: int
    end: int
    tiers: tuple[int, ...] = ()

    def tells_of(self, incident: Incident) -> bool:
        """Whether it fired in an incident, or shortly after."""
        return self.start < incident.end + LATE.milliseconds and self.end > incident.start


@dataclass(frozen=True, slots=True)
class Told:
    """What an incident's notifications were; None where there was none.

    Attributes:
        after: milliseconds from its begin to the first.
        reset: milliseconds from its end to the last one's.
    """

    incident: Incident
    after: int | None
    reset: int | None


@dataclass(frozen=True, slots=True)
class Score:
    """How well notifications told of incidents.

    Attributes:
        right: notifications that told of an incident.
        told: each incident, in order, with how it was told.
    """

    notifications: tuple[Notification, ...]
    right: int
    told: tuple[Told, ...]

    @property
    def precision(self) -> float | None:
        """Share of the notifications that told of an incident; None without any."""
        return self.right / len(self.notifications) if self.notifications else None

    @property
    def recall(self) -> float | None:
        """Share of the incidents that were told; None without any."""
        return sum(told.after is not None for told in self.told) / len(self.told) if self.told else None

    @property
    def detection(self) -> float | None:
        """Milliseconds from an incident's begin until somebody was told: the median."""
        after = [told.after for told in self.told if told.after is not None]
        return float(median(after)) if after else None

    @property
    def reset(self) -> float | None:
        """Milliseconds from an incident's end until the alert ended: the median."""
        after = [told.reset for told in self.told if told.reset is not None]
        return float(median(after)) if after else None


def notifications(
    episodes: Iterable[Sequence[Episode]], start: int | None = None, end: int | None = None
) -> tuple[Notification, ...]:
    """When somebody was told by some tiers together, those of one SLO and severity.

    Args:
        episodes: of each tier.
        start: Unix milliseconds; what fired before it and no more is left out, None for nothing.
        end: as `start`, for what began to fire after it.
    """
    fired = sorted(
        (episode.firing, episode.until, index)
        for index, found in enumerate(episodes)
        for episode in found
        if episode.firing is not None
        and (start is None or episode.firing > start)
        and (end is None or episode.firing <= end)
    )
    told = list[Notification]()
    for begin, until, tier in fired:
        if told and begin <= told[-1].end + MERGED.milliseconds:
            last = told.pop()
            told.append(Notification(last.start, max(last.end, until), tuple(sorted({*last.tiers, tier}))))
        else:
            told.append(Notification(begin, until, (tier,)))
    return tuple(told)


def scored(told: Sequence[Notification], incidents: Sequence[Incident]) -> Score:
    """How well these notifications told of these incidents."""
    right = sum(any(notification.tells_of(incident) for incident in incidents) for notification in told)
    return Score(tuple(told), right, tuple(_told(incident, told) for incident in incidents))


def _told(incident: Incident, told: Sequence[Notification]) -> Told:
    of_it = [notification for notification in told if notification.tells_of(incident)]
    if not of_it:
        return Told(incident, None, None)
    return Told(incident, max(0, of_it[0].start - incident.start), max(0, of_it[-1].end - incident.end))
