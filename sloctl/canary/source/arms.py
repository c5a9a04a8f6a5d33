"""What is released, and which series belong to which of the two versions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sloctl.errors import SloctlError
from sloctl.model.quantities import Duration
from sloctl.model.selector import Matcher, MatchOperator

HASH: Final = r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?"
"""What names a version: the hash of its pod template, or another value of a label."""


@dataclass(frozen=True, slots=True)
class Release:
    """What is released: the versions' hashes, and where the rollout stands.

    Attributes:
        started: Unix seconds at which the canary got traffic; None looks for its first sample.
        step: index of the step.
        step_started: Unix seconds; None takes earlier steps to have lasted their shortest time.
        warm_up: how long each new process is not judged; None is what the specification says.
        other_until: Unix seconds until which the same version was known as another deployment; one whose samples begin
            before that begins with `began`.
        began: Unix seconds at which this deployment was asked about first; None before.

    Raises:
        SloctlError: a hash is none, or both are the same.
    """

    canary: str
    stable: str
    started: float | None = None
    step: int = 0
    step_started: float | None = None
    warm_up: Duration | None = None
    other_until: float = -math.inf
    began: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("canary", self.canary), ("stable", self.stable)):
            if not re.fullmatch(HASH, value):
                raise SloctlError(f"{value!r} is no hash of the {name}; it is up to 63 letters, digits, `-`, `.`, `_`")
        if self.canary == self.stable:
            raise SloctlError(f"canary and baseline are the same version, {self.canary!r}")

    def matchers(self, matchers: Sequence[Matcher]) -> tuple[Matcher, ...]:
        """The matchers of an arm with the hashes in place."""
        return tuple(matcher._replace(value=self._filled(matcher)) for matcher in matchers)

    def _filled(self, matcher: Matcher) -> str:
        exact = matcher.operator in {MatchOperator.EQUAL, MatchOperator.NOT_EQUAL}
        canary, stable = (value if exact else re.escape(value) for value in (self.canary, self.stable))
        return matcher.value.replace("$canary", canary).replace("$stable", stable)


@dataclass(frozen=True, slots=True)
class Arm:
    """The matchers of one version.

    Attributes:
        asked: those that are asked for: the same, or wider ones that both versions fulfil, so that one query is enough.
    """

    own: tuple[Matcher, ...]
    asked: tuple[Matcher, ...]

    @classmethod
    def alone(cls, matchers: tuple[Matcher, ...]) -> Arm:
        """A version that is asked for by itself."""
        return cls(matchers, matchers)

    def shows(self, labels: Mapping[str, str]) -> bool:
        """Whether a series that was asked for belongs to this version."""
        narrower = (matcher for matcher in self.own if matcher not in self.asked)
        return all(labels.get(matcher.label, "") == matcher.value for matcher in narrower)


def _told_apart(canary: tuple[Matcher, ...], baseline: tuple[Matcher, ...]) -> tuple[Matcher, Matcher] | None:
    """The matchers of one label whose value tells two versions apart, where that is all that does, as it mostly is."""
    differing = [pair for pair in zip(canary, baseline, strict=False) if pair[0] != pair[1]]
    if len(canary) == len(baseline) and len(differing) == 1:
        (new, old) = differing[0]
        if new.label == old.label and {new.operator, old.operator} == {MatchOperator.EQUAL}:
            return new, old
    return None


def both_arms(canary: tuple[Matcher, ...], baseline: tuple[Matcher, ...]) -> tuple[Arm, Arm]:
    """Two versions that are asked for together where only one label's value tells them apart."""
    if (pair := _told_apart(canary, baseline)) is None:
        return Arm.alone(canary), Arm.alone(baseline)
    new, old = pair
    either = Matcher(new.label, MatchOperator.REGEX, f"{re.escape(new.value)}|{re.escape(old.value)}")
    asked = tuple(either if matcher == new else matcher for matcher in canary)
    return Arm(canary, asked), Arm(baseline, asked)


def all_but(canary: Arm, baseline: Arm) -> tuple[Matcher, ...] | None:
    """Matchers of every version except the canary; None where more than one label's value tells versions apart."""
    if (pair := _told_apart(canary.own, baseline.own)) is None:
        return None
    new, old = pair
    other = (Matcher(old.label, MatchOperator.NOT_EQUAL, value) for value in (new.value, ""))
    return (*(matcher for matcher in baseline.own if matcher != old), *other)
