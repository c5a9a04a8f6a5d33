"""What a running Prometheus says of the series that specifications read: the mistakes that no parser can see.

Codes: SLO201 no series, SLO202 no bucket, SLO203 created counters cannot be told, SLO204 split labels, SLO205 scrape
interval, SLO206 no counter, SLO208 samples that come late, SLO209 `up` of more
targets than needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Catalogue, NewSeries, Platform, Slo
from sloctl.model.indicator import Latency
from sloctl.model.quantities import MINUTE, SECOND, Duration, number
from sloctl.model.selector import Matcher, MatchOperator, Selector
from sloctl.promql.build import over_time
from sloctl.promql.selectors import selector_text

if TYPE_CHECKING:
    from sloctl.prometheus import PrometheusClient

_RECENT: Final = Duration.of(minutes=15)
_OFF: Final = 0.25
"""How far, as a ratio, the samples' distance may be from the declared interval."""
_FALLS: Final = 0.1
"""More of its samples than this, as a ratio, lie below the one before: no process starts again that often."""
_USUAL: Final = (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240)
"""Intervals that people write, in seconds."""
_NAMED: Final = 3
"""So many SLOs of one finding are named."""
_MANY: Final = 100
"""To read `up` of fewer targets is cheap."""


def check_data(catalogue: Catalogue, client: PrometheusClient, found: Diagnostics) -> None:
    """Add what is wrong with the data of each SLO, at the place of its `sli`."""
    for platform in catalogue.platforms:
        causes = _Causes(platform, found)
        for slo in platform.slos:
            reads = slo.indicator.reads()
            for selector in (selector for group in reads.required for selector in group):
                if selector not in reads.optional:
                    _check_selector(slo, selector, client, found, causes)
            if isinstance(slo.indicator, Latency) and not slo.indicator.native:
                _check_bucket(slo, slo.indicator, client, found)
        causes.tell()


@dataclass(slots=True)
class _Causes:
    """Warnings of a platform whose cure is the same: one finding tells of all of them."""

    platform: Platform
    found: Diagnostics
    warnings: dict[tuple[str, str], list[tuple[Slo, str, str]]] = field(default_factory=dict)

    def warning(self, code: str, slo: Slo, key: str, message: str, help_: str) -> None:
        """Note a warning about `key` of an SLO."""
        self.warnings.setdefault((code, help_), []).append((slo, key, message))

    def tell(self) -> None:
        """One finding for each cure."""
        for (code, help_), told in self.warnings.items():
            (slo, key, message), *_ = told
            others = [other for other in dict.fromkeys(other.id for other, _, _ in told) if other != slo.id]
            if not others:
                self.found.warning(code, slo.at(key), message, help_)
                continue
            names = ", ".join(others[:_NAMED]) + (f" and {len(others) - _NAMED} more" if others[_NAMED:] else "")
            # what holds for many of them is said once, in the Platform
            place = self.platform.place if key == "sli" else slo.places.get(key, self.platform.place)
            self.found.warning(code, place, f"{message}; so it is with {names}", help_)


def _check_selector(
    slo: Slo, selector: Selector, client: PrometheusClient, found: Diagnostics, causes: _Causes
) -> None:
    if not _value(client, f"count({_recent(slo, 'last', selector)})"):
        help_ = "look for the metric and its labels in Prometheus; is its target scraped?"
        found.error("SLO201", slo.at("sli"), f"{selector_text(selector)} matches no series", help_)
        return
    if slo.by:
        _check_split(slo, selector, client, found)
    _check_targets(slo, selector, client, causes)
    if slo.indicator.reads().counters:
        _check_falls(slo, selector, client, found)
        if slo.sampling.new_series is NewSeries.COUNT_IF_UP:
            _check_creations(slo, selector, client, causes)
    spacing = _spacing(slo, selector, client)
    if not _is_late(slo, selector, client, causes, spacing or 0) and spacing:
        _check_interval(slo, selector, client, causes, spacing)


