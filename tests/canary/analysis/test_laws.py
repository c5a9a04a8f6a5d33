"""Laws that hold for any samples: what is missing makes no verdict, order is nothing, arms mirror each other."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloctl.canary.analysis.samples import GRACE, ArmSamples, CheckSamples, all_counted, all_on_grid, counted, on_grid
from sloctl.canary.analysis.statistics import OVER, WORSE, absolute_evidence, mixed, relative_evidence
from sloctl.canary.analysis.verdict import Decision, Verdict
from sloctl.model.quantities import Duration
from testing.canaries import CANARY_POD, STABLE_PODS, canary, counter, judged, samples, without, without_scrapes

pytestmark = pytest.mark.property

LOOKS = 24
SPEC = canary(hold=Duration.of(seconds=LOOKS * 10))
PODS = [CANARY_POD, {"instance": "canary-2:80"}]


@st.composite
def worlds(draw: st.DrawFn) -> CheckSamples:
    """Canaries from healthy to bad, steady or with a burst, such that every verdict occurs."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    rate = draw(st.sampled_from([0.0, 0.001, 0.003, 0.006, 0.01, 0.03]))
    requests = draw(st.sampled_from([20, 200, 2000]))
    burst = draw(st.sampled_from([0, 0, 3, 10, 30]))
    at = draw(st.integers(0, LOOKS - 1))

    def one(pods: list[dict[str, str]], requests: int, rate: float, base: float | None, burst: int = 0) -> ArmSamples:
        total, bad = [], []
        for pod in pods:
            n = rng.poisson(requests / len(pods), LOOKS)
            x = rng.binomial(n, rate)
            x[at] = min(n[at], x[at] + burst)
            total.append(counter(pod, n, base=base))
            bad.append(counter(pod, x, base=base))
        return ArmSamples({"total": tuple(total), "bad": tuple(bad)}, LOOKS + 1, ("instance",))

    return CheckSamples(one(PODS, requests, rate, None, burst), one(STABLE_PODS, 19 * requests, 0.001, 100.0))


@given(worlds(), st.data())
@settings(max_examples=400)
def test_missing_samples_of_the_canary_make_no_verdict(found: CheckSamples, data: st.DataObject) -> None:
    """Any samples of any series but the one with which a process begins, and the last one of each target too."""
    spoiled = found.canary
    for role in spoiled.series:
        for index in range(len(PODS)):
            points = data.draw(st.sets(st.integers(2, LOOKS), max_size=6))
            spoiled = without(spoiled, role, index, sorted(points))
    check_no_better(judged(found, SPEC), judged(replace(found, canary=spoiled), SPEC))


@given(worlds(), st.data())
@settings(max_examples=400)
def test_missing_samples_of_the_baseline_make_no_verdict(found: CheckSamples, data: st.DataObject) -> None:
    """Up to the scrapes after which a process of the stable version counts as gone."""
    spoiled = found.baseline
    for role in spoiled.series:
        for index in range(len(STABLE_PODS)):
            points = data.draw(st.sets(st.integers(1, LOOKS - GRACE), max_size=4))
            spoiled = without(spoiled, role, index, sorted(points))
    if late := data.draw(st.integers(0, GRACE)):
        spoiled = without_scrapes(spoiled, data.draw(st.integers(0, 3)), range(LOOKS + 1 - late, LOOKS + 1))
    check_no_better(judged(found, SPEC), judged(replace(found, baseline=spoiled), SPEC))


def check_no_better(whole: Verdict, spoiled: Verdict) -> None:
    if spoiled.decision is Decision.PROMOTE:
        assert whole.decision is Decision.PROMOTE
    if spoiled.decision is Decision.ROLLBACK:
        assert whole.decision is Decision.ROLLBACK


@given(worlds())
@settings(max_examples=100)
def test_no_canary_and_no_baseline_never_decide(found: CheckSamples) -> None:
    nothing = ArmSamples({}, LOOKS + 1, ("instance",))
    assert judged(replace(found, canary=nothing), SPEC).decision is Decision.CONTINUE
    assert judged(replace(found, baseline=nothing), SPEC).decision is not Decision.PROMOTE


