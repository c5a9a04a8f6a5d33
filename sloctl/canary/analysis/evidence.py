"""What counts of two arms say about the limits of a check, at each look. Pure functions of numpy arrays.

Arrays have one number per scrape interval along the last axis and any leading axes (endpoints, replications), so
the analysis and the simulation that proves its error rates run the same code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sloctl.canary.analysis.statistics import (
    OVER,
    UNDER,
    WILSON_99,
    WORSE,
    Floats,
    absolute_evidence,
    dispersion,
    mixed,
    mixed_over_starts,
    relative_evidence,
)

BLOCK_SECONDS: Final = 30
"""Length of the blocks over which dispersion and degradation are judged."""
INCIDENT_BLOCKS: Final = (1, 2, 4)
"""Over so many blocks the baseline is looked at for whether it breaks the absolute limit as well."""
DEGRADED: Final = 4.0
"""While the baseline fails so many times as often as before, nothing is concluded from comparing with it."""
LAST_SECONDS: Final = 60.0
"""No promote while so much of the end alone is above a limit."""
CAUTIOUS_CV2: Final = 0.3
"""How much errors are taken to vary, a squared coefficient of variation, where history does not tell."""
FEW_BLOCKS: Final = 40
"""Below so many blocks of history dispersion is hardly known."""
MANY_ERRORS: Final = 5
"""Fewer, all of one interval, may be one failure whose client tried three times more, as is usual."""
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
        rate: its error ratio; NaN without samples of that hour.
        phi: dispersion between halves of it, at least 1; NaN where it is not known.
        cv2: squared coefficient of variation of its error intensity from block to block.
        requests: on which `rate` rests; it may be as high as they allow.
    """

    rate: Floats | float = math.nan
    phi: Floats | float = math.nan
    cv2: Floats | float = CAUTIOUS_CV2
    requests: Floats | float = math.inf

    @classmethod
    def of(cls, x_a: Floats, n_a: Floats, x_b: Floats, n_b: Floats) -> BaselineHistory:
        """From errors and requests of two halves of it in each block.

        Blocks without requests, as before the version's birth, say nothing of it. While both halves are known for less
        than `FEW_BLOCKS`, their errors are taken to be bursty, the more so the fewer blocks there are.
        """
        served = (n_a + n_b) > 0
        if not served.any():
            return cls()
        x_a, n_a, x_b, n_b = (each[served] for each in (x_a, n_a, x_b, n_b))
        phi, errors = dispersion(x_a, n_a, x_b, n_b), float((x_a + x_b).mean())
        doubt = max(0.0, 1 - float(((n_a > 0) & (n_b > 0)).sum()) / FEW_BLOCKS)
        phi += doubt * max(0.0, 1 + CAUTIOUS_CV2 * errors - phi)
        requests = float(n_a.sum() + n_b.sum())
        cv2 = (phi - 1) / errors if errors > 0 else doubt * CAUTIOUS_CV2
        return cls(float(x_a.sum() + x_b.sum()) / requests, phi, cv2, requests)

    def within(self, halves: Sequence[tuple[Floats, Floats, Floats, Floats]]) -> BaselineHistory:
        """The same with the dispersion that is left within strata.

        Args:
            halves: of each stratum, as `of` takes them.
        """
        phi = dispersion(*(np.concatenate(column) for column in zip(*halves, strict=True)))
        errors = sum(float((x_a + x_b).sum()) for x_a, _, x_b, _ in halves) / max(1, len(halves[0][0]))
        known = float(np.nan_to_num(float(self.phi), nan=np.inf))
        phi = min(phi, known)
        return replace(self, phi=phi, cv2=(phi - 1) / errors if errors > 0 else self.cv2)

    @property
    def highest_rate(self) -> Floats | float:
        """The upper end of its score interval (Wilson 1927), 99 %."""
        rate, spread = np.asarray(self.rate), WILSON_99**2 / np.asarray(self.requests)
        half = np.sqrt(spread * (rate * (1 - rate) + spread / 4))
        highest: Floats = (rate + spread / 2 + half) / (1 + spread)
        return highest


