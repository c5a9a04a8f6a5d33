"""What a rollout waits for: arms, steps and checks of a canary."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final, TypeAlias

from sloctl.diagnostics import Place
from sloctl.model.quantities import ZERO, Duration
from sloctl.model.selector import Matcher, MatchOperator, Selectors


class Needs(Enum):
    """Which of two limits must be broken to roll back."""

    ANY = "any"
    BOTH = "both"


class WhenShared(Enum):
    """What happens when the baseline breaks the absolute limit as well."""

    HOLD = "hold"
    ROLLBACK = "rollback"


class WhenMissing(Enum):
    """The answer at a step's deadline without evidence."""

    HOLD = "hold"
    ROLLBACK = "rollback"
    PROMOTE = "promote"


@dataclass(frozen=True, slots=True)
class Versions:
    """Matchers that tell the two versions apart; values may hold `$canary` and `$stable`, the versions' names."""

    canary: tuple[Matcher, ...]
    baseline: tuple[Matcher, ...]

    @property
    def matchers(self) -> tuple[Matcher, ...]:
        """Those of both."""
        return self.canary + self.baseline

    @property
    def are_fixed(self) -> bool:
        """Whether the same labels are every canary's, as where a mesh or Flagger sets them; no version is named."""
        return not any("$canary" in matcher.value for matcher in self.canary)

    @property
    def named_by_hash(self) -> bool:
        """Whether hashes of pod templates name the versions: in a label for them, in names of pods, or in no label."""
        return self.are_fixed or any(
            "$" in matcher.value and ("hash" in matcher.label or "-$" in matcher.value) for matcher in self.matchers
        )


POD_HASH: Final = "rollouts_pod_template_hash"
"""The label that Argo Rollouts puts on pods, as relabelling calls it by default."""
BY_POD_HASH: Final = Versions(
    (Matcher(POD_HASH, MatchOperator.EQUAL, "$canary"),), (Matcher(POD_HASH, MatchOperator.EQUAL, "$stable"),)
)
"""What `arms` of a specification are by default."""


@dataclass(frozen=True, slots=True)
class Step:
    """A share of traffic (a ratio), the shortest and the longest time at it; the last step may lack both.

    Attributes:
        warm_up: how long each pod is not judged at it; None is as the canary says.
    """

    weight: Decimal
    hold: Duration | None
    deadline: Duration | None
    warm_up: Duration | None = None


@dataclass(frozen=True, slots=True)
class SloCheck:
    """A limit on an SLI of the service; `error_rate`, `worse_by` and `quantile` are ratios.

    Attributes:
        by: labels whose values are judged one by one as well.
        within: labels within whose values the versions are compared.
    """

    name: str
    slo: str
    by: tuple[str, ...]
    error_rate: Decimal | None
    worse_by: Decimal | None
    quantile: Decimal | None
    needs: Needs
    shared: WhenShared
    place: Place
    within: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MismatchCheck:
    """A limit on the mismatches of a shadow comparison."""

    name: str
    mismatches: Selectors
    compared: Selectors
    mismatch_rate: Decimal
    settle: Duration
    place: Place


CanaryCheck: TypeAlias = SloCheck | MismatchCheck


@dataclass(frozen=True, slots=True)
class After:
    """After promotion: `success` (a ratio) of the events within `within`."""

    slo: str
    by: tuple[str, ...]
    within: Duration
    success: Decimal


@dataclass(frozen=True, slots=True)
class Alpha:
    """The chance of a wrong verdict over the whole analysis, divided among the checks."""

    rollback: Decimal
    promote: Decimal


@dataclass(frozen=True, slots=True)
class Parity:
    """The tolerance when results of two versions are compared; `numbers` is a relative ratio."""

    key: str
    numbers: Decimal
    categories: str


@dataclass(frozen=True, slots=True)
class Canary:
    """The canary analysis of one service; the first `warm_up` of each pod is not judged."""

    arms: Versions
    steps: tuple[Step, ...]
    checks: tuple[CanaryCheck, ...]
    after: After | None
    first_deployments: int
    group: str | None
    when_missing: WhenMissing
    alpha: Alpha
    parity: Parity | None
    place: Place
    warm_up: Duration = ZERO

    @property
    def last_step(self) -> int:
        """The index of the step at which all traffic is the canary's."""
        return len(self.steps) - 1

    @property
    def gated_steps(self) -> range:
        """The steps that wait for a verdict: the last one only when something is to be judged at it."""
        waits = self.after is not None or self.steps[-1].hold is not None or self.last_step == 0
        return range(self.last_step + waits)

    def shortest(self, step: int) -> Duration:
        """How long a step lasts at least: its `hold`, and after promotion what `after` looks at."""
        hold = self.steps[step].hold or ZERO
        return max(hold, self.after.within) if self.after is not None and step == self.last_step else hold

    def warms_up(self, step: int) -> Duration:
        """How long each new pod is not judged at a step."""
        own = self.steps[step].warm_up
        return self.warm_up if own is None else own

    def begins(self, step: int) -> Duration:
        """When a step begins at the earliest, after the start of the first."""
        return sum(map(self.shortest, range(step)), ZERO)

    def longest(self, step: int) -> Duration | None:
        """How long a step may go without a verdict: its `deadline`, or twice its shortest time; None for no limit."""
        return self.steps[step].deadline or self.shortest(step) * 2 or None
