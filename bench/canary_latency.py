"""Simulated latencies of two versions in histogram buckets, and how often quantile rules are wrong on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from sloctl.canary.question import BUCKET, CheckSamples
from sloctl.canary.samples import Samples, Series
from sloctl.canary.statistics import Floats

BOUNDS = tuple(0.01 * 1.1**power for power in range(60))
"""Ten milliseconds to two and a half seconds, each bound a tenth above the one before."""
COARSE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""What client libraries use by default."""
MEDIAN = 0.1
SIGMA = 0.5
"""Lognormal: p99 is 3.2 times the median."""
WEIGHT = 0.05


@dataclass(frozen=True, slots=True)
class Shift:
    """How the canary's latencies differ.

    Attributes:
        times: the canary's latency over the baseline's.
        shared: factor on both during the second third of the time.
        slow: share of the canary's requests that take two seconds.
        rps: of both arms together.
    """

    times: float
    shared: float = 1.0
    slow: float = 0.0
    rps: float = 200.0
    bounds: tuple[float, ...] = BOUNDS


def histograms(rng: Generator, shift: Shift, looks: int, look_seconds: float) -> CheckSamples:
    """Both arms' buckets at each look, and an hour of the baseline in blocks of 30 s."""
    factor = np.ones(looks)
    factor[looks // 3 : 2 * looks // 3] = shift.shared
    seconds = shift.rps * look_seconds
    canary = _arm(rng, shift, ["canary"], seconds * WEIGHT, factor * shift.times, shift.slow, fresh=True)
    pods = ["stable-1", "stable-2"]
    baseline = _arm(rng, shift, pods, seconds * (1 - WEIGHT), factor, 0.0)
    history = _arm(rng, shift, pods, shift.rps * 30 * (1 - WEIGHT), np.ones(120), 0.0)
    return CheckSamples(canary, baseline, history)


def _arm(
    rng: Generator, shift: Shift, pods: list[str], requests: float, factor: Floats, slow: float, *, fresh: bool = False
) -> Samples:
    series = [one for pod in pods for one in _pod(rng, shift, pod, requests / len(pods), factor, slow, fresh=fresh)]
    return Samples({BUCKET: tuple(series)}, len(factor) + 1, ("instance",))


def _pod(
    rng: Generator, shift: Shift, pod: str, requests: float, factor: Floats, slow: float, *, fresh: bool
) -> Iterator[Series]:
    counts = rng.poisson(requests, len(factor))
    buckets = np.zeros((len(factor), len(shift.bounds) + 1))
    for look, count in enumerate(counts):
        latency = MEDIAN * factor[look] * np.exp(SIGMA * rng.standard_normal(count))
        latency[rng.random(count) < slow] = 2.0
        np.add.at(buckets[look], np.searchsorted(shift.bounds, latency, side="left"), 1)
    total = buckets.cumsum(axis=1).cumsum(axis=0)
    start = np.full((1, total.shape[1]), np.nan if fresh else 0.0)
    values = np.concatenate([start, total])
    for index, bound in enumerate((*shift.bounds, np.inf)):
        yield Series({"instance": pod, "le": str(bound)}, values[:, index])
