"""Simulated canaries: counts of two versions per interval, with what their history would have shown.

A world is Poisson traffic with a common error ratio; it may be *bursty* (each arm's errors swing on their own,
block by block) or *wander* (they drift), have a *shared incident* that multiplies the errors of both arms, pods that
are *scraped* at different moments, or a canary that *changes* on its way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from sloctl.canary.analysis.evidence import BLOCK_SECONDS, BaselineHistory, CountsOfBoth, IntervalCounts
from sloctl.canary.analysis.statistics import Floats

LOOK_SECONDS = 2.0
LOOKS = 300
HISTORY_BLOCKS = 120
NODES = 20


@dataclass(frozen=True, slots=True)
class World:
    """One kind of canary.

    Attributes:
        rps: requests a second of both arms together.
        canary: the canary's error ratio; `rate` is the baseline's.
        burst: coefficient of variation of each arm's error intensity, 0 for Poisson arms.
        burst_seconds: how long it stays the same.
        wander: standard deviation of the logarithm of each arm's error intensity, where it drifts instead (AR(1)).
        wander_seconds: how long it remembers where it was.
        retries: how often each failure is counted, as clients try again.
        incident: error ratio of both arms from `incident_from` to `incident_until`, 0 for none.
        hit: so many times as hard it hits the canary.
        leak: the canary's error ratio at the end, to which it grows from the beginning; None for no growth.
        pods: of the canary and of the baseline, each scraped at a moment of its own; None scrapes all together.
        late: the canary's error ratio from `late_from` on; None leaves it.
        history_blocks: for how many of the hour's blocks the stable version is there.
        bad_node: error ratio of the baseline's pods on one of `NODES` nodes; None for the same as all.
        cold: the canary's error ratio in its first `cold_seconds`; `warm_up` seconds are left out.
    """

    rps: float
    canary: float = 0.001
    rate: float = 0.001
    weight: float = 0.05
    burst: float = 0.0
    burst_seconds: float = BLOCK_SECONDS
    wander: float = 0.0
    wander_seconds: float = 60.0
    retries: int = 1
    incident: float = 0.0
    hit: float = 1.0
    leak: float | None = None
    incident_from: int = 200
    incident_until: int = 380
    pods: tuple[int, int] | None = None
    late: float | None = None
    late_from: int = 0
    bad_node: float | None = None
    cold: float | None = None
    cold_seconds: int = 60
    warm_up: int = 0
    history_blocks: int = HISTORY_BLOCKS
    looks: int = LOOKS
    look_seconds: float = LOOK_SECONDS

    def with_errors(self, canary: float) -> World:
        """The same with another error ratio of the canary."""
        return replace(self, canary=canary)

    def arms(self, rng: Generator, runs: int) -> CountsOfBoth:
        """Counts of so many runs, a row each."""
        seconds = round(self.looks * self.look_seconds)
        rate = np.full(seconds, self.rate)
        if self.incident:
            rate[self.incident_from : self.incident_until] = self.incident
        canary = rate * self.canary / self.rate
        if self.incident:
            canary[self.incident_from : self.incident_until] *= self.hit
        if self.leak is not None:
            canary = np.linspace(self.canary, self.leak, seconds)
        if self.late is not None:
            canary[self.late_from :] = self.late
        if self.cold is not None:
            canary[: self.cold_seconds] = self.cold
        baseline = rate * (1 if self.bad_node is None else (1 + (self.bad_node / self.rate - 1) / NODES))
        requests = self.rps * self.look_seconds
        pods = self.pods or (0, 0)
        judged = self._counts(rng, runs, canary, requests * self.weight, pods[0])
        warm = np.arange(self.looks) >= self.warm_up / self.look_seconds
        return CountsOfBoth(
            IntervalCounts(judged.x * warm, judged.n * warm),
            self._counts(rng, runs, baseline, requests * (1 - self.weight), pods[1]),
        )

    def _counts(self, rng: Generator, runs: int, rate: Floats, requests: float, pods: int) -> IntervalCounts:
        """Requests and errors of one arm.

        Args:
            rate: its error ratio in each second.
            requests: in an interval.
            pods: that are scraped on their own, 0 for all together.
        """
        width = round(self.look_seconds)
        phases = rng.integers(0, width, (runs, pods)) if pods else np.zeros((runs, 1), dtype=int)
        until = np.concatenate([np.full(width, rate[0]), rate]).cumsum()
        ends = width * np.arange(1, self.looks + 1)
        shown = [(until[ends + width - phase - 1] - until[ends - phase - 1]) / width for phase in range(width)]
        probability = np.clip(np.stack(shown)[phases], 0, 1)
        n = rng.poisson(requests / phases.shape[1], probability.shape)
        swing = self._swing(rng, (runs, self.looks), self.look_seconds)
        x = self.retries * rng.binomial(n, np.clip(probability * swing[:, None] / self.retries, 0, 1))
        n = n + x - x // self.retries
        return IntervalCounts(x.sum(axis=1).astype(float), n.sum(axis=1).astype(float))

    def _swing(self, rng: Generator, shape: tuple[int, int], seconds: float) -> Floats:
        """What the error intensity of one arm is multiplied by, in each of so many intervals of so many seconds."""
        if self.wander:
            return self._drift(rng, shape, seconds)
        if not self.burst:
            return np.ones(shape)
        square, intervals = self.burst**2, max(1, round(self.burst_seconds / seconds))
        blocks = rng.gamma(1 / square, square, size=(shape[0], -(-shape[1] // intervals)))
        return np.repeat(blocks, intervals, axis=1)[:, : shape[1]]

    def _drift(self, rng: Generator, shape: tuple[int, int], seconds: float) -> Floats:
        keeps = np.exp(-seconds / self.wander_seconds)
        noise = rng.standard_normal(shape) * self.wander
        noise[:, 1:] *= np.sqrt(1 - keeps**2)
        for index in range(1, shape[1]):
            noise[:, index] += keeps * noise[:, index - 1]
        return np.exp(noise - self.wander**2 / 2)

    def history(self, rng: Generator, runs: int) -> BaselineHistory:
        """What an hour of the stable version shows of so many runs: two halves of it, each with its own bursts."""
        shape, born = (runs, HISTORY_BLOCKS), HISTORY_BLOCKS - self.history_blocks
        halves = []
        for bad in (0.0 if self.bad_node is None else self.bad_node - self.rate, 0.0):
            n = rng.poisson(self.rps * (1 - self.weight) * BLOCK_SECONDS / 2, shape)
            n[:, :born] = 0
            rate = (self.rate + bad * 2 / NODES) * self._swing(rng, shape, BLOCK_SECONDS)
            x = self.retries * rng.poisson(n * rate / self.retries)
            halves.append((x.astype(float), (n + x - x // self.retries).astype(float)))
        (x_a, n_a), (x_b, n_b) = halves
        histories = [BaselineHistory.of(x_a[run], n_a[run], x_b[run], n_b[run]) for run in range(runs)]
        columns = zip(*((each.rate, each.phi, each.cv2, each.requests) for each in histories), strict=True)
        return BaselineHistory(*(np.array(column, dtype=float) for column in columns))


@dataclass(frozen=True, slots=True)
class Tenants:
    """Requests of tenants of which each is served by one version, and one fails more than others.

    Attributes:
        count: how many; their requests fall as 1, 1/2, 1/3 ...
        rate: error ratio of all but `broken`, whose is `failing`; it is another tenant in each run.
        sticky: how many times as often the canary serves a tenant as another of the same size, at random: a standard
            deviation of the logarithm.
    """

    rps: float
    count: int = 100
    rate: float = 0.001
    failing: float = 0.03
    sticky: float = 1.5
    weight: float = 0.05
    looks: int = 40
    look_seconds: float = 15.0

    def strata(self, rng: Generator, runs: int, times: float = 1.0) -> list[CountsOfBoth]:
        """Counts of each tenant, a row for each run; the canary fails so many times as often as the baseline."""
        size = 1 / np.arange(1, self.count + 1)
        requests = self.rps * self.look_seconds * size / size.sum()
        broken = rng.integers(0, self.count, runs)
        found = []
        for tenant, many in enumerate(requests):
            rate = np.where(broken == tenant, self.failing, self.rate)[:, None]
            odds = self.weight / (1 - self.weight) * np.exp(self.sticky * rng.standard_normal(runs))
            share = (odds / (1 + odds))[:, None]
            n_c = rng.poisson(np.broadcast_to(many * share, (runs, self.looks)))
            n_b = rng.poisson(np.broadcast_to(many * (1 - share), (runs, self.looks)))
            x_c, x_b = rng.binomial(n_c, np.minimum(rate * times, 1)), rng.binomial(n_b, rate)
            arms = (IntervalCounts(x.astype(float), n.astype(float)) for x, n in ((x_c, n_c), (x_b, n_b)))
            found.append(CountsOfBoth(*arms))
        return found
