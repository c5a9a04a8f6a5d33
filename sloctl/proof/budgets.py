"""Proofs of what is recorded about a budget: what is spent, how long the rest lasts, what is owed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sloctl import conventions
from sloctl.explain.simulation import Tile
from sloctl.model.alerting import Sla
from sloctl.model.catalogue import RECENT_TILES, Slo
from sloctl.model.quantities import Duration
from sloctl.model.window import CalendarWindow
from sloctl.proof.examples import NotDerivableError, selected
from sloctl.proof.proof import Case, Expected, Proof, Rules
from sloctl.proof.recorded import checked, near, own_series, period_series, recorded, split_of, tile_series
from sloctl.proof.series import Raw, series_text

_EVENTS: Final = Decimal(1_000_000)
_CLEAN: Final = 240
_BAD: Final = 80
_CONTRACT: Final = Decimal(20_000)


@dataclass(frozen=True, slots=True)
class _Spent:
    """Events of a history, by the moment at which it is looked at, and of its last hour."""

    at: Duration
    total: Decimal
    errors: Decimal
    hour_total: Decimal
    hour_errors: Decimal


def budget_proof(slo: Slo, rules: Rules) -> Proof:
    """What is recorded about the budget, to the number: after clean events nothing, then a part."""
    step = slo.sampling.rollup
    names = [
        conventions.total_tile(step),
        conventions.errors_tile(step),
        conventions.budget_consumed(slo.window),
        conventions.TIME_TO_EXHAUSTION,
        conventions.OBJECTIVE,
    ]
    if isinstance(slo.window, CalendarWindow):
        names += [conventions.PERIOD_ERROR_RATIO, conventions.BUDGET_PREDICTED]
    return checked(slo, "budget", rules, step, names, [_history(slo)])


def _history(slo: Slo) -> Case:
    most = _EVENTS * min(2 * slo.objective.error_budget, Decimal(1))
    tiles = [(_EVENTS, Decimal(0))] * _CLEAN + [(_EVENTS, most * tile / _BAD) for tile in range(1, _BAD + 1)]
    resolution, split = slo.sampling.resolution, split_of(slo, "ill")
    spent = _looked_at(slo, tiles)
    series = tile_series(slo, tiles, split)
    if isinstance(slo.window, CalendarWindow):
        series |= _ends(slo, slo.window, spent.at * 3, len(tiles))
    team = {"team": slo.team} if slo.team else {}
    objective = series_text("", {**conventions.series_labels(slo), "window": str(slo.window), **team})
    values: list[Expected] = [
        (resolution * (_CLEAN - 40), own_series(slo, conventions.TIME_TO_EXHAUSTION, split), []),
        (spent.at, near(conventions.OBJECTIVE, slo.objective.ratio), [{"labels": objective, "value": 1}]),
    ]
    for name, value in _recorded(slo, spent).items():
        seen = [{"labels": own_series(slo, "", split), "value": 1}] if value > 0 else []
        values.append((spent.at, near(name, value), seen))
    return Case("tells what is spent and how long the rest lasts", resolution, series, (), values)


def window_proof(slo: Slo, rules: Rules) -> Proof:
    """Roll-ups count for a whole window and no longer; evaluated at its end only, as it is long."""
    step, split, window = slo.sampling.rollup, split_of(slo, "ill"), slo.window
    length = window.longest if isinstance(window, CalendarWindow) else window.length
    last = length.milliseconds // step.milliseconds
    outside, inside, newest = (_EVENTS, _EVENTS), (_EVENTS, _EVENTS / 1000), (_EVENTS, Decimal(0))
    tiles: list[Tile | None] = [outside, inside, *([None] * (last - 2)), newest]
    if isinstance(window, CalendarWindow):
        tiles[0] = None
    labels = {**conventions.series_labels(slo), **recorded(split), **({"period": "0"} if slo.calendar else {})}
    series: Raw = {
        series_text(name(step), labels): [None if tile is None else tile[side] for tile in tiles]
        for side, name in enumerate((conventions.total_tile, conventions.errors_tile))
    }
    if slo.calendar is not None:
        series |= period_series(slo, slo.calendar, [Decimal(0)] * len(tiles))
    name = conventions.budget_consumed(window)
    spent = near(name, Decimal("0.0005") / slo.objective.error_budget)
    values: list[Expected] = [(step * last, spent, [{"labels": own_series(slo, "", split), "value": 1}])]
    case = Case("counts for a whole window and no longer", step, series, (), values)
    return checked(slo, "window", rules, step * last, [name], [case])


def _looked_at(slo: Slo, tiles: Sequence[Tile]) -> _Spent:
    """The last evaluation; a roll-up holds the four tiles before its own moment."""
    group = int(slo.sampling.rollup / slo.sampling.resolution)
    last = (len(tiles) - 1) // group * group
    return _Spent(
        slo.sampling.resolution * last,
        sum((total for total, _ in tiles[:last]), Decimal(0)),
        sum((errors for _, errors in tiles[:last]), Decimal(0)),
        sum((total for total, _ in tiles[last - RECENT_TILES : last]), Decimal(0)),
        sum((errors for _, errors in tiles[last - RECENT_TILES : last]), Decimal(0)),
    )


def _recorded(slo: Slo, spent: _Spent) -> dict[str, Decimal]:
    """Every number about the budget, from its meaning."""
    budget = slo.objective.error_budget
    hour = slo.sampling.recent.seconds
    consumed = spent.errors / (budget * spent.total)
    found = {conventions.budget_consumed(slo.window): consumed}
    if not isinstance(slo.window, CalendarWindow):
        left = (1 - consumed) * budget * slo.window.length.seconds
        return found | {conventions.TIME_TO_EXHAUSTION: left / (spent.hour_errors / spent.hour_total)}
    hours = spent.at.seconds * 2 / hour
    left = budget * spent.total - spent.errors
    burning = spent.hour_errors - budget * spent.hour_total
    return found | {
        conventions.TIME_TO_EXHAUSTION: left / burning * hour if burning > 0 else Decimal(-1),
        conventions.PERIOD_ERROR_RATIO: spent.errors / spent.total,
        conventions.BUDGET_PREDICTED: (spent.errors + spent.hour_errors * hours)
        / (budget * (spent.total + spent.hour_total * hours)),
    }


def _ends(slo: Slo, calendar: CalendarWindow, moment: Duration, count: int) -> Raw:
    """The end of the running period, as a series."""
    labels = conventions.calendar_labels(slo.platform, calendar)
    return {series_text(conventions.PERIOD_END, labels): [moment.seconds] * count}


def credit_proof(slo: Slo, sla: Sla, rules: Rules) -> Proof | None:
    """What is owed just inside and just outside each limit; None where no contract's value can be derived."""
    try:
        labels = selected(sla.value)
    except NotDerivableError:
        return None
    step = slo.sampling.rollup
    split = split_of(slo, "ill")
    contract = series_text(sla.value.metric, {**labels, **split})
    owed = {**conventions.series_labels(slo), **recorded(split), "currency": sla.currency}
    cases = [_credit(slo, contract, owed, ratio, share) for ratio, share in _levels(sla)]
    names = [conventions.total_tile(step), conventions.errors_tile(step), conventions.SLA_CREDITS]
    return checked(slo, "credits", rules, step, names, cases)


def _levels(sla: Sla) -> list[tuple[Decimal, Decimal]]:
    """Error ratios around each limit, and the highest credit whose limit is missed."""
    close = Decimal("0.999"), Decimal("1.001")
    ratios = [min((1 - credit.below) * near_it, Decimal(1)) for credit in sla.credits for near_it in close]
    return [
        (ratio, max((one.credit for one in sla.credits if 1 - ratio < one.below), default=Decimal(0)))
        for ratio in ratios
    ]


def _credit(slo: Slo, contract: str, owed: dict[str, str], ratio: Decimal, share: Decimal) -> Case:
    tiles = [(_EVENTS, _EVENTS * ratio)] * 20
    series = tile_series(slo, tiles, split_of(slo, "ill")) | {contract: [_CONTRACT] * len(tiles)}
    at = slo.sampling.rollup * 4
    expr = near(conventions.SLA_CREDITS, share * _CONTRACT)
    values: list[Expected] = [(at, expr, [{"labels": series_text("", owed), "value": 1}])]
    return Case(f"owes {share} at an error ratio of {ratio}", slo.sampling.resolution, series, (), values)
