"""Raw series become counters on the grid."""

from __future__ import annotations

import math

import numpy as np

from sloctl.canary.source.counters import PROBE, counters, native_counters
from sloctl.prometheus import Histogram, Series


def test_native_histograms_are_read_by_their_buckets() -> None:
    scraped = (
        Histogram(10.0, 3, ((0.5, 1.0, 2), (1.0, 2.0, 1))),
        Histogram(20.0, 9, ((0.5, 1.0, 2), (1.0, 2.0, 1), (2.0, 4.0, 6))),
    )
    found = native_counters(Series({"job": "pay"}, (), (), scraped))
    assert {counter.times for counter in found} == {(10.0, 20.0)}
    assert [(float(counter.labels["le"]), counter.values) for counter in found] == [
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