@dataclass(frozen=True, slots=True)
class Strata:
    """Parts of the requests within which versions are compared, such as those of each tenant.

    Attributes:
        arms: the counts of each.
        history: of the baseline, with the dispersion that is left within them.
    """

    arms: tuple[CountsOfBoth, ...]
    history: BaselineHistory


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
        degraded: the baseline is far worse than its history, and above the absolute limit where there is one.
        shared: the absolute limit is broken, but only while the baseline breaks it as well.
        rolls_back: the limits are broken, at this look or an earlier one.
    """

    relative: Floats | None
    absolute: Floats | None
    degraded: NDArray[np.bool_]
    shared: NDArray[np.bool_]
    rolls_back: NDArray[np.bool_]


def harm(
    arms: CountsOfBoth, limits: Limits, history: BaselineHistory, grid_seconds: float, strata: Strata | None = None
) -> Harm:
    """Evidence that the canary breaks the limits, at each look.

    Args:
        strata: where there are any, the versions are compared within them.
    """
    level, degraded = _degradation(arms.baseline, history, grid_seconds)
    relative = absolute = None
    nothing = np.zeros(arms.canary.n.shape, dtype=bool)
    worse, over, shared = nothing, nothing, nothing
    if limits.margin is not None:
        known = history if strata is None else strata.history
        phi = 1 + (_phi(known, arms.baseline, grid_seconds) - 1) * np.maximum(level, 1.0)  # it grows with the level
        steps = _compared(arms, strata, limits.margin, WORSE)
        relative = _judged(steps, phi, grid_seconds, without=degraded)
        worse = (relative > limits.threshold) & (np.cumsum(arms.canary.n, axis=-1) >= limits.least_n)
    if limits.error_rate is not None:
        steps = absolute_evidence(arms.canary.x, arms.canary.n, limits.error_rate, OVER)
        phi = _phi_at(limits.error_rate, arms.canary, history, grid_seconds)
        in_both = blamed(arms.baseline, limits.error_rate, grid_seconds)
        everything = _judged(steps, phi, grid_seconds, without=nothing)
        absolute = _judged(steps, phi, grid_seconds, without=in_both)
        shared = _ever(everything > limits.threshold) & ~_ever(absolute > limits.threshold)
        degraded = degraded & in_both  # a busy day after a quiet night is no incident
        absolute = everything if limits.shared_rolls_back else absolute
        over = absolute > limits.threshold
    told = _told(arms.canary)
    worse, over = _ever(worse & told), _ever(over & told)
    return Harm(relative, absolute, degraded, shared, worse & over if limits.both else worse | over)


def _told(canary: IntervalCounts) -> NDArray[np.bool_]:
    """Looks at which the canary's errors are many, or come from more than one interval."""
    many = np.cumsum(canary.x, axis=-1) >= MANY_ERRORS
    told = many | (np.cumsum(canary.x > 0, axis=-1) > 1)
    return np.concatenate([np.zeros_like(told[..., :1]), told[..., :-1]], axis=-1)  # the newest is judged next time


def _judged(steps: Floats, phi: Floats, grid_seconds: float, without: NDArray[np.bool_]) -> Floats:
    """Evidence at each look, without the intervals that say nothing and those just before one.

    Targets are scraped at different moments, so an incident shows in one version up to one interval before it shows in
    the other. Whether the newest interval is the one before an incident only the next can tell: it is judged then.
    """
    said = np.zeros_like(steps)
    said[..., :-1] = np.where(without[..., :-1] | without[..., 1:], 0.0, steps[..., :-1])
    path = mixed_over_starts(said, phi, grid_seconds)
    return np.concatenate([np.zeros_like(path[..., :1]), path[..., :-1]], axis=-1)


def blamed(baseline: IntervalCounts, limit: float, grid_seconds: float) -> NDArray[np.bool_]:
    """Intervals, and times of 30 s and more ending there, in which the baseline itself breaks the absolute limit.

    Which these are depends on the baseline only, so leaving them out keeps the test of the canary valid. An incident
    is not over because the baseline's errors pause for one block.
    """
    over: NDArray[np.bool_] = baseline.x > limit * baseline.n
    for blocks in INCIDENT_BLOCKS:
        width = max(1, round(blocks * BLOCK_SECONDS / grid_seconds))
        over |= _trailing(baseline.x, width) > limit * _trailing(baseline.n, width)
    return over


