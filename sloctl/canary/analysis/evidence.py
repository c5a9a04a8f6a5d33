"""What counts of two arms say about the limits of a check, at each look. Pure functions of numpy arrays.

Arrays have one number per scrape interval along the last axis and any leading axes (endpoints, replications), so
the analysis and the simulation that proves its error rates run the same code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sloctl.canary.analysis.statistics import (
    OVER,
    UNDER,
    WORSE,
    Floats,
    absolute_evidence,
    mixed,
    relative_evidence,
)

BLOCK_SECONDS: Final = 30
"""Length of the blocks over which dispersion and degradation are judged."""
DEGRADED: Final = 4.0
"""While the baseline fails so many times as often as before, nothing is concluded from comparing with it."""
EXCLUDED_RATIO: Final = 2.0
"""A check without absolute limit promotes when a canary so many times as bad as allowed can be excluded."""


@dataclass(frozen=True, slots=True)
class IntervalCounts:
    """Requests `n` and errors `x` of each interval."""

    x: Floats
    n: Floats

    def __getitem__(self, index: slice | int | NDArray[np.bool_]) -> IntervalCounts:
        return IntervalCounts(self.x[..., index], self.n[..., index])

    @property
    def totals(self) -> tuple[float, float]:
        """Errors and requests of all intervals."""
        return float(self.x.sum()), float(self.n.sum())


@dataclass(frozen=True, slots=True)
class CountsOfBoth:
    """IntervalCounts of both versions over the same intervals."""

    canary: IntervalCounts
    baseline: IntervalCounts


@dataclass(frozen=True, slots=True)
class BaselineHistory:
    """What the baseline did in the hour before the canary.

    Attributes:
        rate: its error ratio; None without samples of that hour.
        phi: dispersion between halves of it, at least 1.
        cv2: squared coefficient of variation of its error intensity from block to block.
    """

    rate: Floats | float | None = None
    phi: Floats | float = 1.0
    cv2: Floats | float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one check, with its part of the chances of error.

    Attributes:
        error_rate: absolute limit, a ratio.
        margin: how many times the baseline's error ratio is still good.
        both: roll back only when both are broken.
        shared_rolls_back: roll back by the absolute limit although the baseline breaks it as well.
        alpha_rollback: chance of a false rollback, of all limits together.
        alpha_promote: chance of promoting a canary at a limit.
        least_n: requests of the canary below which comparing rolls nothing back.
    """

    error_rate: float | None
    margin: float | None
    both: bool
    shared_rolls_back: bool
    alpha_rollback: float
    alpha_promote: float
    least_n: float = 0.0

    @property
    def threshold(self) -> float:
        """Logarithm of the evidence that breaks one limit; each of two has half the chance."""
        parts = 2 if not self.both and self.error_rate is not None and self.margin is not None else 1
        return math.log(parts / self.alpha_rollback)

    @property
    def promote_threshold(self) -> float:
        """Logarithm of the evidence that shows health. Promotion needs it of every check, so it is not divided."""
        return math.log(1 / self.alpha_promote)


@dataclass(frozen=True, slots=True)
class Harm:
    """Evidence of harm at each look, as logarithms, and what follows.

    Attributes:
        relative: against the baseline, None without that limit.
        absolute: against the absolute limit, None without it.
        degraded: the baseline is far worse than its history.
        shared: the absolute limit is broken, but only while the baseline breaks it as well.
        rolls_back: the limits are broken, at this look or an earlier one.
    """

    relative: Floats | None
    absolute: Floats | None
    degraded: NDArray[np.bool_]
    shared: NDArray[np.bool_]
    rolls_back: NDArray[np.bool_]


def harm(arms: CountsOfBoth, limits: Limits, history: BaselineHistory, grid_seconds: float) -> Harm:
    """Evidence that the canary breaks the limits, at each look."""
    level, degraded = _degradation(arms.baseline, history, grid_seconds)
    relative = absolute = None
    nothing = np.zeros(arms.canary.n.shape, dtype=bool)
    worse, over, shared = nothing, nothing, nothing
    if limits.margin is not None:
        relative = _against_baseline(arms, limits.margin, history, level, degraded)
        worse = (relative > limits.threshold) & (np.cumsum(arms.canary.n, axis=-1) >= limits.least_n)
    if limits.error_rate is not None:
        steps = absolute_evidence(arms.canary.x, arms.canary.n, limits.error_rate, OVER)
        phi = _phi_at(limits.error_rate, arms.canary, history, grid_seconds)
        in_both = _baseline_over_limit(arms.baseline, limits.error_rate, grid_seconds)
        everything, absolute = mixed(steps, phi), mixed(np.where(in_both, 0.0, steps), phi)
        shared = _ever(everything > limits.threshold) & ~_ever(absolute > limits.threshold)
        absolute = everything if limits.shared_rolls_back else absolute
        over = absolute > limits.threshold
    worse, over = _ever(worse), _ever(over)
    return Harm(relative, absolute, degraded, shared, worse & over if limits.both else worse | over)