def _recent(slo: Slo, function: str, selector: Selector) -> str:
    """A function over what should be there by now."""
    return over_time(function, selector, _RECENT, slo.sampling.late_by)


def _is_late(slo: Slo, selector: Selector, client: PrometheusClient, causes: _Causes, spacing: int) -> bool:
    """Whether samples are older than the rules look back when they come: a tile has passed them by then."""
    sampling, looks = slo.sampling, f"{_RECENT + slo.sampling.late_by}:{MINUTE}"
    newest = _value(client, f"time() - max(max_over_time(timestamp({selector_text(selector)})[{looks}]))")
    in_time = sampling.shift + max(sampling.scrape_interval, MINUTE, SECOND * spacing)  # the next may be due at once
    if newest is None or newest <= in_time.seconds:
        return False
    late = MINUTE * math.ceil(newest / 60)
    message = f"the newest sample of {selector_text(selector)} is {round(newest)}s old, and tiles are counted {in_time}"
    help_ = f"write `late_by: {late}`; alerts are as much later"
    causes.warning("SLO208", slo, "late_by", f"{message} late", help_)
    return True


def _check_targets(slo: Slo, selector: Selector, client: PrometheusClient, causes: _Causes) -> None:
    """Whether `up` is read of many more targets than the selector has, though one of its matchers would narrow it."""
    known = slo.sampling.target_labels
    up = Selector("up", selector.on(known))
    needed = _value(client, f"count(group by ({', '.join(known)}) ({selector_text(selector)}))") if known else None
    targets = _value(client, f"count({selector_text(up)})")
    if not needed or not targets or targets < max(_MANY, needed * 2):
        return
    more = [matcher for matcher in selector.matchers if matcher.label not in known]
    helps = [
        matcher.label
        for matcher in more
        if _value(client, f"count({selector_text(up.narrowed(matcher))}) < {targets / 2}")
    ]
    message = f"rules read `up` of {targets:.0f} targets, and {selector_text(selector)} is on {needed:.0f}"
    if helps:
        labels = ", ".join([*known, *dict.fromkeys(helps)])
        help_ = f"write `target_labels: [{labels}]` in the Platform: `up` has them too, so the same matchers narrow it"
    else:
        help_ = "add a matcher on `job` to the selector"
    causes.warning("SLO209", slo, "sli", message, help_)


def _check_split(slo: Slo, selector: Selector, client: PrometheusClient, found: Diagnostics) -> None:
    labels = ", ".join(slo.by)
    present = selector.narrowed(*(Matcher(label, MatchOperator.NOT_EQUAL, "") for label in slo.by))
    values = _value(client, f"count(group by ({labels}) ({_recent(slo, 'last', present)}))")
    if not values:
        message = f"no series of {selector_text(selector)} has the labels {labels}"
        found.error("SLO204", slo.at("by"), message, "split by labels that the metric has")
    elif values > slo.max_series:
        message = (
            f"{selector_text(selector)} has {values:.0f} values of {labels}, more than `max_series` {slo.max_series}"
        )
        found.warning("SLO204", slo.at("by"), message, f"write `max_series: {int(values * 2)}`, or split by less")


def _check_creations(slo: Slo, selector: Selector, client: PrometheusClient, causes: _Causes) -> None:
    labels = slo.sampling.target_labels
    targets = selector.narrowed(*(Matcher(label, MatchOperator.NOT_EQUAL, "") for label in labels))
    on = ", ".join(labels)
    up = Selector("up", selector.on(labels))
    joined = f"count(({_recent(slo, 'last', targets)}) and on ({on}) ({_recent(slo, 'last', up)}))"
    if not _value(client, joined):
        message = (
            f"no `up` shares the labels {on} with {selector_text(selector)}: the first errors of a series are lost"
        )
        help_ = "name the `target_labels` of your scrapes, or write `new_series: count` for pushed metrics"
        causes.warning("SLO203", slo, "sli", message, help_)


