"""Recording rules over the past by a server's own engine, as an outside judge of what is counted elsewhere.

promtool evaluates rules over the past, but no rule sees in the same run what another one records. So the rules run in
stages: those that read raw series, then those that read these, and so on; between two stages new blocks are loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, Final

from sloctl import conventions
from sloctl.model.artifact import Artifact
from sloctl.model.quantities import HOUR, MINUTE, Duration
from sloctl.promql.build import over_time
from sloctl.promql.selectors import label_selector

_MOST_POINTS: Final = 11_000
"""Prometheus answers a range query with at most so many points a series."""
_LONGEST_BLOCK_HOURS: Final = 162
_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Stage:
    """Recording rules that can be evaluated together, since none reads another one's recording.

    Attributes:
        groups: as in a rule file. Each recording stands aside where it exists already.
        records: the names that are recorded.
    """

    groups: tuple[Mapping[str, Any], ...]
    records: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Rule:
    group: Mapping[str, Any]
    value: Mapping[str, Any]

    @property
    def key(self) -> _Key:
        """The SLO, empty for what a platform shares, and the recording's name."""
        return self.value["labels"].get("slo", ""), self.value["record"]

    @property
    def reads(self) -> Iterator[_Key]:
        """What it may read of recordings: of its own SLO, or shared ones."""
        for name in _NAME.findall(self.value["expr"]):
            yield self.key[0], name
            yield "", name


def stages(artifacts: Iterable[Artifact]) -> list[Stage]:
    """The stages of all recording rules in rule files, in the order in which they must run."""
    rules = [rule for artifact in artifacts for rule in _recordings(artifact)]
    keys = {rule.key for rule in rules}
    tiles = {conventions.total_tile(Duration.parse(rule.group["interval"])) for rule in rules}
    graph: dict[_Key, set[_Key]] = {key: set() for key in keys}
    for rule in rules:
        # a roll-up asks for earlier ones of its own; where there are none it needs none
        graph[rule.key] |= {key for key in rule.reads if key in keys and key != rule.key}
        if rule.key[1] == conventions.MEASURED_SINCE:  # of windows it only asks who left, which tiles tell
            graph[rule.key] = {key for key in graph[rule.key] if key[1] in tiles}
    return [_stage([rule for rule in rules if rule.key in ready]) for ready in _batches(graph)]


def block_hours(found: Iterable[Stage]) -> int:
    """The longest blocks that one query a block can fill: 2 h times a power of 3, as Prometheus cuts them."""
    intervals = (Duration.parse(group["interval"]) for stage in found for group in stage.groups)
    shortest, hours = min(intervals, default=MINUTE), 2
    while hours * 3 <= _LONGEST_BLOCK_HOURS and HOUR * (hours * 3) / shortest < _MOST_POINTS:
        hours *= 3
    return hours


def _recordings(artifact: Artifact) -> Iterator[_Rule]:
    assert isinstance(artifact.value, Mapping)
    for group in artifact.value["groups"]:
        yield from (_Rule(group, rule) for rule in group["rules"] if "record" in rule)


def _batches(graph: dict[_Key, set[_Key]]) -> Iterator[set[_Key]]:
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    while sorter.is_active():
        ready = sorter.get_ready()
        yield set(ready)
        sorter.done(*ready)


def _stage(rules: list[_Rule]) -> Stage:
    groups = {rule.group["name"]: rule.group for rule in rules}
    return Stage(
        tuple(
            {
                "name": name,
                "interval": group["interval"],
                "rules": [_aside(rule) for rule in rules if rule.group["name"] == name],
            }
            for name, group in groups.items()
        ),
        tuple(sorted({rule.key[1] for rule in rules})),
    )


def _aside(rule: _Rule) -> dict[str, Any]:
    """The rule, silent where its recording exists: nothing is counted twice, and a second run changes nothing."""
    recorded = label_selector(rule.value["record"], rule.value["labels"])
    there = over_time("present", recorded, Duration.parse(rule.group["interval"]))
    expr = "".join(f"  {line}\n" for line in rule.value["expr"].splitlines())
    return {**rule.value, "expr": f"(\n{expr})\nunless on () {there}"}
