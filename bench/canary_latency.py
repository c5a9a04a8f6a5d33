"""Simulated latencies of two versions in histogram buckets, and how often quantile rules are wrong on them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bench.rows import Row
from sloctl.canary.analysis.analyse import counted
from sloctl.canary.analysis.quantiles import compared, histogram
from sloctl.canary.analysis.question import BUCKET, Question, clock_at
from sloctl.canary.analysis.samples import ArmSamples, CheckSamples, CounterSeries
from sloctl.canary.analysis.statistics import Floats
from sloctl.model.canary import Needs, SloCheck, WhenShared
from testing.canaries import LATENCY, PLACE, canary, slo

BOUNDS = tuple(sorted({0.5, *(0.01 * 1.1**power for power in range(60))}))
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
) -> ArmSamples:
    series = [each for pod in pods for each in _pod(rng, shift, pod, requests / len(pods), factor, slow, fresh=fresh)]
    return ArmSamples({BUCKET: tuple(series)}, len(factor) + 1, ("instance",))


def _pod(
    rng: Generator, shift: Shift, pod: str, requests: float, factor: Floats, slow: float, *, fresh: bool
) -> Iterator[CounterSeries]:
    edges = np.array([*shift.bounds, np.inf])
    factors, which = np.unique(factor, return_inverse=True)
    shares = (np.diff(_below(edges / factors[:, None]), axis=1, prepend=0.0) * (1 - slow))[which]
    shares[:, np.searchsorted(edges, 2.0)] += slow
    buckets = rng.multinomial(rng.poisson(requests, len(factor)), shares).astype(float)
    total = buckets.cumsum(axis=1).cumsum(axis=0)
    start = np.full((1, total.shape[1]), np.nan if fresh else 0.0)
    values = np.concatenate([start, total])
    for index, bound in enumerate((*shift.bounds, np.inf)):
        yield CounterSeries({"instance": pod, "le": str(bound)}, values[:, index])


def _below(latency: Floats) -> Floats:
    """The share of requests that are answered within a latency."""
    with np.errstate(divide="ignore"):
        normal = np.log(latency / MEDIAN) / SIGMA
    shares: Floats = np.vectorize(lambda z: (1 + math.erf(z / math.sqrt(2))) / 2)(normal)
    return shares


RUNS = 200
LOOKS, LOOK_SECONDS = 300, 2.0
SPEC = canary(
    SloCheck("latency", "availability", (), None, Decimal("0.30"), Decimal("0.99"), Needs.ANY, WhenShared.HOLD, PLACE)
)


def rows() -> Iterator[Row]:
    """Unchanged, slower and incident canaries at 200 requests a second, 5 % of them the canary's."""
    unchanged, _ = rolled_back(Shift(1.0), 0)
    yield Row("p99 + 30%, unchanged: rolled back, %", unchanged, at_most=1)
    incident, _ = rolled_back(Shift(1.0, shared=3.0), 1)
    yield Row("p99 + 30%, unchanged, all three times as slow for 200 s: rolled back, %", incident, at_most=1)
    coarse, _ = rolled_back(Shift(1.0, bounds=COARSE), 2)
    yield Row("p99 + 30%, unchanged, coarse buckets: rolled back, %", coarse, at_most=1)
    within, _ = rolled_back(Shift(1.25), 3)
    yield Row("p99 + 30%, 25% slower: rolled back, %", within, at_most=1)
    found, seconds = rolled_back(Shift(1.6), 4)
    yield Row("p99 + 30%, 60% slower: found, %", found, at_least=99)
    yield Row("p99 + 30%, 60% slower: median seconds", seconds, at_most=30)


def rolled_back(shift: Shift, seed: int) -> tuple[float, float]:
    """Percent of runs that were rolled back, and median seconds until then."""
    rng = np.random.default_rng(seed)
    broken = np.stack([_broken(histograms(rng, shift, LOOKS, LOOK_SECONDS)) for _ in range(RUNS)])
    found = broken.any(axis=1)
    seconds = np.where(found, broken.argmax(axis=1) * LOOK_SECONDS, np.inf)
    return 100 * float(found.mean()), float(np.median(seconds))


def _broken(samples: CheckSamples) -> NDArray[np.bool_]:
    """At which looks the canary is rolled back, by the code that `sloctl canary` runs."""
    check, clock = SPEC.checks[0], clock_at(SPEC, 0.0, LOOKS * LOOK_SECONDS, LOOK_SECONDS, 0, 0.0)
    assert isinstance(check, SloCheck)
    question = Question(SPEC, {"availability": slo(LATENCY)}, clock)
    counts = counted({check.name: samples}, SPEC)[check.name]
    judged, _ = compared(check, question.slos[check.slo], histogram(counts), question)
    return judged.lenient.rolls_back
