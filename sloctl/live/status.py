"""The state of every SLO, read from the recordings: no specification is needed where the rules run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from sloctl import conventions
from sloctl.model.quantities import DAY, Duration

_Key = tuple[tuple[str, str], ...]

_RATIO: Final = re.compile(r"slo:sli_error:ratio_increase(.+)")
_LENGTH: Final = re.compile(r"(\d+)(ms|[smhd])")
_MILLISECONDS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_CALENDAR_DAYS: Final = {"week": 7, "month": 30, "quarter": 91, "year": 365}
_NOT_SPLIT: Final = frozenset(
    {"__name__", "platform", "slo", "service", "team", "window"}
    | {"alertname", "alertstate", "sloctl", "severity", "burn_tier"}
)
_SEVERITIES: Final = ("p1", "p2", "p3")


class Answer(Protocol):
    """One sample of an instant query."""

    @property
    def labels(self) -> Mapping[str, str]: ...

    @property
    def value(self) -> float: ...


class Source(Protocol):
    """A Prometheus that answers instant queries."""

    def query(self, promql: str, at: float | None = None) -> Iterable[Answer]:
        """The instant vector of an expression."""
        ...


@dataclass(slots=True)
class Status:
    """One SLO, or one value of its split labels.

    Attributes:
        consumed: share of the window's budget that is spent; None without data.
        exhausted_in: seconds the rest lasts; None while nothing burns.
        burns: burn rate by window, such as `{"5m": 0.2}`.
        alerts: states by `burn_tier`, such as `{"p1-1h": "firing"}`.
    """

    platform: str
    slo: str
    service: str
    objective: float
    window: str
    team: str = ""
    split: dict[str, str] = field(default_factory=dict)
    consumed: float | None = None
    exhausted_in: float | None = None
    burns: dict[str, float] = field(default_factory=dict)
    alerts: dict[str, str] = field(default_factory=dict)

    @property
    def sli(self) -> float | None:
        """The share of good events in the window."""
        return None if self.consumed is None else 1 - self.consumed * (1 - self.objective)

    @property
    def budget_left(self) -> float | None:
        """The share of the budget that is left; below 0 it is overspent."""
        return None if self.consumed is None else 1 - self.consumed

    @property
    def minutes_left(self) -> float | None:
        """Minutes of total failure that are left of the window's budget."""
        if self.budget_left is None:
            return None
        return self.budget_left * (1 - self.objective) * float(window_length(self.window) / Duration(60_000))

    def urgency(self) -> tuple[object, ...]:
        """Sorts the most urgent first: what fires, what will be gone first, what has least left, what is unknown."""
        firing = [tier[:2] for tier, state in self.alerts.items() if state == "firing"]
        worst = min((_SEVERITIES.index(tier) for tier in firing if tier in _SEVERITIES), default=len(_SEVERITIES))
        lasts = float("inf") if self.exhausted_in is None else self.exhausted_in
        left = float("inf") if self.budget_left is None else self.budget_left
        return (worst, lasts, left, self.platform, self.slo, sorted(self.split.items()))

    def value(self) -> dict[str, Any]:
        """For programs."""
        return {
            "platform": self.platform,
            "service": self.service,
            "slo": self.slo,
            "split": self.split,
            "team": self.team,
            "objective": self.objective,
            "window": self.window,
            "sli": self.sli,
            "budget_left": self.budget_left,
            "minutes_left": self.minutes_left,
            "time_to_exhaustion_seconds": self.exhausted_in,
            "burn_rates": self.burns,
            "alerts": self.alerts,
        }


def read_status(source: Source, at: float | None = None) -> list[Status]:
    """Every SLO that the rules record, the most urgent first."""
    board = _Board({_id(sample.labels): sample for sample in source.query(conventions.OBJECTIVE, at)})
    for query, take in _READINGS:
        for sample in source.query(query, at):
            status = board.status(sample.labels)
            if status is not None:
                take(status, sample)
    return sorted(board.everything(), key=Status.urgency)


def _take_consumed(status: Status, sample: Answer) -> None:
    status.consumed = sample.value


def _take_exhaustion(status: Status, sample: Answer) -> None:
    status.exhausted_in = sample.value


def _take_burn(status: Status, sample: Answer) -> None:
    window = _RATIO.fullmatch(sample.labels["__name__"])
    if window:
        status.burns[window[1]] = sample.value / (1 - status.objective)


def _take_alert(status: Status, sample: Answer) -> None:
    status.alerts[sample.labels["burn_tier"]] = sample.labels["alertstate"]


_READINGS: Final[tuple[tuple[str, Callable[[Status, Answer], None]], ...]] = (
    ('{__name__=~"slo:error_budget_consumed:ratio_.+"}', _take_consumed),
    (conventions.TIME_TO_EXHAUSTION, _take_exhaustion),
    ('{__name__=~"slo:sli_error:ratio_increase.+"}', _take_burn),
    (f'ALERTS{{sloctl="{conventions.ALERT_VERSION}", slo!=""}}', _take_alert),
)


@dataclass(slots=True)
class _Board:
    """The statuses found so far, by SLO and split."""

    objectives: Mapping[_Key, Answer]
    found: dict[tuple[_Key, _Key], Status] = field(default_factory=dict)

    def status(self, labels: Mapping[str, str]) -> Status | None:
        """The status that a sample belongs to; None for one whose SLO is recorded no more."""
        key = _id(labels)
        if key not in self.objectives:
            return None
        common = self.objectives[key].labels
        split = {name: text for name, text in labels.items() if name not in _NOT_SPLIT and name not in common}
        place = (key, tuple(sorted(split.items())))
        if place not in self.found:
            self.found[place] = Status(
                platform=common["platform"],
                slo=common["slo"],
                service=common.get("service", ""),
                objective=self.objectives[key].value,
                window=common.get("window", ""),
                team=common.get("team", ""),
                split=split,
            )
        return self.found[place]

    def everything(self) -> Iterable[Status]:
        """All statuses, those of SLOs without any data included."""
        seen = {key for key, _ in self.found}
        for key, sample in self.objectives.items():
            if key not in seen:
                self.status(sample.labels)
        for status in self.found.values():
            status.burns = dict(sorted(status.burns.items(), key=lambda one: length(one[0]).milliseconds))
        return self.found.values()


def _id(labels: Mapping[str, str]) -> _Key:
    return (("platform", labels.get("platform", "")), ("slo", labels.get("slo", "")))


def length(text: str) -> Duration:
    """A window as Prometheus writes it."""
    return Duration(sum(int(count) * _MILLISECONDS[unit] for count, unit in _LENGTH.findall(text)))


def window_length(window: str) -> Duration:
    """The length of a window as `slo:objective:info` names it; of a calendar's, a typical period."""
    word = window.split(" ", maxsplit=1)[0]
    return DAY * _CALENDAR_DAYS[word] if word in _CALENDAR_DAYS else length(window)
