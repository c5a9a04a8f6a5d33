"""Alerts on what is not there: targets that are all dead, and a metric that is gone while its process lives.

A counter has no series before its first event, so a metric that is missing may mean that nothing was asked yet of a
process that was deployed since. `up` knows which targets there are, and `process_start_time_seconds`, where it is
exported, whether the process behind one is another than before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sloctl import conventions
from sloctl.backends.prometheus.raw import aggregated, on_split, own, series, split
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import Query
from sloctl.model.quantities import DAY, HOUR, MINUTE, Duration, number
from sloctl.model.selector import Selector, Selectors
from sloctl.promql.build import indent, matching_on, over_time
from sloctl.promql.selectors import label_selector, selector_text

_HOUR: Final = f"{HOUR}:{MINUTE * 10}"
"""A few looks into the last hour, for little."""
_REMEMBERED: Final = DAY
"""So long is known on which targets a metric was."""
_LOOKS: Final = 5
"""Traffic is steady if half of the time before a silence, four times as long, had events."""


def down(slo: Slo) -> str:
    """All targets are down or gone, and events were counted in the last hour; until one is up again."""
    required = [selector for selectors in slo.indicator.reads().required for selector in selectors]
    targets = _alternatives(_of_job(slo, selector, _up(slo, selector)) for selector in required)
    was_up = _alternatives(
        _of_job(slo, selector, f"max_over_time({_up(slo, selector)}[{_HOUR}])") for selector in required
    )
    events = f"sum({over_time('sum', _tile(slo), HOUR)}) > 0"
    firing = _firing(slo, conventions.down_alert(slo))
    return f"absent({targets} == 1)\nand on () (\n  (count({was_up} == 1) and on () ({events}))\n  or {firing}\n)"


def blind(slo: Slo) -> str:
    """Raw series that are all gone, or gone for a split value, although nothing explains it."""
    reads = slo.indicator.reads()
    gone = [_unexplained(slo, selectors) for selectors in reads.required] or [_tile_gone(slo)]
    gone += [_lacking(slo, reads.buckets, reads.required[0])] if reads.buckets else []
    gone += [_vanished(slo, side) for side in _sides(slo)]
    gone += [_late(slo, selectors) for selectors in reads.required if slo.sampling.target_labels]
    if slo.by and reads.required:
        gone.append(_value_gone(slo, reads.required[0]))
        known = {selector.metric for selectors in reads.required for selector in selectors}
        gone += [_label_missing(slo, selector) for selector in reads.optional if selector.metric not in known]
    return "\nor ".join(gone)


def _alternatives(expressions: Iterable[str]) -> str:
    different = list(dict.fromkeys(expressions))
    return different[0] if len(different) == 1 else f"({' or '.join(different)})"


def _up(slo: Slo, selector: Selector, metric: str = "up") -> str:
    """What is known of the targets of a selector."""
    return selector_text(Selector(metric, selector.on(slo.sampling.target_labels)))


def _of_job(slo: Slo, selector: Selector, targets: str) -> str:
    """Of targets that no matcher names, those with a job that the metric was read from in the last hour."""
    if selector.on(slo.sampling.target_labels):
        return targets
    shared = tuple(label for label in slo.sampling.target_labels if label != "instance")  # with the next process
    now = selector_text(selector)
    return f"({targets} and {matching_on(shared)} ({now} or last_over_time({now}[{_HOUR}])))"


def _tile(slo: Slo) -> Selector:
    return own(slo, conventions.total_tile(slo.sampling.resolution))


def _firing(slo: Slo, name: str) -> str:
    labels = {"alertname": name, "alertstate": "firing"}
    return selector_text(label_selector("ALERTS", {"platform": slo.platform, "slo": slo.id, **labels}))


def _blind_after(slo: Slo) -> Duration:
    assert slo.blind is not None
    return slo.blind


def _unexplained(slo: Slo, selectors: Selectors) -> str:
    """A metric without series, unless its targets are dead or new and it may have had no events since."""
    gone = _gone(slo, selectors)
    if slo.down_severity:
        gone += f"\nunless on () {_firing(slo, conventions.down_alert(slo))}"
    if not slo.sampling.target_labels:
        return f"({gone})"
    return f"({gone}\nunless on () (\n{indent(_deployed(slo, selectors))}\n))"


def _sides(slo: Slo) -> list[Selectors]:
    """What the bad or good events of a query are read from; where that is empty, there are none of them."""
    if not isinstance(slo.indicator, Query):
        return []
    sides = [side for side in (slo.indicator.bad, slo.indicator.good) if side is not None]
    named = [tuple(selector for selector in side.selectors if selector.metric) for side in sides]
    return [selectors for selectors in named if selectors]


def _lacking(slo: Slo, buckets: Selectors, counts: Selectors) -> str:
    """No bucket of the bound, although the histogram is there: where all of it is gone, that decides."""
    late = slo.sampling.late_by
    there = _alternatives(over_time("last", split(slo, count), slo.sampling.rollup, late) for count in counts)
    return f"({_gone(slo, buckets)} and on () group({there}))"


def _vanished(slo: Slo, selectors: Selectors) -> str:
    """Series that are gone although they were there and their process is still the same."""
    return f"({_gone(slo, selectors)} and on () count(\n{indent(_lives(slo, selectors))}\n))"


def _late(slo: Slo, selectors: Selectors) -> str:
    """Samples that are too old when they come: tiles have passed by then, and nothing was counted for so long.

    A series that ended has a stale marker soon after its last sample; one that is late is seen while it is old.
    """
    sampling, after = slo.sampling, _blind_after(slo)
    old = number((sampling.shift + sampling.resolution + sampling.scrape_interval * 2).seconds)
    looks, every = f"{after + sampling.late_by}:{sampling.rollup}", matching_on(sampling.target_labels)
    now, seen = list[str](), list[str]()
    for selector in selectors:
        text = selector_text(selector)
        now.append(f"max_over_time(timestamp({text})[{looks}])")
        seen.append(
            f"(max_over_time((time() - timestamp({text}))[{looks}]) > {old} and {every} {_up(slo, selector)} == 1)"
        )
    counted = f"sum({over_time('sum', _tile(slo), after)}) > 0"
    late = f"group(time() - max({_alternatives(now)}) > {old}) and on () group({_alternatives(seen)})"
    return f"({late} unless on () ({counted}))"


def _deployed(slo: Slo, selectors: Selectors) -> str:
    """Targets are up, but none that had the metric; unless it was asked all the time until then.

    A selector that never matched is told of in the SLO's first hour, and from then on as every alert that fires.
    """
    after = _blind_after(slo)
    tiles = number(after * 2 / slo.sampling.resolution)
    asked = f"(sum({selector_text(_tile(slo))}) > 0)[{after * _LOOKS}:{slo.sampling.resolution}]"
    ups = _alternatives(f"{_up(slo, selector)} == 1" for selector in selectors)
    since = f"min({selector_text(own(slo, conventions.MEASURED_SINCE))})"
    excuses = [
        f"(count({ups}) and on () ({since} < time() - {number((after * _LOOKS).seconds)}))",
        f"unless on () count(\n{indent(_lives(slo, selectors))}\n)",
        f"unless on () (count_over_time({asked}) >= {tiles})",
        f"unless on () {_firing(slo, conventions.blind_alert(slo))}",
    ]
    return "\n".join(excuses)


def _lives(slo: Slo, selectors: Selectors) -> str:
    """Targets, for each split value, on which the metric was seen and whose process is still the same."""
    every = [selector_text(split(slo, selector)) for selector in selectors]
    seen = _alternatives(f"max_over_time(timestamp({text})[{_REMEMBERED}:{HOUR}])" for text in every)
    target = slo.sampling.target_labels
    extra = tuple(label for label in target if label not in slo.split_labels)
    alive = _alternatives([*(f"{_up(slo, selector)} == 1" for selector in selectors), *every])
    starts = _alternatives(_up(slo, selector, "process_start_time_seconds") for selector in selectors)
    by = f"by ({', '.join(target)})"
    born = f"max {by} ({starts})\n  or 0 * group {by} ({alive})"
    on = matching_on(target)
    return f"{aggregated(slo, 'max', seen, extra=extra)}\n>= {on} group_left () (\n  {born}\n)"


def _gone(slo: Slo, selectors: Selectors) -> str:
    """A sum is blind only when all of its parts are gone, or lack the split labels."""
    after = _blind_after(slo)
    late = slo.sampling.late_by
    absent = [f"group({over_time('absent', split(slo, selector), after, late)})" for selector in selectors]
    return absent[0] if len(absent) == 1 else f"({' and on () '.join(absent)})"


def _tile_gone(slo: Slo) -> str:
    """Where only the user's PromQL reads raw series, its own tile tells."""
    return f"group({over_time('absent', _tile(slo), _blind_after(slo))})"


def _label_missing(slo: Slo, selector: Selector) -> str:
    """Events that exist but lack a split label: each value would have a perfect score."""
    after, late = _blind_after(slo), slo.sampling.late_by
    seen, usable = over_time("last", selector, after, late), over_time("last", split(slo, selector), after, late)
    return f"(group({seen}) unless on () group({usable}))"


def _value_gone(slo: Slo, selectors: Selectors) -> str:
    """Split values that were counted a day ago and have no raw series now, while their process has others."""
    tile = own(slo, conventions.total_tile(slo.sampling.rollup))
    day_ago = over_time("present", tile, slo.sampling.lookback, DAY)
    now = series(slo, selectors, _blind_after(slo))
    by, on = ", ".join(slo.split_labels), on_split(slo)
    lives = f"group by ({by}) (\n{indent(_lives(slo, selectors))}\n)"
    return f"(\n  group by ({by}) ({day_ago})\n  unless {on} {now}\n  and on () group({now})\n  and {on} {lives}\n)"
