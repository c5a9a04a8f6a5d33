"""What SLOs would have counted: events and bad ones of the last hour, day and week, read from raw series.

And what is wrong with what makes an event bad, which no rule can tell: a condition that nothing fulfils reads 100 %
for ever. Codes: SLO220 most events are bad, SLO221 a label that no series has, SLO222 a pattern that no status fulfils,
SLO223 requests counted twice, SLO224 a metric of bad events without series.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import Counts, Every, Latency, PerSecond, Ratio, RunningTotal
from sloctl.model.quantities import DAY, HOUR, MINUTE, Duration, number
from sloctl.model.selector import Matcher, MatchOperator, Selector, Selectors
from sloctl.promql.build import over_time
from sloctl.promql.selectors import matchers_text, quote, selector_text

if TYPE_CHECKING:
    from sloctl.prometheus import PrometheusClient

Tiles: TypeAlias = Callable[[Slo], tuple[str, str]]
"""The PromQL of all events of a tile and of the bad ones, as rules record them."""

SPANS: Final = (HOUR, DAY, DAY * 7)
_LOOKS: Final = 60
"""So many tiles stand for a span where raw series cannot be added up."""
_MANY: Final = 10_000
"""Series of which only the last hour is read."""
_MOST: Final = 0.5
_STATUS: Final = re.compile(r"[1-5]\d\d")
_STATUSES: Final = tuple(str(int(status)) for status in (*HTTPStatus, 444, 499, *range(520, 531)))
"""Those of HTTP, and what proxies and content networks add."""
_SIDE: Final = "side"
"""The label that tells the parts of one answer apart."""


@dataclass(frozen=True, slots=True)
class SpanEvents:
    """What one span held; `total` is None where nothing was counted."""

    total: float | None
    bad: float

    @property
    def share(self) -> float | None:
        """Bad events divided by all."""
        return self.bad / self.total if self.total else None


@dataclass(frozen=True, slots=True)
class Trial:
    """What an SLO would have counted.

    Attributes:
        by_span: events by the length of the span until now.
        is_sampled: the counts are of sampled tiles, so that only their shares are meant.
        series: raw series that are read; where there are many, only the last hour was looked at.
    """

    slo: Slo
    by_span: Mapping[Duration, SpanEvents] = field(default_factory=dict)
    is_sampled: bool = False
    series: int = 0

    def spent(self, span: Duration) -> float | None:
        """The share of the window's budget that the span would have spent."""
        rates = [events.total / float(span.seconds) for span, events in self.by_span.items() if events.total]
        if span not in self.by_span or not rates:
            return None
        # a span that reaches back further than the series do has fewer events than its length says
        expected = max(rates) * float(self.slo.window.longest.seconds)
        return self.by_span[span].bad / expected / float(self.slo.objective.error_budget)


def tried(slo: Slo, client: PrometheusClient, tiles: Tiles) -> Trial:
    """Ask what an SLO would have counted, in two queries.

    Raises:
        PrometheusError: there is no complete answer.
    """
    series = _series(slo, client)
    spans = SPANS[:1] if series > _MANY else SPANS
    asked = _sums(slo, spans)
    sampled = asked is None
    if asked is None:
        asked = _sampled(tiles(slo), spans)
    union = "\nor ".join(
        f'label_replace({promql}, {quote(_SIDE)}, {quote(f"{side} {span}")}, "", "")'
        for (side, span), promql in asked.items()
    )
    values = {sample.labels.get(_SIDE): sample.value for sample in client.query(union)}
    by_span = {span: SpanEvents(values.get(f"total {span}"), values.get(f"bad {span}", 0.0)) for span in spans}
    return Trial(slo, by_span, sampled, series)


def _series(slo: Slo, client: PrometheusClient) -> int:
    every = slo.indicator.reads().selectors
    if not every:
        return 0
    answers = client.query(" + ".join(f"(count({selector_text(selector)}) or vector(0))" for selector in every))
    return int(next(iter(answers)).value) if answers else 0


