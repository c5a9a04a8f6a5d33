"""Raw series become counters on the grid."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloctl.canary.analysis.counts import arm_counts
from sloctl.canary.analysis.question import BUCKET, tail_events
from sloctl.canary.analysis.samples import ArmSamples
from sloctl.canary.source.counters import PROBE, counters, native_counters, native_edges, slo_roles
from sloctl.prometheus import Histogram, Series
from testing.canaries import LATENCY, slo


def test_native_histograms_are_read_by_their_buckets() -> None:
    scraped = (
        Histogram(10.0, 3, ((0.5, 1.0, 2), (1.0, 2.0, 1))),
        Histogram(20.0, 9, ((0.5, 1.0, 2), (1.0, 2.0, 1), (2.0, 4.0, 6))),
    )
    raw = Series({"job": "pay"}, (), (), scraped)
    found = native_counters(raw, native_edges([raw]))
    assert {counter.times for counter in found} == {(10.0, 20.0)}
    assert [(float(counter.labels["le"]), counter.values) for counter in found] == [
        (0.5, [0, 0]),
        (1.0, [2, 2]),
        (2.0, [3, 3]),
        (4.0, [3, 9]),
        (math.inf, [3, 9]),
    ]


def test_each_sample_of_a_probe_is_an_event_that_is_bad_by_what_it_lacks_of_one() -> None:
    probed = Series({"job": "probe"}, (0.0, 10.0, 20.0, 30.0), (1.0, 0.25, 1.0, 0.0))
    found = counters({PROBE: [probed]}, np.array([0.0, 10.0, 20.0, 30.0]))
    assert {role: series.values.tolist() for role, (series,) in found.items()} == {
        "total": [1, 2, 3, 4],
        "bad": [0, 0.75, 0.75, 1.75],
    }


def shown(pod: str, observed: list[list[float]], schema: int = 3) -> Series:
    """What a pod shows of the latencies that it has observed between one scrape and the next: its filled buckets."""
    base = 2 ** (2.0**-schema)
    samples = []
    for number in range(len(observed)):
        so_far = [math.ceil(math.log(value, base)) for each in observed[: number + 1] for value in each]
        buckets = [(base ** (index - 1), base**index, so_far.count(index)) for index in sorted(set(so_far))]
        samples.append(Histogram(10.0 * number, len(so_far), tuple(buckets)))
    return Series({"instance": pod}, (), (), tuple(samples))


LATENCIES = st.lists(st.lists(st.floats(0.001, 100), max_size=4), min_size=3, max_size=3)


@pytest.mark.property
@given(st.lists(LATENCIES, min_size=1, max_size=5), st.floats(0.001, 100))
@settings(max_examples=300)
def test_pods_together_show_what_one_pod_with_all_observations_shows(pods: list[list[list[float]]], at: float) -> None:
    together = [[value for pod in pods for value in pod[scrape]] for scrape in range(3)]
    grid = np.array([0.0, 10.0, 20.0])

    def slow(series: list[Series]) -> tuple[list[float], list[float]]:
        arm = ArmSamples(counters({BUCKET: series}, grid), len(grid), ("instance",))
        total, fast = tail_events(arm_counts(arm, ()), BUCKET, at, None)
        return total.low.tolist(), fast.low.tolist()

    total, fast = slow([shown("one", together)])
    assert slow([shown(f"pod-{number}", pod) for number, pod in enumerate(pods)]) == (total, pytest.approx(fast))


def test_a_pod_with_coarser_buckets_is_counted_at_its_own_bounds() -> None:
    fine, coarse = shown("fine", [[], [1.1, 1.3, 3.0]], schema=2), shown("coarse", [[], [1.1, 1.3, 3.0]], schema=0)
    edges = native_edges([fine, coarse])
    assert edges.tolist() == pytest.approx([1, 2, 4])
    assert [counter.values for counter in native_counters(coarse, edges)] == [[0, 0], [0, 2], [0, 3], [0, 3]]
    assert [counter.values for counter in native_counters(fine, edges)] == [[0, 0], [0, 2], [0, 3], [0, 3]]


@pytest.mark.parametrize(
    ("bound", "shown"),
    [("0.2", ["0.2"]), ("1", ["1", "1.0"]), ("1000000", ["1000000", "1e+06", "1000000.0"]), ("0.00001", ["1e-05"])],
)
def test_a_bound_is_asked_for_in_every_form_that_it_has_as_a_label(bound: str, shown: list[str]) -> None:
    [selector] = slo_roles(slo(replace(LATENCY, at_most=Decimal(bound))))[BUCKET]
    pattern = next(matcher.value for matcher in selector.matchers if matcher.label == "le")
    assert all(re.fullmatch(pattern, form) for form in [*shown, "+Inf"])
    assert not re.fullmatch(pattern, "0x2")
