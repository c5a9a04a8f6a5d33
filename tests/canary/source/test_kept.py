"""Counters that grow from look to look are those that are read at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloctl.canary.analysis.samples import ArmSamples, CounterSeries
from sloctl.canary.source import history
from sloctl.canary.source.kept import AGAIN, WHOLE_SECONDS, KeptReleases
from sloctl.prometheus import Series

STEP = 10.0
START = 1000.0
scrapes = st.lists(st.one_of(st.none(), st.integers(0, 50)), min_size=30, max_size=30)


class Source:
    """Counters of some targets, as a Prometheus has them; it remembers what it was asked for."""

    def __init__(self, rows: list[list[int | None]]) -> None:
        self.rows, self.asked = rows, list[float]()

    def series(self, after: float, until: float) -> list[Series]:
        found = []
        for target, row in enumerate(self.rows):
            points = [
                (START - 20 + STEP * i + target, float(value)) for i, value in enumerate(row) if value is not None
            ]
            if kept := [(time, value) for time, value in points if after < time <= until]:
                times, values = zip(*kept, strict=True)
                found.append(Series({"instance": f"pod-{target}"}, times, values))
        return found

    def look(self, kept: KeptReleases, end: float) -> dict[str, list[float]]:
        def ask(seconds: float) -> list[Series]:
            self.asked.append(seconds)
            return self.series(end - seconds, end)

        grid = np.arange(START, end + 1, STEP)
        found = kept.look("release", grid, ask, 100.0, ("instance",)).series("all", lambda _: True)
        assert found is not None
        return {each.labels["instance"]: each.values.tolist() for each in found if not np.isnan(each.values).all()}


@pytest.mark.property
@given(st.lists(scrapes, min_size=1, max_size=4), st.lists(st.integers(1, 6), min_size=1, max_size=8))
@settings(max_examples=200)
def test_growing_look_by_look_is_reading_at_once(rows: list[list[int | None]], looks: list[int]) -> None:
    """With targets that appear, miss scrapes, restart and go, whatever the distance of looks."""
    source, kept, point = Source(rows), KeptReleases(), 1
    for more in looks:
        point += more
        end = START + STEP * point
        grown, whole = source.look(kept, end), source.look(KeptReleases(), end)
        assert grown.keys() == whole.keys()
        for name, values in whole.items():
            assert np.array_equal(grown[name], values, equal_nan=True)


def test_only_the_newest_intervals_are_asked_for_again() -> None:
    source, kept = Source([list(range(40))]), KeptReleases()
    for point in (20, 21, 23):
        source.look(kept, START + STEP * point)
    assert source.asked == [STEP * 20 + 100, STEP * (AGAIN + 1), STEP * (AGAIN + 2)]


def test_a_sample_that_came_late_is_read_with_the_next_look_or_the_next_whole_one() -> None:
    rows: list[list[int | None]] = [[*range(80)]]
    late, kept = Source([[*rows[0][:20], None, None, *rows[0][22:]]]), KeptReleases()
    late.rows[0][8] = None
    assert np.isnan(late.look(kept, START + STEP * 19)["pod-0"]).sum() == 3
    late.rows = rows
    assert np.isnan(late.look(kept, START + STEP * 20)["pod-0"]).sum() == 1, "the earlier one"
    assert not np.isnan(late.look(kept, START + STEP * 19 + WHOLE_SECONDS)["pod-0"]).any()


def test_what_was_used_last_is_kept() -> None:
    kept, source = KeptReleases(most=2), Source([list(range(40))])
    for release in ("one", "two", "one", "three"):
        kept.look(release, np.arange(START, START + 101, STEP), lambda s: source.series(0, START + s), 100.0, ())
    assert [release for release in ("one", "two", "three") if kept.get(release) is not None] == ["one", "three"]


def test_a_sample_that_is_no_number_counts_until_it_is_corrected() -> None:
    source, kept = Source([[*range(20), -1, *range(21, 60)]]), KeptReleases()

    def invalid(point: int) -> bool:
        end = START + STEP * point
        grid = np.arange(START, end + 1, STEP)
        found = kept.look("release", grid, lambda s: source.series(end - s, end), 100.0, ()).series("", lambda _: True)
        assert found is not None
        return found[0].invalid

    assert [invalid(17), invalid(18), invalid(19), invalid(30)] == [False, True, True, True]
    kept, source.rows[0][20] = KeptReleases(), 20
    source.rows[0][24] = -1
    assert [invalid(22), invalid(23)] == [True, True]
    source.rows[0][24] = 24
    assert not invalid(24)


def test_nothing_new_at_all_is_doubted() -> None:
    source, kept = Source([list(range(60))]), KeptReleases()
    assert source.look(kept, START + STEP * 20)
    source.rows = [[]]
    assert not source.look(kept, START + STEP * 21)


def test_a_series_is_the_same_in_whatever_order_its_labels_are_told() -> None:
    kept, grid = KeptReleases(), np.arange(START, START + 101, STEP)
    times = tuple((START + STEP * np.arange(-2, 12)).tolist())

    def rows(labels: dict[str, str], points: int) -> int:
        found = kept.look("one", grid[:points], lambda _: [Series(labels, times, tuple(times))], 100.0, ())
        return len(found.labels)

    assert rows({"a": "1", "b": "2"}, 9) == rows({"b": "2", "a": "1"}, 11) == 1
    assert rows({"a": "1", "b": "3"}, 11) == 2


def test_histories_are_kept_as_long_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_SERIES", 5)
    cache, asked = history.HistoryCache(), list[str]()
    for name, count in (("small", 2), ("other", 2), ("small", 2), ("large", 3), ("small", 2), ("other", 2)):

        def find(name: str = name, count: int = count) -> ArmSamples:
            asked.append(name)
            series = (CounterSeries({"instance": name}, np.zeros(3)),) * count
            return ArmSamples({"total": series}, 3, ("instance",))

        assert len(cache.once(name, find, settled=True).series["total"]) == count
    assert asked == ["small", "other", "large", "other"]


def test_it_is_soon_known_how_often_a_new_target_is_scraped() -> None:
    """One that comes with three times the distance of the others, as a canary's pod may."""
    seldom = [value if value % 3 == 0 else None for value in range(60)]
    source, kept = Source([list(range(60)), [None] * 2 + seldom]), KeptReleases()
    known = []
    for point in range(2, 50, 2):
        source.look(kept, START + STEP * point)
        found = kept.get("release")
        assert found is not None
        known.append((point, found.distance))
    first = min(point for point, distance in known if distance == 3 * STEP)
    assert first <= 2 * 12