def _sums(slo: Slo, spans: tuple[Duration, ...]) -> dict[tuple[str, Duration], str] | None:
    """All and bad events by side and span; None where raw series cannot be added up over a span."""
    if slo.timeslices is not None or slo.exclude_when:
        return None
    asked: dict[tuple[str, Duration], str] = {}
    for span in spans:
        match slo.indicator:
            case Ratio() as ratio:
                asked["total", span], asked["bad", span] = _ratio(ratio, span)
            case Latency(native=False) as latency:
                asked["total", span], asked["bad", span] = _latency(latency, span)
            case _:
                return None
    return asked


def _ratio(ratio: Ratio, span: Duration) -> tuple[str, str]:
    sides = (ratio.total, ratio.bad, ratio.good)
    total, bad, good = (None if side is None else _sum(side, ratio.counts, span) for side in sides)
    if total is None:
        return f"({bad} + {good})", str(bad)
    return total, bad if bad is not None else f"({total} - {good})"


def _latency(latency: Latency, span: Duration) -> tuple[str, str]:
    reads = latency.reads()
    total, fast = _sum(reads.required[0], RunningTotal(), span), _sum(reads.buckets, RunningTotal(), span)
    if latency.bad_if:
        failed = tuple(selector.narrowed(*latency.bad_if) for selector in reads.buckets)
        fast = f"({fast} - {_sum(failed, RunningTotal(), span)})"
    return total, f"({total} - {fast})"


def _sum(selectors: Selectors, counts: Counts, span: Duration) -> str:
    parts = []
    for selector in selectors:
        match counts:
            case RunningTotal():
                events = f"sum(increase({selector_text(selector, span)}))"
            case PerSecond():
                events = f"{number(span.seconds)} * sum({over_time('avg', selector, span)})"
            case Every(length):
                events = f"{number(span / length)} * sum({over_time('avg', selector, span)})"
            case _:
                assert_never(counts)
        parts.append(f"({events} or vector(0))")
    return f"({' + '.join(parts)})"