@given(worlds(), st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_the_order_of_series_changes_nothing(found: CheckSamples, random: st.DataObject) -> None:
    def shuffled(arm: ArmSamples) -> ArmSamples:
        return replace(arm, series={role: tuple(random.sample(series, len(series)))
                                    for role, series in reversed(arm.series.items())})  # fmt: skip

    assert judged(CheckSamples(shuffled(found.canary), shuffled(found.baseline)), SPEC) == judged(found, SPEC)


moments = st.lists(st.tuples(st.floats(0, 300), st.floats(0, 1e6)), min_size=1, max_size=40)


@given(moments, st.randoms(use_true_random=False))
def test_the_order_of_samples_changes_nothing(drawn: list[tuple[float, float]], random: st.DataObject) -> None:
    grid = np.arange(0.0, 310.0, 10.0)
    shuffled = random.sample(drawn, len(drawn))
    one, other = (on_grid([t for t, _ in some], [v for _, v in some], grid) for some in (drawn, shuffled))
    assert np.array_equal(one[0], other[0], equal_nan=True)


@given(
    st.lists(st.tuples(st.booleans(), st.lists(moments, min_size=1, max_size=3)), min_size=1, max_size=3),
    st.sampled_from([0.0, math.nan, math.inf]),
)
def test_counters_placed_at_once_are_as_those_placed_alone(
    drawn: list[tuple[bool, list[list[tuple[float, float]]]]], spoiled: float
) -> None:
    """Of targets whose series share their scrapes, in order or not, and with a value that is none."""
    grid = np.arange(0.0, 310.0, 10.0)
    scraped = []
    for ordered, each in drawn:
        times = tuple(dict.fromkeys(t for t, _ in each[0]))
        times = tuple(sorted(times)) if ordered else times
        scraped += [(times, [dict(item).get(t, index + spoiled) for t in times]) for index, item in enumerate(each)]
    alone = [on_grid(times, values, grid) for times, values in scraped]
    for each, other in zip(all_on_grid(scraped, grid), alone, strict=True):
        assert np.array_equal(each[0], other[0], equal_nan=True)
        assert each[1] == other[1]


holes = st.lists(st.one_of(st.just(math.nan), st.integers(-1, 50).map(float)), min_size=12, max_size=12)


seen_at = st.lists(st.booleans(), min_size=12, max_size=12)


@given(st.lists(st.tuples(holes, seen_at, st.integers(0, 12)), min_size=1, max_size=4))
def test_counters_counted_at_once_are_as_those_counted_alone(
    drawn: list[tuple[list[float], list[bool], int]],
) -> None:
    """With gaps anywhere, born at any time, and falling, of targets that were seen at other times as well."""
    rows = [np.array([math.nan] * born + values[born:]) for values, _, born in drawn]
    seen = [~np.isnan(row) | np.array(here) for row, (_, here, _) in zip(rows, drawn, strict=True)]
    alone = [counted(row, here) for row, here in zip(rows, seen, strict=True)]
    low, high = all_counted(np.stack(rows), np.stack(seen))
    for index, other in enumerate(alone):
        assert np.array_equal(low[index], other.low)
        assert np.array_equal(high[index], other.high)


counts = st.lists(st.tuples(*[st.integers(0, 1000)] * 2, *[st.integers(0, 10**6)] * 2), min_size=1, max_size=30)


@given(counts, st.sampled_from(WORSE))
def test_swapping_the_arms_mirrors_the_evidence(drawn: list[tuple[int, ...]], ratio: float) -> None:
    """Evidence that the canary is t times as bad is evidence that the baseline is 1/t times as bad."""
    x_c, x_b, n_c, n_b = (np.array(column, dtype=float) + 0.0 for column in zip(*drawn, strict=True))
    n_c, n_b = n_c + 1, n_b + 1
    forward = relative_evidence(x_c, n_c, x_b, n_b, ratios=(ratio,))
    mirrored = relative_evidence(x_b, n_b, x_c, n_c, ratios=(1 / ratio,))
    assert np.allclose(forward.cumsum(), mirrored.cumsum(), rtol=1e-9, atol=1e-6)


@given(counts, st.integers(0, 29), st.integers(1, 100))
def test_more_errors_of_the_canary_are_never_less_evidence(drawn: list[tuple[int, ...]], at: int, more: int) -> None:
    x_c, x_b, n_c, n_b = (np.array(column, dtype=float) for column in zip(*drawn, strict=True))
    worse = x_c.copy()
    worse[at % len(worse)] += more
    assert mixed(relative_evidence(worse, n_c, x_b, n_b))[-1] >= mixed(relative_evidence(x_c, n_c, x_b, n_b))[-1] - 1e-6
    n_c = np.maximum(n_c, worse)
    before, after = (mixed(absolute_evidence(x, n_c, 0.005, OVER))[-1] for x in (x_c, worse))
    assert after >= before - 1e-6


@pytest.mark.parametrize("spoil", [lambda values: values * np.nan, lambda values: values[::-1]])
def test_a_spoiled_series_never_promotes(spoil: Callable[[np.ndarray], np.ndarray]) -> None:
    found = samples()
    for role in ("total", "bad"):
        series = found.canary.series[role][0]
        values = series.values.copy()
        values[30:] = spoil(values[30:])
        odd = replace(found.canary, series={**found.canary.series, role: (replace(series, values=values),)})
        assert judged(replace(found, canary=odd)).decision is not Decision.PROMOTE
