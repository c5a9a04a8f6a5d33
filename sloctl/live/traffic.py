"""Events of an SLO by the labels of its raw series, in any span: what `why` compares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from sloctl import conventions
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import (
    Freshness,
    Latency,
    Probe,
    Query,
    Ratio,
    RunningTotal,
    Saturation,
    Threshold,
    Throughput,
)
from sloctl.model.quantities import Duration
from sloctl.model.selector import Selector, Selectors
from sloctl.promql.selectors import label_selector, quote, selector_text

if TYPE_CHECKING:
    from sloctl.prometheus import PrometheusClient, Sample

Labels: TypeAlias = tuple[tuple[str, str], ...]

Grow: TypeAlias = Callable[[Selector, Duration], str]

_SUMMAND: Final = "sloctl_summand"
_LOOKBACK: Final = "5m"
_STEP: Final = "1m"


@dataclass(frozen=True, slots=True)
class Span:
    """A time that is looked at: `length` until `end`, in Unix seconds."""

    end: float
    length: Duration


@dataclass(frozen=True, slots=True)
class Sides:
    """PromQL of an SLO's events in a span, one result a raw series.

    Attributes:
        total: all events.
        other: bad events, or good ones.
        is_good: which of them `other` is.
        dropped: labels that only tell how an event ended, or that a query adds.
    """

    total: str
    other: str
    is_good: bool
    dropped: tuple[str, ...] = ()


def sides(slo: Slo, length: Duration) -> Sides:
    """What an SLO counts in a time of `length`, by each label that its series have."""
    match slo.indicator:
        case Ratio() as ratio:
            return _ratio(ratio, length)
        case Latency(native=True) as latency:
            grown = _union(latency.histogram, length, _grown)
            return Sides(f"histogram_count({grown})", _fast(grown, latency), is_good=True)
        case Latency() as latency:
            reads = latency.reads()
            total = _union(tuple(each for group in reads.required for each in group), length, _grown)
            fast = _union(reads.buckets, length, _grown)
            if latency.bad_if:
                failed = tuple(each.narrowed(*latency.bad_if) for each in reads.buckets)
                on_all = f"({fast}) unless ({_union(failed, length, _grown)})"
                return Sides(total, on_all, is_good=True, dropped=("le", *(m.label for m in latency.bad_if)))
            return Sides(total, fast, is_good=True, dropped=("le",))
        case Probe(gauge=gauge):
            text = selector_text(gauge, length)
            return Sides(f"count_over_time({text})", f"sum_over_time({text})", is_good=True)
        case Query():
            return _recorded(slo, length)
        case Throughput(counter=counter):
            return Sides(_union(counter, length, _grown), _union(counter, length, _grown), is_good=True)
        case Saturation(used=used):
            mean = _union(used, length, lambda selector, over: f"avg_over_time({selector_text(selector, over)})")
            return Sides(mean, mean, is_good=True)
        case Freshness() | Threshold() as slices:
            return _slices(slices, length)


def _ratio(ratio: Ratio, length: Duration) -> Sides:
    grow = _grown if isinstance(ratio.counts, RunningTotal) else _held
    total, bad, good = ratio.total, ratio.bad, ratio.good
    if total is None:
        assert bad is not None
        assert good is not None
        return Sides(_union((*bad, *good), length, grow), _union(bad, length, grow), is_good=False)
    other = bad or good or ()
    same = {each.metric for each in total} & {each.metric for each in other}
    known = {matcher for each in total for matcher in each.matchers}
    told = {m.label for each in other if each.metric in same for m in each.matchers if m not in known}
    return Sides(_union(total, length, grow), _union(other, length, grow), bad is None, tuple(sorted(told)))


def _recorded(slo: Slo, length: Duration) -> Sides:
    """The tiles, which have the labels of `by` only: what a query reads is not known."""
    own = {"platform": slo.platform, "slo": slo.id}
    total, errors = (
        label_selector(name(slo.sampling.resolution), own) for name in (conventions.total_tile, conventions.errors_tile)
    )
    dropped = ("platform", "service", "slo", "team", *slo.labels)
    return Sides(_held(total, length), _held(errors, length), is_good=False, dropped=dropped)


def _slices(indicator: Freshness | Threshold, length: Duration) -> Sides:
    """Moments at which a series was bad, of all moments at which it was there."""
    match indicator:
        case Freshness(timestamp=timestamp, age=age, max_age=most):
            value = f"time() - {selector_text(timestamp)}" if timestamp else selector_text(age) if age else ""
            return _moments(value, [f"> {most.seconds}"], length)
        case Threshold(value=expression, at_least=low, at_most=high):
            bounds = [f"{sign} {bound}" for sign, bound in (("<", low), (">", high)) if bound is not None]
            return _moments(expression.text, bounds, length)


def _moments(value: str, bad: list[str], length: Duration) -> Sides:
    """A value once a minute, and the moments at which one of the comparisons holds."""
    held = " or ".join(f"({value}) {comparison}" for comparison in bad)
    times = f"[{length}:{_STEP}]"
    return Sides(f"count_over_time(({value}){times})", f"count_over_time(({held}){times})", is_good=False)


def _fast(grown: str, latency: Latency) -> str:
    return f"histogram_fraction(0, {latency.at_most}, {grown}) * histogram_count({grown})"


def _grown(selector: Selector, length: Duration) -> str:
    """What a counter counted; one that was not there before counted from zero."""
    there = f"last_over_time({selector_text(selector)}[{_LOOKBACK}] offset {length})"
    text = selector_text(selector, length)
    return f"(increase({text}) and {there}) or (max_over_time({text}) unless {there})"


def _held(selector: Selector, length: Duration) -> str:
    """What samples hold that are no running totals; only shares are read of it."""
    return f"sum_over_time({selector_text(selector, length)})"


def _union(selectors: Selectors, length: Duration, grow: Grow) -> str:
    """All of them; a label keeps series of two metrics apart that have the same labels otherwise."""
    if len(selectors) == 1:
        return grow(selectors[0], length)
    return " or ".join(
        f'label_replace({grow(selector, length)}, {quote(_SUMMAND)}, {quote(str(number))}, "", "")'
        for number, selector in enumerate(selectors)
    )


def counted(
    slo: Slo, client: PrometheusClient, spans: tuple[Span, Span], by: str | None = None
) -> tuple[list[Mapping[str, str]], list[tuple[float, float, float, float]]]:
    """The series of an SLO, and their bad and all events in the first span and in the second.

    Args:
        slo: what is counted.
        client: the Prometheus that has its raw series.
        spans: during the burn, and before it.
        by: one label, where every label would be too many series.
    """
    during, before = (_of_span(slo, client, span, by) for span in spans)
    keys, nothing = sorted(during.keys() | before.keys()), (0.0, 0.0)
    counts = [(*during.get(key, nothing), *before.get(key, nothing)) for key in keys]
    match slo.indicator:
        case Throughput(at_least=at_least):
            part = float(spans[0].length / spans[1].length)
            counts = [_beside(now, then * part, missing=at_least is not None) for _, now, _, then in counts]
        case Saturation():
            counts = [_beside(now, then, missing=False) for _, now, _, then in counts]
        case _:
            pass
    return [dict(key) for key in keys], counts


def _beside(now: float, usual: float, *, missing: bool) -> tuple[float, float, float, float]:
    """What is missing of the usual, or too much beside it, in the place of bad events; the usual stands for all."""
    bad = usual - now if missing else now - usual
    return max(bad, 0.0), usual, 0.0, usual


def _of_span(slo: Slo, client: PrometheusClient, span: Span, by: str | None) -> dict[Labels, tuple[float, float]]:
    asked = sides(slo, span.length)
    total, other = (client.query(_grouped(text, asked.dropped, by), span.end) for text in (asked.total, asked.other))
    known = _names(total) & _names(other) if other else _names(total)
    totals, others = _added(total, known), _added(other, known)
    found = dict[Labels, tuple[float, float]]()
    for labels in totals.keys() | others.keys():
        every = totals.get(labels, 0.0)
        bad = every - others.get(labels, 0.0) if asked.is_good else others.get(labels, 0.0)
        found[labels] = (min(max(bad, 0.0), max(every, bad)), max(every, bad, 0.0))
    return found


def _grouped(text: str, dropped: tuple[str, ...], by: str | None) -> str:
    if by is not None:
        return f"sum by ({by}) ({text})"
    return f"sum without ({', '.join(dict.fromkeys((_SUMMAND, *dropped)))}) ({text})"


def _names(samples: Iterable[Sample]) -> set[str]:
    return {name for sample in samples for name in sample.labels if name != "__name__"}


def _added(samples: Iterable[Sample], names: set[str]) -> dict[Labels, float]:
    """The values of series that differ only in other labels, added up; NaN is nothing."""
    found = dict[Labels, float]()
    for sample in samples:
        labels = tuple(sorted((name, value) for name, value in sample.labels.items() if name in names))
        if sample.value == sample.value:
            found[labels] = found.get(labels, 0.0) + sample.value
    return found


def restarts(selectors: Selectors, span: Span) -> str:
    """PromQL of targets whose process began in a span."""
    started = tuple(each.named("process_start_time_seconds") for each in selectors)
    begin = span.end - float(span.length.seconds)
    return " or ".join(f"{selector_text(each)} > {begin:.3f}" for each in started)
