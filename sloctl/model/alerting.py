"""When somebody is told: tiers of an alert policy, forecasts, regressions and credits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

from sloctl.diagnostics import Place
from sloctl.model.quantities import Duration
from sloctl.model.selector import Selector
from sloctl.model.window import Window


class Severity(Enum):
    """P1 wakes a person, P2 is urgent, P3 is a ticket."""

    P1 = "P1"
    P2 = "P2"
    P3 = "P3"


class Guard(Enum):
    """Whether a handful of errors at low traffic counts as a high ratio."""

    STATISTICAL = "statistical"
    NONE = "none"


class Mode(Enum):
    """`observe` records and evaluates everything, but routes to nobody."""

    PAGE = "page"
    OBSERVE = "observe"


@dataclass(frozen=True, slots=True)
class Burn:
    """Error ratio divided by the error budget; 1 spends the budget exactly in one window."""

    rate: Decimal


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """The error ratio itself."""

    ratio: Decimal


@dataclass(frozen=True, slots=True)
class BudgetLeft:
    """The part of the window's budget that is left."""

    ratio: Decimal


@dataclass(frozen=True, slots=True)
class Tier:
    """One row of an alert policy; it becomes one alert rule.

    Attributes:
        over: length of the average; None only for `BudgetLeft`, which looks at the whole window.
        also_over: a shorter window that must be above the threshold too, so that the alert ends soon.
        for_: how long the condition must hold first.
        min_events: silent below so many events in `over`.
        min_bad: silent below so many bad events in `over`.
    """

    severity: Severity
    trigger: Burn | ErrorRate | BudgetLeft
    over: Duration | None
    also_over: Duration | None
    for_: Duration
    keep_firing_for: Duration
    min_events: int
    min_bad: int
    guard: Guard
    place: Place
    notify: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.trigger, BudgetLeft) != (self.over is None):
            raise ValueError("a tier has `over`, except one by the budget left")

    @property
    def windows(self) -> tuple[Duration, ...]:
        """What it averages over, the longest first; empty for one by the budget left."""
        if self.over is None:
            return ()
        return (self.over,) if self.also_over is None else (self.over, self.also_over)

    @property
    def averaged_over(self) -> Duration:
        """`over` of a tier that has one."""
        assert self.over is not None
        return self.over


@dataclass(frozen=True, slots=True)
class Forecast:
    """A straight line through the last `since` reaches `to` within `within`.

    `to` is a ratio for saturation and a value for threshold indicators.
    """

    within: Duration
    since: Duration
    to: Decimal
    severity: Severity


@dataclass(frozen=True, slots=True)
class Regression:
    """A quantile over the last `over` is worse by more than `worse_by` than the same time `earlier`."""

    quantile: Decimal
    over: Duration
    earlier: Duration
    worse_by: Decimal
    severity: Severity
    min_events: int


@dataclass(frozen=True, slots=True)
class Credit:
    """A share of the contract's value owed when less than `below` was attained."""

    below: Decimal
    credit: Decimal


@dataclass(frozen=True, slots=True)
class Sla:
    """What is owed to customers; `value` returns the contract value a period, with the `by` labels."""

    window: Window
    credits: tuple[Credit, ...]
    value: Selector
    currency: str
