"""Which part of the traffic carries a burn: a scan statistic over label values and pairs of them.

Inside a region (such as `route="/pay", version="v2"`) there are `a` of all `A` bad events where `e` were to be expected
from the traffic now and the error ratios before. Kulldorff's statistic ("A spatial scan statistic", 1997)

    a ln(a / e) + (A - a) ln((A - a) / (A - e))    where a > e

is largest for the region that is neither too small, so that it misses errors, nor too large, so that it dilutes
them. From it goes what it costs to look at so many regions: the logarithm of their number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sloctl.history.tiles import Floats

Codes: TypeAlias = NDArray[np.int64]
Row: TypeAlias = Mapping[str, str]

PRIOR_EVENTS: Final = 200.0
"""The ratio of a series before is drawn to the overall one as if so many events more had been seen at that."""
STANDS_OUT: Final = 0.2
"""A part is named where its share of the excess is so much above its share of the traffic."""
_BETTER: Final = 0.97
"""A pair must beat each of its halves: their score is below this part of its own."""
_KEPT: Final = 20
_ENDED_WELL: Final = re.compile(
    r"|-|n/?a|none|null|no_?error|ok|success|succeeded|unset|false|0|[1-5]xx|[1-5][0-9][0-9]|client_error|redirection",
    re.IGNORECASE,
)
_MIXED: Final = 0.02
"""Counts are extrapolated, so a value has both kinds of events only where each is more than this part."""
_TINY: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Traffic:
    """Events of the series of an SLO, during a burn and before it.

    Attributes:
        labels: the labels that series are told apart by.
        values: the values of each label.
        codes: for each series the index of its value of each label.
        bad: bad events during the burn, a series each.
        total: all events during the burn.
        bad_before: bad events before.
        total_before: all events before.
    """

    labels: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    codes: Codes
    bad: Floats
    total: Floats
    bad_before: Floats
    total_before: Floats

    @classmethod
    def of(cls, rows: Sequence[Row], counts: Sequence[tuple[float, float, float, float]]) -> Traffic:
        """From the labels of each series and its bad and all events during and before the burn.

        Labels that have one value only tell nothing and are left out.
        """
        names = sorted({name for row in rows for name in row})
        columns = {name: [row.get(name, "") for row in rows] for name in names}
        known = {name: tuple(sorted(set(column))) for name, column in columns.items()}
        labels = tuple(name for name in names if len(known[name]) > 1)
        places = {name: {value: place for place, value in enumerate(known[name])} for name in labels}
        codes = np.array([[places[name][value] for value in columns[name]] for name in labels], np.int64)
        numbers = np.array(counts, np.float64).reshape(len(rows), 4).T
        return cls(labels, tuple(known[name] for name in labels), codes.reshape(len(labels), len(rows)).T, *numbers)

    def part(self, kept: NDArray[np.bool_]) -> Traffic:
        """Some of the series."""
        numbers = (self.bad, self.total, self.bad_before, self.total_before)
        return Traffic(self.labels, self.values, self.codes[kept], *(each[kept] for each in numbers))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the traffic that carries more of the bad events than was to be expected.

    Attributes:
        labels: the label values that make it.
        also: other label values that hold the very same events.
        score: the statistic.
        of_excess: its share of the bad events beyond what was to be expected.
        of_traffic: its share of all events.
        bad: its bad events.
        total: its events.
    """

    labels: Row
    also: tuple[Row, ...]
    score: float
    of_excess: float
    of_traffic: float
    bad: float
    total: float

    @property
    def stands_out(self) -> bool:
        """Whether it is worth naming: it holds clearly more of the excess than of the traffic."""
        return self.of_excess - self.of_traffic >= STANDS_OUT


def causes(traffic: Traffic, *, depth: int = 2, most: int = 3) -> list[Part]:
    """The parts that carry a burn, the largest first; none where everything is hit alike.

    After each part its series are taken away and the rest is looked at anew.
    """
    found, rest, whole = list[Part](), traffic, float(traffic.total.sum())
    while len(found) < most and len(rest.codes) and rest.bad.sum() > 0:
        first = next(iter(scanned(rest, depth)), None)
        if first is None or not first.stands_out:
            break
        found.append(_of_whole(first, whole))
        rest = rest.part(~_inside(rest, first.labels))
    return found


def outcome_labels(rows: Sequence[Row], counts: Sequence[tuple[float, float, float, float]]) -> frozenset[str]:
    """Labels that only say how an event ended, such as a status or the class of an exception: they are no cause.

    Each of their values has bad events only, or none at all, and those without say so: the label is missing there, or
    it is a status or a word such as `None`.
    """
    bad = [during + before for during, _, before, _ in counts]
    good = [during + before - gone for (_, during, _, before), gone in zip(counts, bad, strict=True)]
    return frozenset(name for name in {name for row in rows for name in row} if _tells(name, rows, bad, good))


def _tells(name: str, rows: Sequence[Row], bad: Sequence[float], good: Sequence[float]) -> bool:
    sums = dict[str, tuple[float, float]]()
    for row, lost, kept in zip(rows, bad, good, strict=True):
        before = sums.get(row.get(name, ""), (0.0, 0.0))
        sums[row.get(name, "")] = before[0] + lost, before[1] + kept
    if any(min(both) > _MIXED * sum(both) for both in sums.values()):
        return False
    fine = [value for value, (lost, kept) in sums.items() if kept > lost]
    return 0 < len(fine) < len(sums) and all(_ENDED_WELL.fullmatch(value) for value in fine)


