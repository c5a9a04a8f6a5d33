"""The state of every SLO, read from the recordings: no specification is needed where the rules run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sloctl import conventions
from sloctl.conventions.states import LOW, MEASURED, SOON, State
from sloctl.live.memory import kept_by
from sloctl.model.quantities import MINUTE, Duration
from sloctl.model.window import parse_window

if TYPE_CHECKING:
    from sloctl.prometheus import PrometheusClient, Sample

_Key = tuple[tuple[str, str], ...]

_SEVERITIES: Final = ("p1", "p2", "p3")


@dataclass(slots=True)
class Status:
    """One SLO, or one value of its split labels.

    Attributes:
        consumed: share of the window's budget that is spent; None without data.
        exhausted_in: seconds the rest lasts; None while nothing burns.
        covered: share of the window in which events were counted; None where nothing says so.
        kept: what the server keeps where that is less than the window; None where it suffices.
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
    covered: float | None = None
    kept: Duration | None = None
    burns: dict[str, float] = field(default_factory=dict)
    alerts: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As people name it, with its split values."""
        split = ", ".join(f"{name}={value}" for name, value in sorted(self.split.items()))
        return f"{self.platform}/{self.slo}" + (f" {split}" if split else "")

    @property
    def sli(self) -> float | None:
        """The share of good events among those that were counted in the window."""
        return None if self.consumed is None else 1 - self.consumed / (self.covered or 1) * (1 - self.objective)

    @property
    def budget_left(self) -> float | None:
        """The share of the budget that is left; below 0 it is overspent."""
        return None if self.consumed is None else 1 - self.consumed

    @property
    def minutes_left(self) -> float | None:
        """Minutes of total failure that are left of the window's budget."""
        if self.budget_left is None:
            return None
        return self.budget_left * (1 - self.objective) * float(parse_window(self.window).length / MINUTE)

    @property
    def state(self) -> State:
        """As dashboards show it, but that no event is looked for: what is quiet is fine."""
        if self.budget_left is None or self.alerts.get(conventions.BLIND) == "firing":
            return State.NO_DATA
        if self.budget_left <= 0:
            return State.EXHAUSTED
        if self.budget_left < LOW or (self.exhausted_in is not None and self.exhausted_in < SOON.seconds):
            return State.AT_RISK
        if any(state == "firing" for state in self.alerts.values()):
            return State.AT_RISK
        return State.YOUNG if self.covered is not None and self.covered < MEASURED else State.FINE

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
            "state": self.state.word,
            "objective": self.objective,
            "window": self.window,
            "window_covered": self.covered,
            "retention_seconds": None if self.kept is None else float(self.kept.seconds),
            "sli": self.sli,
            "budget_left": self.budget_left,
            "minutes_left": self.minutes_left,
            "time_to_exhaustion_seconds": self.exhausted_in,
            "burn_rates": self.burns,
            "alerts": self.alerts,
        }


def _values() -> Mapping[str, str]:
    """What holds one value of a status, by its query."""
    return {
        f'{{__name__=~"{conventions.budgets_consumed()}"}}': "consumed",
        conventions.TIME_TO_EXHAUSTION: "exhausted_in",
        conventions.WINDOW_COVERED: "covered",
    }


def read_status(client: PrometheusClient, at: float | None = None) -> list[Status]:
    """Every SLO that the rules record, the most urgent first."""
    board = _Board({_id(sample.labels): sample for sample in client.query(conventions.OBJECTIVE, at)})
    for query, attribute in _values().items():
        for sample in client.query(query, at):
            if status := board.recorded(sample):
                setattr(status, attribute, sample.value)
    ratios = conventions.error_ratios()
    for sample in client.query(f'{{__name__=~"{ratios}"}}', at):
        window = re.fullmatch(ratios, sample.labels["__name__"])
        if window and (status := board.recorded(sample)):
            status.burns[window[1]] = sample.value / (1 - status.objective)
    for sample in client.query(f'ALERTS{{sloctl="{conventions.ALERT_VERSION}", slo!=""}}', at):
        if status := board.alerting(sample):
            status.alerts[sample.labels["burn_tier"]] = sample.labels["alertstate"]
    kept = kept_by(client)
    for status in board.everything():
        if kept and status.window and kept < parse_window(status.window).longest:
            status.kept = kept
    return sorted(board.everything(), key=Status.urgency)


@dataclass(slots=True)
class _Board:
    """The statuses found so far, by SLO and the values of its split labels, whose names come from recordings."""

    objectives: Mapping[_Key, Sample]
    splits: dict[_Key, set[str]] = field(default_factory=dict)
    found: dict[tuple[_Key, _Key], Status] = field(default_factory=dict)

    def recorded(self, sample: Sample) -> Status | None:
        """The status that a recording belongs to; None for one whose SLO is recorded no more."""
        key = _id(sample.labels)
        if key not in self.objectives:
            return None
        # every recording has the SLO's own labels; only that of the objective has its window, too
        fixed = self.objectives[key].labels.keys() - {"window"} | {"__name__"}
        self.splits.setdefault(key, set()).update(sample.labels.keys() - fixed)
        return self._status(key, sample.labels)

    def alerting(self, sample: Sample) -> Status | None:
        """The status that an alert belongs to; its tier may have added labels of any name."""
        key = _id(sample.labels)
        return self._status(key, sample.labels) if key in self.objectives else None

    def _status(self, key: _Key, labels: Mapping[str, str]) -> Status:
        split = {name: labels[name] for name in sorted(self.splits.get(key, ())) if name in labels}
        place = (key, tuple(split.items()))
        if place not in self.found:
            objective = self.objectives[key]
            self.found[place] = Status(
                platform=objective.labels["platform"],
                slo=objective.labels["slo"],
                service=objective.labels.get("service", ""),
                objective=objective.value,
                window=objective.labels.get("window", ""),
                team=objective.labels.get("team", ""),
                split=split,
            )
        return self.found[place]

    def everything(self) -> Iterable[Status]:
        """All statuses, those of SLOs without any data included."""
        for key in self.objectives.keys() - {key for key, _ in self.found}:
            self._status(key, {})
        for status in self.found.values():
            status.burns = dict(sorted(status.burns.items(), key=lambda burn: Duration.parse(burn[0])))
        return self.found.values()


def _id(labels: Mapping[str, str]) -> _Key:
    return (("platform", labels.get("platform", "")), ("slo", labels.get("slo", "")))