def _check_falls(slo: Slo, selector: Selector, client: PrometheusClient, found: Diagnostics) -> None:
    falls = f"resets({selector_text(selector, _RECENT, slo.sampling.late_by)})"
    often = f"{falls} > {_FALLS} * ({_recent(slo, 'count', selector)} >= 5)"
    if times := _value(client, f"max({often})"):
        message = f"{selector_text(selector)} fell {times:.0f} times in {_RECENT}: it is no counter"
        help_ = "write `counts: per_5m` for the events of an interval, or `counts: per_second` for a rate"
        if _value(client, f"count(({often}) and {_grows(slo, selector)})"):
            message += " of one process: it falls and returns to more, as several workers behind one target do"
            help_ = "let all workers of a target count together (`PROMETHEUS_MULTIPROC_DIR`), or scrape each by itself"
        found.warning("SLO206", slo.at("sli"), message, help_)


def _grows(slo: Slo, selector: Selector) -> str:
    """Series whose lowest and highest samples both rise from third to third; events of intervals do neither."""
    third, late = _RECENT // 3, slo.sampling.late_by
    parts = [
        f"{over_time(function, selector, third, late + third * number)}"
        f" > {over_time(function, selector, third, late + third * (number + 1))}"
        for function in ("min", "max")
        for number in range(2)
    ]
    return " and ".join(parts)


def _spacing(slo: Slo, selector: Selector, client: PrometheusClient) -> int | None:
    """Seconds from sample to sample, as people write them; None where too few samples tell.

    Of the thirds of the time that is looked at, the one with most samples tells: in another, scraping may pause.
    """
    third, late = _RECENT // 3, slo.sampling.late_by
    parts = [f"quantile(0.5, {over_time('count', selector, third, late + third * number)})" for number in range(3)]
    samples = max((_value(client, part) or 0 for part in parts), default=0)
    if samples < 1 or (samples < 2 and slo.sampling.scrape_interval < third):
        return None
    length = float(third.seconds)
    possible = [each for each in _USUAL if length / (samples + 1) < each <= length / max(samples - 1, 0.5)]
    return min(possible, key=lambda each: abs(each - length / samples), default=round(length / samples))


def _check_interval(slo: Slo, selector: Selector, client: PrometheusClient, causes: _Causes, spacing: int) -> None:
    declared = slo.sampling.scrape_interval
    if abs(spacing / float(declared.seconds) - 1) > _OFF and not _is_young(client, selector):
        message = f"{selector_text(selector)} has a sample each {spacing}s, not each {declared}"
        causes.warning("SLO205", slo, "scrape_interval", message, f"write `scrape_interval: {spacing}s`")


def _is_young(client: PrometheusClient, selector: Selector) -> bool:
    """Whether the series do not yet fill the time that was looked at."""
    return not _value(client, f"count({selector_text(selector, offset=_RECENT)})")


def _check_bucket(slo: Slo, latency: Latency, client: PrometheusClient, found: Diagnostics) -> None:
    for histogram in latency.histogram:
        bucket = histogram.named(f"{histogram.metric}_bucket")
        answers = client.query(f"group by (le) ({over_time('last', bucket, _RECENT)})")
        bounds = sorted({float(answer.labels["le"]) for answer in answers} - {float("inf")})
        if bounds and float(latency.at_most) not in bounds:
            near = sorted(bounds, key=lambda bound: abs(bound - float(latency.at_most)))[:2]
            help_ = f"write one of its bounds, such as {' or '.join(f'{bound:g}' for bound in sorted(near))}"
            message = f"{histogram.metric} has no bucket at {number(latency.at_most)}"
            found.error("SLO202", slo.at("sli"), message, help_)


def _value(client: PrometheusClient, promql: str) -> float | None:
    answers = tuple(client.query(promql))
    return answers[0].value if answers else None