def scanned(traffic: Traffic, depth: int = 2) -> list[Part]:
    """Every region of up to `depth` labels with more bad events than expected, by falling score."""
    bad, total = traffic.bad, traffic.total
    every_bad, every = float(bad.sum()), float(total.sum())
    if every_bad <= 0 or every <= 0:
        return []
    expected = _expected(traffic)
    excess = max(every_bad - float(expected.sum()), _TINY)
    scaled = expected * (every_bad / max(float(expected.sum()), _TINY))
    regions = [
        region
        for size in range(1, depth + 1)
        for chosen in combinations(range(len(traffic.labels)), size)
        for region in _regions(traffic, chosen, (bad, scaled, total, expected))
    ]
    return [
        Part(
            _labels(traffic, region.columns, region.values),
            tuple(_labels(traffic, other.columns, other.values) for other in others),
            region.score,
            (region.bad - region.expected) / excess,
            region.total / every,
            region.bad,
            region.total,
        )
        for region, others in _simplest(_distinct(regions, traffic))
    ]


@dataclass(frozen=True, slots=True)
class _Region:
    columns: tuple[int, ...]
    values: tuple[int, ...]
    score: float
    bad: float
    total: float
    expected: float

    def contains(self, other: _Region) -> bool:
        """Whether it is `other` without some of its labels."""
        return set(zip(self.columns, self.values, strict=True)) < set(zip(other.columns, other.values, strict=True))


def _expected(traffic: Traffic) -> Floats:
    """The bad events that each series would have had at its ratio of before."""
    overall = (traffic.bad_before.sum() + 0.5) / (traffic.total_before.sum() + 1)
    seen = traffic.bad_before + overall * PRIOR_EVENTS
    expected: Floats = traffic.total * seen / (traffic.total_before + PRIOR_EVENTS)
    return expected


def _regions(traffic: Traffic, chosen: tuple[int, ...], weights: tuple[Floats, ...]) -> Iterator[_Region]:
    """The best regions of some labels."""
    key = np.zeros(len(traffic.codes), np.int64)
    for column in chosen:
        key = key * len(traffic.values[column]) + traffic.codes[:, column]
    unique, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    sums: Iterator[Floats] = (np.bincount(inverse, weight, len(unique)).astype(np.float64) for weight in weights)
    bad, scaled, total, expected = sums
    scores = _statistic(bad, scaled, float(bad.sum())) - np.log(len(unique))
    for place in np.argsort(scores)[::-1][:_KEPT]:
        if scores[place] <= 0:
            return
        values = tuple(int(traffic.codes[first[place], column]) for column in chosen)
        numbers = (scores, bad, total, expected)
        yield _Region(chosen, values, *(float(each[place]) for each in numbers))


def _statistic(bad: Floats, expected: Floats, every: float) -> Floats:
    """Kulldorff's statistic; 0 where no more is seen than expected."""
    expected = np.maximum(expected, _TINY)
    rest, rest_expected = every - bad, np.maximum(every - expected, _TINY)
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.where(bad > 0, bad * np.log(bad / expected), 0.0)
        outside = np.where(rest > 0, rest * np.log(rest / rest_expected), 0.0)
    found: Floats = np.where(bad > expected, inside + outside, 0.0)
    return found


def _distinct(regions: Iterable[_Region], traffic: Traffic) -> list[tuple[_Region, list[_Region]]]:
    """Regions with the same events as one: the one with fewest labels, then with the label of most values."""
    alike = dict[tuple[float, float, float], list[_Region]]()
    for region in regions:
        alike.setdefault((region.bad, region.total, region.expected), []).append(region)
    found = list[tuple[_Region, list[_Region]]]()
    for group in alike.values():
        group.sort(key=lambda region: (len(region.columns), -max(len(traffic.values[at]) for at in region.columns)))
        shortest = [region for region in group[1:] if len(region.columns) == len(group[0].columns)]
        found.append((group[0], shortest))
    found.sort(key=lambda each: (-each[0].score, len(each[0].columns)))
    return found


def _simplest(found: list[tuple[_Region, list[_Region]]]) -> Iterator[tuple[_Region, list[_Region]]]:
    """Without pairs of which one half alone is nearly as good."""
    for region, others in found:
        if not any(half.contains(region) and half.score >= _BETTER * region.score for half, _ in found):
            yield region, others


def _labels(traffic: Traffic, columns: tuple[int, ...], values: tuple[int, ...]) -> dict[str, str]:
    return {
        traffic.labels[column]: traffic.values[column][value] for column, value in zip(columns, values, strict=True)
    }


def _inside(traffic: Traffic, labels: Row) -> NDArray[np.bool_]:
    inside = np.ones(len(traffic.codes), np.bool_)
    for name, value in labels.items():
        column = traffic.labels.index(name)
        inside &= traffic.codes[:, column] == traffic.values[column].index(value)
    return inside


def _of_whole(part: Part, whole: float) -> Part:
    """A part found in what was left, with its share of all traffic."""
    return Part(part.labels, part.also, part.score, part.of_excess, part.total / whole, part.bad, part.total)
