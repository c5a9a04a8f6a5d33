"""Two servers that scrape the same targets, read without deduplication: every counter is there twice.

Counting both would take each request for two. Copies are told by their samples: those of one counter, scraped by turns,
never fall when they are put in one row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from sloctl.canary.source.counters import moments
from sloctl.model.selector import Matcher, MatchOperator
from sloctl.prometheus import Series as Raw

TURNS: Final = 3
"""Copies take turns so often, at least; of fewer samples nothing is said."""
LATE_SECONDS: Final = 60.0
"""A copy that has been silent for so long is away."""


def copy_that_counts(series: Sequence[Raw], target_labels: tuple[str, ...]) -> Matcher | None:
    """Label and value of the copies that count; None where each counter is there once."""
    for found in scraped_apart(series, target_labels):
        names = {name for raw in found for name in raw.labels}
        for label in sorted(names - {*target_labels, "le", "__name__"}):
            if _are_copies(found, label):
                return Matcher(label, MatchOperator.EQUAL, _most_seen(series, label))
    return None


def counting(series: Sequence[Raw], copy: Matcher | None) -> Sequence[Raw]:
    """The series that count."""
    return series if copy is None else [raw for raw in series if copy.matches(raw.labels.get(copy.label, ""))]


def scraped_apart(series: Sequence[Raw], target_labels: tuple[str, ...]) -> Iterable[list[Raw]]:
    """The series of each target that has some without a moment in common: one server scrapes all of them at once."""
    first: dict[tuple[str, ...], tuple[float, ...]] = {}
    apart = set()
    for raw in series:
        target, times = _target(raw, target_labels), moments(raw)
        known = first.setdefault(target, times)
        if known is not times and known != times and set(known).isdisjoint(times):
            apart.add(target)
    for target in sorted(apart):
        yield [raw for raw in series if _target(raw, target_labels) == target]


def _target(raw: Raw, target_labels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple([raw.labels.get(label, "") for label in target_labels])


def _are_copies(series: Sequence[Raw], label: str) -> bool:
    """Whether series that differ in this label only are those of one counter, and at least one of them has grown."""
    groups: dict[tuple[tuple[str, str], ...], list[Raw]] = defaultdict(list)
    for raw in series:
        groups[tuple(sorted((name, value) for name, value in raw.labels.items() if name != label))].append(raw)
    pairs = [(group[0], other) for group in groups.values() for other in group[1:]]
    told = [_takes_turns(*pair) for pair in pairs]
    return bool(told) and False not in told and True in told


def _takes_turns(one: Raw, other: Raw) -> bool | None:
    """Whether two series are one counter; None where they have not grown, or not for long enough to tell."""
    times = np.concatenate([moments(one), moments(other)])
    values = np.concatenate([_values(one), _values(other)])
    order = np.argsort(times, kind="stable")
    turns = np.flatnonzero(np.diff((order < len(moments(one))).astype(int)))
    if len(turns) < TURNS:
        return None
    both = values[order][turns[0] : turns[-1] + 2]
    falls = int((np.diff(both) < 0).sum())
    if falls > sum(int((np.diff(_values(each)) < 0).sum()) for each in (one, other)):
        return False
    return True if both[-1] > both[0] else None


def _values(raw: Raw) -> np.ndarray:
    return np.array(raw.values or [sample.count for sample in raw.histograms])


def _most_seen(series: Sequence[Raw], label: str) -> str:
    """The value whose series have most samples, of those that are not away."""
    samples: dict[str, int] = defaultdict(int)
    newest: dict[str, float] = defaultdict(float)
    for raw in series:
        value = raw.labels.get(label, "")
        samples[value] += len(moments(raw))
        newest[value] = max(newest[value], moments(raw)[-1])
    latest = max(newest.values())
    return min((value for value in samples if newest[value] > latest - LATE_SECONDS), key=lambda v: (-samples[v], v))
