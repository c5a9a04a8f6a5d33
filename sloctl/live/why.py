"""Where it burns: the part of an SLO's traffic that carries the bad events, since when, and what else happened then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sloctl import conventions
from sloctl.history.incidents import Incident, incidents
from sloctl.history.scan import Part, Traffic, causes, outcome_labels, scanned
from sloctl.history.tiles import Tiles
from sloctl.live.traffic import Span, counted, restarts
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.model.indicator import Latency, Query
from sloctl.model.quantities import DAY, HOUR, MINUTE, Duration
from sloctl.model.selector import Selector
from sloctl.promql.selectors import label_selector, matchers_text, quote, selector_text

if TYPE_CHECKING:
    from sloctl.prometheus import PrometheusClient, Series

LOOKED_BACK: Final = HOUR * 6
"""The begin of a burn is looked for in so long a time."""
_QUIET: Final = MINUTE * 15
"""A burn is in progress where its last bad minute is not longer ago."""
_AROUND: Final = (MINUTE * 15, MINUTE * 5)
"""Others began with it that began so long before or after."""
_EXEMPLARS: Final = 3
_NEW: Final = 0.1
"""A value is new where its share of the traffic was so small a part of what it is now."""


@dataclass(frozen=True, slots=True)
class Burn:
    """A time in which an SLO burned, in Unix seconds; `spent` is None where somebody named the time."""

    start: float
    end: float
    spent: float | None = None

    @property
    def length(self) -> Duration:
        """How long it has lasted, at least a minute."""
        return max(Duration(round(self.end - self.start) * 1000), MINUTE)


@dataclass(slots=True)
class Answer:
    """What carries a burn.

    Attributes:
        counts: bad and all events during the burn and before it.
        series: how many were told apart.
        parts: those that stand out, the largest first; none where everything is hit alike.
        by_one_label: there were too many series, so that each label was looked at by itself.
        only_split: nothing but the labels of `by` is known, as the SLI is a query.
        new: label values that had no events before.
        deploys: labels and Unix seconds of what was deployed shortly before.
        restarted: labels of targets whose process began shortly before.
        others: SLOs that began to burn at the same time, with Unix seconds, earliest first.
        traces: identifiers of traces of the first part.
    """

    slo: Slo
    burn: Burn
    counts: tuple[float, float, float, float]
    series: int
    parts: list[Part]
    by_one_label: bool = False
    only_split: bool = False
    new: list[Mapping[str, str]] = field(default_factory=list)
    deploys: list[tuple[Mapping[str, str], float]] = field(default_factory=list)
    restarted: list[Mapping[str, str]] = field(default_factory=list)
    others: list[tuple[str, float]] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)


def burning(slo: Slo, client: PrometheusClient, at: float) -> Burn | None:
    """The burn that is in progress at `at`, by the recordings of the SLO; None where nothing burns.

    Raises:
        PrometheusError: there is no complete answer.
    """
    tiles = _tiles(slo, client, LOOKED_BACK, at)
    found = [one for one in incidents(slo, tiles) if one.end / 1000 >= at - float(_QUIET.seconds)]
    worst = max(found, key=lambda one: one.spent, default=None)
    return None if worst is None else Burn(worst.start / 1000, at, worst.spent)


def worst_before(slo: Slo, client: PrometheusClient, at: float) -> Incident | None:
    """The costliest incident of the last week; None without one."""
    return max(incidents(slo, _tiles(slo, client, DAY * 7, at)), key=lambda one: one.spent, default=None)


def why(
    catalogue: Catalogue,
    slo: Slo,
    client: PrometheusClient,
    burn: Burn,
    *,
    without: tuple[str, ...] = (),
    depth: int = 2,
    most_series: int = 20_000,
) -> Answer:
    """What carries a burn, in at most eight queries.

    Args:
        catalogue: where the SLO and its platform are from.
        slo: what burns.
        client: a Prometheus with its raw series.
        burn: when.
        without: labels that are not looked at.
        depth: so many labels together.
        most_series: above it each label is looked at by itself.

    Raises:
        PrometheusError: there is no complete answer.
    """
    before = max(burn.length * 2, HOUR)
    spans = (Span(burn.end, burn.length), Span(burn.start, before))
    too_many = _series(slo, client, burn.end) > most_series
    if too_many:
        answer = _by_one_label(slo, client, burn, spans, without)
    else:
        rows, counts = counted(slo, client, spans)
        left_out = outcome_labels(rows, counts).union(without)
        kept = [{name: value for name, value in row.items() if name not in left_out} for row in rows]
        answer = _scanned(slo, burn, kept, counts, depth)
        answer.new = _new(kept, counts)
    answer.only_split = isinstance(slo.indicator, Query)
    platform = next(each for each in catalogue.platforms if each.name == slo.platform)
    if platform.dashboards.deploys is not None:
        answer.deploys = _deploys(platform.dashboards.deploys.text, client, burn)
    answer.restarted = _restarted(slo, client, burn)
    answer.others = _others(catalogue, slo, client, burn)
    if answer.parts and "$trace_id" in (platform.dashboards.traces or ""):
        answer.traces = _traces(slo, answer.parts[0], client, burn)
    return answer


def _scanned(
    slo: Slo,
    burn: Burn,
    rows: list[dict[str, str]],
    counts: list[tuple[float, float, float, float]],
    depth: int,
) -> Answer:
    traffic = Traffic.of(rows, counts)
    sums = tuple(float(column) for column in np.array(counts, np.float64).reshape(-1, 4).sum(axis=0))
    return Answer(slo, burn, (sums[0], sums[1], sums[2], sums[3]), len(rows), causes(traffic, depth=depth))


def _by_one_label(
    slo: Slo, client: PrometheusClient, burn: Burn, spans: tuple[Span, Span], without: tuple[str, ...]
) -> Answer:
    """Each label by itself; the best part of all of them."""
    found, best = Answer(slo, burn, (0.0, 0.0, 0.0, 0.0), 0, [], by_one_label=True), list[Part]()
    for label in _label_names(slo, client, burn):
        if label in without:
            continue
        rows, counts = counted(slo, client, spans, label)
        traffic = Traffic.of(rows, counts)
        best += [part for part in scanned(traffic, 1)[:1] if part.stands_out]
        one = _scanned(slo, burn, [dict(row) for row in rows], counts, 1)
        found.counts, found.series = one.counts, found.series + one.series
        found.new += _new(rows, counts)
    found.parts = sorted(best, key=lambda part: -part.score)[:1]
    return found


def _series(slo: Slo, client: PrometheusClient, at: float) -> float:
    every = slo.indicator.reads().selectors
    if not every:
        return 0
    sums = " + ".join(f"(count({selector_text(each)}) or vector(0))" for each in every)
    return sum(sample.value for sample in client.query(sums, at))


def _label_names(slo: Slo, client: PrometheusClient, burn: Burn) -> list[str]:
    every = slo.indicator.reads().selectors
    times = {"start": f"{burn.start:.3f}", "end": f"{burn.end:.3f}"}
    names = client.get("labels", {"match[]": selector_text(every[0]), **times}) if every else []
    return [name for name in names if name not in {"__name__", "le"}]


def _new(rows: Iterable[Mapping[str, str]], counts: list[tuple[float, float, float, float]]) -> list[Mapping[str, str]]:
    """Values with hardly a part of the traffic before, of labels of which other values had some."""
    during, before = dict[tuple[str, str], float](), dict[tuple[str, str], float]()
    for row, (_, total, _, total_before) in zip(rows, counts, strict=True):
        for pair in row.items():
            during[pair] = during.get(pair, 0.0) + total
            before[pair] = before.get(pair, 0.0) + total_before
    known = {name for (name, _), events in before.items() if events > 0}
    every, every_before = (sum(row[column] for row in counts) for column in (1, 3))
    return [
        {name: value}
        for (name, value), events in sorted(during.items())
        if events > 0 and name in known and before[name, value] * every < _NEW * events * every_before
    ]


def _tiles(slo: Slo, client: PrometheusClient, length: Duration, at: float) -> Tiles:
    """What the rules recorded, added up over the values of `by`."""
    names = [name(slo.sampling.resolution) for name in (conventions.total_tile, conventions.errors_tile)]
    own = matchers_text(label_selector("", {"platform": slo.platform, "slo": slo.id}).matchers)
    found = client.samples(f"{{__name__=~{quote('|'.join(names))}, {own}}}", str(length), at)
    total, bad = (_summed(one for one in found if one.labels["__name__"] == name) for name in names)
    return _joined(total, bad)


def _joined(total: Mapping[int, float], bad: Mapping[int, float]) -> Tiles:
    """Counts by Unix milliseconds as tiles; without a total there is no tile."""
    moments = sorted(total)
    return Tiles.of(moments, [total[moment] for moment in moments], [bad.get(moment, 0.0) for moment in moments])


def _summed(found: Iterable[Series]) -> dict[int, float]:
    values = dict[int, float]()
    for series in found:
        for moment, value in series.points:
            values[int(moment * 1000)] = values.get(int(moment * 1000), 0.0) + value
    return values


def _deploys(promql: str, client: PrometheusClient, burn: Burn) -> list[tuple[Mapping[str, str], float]]:
    early, late = (float(each.seconds) for each in _AROUND)
    series = client.query_range(promql, burn.start - early, min(burn.start + late, burn.end), 30)
    return sorted(((one.labels, one.times[0]) for one in series if one.times), key=lambda each: each[1])


def _restarted(slo: Slo, client: PrometheusClient, burn: Burn) -> list[Mapping[str, str]]:
    labels = slo.sampling.target_labels
    targets = tuple(dict.fromkeys(Selector("up", selector.on(labels)) for selector in slo.indicator.reads().selectors))
    if not labels or not targets:
        return []
    early = Duration(burn.length.milliseconds + _AROUND[0].milliseconds)
    return [
        {name: value for name, value in sample.labels.items() if name in labels}
        for sample in client.query(restarts(targets, Span(burn.end, early)), burn.end)
    ]


def _others(catalogue: Catalogue, slo: Slo, client: PrometheusClient, burn: Burn) -> list[tuple[str, float]]:
    """SLOs of the platform whose burn began shortly before or after."""
    known = {each.id: each for each in catalogue.slos if each.platform == slo.platform and each.id != slo.id}
    if not known:
        return []
    early, late = (float(each.seconds) for each in _AROUND)
    resolution, own = slo.sampling.resolution, {"platform": slo.platform}
    recordings = {"total": conventions.total_tile(resolution), "bad": conventions.errors_tile(resolution)}
    union = " or ".join(
        f'label_replace(sum by (slo) ({selector_text(label_selector(name, own))}), "side", "{side}", "", "")'
        for side, name in recordings.items()
    )
    step = max(float(resolution.seconds), 1.0)
    begin = burn.start - early - float(HOUR.seconds)
    sides = dict[tuple[str, str], dict[int, float]]()
    for series in client.query_range(union, begin, min(burn.start + late + 600, burn.end), step):
        key = series.labels.get("slo", ""), series.labels.get("side", "")
        sides[key] = {int(moment * 1000): value for moment, value in series.points}
    found = list[tuple[str, float]]()
    for name, other in known.items():
        tiles = _joined(sides.get((name, "total"), {}), sides.get((name, "bad"), {}))
        starts = [one.start / 1000 for one in incidents(other, tiles) if one.worst >= 1]
        found += [(name, start) for start in starts[-1:] if burn.start - early <= start <= burn.start + late]
    return sorted(found, key=lambda each: each[1])


def _traces(slo: Slo, part: Part, client: PrometheusClient, burn: Burn) -> list[str]:
    """Traces that the histogram's exemplars of the part name."""
    every = slo.indicator.histogram if isinstance(slo.indicator, Latency) else slo.indicator.reads().selectors
    asked = {"start": f"{burn.start:.3f}", "end": f"{burn.end:.3f}"}
    found = list[str]()
    for selector in every[:1]:
        answer: list[dict[str, Any]] = client.get("query_exemplars", {"query": selector_text(selector), **asked}) or []
        for series in answer:
            labels = series.get("seriesLabels", {})
            if all(labels.get(name) == value for name, value in part.labels.items()):
                exemplars = series.get("exemplars", ())
                found += [each["labels"]["trace_id"] for each in exemplars if "trace_id" in each.get("labels", {})]
    return list(dict.fromkeys(found))[:_EXEMPLARS]
