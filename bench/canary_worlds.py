"""Simulated canaries: counts of two versions per interval, with what their history would have shown.

A world is Poisson traffic with a common error ratio; it may be *bursty* (each arm's errors swing on their own,
block by block), or have a *shared incident* that multiplies the errors of both arms for three minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from sloctl.canary.analysis.evidence import BLOCK_SECONDS, BaselineHistory, CountsOfBoth, IntervalCounts
from sloctl.canary.analysis.statistics import Floats, dispersion

LOOK_SECONDS = 2.0
LOOKS = 300
HISTORY_BLOCKS = 120
INCIDENT = slice(100, 190)


@dataclass(frozen=True, slots=True)
class World:
    """One kind of canary.

    Attributes:
        rps: requests a second of both arms together.
        canary: the canary's error ratio; `rate` is the baseline's.
        burst: coefficient of variation of each arm's error intensity, 0 for Poisson arms.
        incident: error ratio of both arms during `INCIDENT`, 0 for none.
    """

    rps: float
    canary: float = 0.001
    rate: float = 0.001
    weight: float = 0.05
    burst: float = 0.0
    incident: float = 0.0
    looks: int = LOOKS
    look_seconds: float = LOOK_SECONDS

    def with_errors(self, canary: float) -> World:
        """The same with another error ratio of the canary."""
        return replace(self, canary=canary)

    def arms(self, rng: Generator, runs: int) -> CountsOfBoth:
        """IntervalCounts of so many runs, a row each."""
        rate = np.full((runs, self.looks), self.rate)
        if self.incident:
            rate[:, INCIDENT] = self.incident
        seconds = self.rps * self.look_seconds
        canary = self._counts(rng, rate * self.canary / self.rate, seconds * self.weight)
        return CountsOfBoth(canary, self._counts(rng, rate, seconds * (1 - self.weight)))

    def _counts(self, rng: Generator, rate: Floats, requests: float) -> IntervalCounts:
        runs, looks = rate.shape
        per_block = max(1, round(BLOCK_SECONDS / self.look_seconds))
        swing = np.repeat(self._swing(rng, (runs, looks // per_block + 1)), per_block, axis=1)[:, :looks]
        n = rng.poisson(requests, rate.shape)
        return IntervalCounts(rng.binomial(n, np.clip(rate * swing, 0, 1)).astype(float), n.astype(float))

    def _swing(self, rng: Generator, shape: tuple[int, int]) -> Floats:
        if not self.burst:
            return np.ones(shape)
        square = self.burst**2
        return rng.gamma(1 / square, square, size=shape)

    def history(self, rng: Generator, runs: int) -> BaselineHistory:
        """What an hour of the stable version shows of so many runs: two halves of it, each with its own bursts."""
        shape = (runs, HISTORY_BLOCKS)
        halves = []
        for _ in range(2):
            n = rng.poisson(self.rps * (1 - self.weight) * BLOCK_SECONDS / 2, shape)
            halves.append((rng.poisson(n * self.rate * self._swing(rng, shape)).astype(float), n.astype(float)))
        (x_a, n_a), (x_b, n_b) = halves
        phi = np.array([dispersion(x_a[run], n_a[run], x_b[run], n_b[run]) for run in range(runs)])
        errors, requests = x_a + x_b, n_a + n_b
        return BaselineHistory(errors.sum(-1) / requests.sum(-1), phi, (phi - 1) / np.maximum(errors.mean(-1), 1e-9))
