"""Proofs of what tells that targets are dead, that nothing is measured any more, or too much."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from sloctl import conventions
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import DAY, HOUR, Duration
from sloctl.model.selector import Selectors
from sloctl.promql.selectors import parse_selector
from sloctl.proof.examples import NotDerivableError, matches, selected
from sloctl.proof.history import EMPTY, continued, traffic_of
from sloctl.proof.proof import Case, Expected, Proof, SloRules
from sloctl.proof.raw_input import INSTANCE, RawInput
from sloctl.proof.recorded import AFFECTED, UNAFFECTED, own_series, split_of, tile_series
from sloctl.proof.series import InputSeries, series_text
from sloctl.proof.texts import fired


def blind_proofs(rules: SloRules, raw: RawInput | None) -> Iterator[Proof]:
    """The alerts on dead targets and on a metric that vanished, and with `by` the one on too many values."""
    slo, down, blind = rules.slo, conventions.down_alert(rules.slo), conventions.blind_alert(rules.slo)
    if down in rules.meant:
        try:
            yield rules.proof("down", slo.sampling.resolution, [down], [_down(rules)])
        except NotDerivableError as error:
            yield rules.unrun(down, str(error))
    if slo.blind:
        try:
            yield rules.proof("blind", slo.sampling.rollup, [blind], list(_blind(rules, raw, slo.blind)))
        except NotDerivableError as error:
            yield rules.unrun(blind, str(error))
    if slo.by:
        many = conventions.too_many_series_alert(slo)
        yield rules.proof("too-many-series", slo.sampling.resolution, [many], [_too_many(rules)])


def _down(rules: SloRules) -> Case:
    """Every target is down after twenty tiles, for as long as it takes, and then up again."""
    slo, alert, resolution = rules.slo, conventions.down_alert(rules.slo), rules.slo.sampling.resolution
    assert slo.down is not None
    interval, tiles, waits = slo.sampling.scrape_interval, 20, _rounded_up(slo.down, resolution)
    scrapes = [(resolution * count).milliseconds // interval.milliseconds for count in (tiles, waits + 2, 3)]
    series: InputSeries = {
        own_series(slo, conventions.total_tile(resolution), split_of(slo)): [Decimal(1)] * sum(scrapes)
    }
    for selector in (selector for group in slo.indicator.reads().required for selector in group):
        labels = {**selected(selector), **split_of(slo)}
        target = {label: labels.get(label, "proof") for label in slo.sampling.target_labels}
        series[series_text(selector.metric, labels | target)] = [Decimal(1)] * scrapes[0]
        series[series_text("up", target)] = [
            Decimal(up) for up, count in zip((1, 0, 1), scrapes, strict=True) for _ in range(count)
        ]
    dead = resolution * _rounded_up(interval * scrapes[0], resolution)
    told = [fired(slo, rules.meant[alert], {})]
    alerts: list[Expected] = [
        (dead, alert, []),
        (dead + resolution * (waits - 1), alert, []),
        (dead + resolution * waits, alert, told),
        (dead + resolution * (waits + 3), alert, []),
    ]
    return Case("targets that are all dead", interval, series, alerts)


def _blind(rules: SloRules, raw: RawInput | None, after: Duration) -> Iterator[Case]:
    slo, step, resolution = rules.slo, rules.slo.sampling.rollup, rules.slo.sampling.resolution
    # Where a metric was is looked for once an hour.
    present = _rounded_up(max(after, HOUR), step) + 1
    count = (step * present).milliseconds // resolution.milliseconds
    tiles = [EMPTY] * 2 + [traffic_of(slo, raw).clean] * count
    # Where only the user's PromQL reads raw series, the tile tells that they are gone.
    if raw is None or not slo.indicator.reads().required:
        series = _present(slo, len(tiles)) or tile_series(slo, tiles, split_of(slo))
        yield _vanished(rules, "a vanished metric is blind", resolution, series, set(series), asked=True)
        return
    series, interval = continued(slo, raw, tiles, 2), raw.clock.interval
    needed = [_selected(series, selectors) for selectors in slo.indicator.reads().groups]
    gone = {name for name in series if parse_selector(name).metric == "up"}.union(*needed)
    yield _vanished(rules, "a vanished metric is blind", interval, series, gone)
    for part in needed if len(needed) > 1 else ():
        yield _vanished(rules, "a part of it that vanished is blind", interval, series, part, asked=True)
    if slo.sampling.target_labels and any(name.startswith("up{") for name in gone):
        for asked, name in (
            (False, "what a new process was not asked for yet is not"),
            (True, "but steady traffic is"),
        ):
            yield _vanished(rules, name, interval, series, gone, asked=asked, deployed=True)
    if slo.by:
        yield _split_value(rules, raw)


def _rounded_up(length: Duration, step: Duration) -> int:
    return -(-length.milliseconds // step.milliseconds)


def _present(slo: Slo, count: int) -> InputSeries:
    """One series for each selector of the SLI, whatever its samples mean; they need only be there."""
    selectors = (selector for group in slo.indicator.reads().groups for selector in group)
    return {
        series_text(selector.metric, {**selected(selector), **split_of(slo)}): [Decimal(1)] * count
        for selector in selectors
    }


def _selected(series: InputSeries, selectors: Selectors) -> set[str]:
    """The series that one of the selectors selects."""
    found = set()
    for name in series:
        known = parse_selector(name)
        labels = {matcher.label: matcher.value for matcher in known.matchers}
        if any(known.metric == selector.metric and matches(selector, labels) for selector in selectors):
            found.add(name)
    return found


def _vanished(
    rules: SloRules,
    name: str,
    interval: Duration,
    series: InputSeries,
    gone: set[str],
    *,
    asked: bool = False,
    deployed: bool = False,
) -> Case:
    """Some series end, the others go on: pending after 15 min, firing an evaluation later, gone once they are back.

    The same happens to another target. Without events before, only that their processes live on is a reason to fire.

    Args:
        rules: of the SLO.
        name: what it shows.
        interval: between samples.
        series: of one target.
        gone: those that end.
        asked: there were events in each tile before.
        deployed: another target is up from then on, which never had the metric.
    """
    alert, step = conventions.blind_alert(rules.slo), rules.slo.sampling.rollup
    assert rules.slo.blind is not None
    gone = {name for text in gone for name in (text, _of_another_target(rules.slo, text))}
    series = {name: samples for text, samples in series.items() for name in (text, _of_another_target(rules.slo, text))}
    last = max(len(samples) for samples in series.values()) - 1
    until = interval * last
    pending = step * _rounded_up(until + rules.slo.blind + Duration(1), step)
    until_back = (pending + step).milliseconds // interval.milliseconds - last
    more = until_back + (step * 2).milliseconds // interval.milliseconds + 1
    kept: InputSeries = {
        text: [*samples, *([None] * until_back if text in gone else [samples[-1]] * until_back)]
        + [samples[-1]] * (more - until_back)
        for text, samples in series.items()
    }
    tile = own_series(rules.slo, conventions.total_tile(rules.slo.sampling.resolution), split_of(rules.slo))
    events = Decimal(asked)
    kept |= {tile: [events] * (last + 1) + [None] * until_back + [events] * (more - until_back)}
    if deployed:
        new = next(text for text in series if text.startswith("up{")).replace(f'"{INSTANCE}"', f'"{INSTANCE}-new"')
        kept[new] = [None] * (last + 1) + [Decimal(1)] * more
    alerts: list[Expected] = [
        (step * (until.milliseconds // step.milliseconds), alert, []),
        (pending, alert, []),
        (pending + step, alert, [fired(rules.slo, rules.meant[alert], {})] if asked or not deployed else []),
        (pending + step * 3, alert, []),
    ]
    return Case(name, interval, kept, alerts)


def _of_another_target(slo: Slo, series: str) -> str:
    """The same series of another target; itself where its selector names the target."""
    free = (label for label in slo.sampling.target_labels if f'{label}="{INSTANCE}"' in series)
    label = next(free, "")
    return series.replace(f'{label}="{INSTANCE}"', f'{label}="{INSTANCE}-2"') if label else series


def _split_value(rules: SloRules, raw: RawInput) -> Case:
    """One split value was counted a day ago and has no raw series now, while its targets live and another one has."""
    slo, alert, step = rules.slo, conventions.blind_alert(rules.slo), rules.slo.sampling.rollup
    day = _rounded_up(DAY, step)
    count, total = day + 4, conventions.total_tile(step)
    series: InputSeries = {
        own_series(slo, total, split_of(slo, AFFECTED)): [Decimal(1)] * 4,
        own_series(slo, total, split_of(slo, UNAFFECTED)): [Decimal(1)] * count,
    }
    for value, until in ((AFFECTED, count // 2), (UNAFFECTED, count)):
        for name, samples in raw.series([traffic_of(slo, raw).clean] * 8, split_of(slo, value)).items():
            series[name] = [samples[-1]] * until
            known = {matcher.label: matcher.value for matcher in parse_selector(name).matchers}
            target = {label: known[label] for label in slo.sampling.target_labels if label in known}
            series[series_text("up", target)] = [Decimal(1)] * count
    alerts: list[Expected] = [
        (step * (day - 1), alert, []),
        (step * (day + 1), alert, [fired(slo, rules.meant[alert], split_of(slo, AFFECTED))]),
    ]
    return Case("a value that vanished is blind, and only that", step, series, alerts)


def _too_many(rules: SloRules) -> Case:
    """As many values as there may be, and then one more."""
    slo, alert, resolution = rules.slo, conventions.too_many_series_alert(rules.slo), rules.slo.sampling.resolution
    name = conventions.total_tile(resolution)
    series: InputSeries = {
        own_series(slo, name, split_of(slo, str(number))): [Decimal(1)] * 8 for number in range(slo.max_series)
    }
    series[own_series(slo, name, split_of(slo, "more"))] = [None] * 4 + [Decimal(1)] * 4
    told = fired(slo, rules.meant[alert], {})
    alerts: list[Expected] = [(resolution * 3, alert, []), (resolution * 4, alert, [told])]
    return Case("is told of one value too many", resolution, series, alerts)