def _baseline_over_limit(baseline: IntervalCounts, limit: float, grid_seconds: float) -> NDArray[np.bool_]:
    """Intervals, and blocks of 30 s ending there, in which the baseline itself breaks the absolute limit.

    Which these are depends on the baseline only, so leaving them out keeps the test of the canary valid.
    """
    width = max(1, round(BLOCK_SECONDS / grid_seconds))
    alone = baseline.x > limit * baseline.n
    over: NDArray[np.bool_] = alone | (_trailing(baseline.x, width) > limit * _trailing(baseline.n, width))
    return over


def _against_baseline(
    arms: CountsOfBoth, margin: float, history: BaselineHistory, level: Floats, degraded: NDArray[np.bool_]
) -> Floats:
    """Dispersion grows with the baseline's level; intervals in which it is degraded say nothing."""
    c, b = arms.canary, arms.baseline
    steps = relative_evidence(c.x, c.n, b.x, b.n, margin, WORSE)
    phi = 1 + (_column(history.phi) - 1) * np.maximum(level, 1.0)
    return mixed(np.where(degraded, 0.0, steps), phi)


def health(arms: CountsOfBoth, limits: Limits, history: BaselineHistory, grid_seconds: float) -> Floats:
    """Evidence that the canary keeps its limits, at each look, as a logarithm.

    Against the absolute limit where there is one; otherwise against being `EXCLUDED_RATIO` times as bad as the
    comparison allows. Dispersion is taken at the limit, where it is larger than at the rate of a good canary.
    """
    c, b = arms.canary, arms.baseline
    if limits.error_rate is not None:
        phi = _phi_at(limits.error_rate, c, history, grid_seconds)
        return mixed(absolute_evidence(c.x, c.n, limits.error_rate, UNDER), phi)
    assert limits.margin is not None
    steps = relative_evidence(c.x, c.n, b.x, b.n, limits.margin * EXCLUDED_RATIO, UNDER)
    return mixed(steps, 1 + (_column(history.phi) - 1) * limits.margin * EXCLUDED_RATIO)


def _phi_at(limit: float, canary: IntervalCounts, history: BaselineHistory, grid_seconds: float) -> Floats:
    """Dispersion of a canary at the limit.

    What is constant is how much the intensity varies, cv^2 = (phi - 1) / errors per block; its effect grows with them.
    """
    per_block = canary.n.mean(axis=-1, keepdims=True) * (BLOCK_SECONDS / grid_seconds)
    phi: Floats = np.maximum(_column(history.phi), 1 + _column(history.cv2) * per_block * limit)
    return phi


def _degradation(
    baseline: IntervalCounts, history: BaselineHistory, grid_seconds: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """The baseline's error ratio of the last block over that of its history, and whether it is far too high.

    It is when the block or the interval alone shows it, and for a block after that. Few errors are no degradation:
    what chance brings at four times that rate does not count.
    """
    if history.rate is None:
        return np.ones(baseline.n.shape), np.zeros(baseline.n.shape, dtype=bool)
    width = max(1, round(BLOCK_SECONDS / grid_seconds))
    errors, expected = _trailing(baseline.x, width), _trailing(baseline.n, width) * _column(history.rate)
    likely = expected + 2 * np.sqrt(expected) + 3
    level = np.where(errors > likely, errors / np.maximum(expected, 1.0), 1.0)
    suddenly = baseline.x > _most(baseline.n * _column(history.rate))
    degraded = suddenly | (errors > _most(expected))
    return level, _trailing(degraded.astype(float), width + 1) > 0


def _most(expected: Floats) -> Floats:
    """Errors that a baseline at `DEGRADED` times the rate of its history hardly exceeds."""
    most: Floats = DEGRADED * expected + 3 * np.sqrt(DEGRADED * expected) + 3
    return most


def _trailing(values: Floats, width: int) -> Floats:
    """Sums over the last `width` intervals."""
    total = np.cumsum(values, axis=-1)
    before = np.zeros_like(total)
    before[..., width:] = total[..., :-width]
    return total - before


def _ever(flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.logical_or.accumulate(flags, axis=-1)


def _column(value: Floats | float) -> Floats:
    """A number of each leading index, beside the intervals."""
    return np.asarray(value, dtype=float)[..., None]