def _sampled(tile: tuple[str, str], spans: tuple[Duration, ...]) -> dict[tuple[str, Duration], str]:
    asked = {}
    for span in spans:
        step = max(MINUTE, span // _LOOKS)
        for side, promql in zip(("total", "bad"), tile, strict=True):
            asked[side, span] = f"{number(step / MINUTE)} * sum(sum_over_time((\n{promql}\n)[{span}:{step}]))"
    return asked


def check_trial(trial: Trial, client: PrometheusClient, found: Diagnostics) -> None:
    """Add what is wrong with what makes an event bad."""
    slo = trial.slo
    if not _check_condition(slo, client, found):
        return
    hour, place = trial.by_span.get(HOUR), slo.at("sli")
    if any(finding.place == place for finding in found.errors):
        return  # that is why
    if hour is not None and hour.share is not None and hour.share > _MOST:
        message = f"{hour.share:.1%} of the events of {slo.id} were bad in the last hour"
        help_ = "is the condition inverted, or the bound in another unit? `sloctl try` shows what is counted"
        found.error("SLO220", place, message, help_)


def _check_condition(slo: Slo, client: PrometheusClient, found: Diagnostics) -> bool:
    """Whether labels and metrics of bad events are there."""
    is_sound = True
    for selector, narrower in _conditions(slo):
        values = _values(client, selector)
        for matcher in narrower:
            is_sound &= _check_matcher(slo, selector, matcher, values, found)
        _check_twice(slo, selector, values, found)
    for selector in _bad_metrics(slo):
        is_sound &= _check_metric(slo, selector, client, found)
    return is_sound


def _conditions(slo: Slo) -> Iterator[tuple[Selector, tuple[Matcher, ...]]]:
    """Each selector of all events with the matchers by which bad or good ones are told."""
    match slo.indicator:
        case Ratio(total=total, bad=bad, good=good):
            for selector in total or ():
                parts = [part for part in (*(bad or ()), *(good or ())) if part.metric == selector.metric]
                more = (matcher for part in parts for matcher in part.matchers if matcher not in selector.matchers)
                yield selector, tuple(dict.fromkeys(more))
        case Latency(histogram=histogram, native=native, bad_if=bad_if):
            for selector in histogram:
                yield selector if native else selector.named(f"{selector.metric}_count"), bad_if
        case _:
            for selector in slo.indicator.reads().selectors:
                yield selector, ()


def _bad_metrics(slo: Slo) -> Iterator[Selector]:
    """Metrics that hold bad or good events only."""
    if isinstance(slo.indicator, Ratio):
        totals = {selector.metric for selector in slo.indicator.total or ()}
        sides = (*(slo.indicator.bad or ()), *(slo.indicator.good or ()))
        yield from {selector.metric: selector for selector in sides if selector.metric not in totals}.values()


def _values(client: PrometheusClient, selector: Selector) -> Mapping[str, frozenset[str]]:
    """The labels of a selector's series with their values; nothing where there are too many series to read."""
    text = selector_text(selector)
    answers = client.query(f"{text} and on () (count({text}) <= {_MANY})")
    values: dict[str, set[str]] = {}
    for sample in answers:
        for label, value in sample.labels.items():
            values.setdefault(label, set()).add(value)
    return {label: frozenset(texts) for label, texts in values.items()}


def _check_matcher(
    slo: Slo, selector: Selector, matcher: Matcher, values: Mapping[str, frozenset[str]], found: Diagnostics
) -> bool:
    if not values:
        return True  # SLO201 says so, or there are too many
    place = slo.places.get(f"sli.{slo.indicator.key}.bad_if") or slo.at("sli")
    if matcher.label not in values:
        near = get_close_matches(matcher.label, values, n=1)
        labels = ", ".join(sorted(values.keys() - {"__name__"}))
        help_ = f"write `{near[0]}`" if near else f"its labels are {labels}"
        found.error("SLO221", place, f"no series of {selector_text(selector)} has the label `{matcher.label}`", help_)
        return False
    seen = values[matcher.label]
    if matcher.operator not in {MatchOperator.REGEX, MatchOperator.EQUAL} or any(map(matcher.matches, seen)):
        return True
    if all(map(_STATUS.fullmatch, seen)) and not any(map(matcher.matches, _STATUSES)):
        message = f"no status fulfils `{matchers_text((matcher,))}`: nothing is ever bad"
        found.error("SLO222", place, message, f'write `{matcher.label}=~"5.."`; seen were {", ".join(sorted(seen))}')
        return False
    return True


def _check_twice(slo: Slo, selector: Selector, values: Mapping[str, frozenset[str]], found: Diagnostics) -> None:
    """A mesh reports each request from both of its ends."""
    reporters = values.get("reporter", frozenset())
    if len(reporters) > 1:
        message = f"{selector_text(selector)} is reported by {' and '.join(sorted(reporters))}: requests count twice"
        found.warning("SLO223", slo.at("sli"), message, 'add the matcher `reporter="destination"`')


def _check_metric(slo: Slo, selector: Selector, client: PrometheusClient, found: Diagnostics) -> bool:
    metric = Selector(selector.metric)
    if client.query(f"count({over_time('last', metric, DAY)})"):
        return True
    stem = selector.metric.split("_")[0]
    names = client.query(f'group by (__name__) ({{__name__=~"{re.escape(stem)}_.+"}})')
    near = get_close_matches(selector.metric, (sample.labels["__name__"] for sample in names), n=1, cutoff=0.93)
    help_ = f"write `{near[0]}`" if near else "look for its name; one that is born with its first event looks the same"
    found.warning("SLO224", slo.at("sli"), f"no series of {selector.metric} in the last day", help_)
    return not near
