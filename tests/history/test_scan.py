"""The part that carries a burn is found, and what has nothing to do with it never changes the answer."""

from __future__ import annotations

import numpy as np
import pytest

from bench.why import CAUSES, World, both_are_named, first_is_right, named_where_all_are_hit
from sloctl.history.scan import Traffic, causes, outcome_labels, scanned


@pytest.mark.parametrize("labels", CAUSES, ids=" and ".join)
def test_the_first_answer_is_the_cause(labels: tuple[str, ...]) -> None:
    assert first_is_right(labels, 20_000, worlds=10) == 1


def test_where_everything_is_hit_alike_no_part_is_named() -> None:
    assert named_where_all_are_hit(20_000, worlds=10) == 0


def test_two_causes_are_both_named() -> None:
    assert both_are_named(20_000, worlds=10) == 1


SERIES = [
    ({"route": route, "pod": pod, "zone": zone}, (bad, 1000.0, 1.0, 6000.0))
    for route, bad in (("/pay", 300.0), ("/cart", 1.0), ("/list", 1.0))
    for pod, zone in (("a", "x"), ("b", "y"), ("c", "x"))
]


def test_a_part_says_its_shares_and_what_else_it_is() -> None:
    rows = [({**row, "page": row["route"].strip("/")}, counts) for row, counts in SERIES]
    [part] = causes(Traffic.of(*zip(*rows, strict=True)))
    assert (dict(part.labels), [dict(other) for other in part.also]) in (
        ({"route": "/pay"}, [{"page": "pay"}]),
        ({"page": "pay"}, [{"route": "/pay"}]),
    )
    assert part.of_excess == pytest.approx(1, abs=0.02)
    assert part.of_traffic == pytest.approx(1 / 3)
    assert (part.bad, part.total) == (900, 3000)


def test_labels_with_one_value_tell_nothing() -> None:
    traffic = Traffic.of(*zip(*(({**row, "job": "api"}, counts) for row, counts in SERIES), strict=True))
    assert traffic.labels == ("pod", "route", "zone")


@pytest.mark.parametrize("seed", range(20))
def test_renaming_or_splitting_a_calm_label_does_not_change_the_first_answer(seed: int) -> None:
    world = World(seed, 20_000)
    cause, ratio = world.hit(("route",))
    plain = world.traffic(ratio)
    [first, *_] = causes(plain)
    # the label `method` gets ten values where it had one, and other names
    draw = np.random.default_rng(seed)
    codes = plain.codes.copy()
    codes[:, 0] = codes[:, 0] * 10 + draw.integers(0, 10, len(codes))
    values = (tuple(f"other-{value}" for value in range(int(codes[:, 0].max()) + 1)), *plain.values[1:])
    split = Traffic(
        ("zzz", *plain.labels[1:]), values, codes, plain.bad, plain.total, plain.bad_before, plain.total_before
    )
    [again, *_] = causes(split)
    assert (again.bad, again.total) == (first.bad, first.total)
    assert dict(again.labels) == {"route": str(cause["route"])}


def test_without_errors_or_series_there_is_nothing_to_name() -> None:
    assert causes(Traffic.of([], [])) == []
    assert scanned(Traffic.of([{"a": "1"}, {"a": "2"}], [(0, 10, 0, 10), (0, 10, 0, 10)])) == []


def test_a_value_that_is_new_carries_its_burn() -> None:
    rows = [({"version": "v1"}, (1.0, 1000.0, 6.0, 6000.0)), ({"version": "v2"}, (50.0, 1000.0, 0.0, 0.0))]
    [part] = causes(Traffic.of(*zip(*rows, strict=True)))
    assert dict(part.labels) == {"version": "v2"}


def test_a_label_that_says_how_an_event_ended_is_no_cause() -> None:
    rows = [
        ({"route": "/pay", "exception": "None"}, (0.0, 700.0, 0.0, 6000.0)),
        ({"route": "/pay", "exception": "Timeout", "error_type": "500"}, (300.0, 300.0, 1.0, 1.0)),
        ({"route": "/cart", "exception": "None"}, (0.0, 1000.0, 0.0, 6000.0)),
    ]
    assert outcome_labels(*zip(*rows, strict=True)) == {"exception", "error_type"}


def test_a_version_that_fails_every_request_is_a_cause() -> None:
    rows = [
        ({"version": "v1", "pod": "a"}, (0.0, 1000.0, 0.0, 6000.0)),
        ({"version": "v2", "pod": "b"}, (500.0, 500.0, 0.0, 0.0)),
    ]
    assert outcome_labels(*zip(*rows, strict=True)) == frozenset()
