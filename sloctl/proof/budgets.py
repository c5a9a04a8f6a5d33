"""Proofs of what is recorded about a budget: what is spent, how long the rest lasts, what is owed, when it is new."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from sloctl import conventions
from sloctl.explain.simulation import Tile
from sloctl.model.alerting import Sla
from sloctl.model.catalogue import RECENT_TILES, ROLLUP_TILES, Slo
from sloctl.model.quantities import Duration
from sloctl.model.window import CalendarWindow
from sloctl.proof.examples import NotDerivableError, selected
from sloctl.proof.proof import Case, Expected, Proof, SloRules, holds
from sloctl.proof.recorded import (
    near,
    own_series,
    period_series,
    recorded,
    spent_names,
    split_of,
    tile_names,
    tile_series,
)
from sloctl.proof.series import FewSamples, InputSeries, series_text

_EVENTS: Final = Decimal(1_000_000)
_CLEAN: Final = 240
_BAD: Final = 80
_CONTRACT: Final = Decimal(20_000)
_APART: Final = 48
"""Tiles between two evaluations, so that none sees what another one sees or recorded."""
_NEXT_PERIOD: Final = 36_600
"""A boundary at 610 minutes: no multiple of a day, as after a change of clocks."""


def budget_proofs(rules: SloRules) -> Iterator[Proof]:
    """What is recorded about the budget, over the whole window, at the end of a calendar period, and what is owed."""
    yield _budget(rules)
    yield _rollups(rules)
    yield _window(rules)
    yield _since(rules)
    if rules.slo.sla is not None:
        yield from _credits(rules, rules.slo.sla)
    if isinstance(rules.slo.window, CalendarWindow):
        yield _rollover(rules, rules.slo.window)


def _budget(rules: SloRules) -> Proof:
    """To the number: after clean events nothing is spent, then a part."""
    slo, step = rules.slo, rules.slo.sampling.rollup
    names = [*tile_names(step), *spent_names(slo), conventions.WINDOW_COVERED]
    names += [conventions.TIME_TO_EXHAUSTION, conventions.OBJECTIVE]
    if isinstance(slo.window, CalendarWindow):
        names += [conventions.BUDGET_PREDICTED]
    return rules.proof("budget", step, names, [_history(slo)])


def _history(slo: Slo) -> Case:
    """Looked at by the last evaluation; a roll-up holds the four tiles before its own moment."""
    most = _EVENTS * min(2 * slo.objective.error_budget, Decimal(1))
    tiles = [(_EVENTS, Decimal(0))] * _CLEAN + [(_EVENTS, most * tile / _BAD) for tile in range(1, _BAD + 1)]
    resolution, split = slo.sampling.resolution, split_of(slo)
    group = int(slo.sampling.rollup / resolution)
    last = (len(tiles) - 1) // group * group
    at = resolution * last
    series = tile_series(slo, tiles, split)
    if isinstance(slo.window, CalendarWindow):
        series |= period_series(conventions.PERIOD_END, slo, slo.window, [(at * 3).seconds] * len(tiles))
    team = {"team": slo.team} if slo.team else {}
    objective = series_text("", {**conventions.series_labels(slo), "window": str(slo.window), **team})
    values: list[Expected] = [
        (resolution * (_CLEAN - 40), own_series(slo, conventions.TIME_TO_EXHAUSTION, split), []),
        holds(at, near(conventions.OBJECTIVE, slo.objective.ratio), objective),
    ]
    recordings = _recordings(slo, at, _summed(tiles[:last]), _summed(tiles[last - RECENT_TILES : last]))
    for name, value in recordings.items():
        values.append(holds(at, near(name, value), own_series(slo, "", split)))
    return Case("tells what is spent and how long the rest lasts", resolution, series, (), values)


def _summed(tiles: Sequence[Tile]) -> Tile:
    return sum((total for total, _ in tiles), Decimal(0)), sum((errors for _, errors in tiles), Decimal(0))


def _recordings(slo: Slo, at: Duration, spent: Tile, recent: Tile) -> dict[str, Decimal]:
    """Every number about the budget, from its meaning: what is spent until a moment, and in the hour before it."""
    budget, (total, errors), (recent_total, recent_errors) = slo.objective.error_budget, spent, recent
    hour = slo.sampling.recent.seconds
    covered = Decimal(1) / 3 if isinstance(slo.window, CalendarWindow) else Decimal(1)
    found = {
        conventions.window_total(slo.window): total,
        conventions.budget_consumed(slo.window): errors / (budget * total) * covered,
        conventions.WINDOW_COVERED: covered,
        conventions.TIME_TO_EXHAUSTION: (budget * total / covered - errors) / recent_errors * hour,
    }
    if not isinstance(slo.window, CalendarWindow):
        gone = total * hour / slo.window.length.seconds  # events that leave a rolling window in an hour
        burning = recent_errors - budget * (recent_total - gone)
        return found | {conventions.TIME_TO_EXHAUSTION: (budget * total - errors) / burning * hour}
    hours = at.seconds * 2 / hour
    predicted = (errors + recent_errors * hours) / (budget * (total + recent_total * hours))
    return found | {
        conventions.PERIOD_ERROR_RATIO: errors / total,
        conventions.BUDGET_PREDICTED: predicted,
    }


def _rollups(rules: SloRules) -> Proof:
    """A roll-up holds four tiles, and those of up to three roll-ups that were missed; one evaluation for each.

    Then the same without a tile since the last roll-up: what that one held is not counted again.

    Kills: a longer or shorter rung, one that holds beside another or where a shorter one does, a tile counted that is
    still being written.
    """
    slo, resolution, split = rules.slo, rules.slo.sampling.resolution, split_of(rules.slo)
    labels = {**conventions.series_labels(slo), **recorded(split)}
    rolled = {**labels, **({"period": "0"} if slo.calendar else {})}
    names, tiles = tile_names(slo.sampling.rollup), tile_names(resolution)
    values, samples = list[Expected](), dict[str, dict[int, Decimal]]()
    worlds = [(missed, has_new) for has_new in (True, False) for missed in (0, 1, 2, 3, None)]
    for number, (missed, has_new) in enumerate(worlds, start=1):
        now = number * _APART
        held = 1 if missed is None else missed + 1
        ages = range(0 if has_new else ROLLUP_TILES * held + 1, _APART // 2)
        for side, name in enumerate(names):
            weights = {now - age: Decimal((age + 1) ** 2 + side) for age in ages}
            samples.setdefault(series_text(tiles[side], labels), {}).update(weights)
            total = sum(weights.get(now - age, Decimal(0)) for age in range(1, ROLLUP_TILES * held + 1))
            seen = [{"labels": series_text(name, rolled), "value": float(total)}] if has_new else []
            values.append((resolution * now, name, seen))
            if missed is not None:
                samples.setdefault(series_text(name, rolled), {})[now - ROLLUP_TILES * held] = Decimal(1)
    length = len(worlds) * _APART + 1
    series: InputSeries = {name: FewSamples(found, length) for name, found in samples.items()}
    if slo.calendar is not None:
        series |= period_series(conventions.PERIOD_START, slo, slo.calendar, [Decimal(0)] * length)
    case = Case("holds what no other roll-up holds", resolution, series, (), values)
    return rules.proof("roll-ups", resolution * _APART, names, [case])


def _window(rules: SloRules) -> Proof:
    """Roll-ups count for a whole window and no longer; evaluated at its end only, as it is long."""
    slo, step, split, window = rules.slo, rules.slo.sampling.rollup, split_of(rules.slo), rules.slo.window
    length = window.longest if isinstance(window, CalendarWindow) else window.length
    last = length.milliseconds // step.milliseconds
    outside, inside, newest = (_EVENTS, _EVENTS), (_EVENTS, _EVENTS / 1000), (_EVENTS, Decimal(0))
    tiles: list[Tile | None] = [outside, inside, *([None] * (last - 2)), newest]
    if isinstance(window, CalendarWindow):
        tiles[0] = None
    labels = {**conventions.series_labels(slo), **recorded(split), **({"period": "0"} if slo.calendar else {})}
    series: InputSeries = {
        series_text(name, labels): [None if tile is None else tile[side] for tile in tiles]
        for side, name in enumerate(tile_names(step))
    }
    if slo.calendar is not None:
        series |= period_series(conventions.PERIOD_START, slo, slo.calendar, [Decimal(0)] * len(tiles))
    name = conventions.budget_consumed(window)
    spent = near(name, Decimal("0.0005") / slo.objective.error_budget)
    values = [holds(step * last, spent, own_series(slo, "", split))]
    case = Case("counts for a whole window and no longer", step, series, (), values)
    return rules.proof("window", step * last, spent_names(slo), [case])


def _since(rules: SloRules) -> Proof:
    """Since when tiles are there: to the tile while they go on; to the moment looked at where older ones are found."""
    slo, resolution, split = rules.slo, rules.slo.sampling.resolution, split_of(rules.slo)
    tile, rolled = (
        own_series(slo, conventions.total_tile(length), split) for length in (resolution, slo.sampling.rollup)
    )
    began: InputSeries = {tile: [None] * 5 + [Decimal(1)] * 40}
    name, labels = conventions.MEASURED_SINCE, own_series(slo, conventions.MEASURED_SINCE, split)
    since = [{"labels": labels, "value": float((resolution * 4).seconds)}]
    goes_on: list[Expected] = [
        (resolution * 4, name, []),
        (resolution * 5, name, since),
        (resolution * 40, name, since),
    ]
    older = holds(resolution * 40, f"{name} < bool 0", own_series(slo, "", split))
    cases = [
        Case("begins with the first tile", resolution, began, (), goes_on),
        Case("finds older tiles", resolution, {**began, rolled: [Decimal(1)]}, (), [older]),
    ]
    return rules.proof("measured-since", resolution, [name], cases)


def _rollover(rules: SloRules, calendar: CalendarWindow) -> Proof:
    """The budget of a calendar period begins anew with the next one."""
    slo, step, resolution = rules.slo, rules.slo.sampling.rollup, rules.slo.sampling.resolution
    consumed = conventions.budget_consumed(calendar)
    boundary = int(Decimal(_NEXT_PERIOD) / resolution.seconds)
    is_next = [index >= boundary for index in range(boundary + 60)]
    totals, errors = (own_series(slo, name, split_of(slo)) for name in tile_names(resolution))
    series: InputSeries = {
        totals: [Decimal(1000) for _ in is_next],
        errors: [Decimal(10 if new else 20) for new in is_next],
    }
    starts = [Decimal(_NEXT_PERIOD if new else 0) for new in is_next]
    series |= period_series(conventions.PERIOD_START, slo, calendar, starts)
    series |= period_series(conventions.PERIOD_END, slo, calendar, [start + _NEXT_PERIOD for start in starts])
    budget = slo.objective.error_budget
    elapsed = (step * 10).seconds / _NEXT_PERIOD
    before, after = float(Decimal(20) / 1000 / budget), float(Decimal(10) / 1000 / budget * elapsed)
    low, high = f"{consumed} > {before * 0.99} < {before * 1.001}", f"{consumed} < {after * 1.4} > {after * 0.9}"
    at_end = step * (boundary * resolution.milliseconds // step.milliseconds)
    values = [holds(at_end, f"count({low})"), holds(at_end + step * 10, f"count({high})")]
    case = Case("the budget begins anew with its period", resolution, series, (), values)
    return rules.proof("rollover", step, [*tile_names(step), *spent_names(slo)], [case])


def _credits(rules: SloRules, sla: Sla) -> Iterator[Proof]:
    """What is owed just inside and just outside each limit; nothing where no contract's value can be derived."""
    slo, step, split = rules.slo, rules.slo.sampling.rollup, split_of(rules.slo)
    try:
        contract = series_text(sla.value.metric, {**selected(sla.value), **split})
    except NotDerivableError:
        return
    owed = series_text("", {**conventions.series_labels(slo), **recorded(split), "currency": sla.currency})
    cases = [_credit(slo, contract, owed, ratio, share) for ratio, share in _levels(sla)]
    yield rules.proof("credits", step, [*tile_names(step), conventions.SLA_CREDITS], cases)


def _levels(sla: Sla) -> list[tuple[Decimal, Decimal]]:
    """Error ratios around each limit, and the highest credit whose limit is missed."""
    close = Decimal("0.999"), Decimal("1.001")
    ratios = [min((1 - limit.below) * factor, Decimal(1)) for limit in sla.credits for factor in close]
    missed = [(ratio, [limit.credit for limit in sla.credits if 1 - ratio < limit.below]) for ratio in ratios]
    return [(ratio, max(credits_, default=Decimal(0))) for ratio, credits_ in missed]


def _credit(slo: Slo, contract: str, owed: str, ratio: Decimal, share: Decimal) -> Case:
    tiles = [(_EVENTS, _EVENTS * ratio)] * 20
    series = tile_series(slo, tiles, split_of(slo)) | {contract: [_CONTRACT] * len(tiles)}
    expr = near(conventions.SLA_CREDITS, share * _CONTRACT)
    values = [holds(slo.sampling.rollup * 4, expr, owed)]
    return Case(f"owes {share} at an error ratio of {ratio}", slo.sampling.resolution, series, (), values)
