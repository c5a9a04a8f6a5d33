"""Which counters are one, scraped by several servers, and which are several."""

from __future__ import annotations

import numpy as np
import pytest

from sloctl.canary.source.copies import copy_that_counts
from sloctl.canary.source.kept import KeptReleases
from sloctl.prometheus import Histogram, Series

TARGET = ("job", "instance")
POD = {"job": "pay", "instance": "pay-1"}


def scraped(phase: float, each: float = 100.0, count: int = 6, first: int = 0, **labels: str) -> Series:
    """A counter that grows evenly, scraped every ten seconds."""
    times = tuple(phase + 10.0 * (first + index) for index in range(count))
    return Series({**POD, **labels}, times, tuple(each * time / 10 for time in times))


def test_of_two_servers_the_one_with_most_samples_counts() -> None:
    pair = [scraped(0, count=5, replica="a", code="200"), scraped(4, count=6, replica="b", code="200")]
    found = copy_that_counts(pair, TARGET)
    assert found is not None
    assert (found.label, found.value) == ("replica", "b")


def test_a_server_that_has_gone_does_not_count() -> None:
    pair = [scraped(0, count=20, replica="a"), scraped(4, count=15, first=14, replica="b")]
    found = copy_that_counts(pair, TARGET)
    assert found is not None
    assert found.value == "b"


def test_a_restart_of_the_process_is_no_sign_against_copies() -> None:
    one, other = scraped(0, replica="a"), scraped(4, replica="b")
    anew = [each._replace(values=(*each.values[:3], 5.0, 105.0, 205.0)) for each in (one, other)]
    anew[1] = anew[1]._replace(values=(*anew[1].values[:3], 45.0, 145.0, 245.0))
    assert copy_that_counts(anew, TARGET) is not None


def test_copies_of_native_histograms_are_told_as_well() -> None:
    def histogram(phase: float, replica: str) -> Series:
        samples = [Histogram(phase + 10 * i, 100.0 * i + 10 * phase, ()) for i in range(6)]
        return Series({**POD, "replica": replica}, (), (), tuple(samples))

    assert copy_that_counts([histogram(0, "a"), histogram(4, "b")], TARGET) is not None


@pytest.mark.parametrize(
    "series",
    [
        [scraped(0, code="200"), scraped(0, code="500", each=1)],
        [scraped(0, way="in"), scraped(0, way="out")],
        [scraped(0, shard="a"), scraped(4, each=70, shard="b")],
        [scraped(0, shard="a"), scraped(4, each=0, shard="b")],
        [scraped(0, shard="a"), scraped(4, first=20, shard="b")],
        [scraped(0, shard="a", each=0), scraped(4, shard="b", each=0)],
        [scraped(0, shard="a"), scraped(4, each=100, shard="b", more="x")],
    ],
    ids=["one server", "alike at once", "faster", "still", "one after the other", "nothing happens", "other labels"],
)
def test_counters_that_are_several_all_count(series: list[Series]) -> None:
    assert copy_that_counts(series, TARGET) is None


def test_a_second_server_that_begins_between_looks_adds_nothing() -> None:
    """Its counters are not newly born, although they are seen for the first time."""
    kept = KeptReleases()
    for points in range(6, 16):
        grid, end = np.arange(0.0, 10.0 * points, 10.0), 10.0 * (points - 1)

        def ask(seconds: float, end: float = end) -> list[Series]:
            rows = [scraped(0, count=40, replica="a"), scraped(4, count=20, first=8, replica="b")]
            kept_of = [(raw, [i for i, time in enumerate(raw.times) if end - seconds < time <= end]) for raw in rows]
            return [
                raw._replace(times=tuple(raw.times[i] for i in here), values=tuple(raw.values[i] for i in here))
                for raw, here in kept_of
                if here
            ]

        found = kept.look("one", grid, ask, 100.0, TARGET).series("", lambda _: True)
        assert found is not None
        assert [each.labels["replica"] for each in found] == ["a"]