def _compared(arms: CountsOfBoth, strata: Strata | None, margin: float, ratios: tuple[float, ...]) -> Floats:
    """Logarithms of likelihood ratios of each interval.

    Given the errors of each stratum, the canary's are binomial in each and have nothing to do with those of others:
    their evidence is added (Mantel & Haenszel 1959). What strata differ by, as tenants that always fail, then cancels.
    """
    parts = (arms,) if strata is None else strata.arms
    steps = [relative_evidence(c.x, c.n, b.x, b.n, margin, ratios) for c, b in ((p.canary, p.baseline) for p in parts)]
    total: Floats = np.sum(steps, axis=0)
    return total


def _phi(history: BaselineHistory, baseline: IntervalCounts, grid_seconds: float) -> Floats:
    """The dispersion of the history; where it is not known, what `cv2` makes of the baseline's errors."""
    errors = baseline.x.mean(axis=-1, keepdims=True) * (BLOCK_SECONDS / grid_seconds)
    phi = _column(history.phi)
    known: Floats = np.where(np.isnan(phi), 1 + _column(history.cv2) * errors, phi)
    return known


def relapsed(arms: CountsOfBoth, limits: Limits, grid_seconds: float) -> NDArray[np.bool_]:
    """Whether the end alone is above the limit that `health` is about, however good what was before is."""
    width = max(1, round(LAST_SECONDS / grid_seconds))
    x_c, n_c, x_b, n_b = (
        side[..., -width:].sum(axis=-1) for side in (arms.canary.x, arms.canary.n, arms.baseline.x, arms.baseline.n)
    )
    if limits.error_rate is not None:
        above: NDArray[np.bool_] = x_c > limits.error_rate * n_c
        return above
    assert limits.margin is not None
    worse: NDArray[np.bool_] = x_c * n_b > limits.margin * EXCLUDED_RATIO * x_b * n_c
    return worse


def health(
    arms: CountsOfBoth, limits: Limits, history: BaselineHistory, grid_seconds: float, strata: Strata | None = None
) -> Floats:
    """Evidence that the canary keeps its limits, at each look, as a logarithm.

    Against the absolute limit where there is one; otherwise against being `EXCLUDED_RATIO` times as bad as the
    comparison allows. Dispersion is taken at the limit, where it is larger than at the rate of a good canary.
    """
    if limits.error_rate is not None:
        phi = health_phi(arms, limits, history, grid_seconds)
        return mixed(absolute_evidence(arms.canary.x, arms.canary.n, limits.error_rate, UNDER), phi)
    assert limits.margin is not None
    phi = health_phi(arms, limits, history if strata is None else strata.history, grid_seconds)
    return mixed(_compared(arms, strata, limits.margin * EXCLUDED_RATIO, UNDER), phi)


def health_phi(arms: CountsOfBoth, limits: Limits, history: BaselineHistory, grid_seconds: float) -> Floats:
    """The dispersion that divides `health`: that of a canary at the limit."""
    if limits.error_rate is not None:
        return _phi_at(limits.error_rate, arms.canary, history, grid_seconds)
    assert limits.margin is not None
    return 1 + (_phi(history, arms.baseline, grid_seconds) - 1) * limits.margin * EXCLUDED_RATIO


def _phi_at(limit: float, canary: IntervalCounts, history: BaselineHistory, grid_seconds: float) -> Floats:
    """Dispersion of a canary at the limit.

    What is constant is how much the intensity varies, cv^2 = (phi - 1) / errors per block; its effect grows with them.
    """
    per_block = canary.n.mean(axis=-1, keepdims=True) * (BLOCK_SECONDS / grid_seconds)
    phi: Floats = np.fmax(_column(history.phi), 1 + _column(history.cv2) * per_block * limit)
    return phi


def _degradation(
    baseline: IntervalCounts, history: BaselineHistory, grid_seconds: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """The baseline's error ratio of the last block over that of its history, and whether it is far too high.

    It is when the block or the interval alone shows it, and for a block after that. Few errors are no degradation:
    what chance brings at four times that rate does not count.
    """
    usual = _column(history.highest_rate)  # NaN where it is not known: no comparison with it holds
    width = max(1, round(BLOCK_SECONDS / grid_seconds))
    errors, expected = _trailing(baseline.x, width), _trailing(baseline.n, width) * usual
    likely = expected + 2 * np.sqrt(expected) + 3
    level = np.where(errors > likely, errors / np.maximum(expected, 1.0), 1.0)
    suddenly = baseline.x > _most(baseline.n * usual)
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
