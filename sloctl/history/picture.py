"""One SLO's past as a picture: its burn rate, the incidents behind it, and when alerts fired below. SVG as text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape
from typing import Final

import numpy as np

from sloctl.history.backtest import Backtest, SloResult, TierResult
from sloctl.history.tiles import Floats, Moments, Tiles
from sloctl.model.alerting import Severity

_WIDTH: Final = 1000
_HEIGHT: Final = 220
_LEFT: Final = 90
_TOP: Final = 34
_ROW: Final = 22
_POINTS: Final = 400
_LEAST_BURN: Final = 0.1
_COLOURS: Final = {Severity.P1: "#c4162a", Severity.P2: "#c4570a", Severity.P3: "#7a6000"}
_TICKS: Final = (0.1, 1.0, 10.0, 100.0, 1000.0, 10_000.0)


def picture_of(looked: Backtest, result: SloResult) -> str:
    """The SVG; burn rates are on a logarithmic scale, since incidents differ by powers of ten."""
    tiles = looked.history.tiles.between(looked.span.start, looked.span.end)
    at, burns = _burns(tiles, looked)
    most = max(10.0, float(burns.max(initial=1.0)))
    tiers = result.written.tiers
    height = _TOP + _HEIGHT + _ROW * len(tiers) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 20} {height}" '
        f'font-family="sans-serif" font-size="13" fill="#333">',
        f'<rect width="{_LEFT + _WIDTH + 20}" height="{height}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="20">{escape(result.name)}: burn rate, incidents of '
        f"{looked.share:.0%} of the budget and more, and when alerts fired</text>",
        *_incidents(looked, result),
        *_scale(most),
        f'<path d="{_line(at, burns, looked, most)}" fill="none" stroke="#1f60c4" stroke-width="1.5"/>',
    ]
    for index, tier in enumerate(tiers):
        parts += _tier(looked, tier, _TOP + _HEIGHT + 8 + index * _ROW)
    parts += _times(looked, height - 12)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _burns(tiles: Tiles, looked: Backtest) -> tuple[Moments, Floats]:
    """The burn rate of so many equal parts of the span, of those that have events."""
    edges = np.linspace(looked.span.start, looked.span.end, _POINTS + 1).astype(np.int64)
    cuts = np.searchsorted(tiles.at, edges, side="right")
    sums = [np.concatenate(([0.0], np.cumsum(values))) for values in (tiles.total, tiles.bad)]
    total, bad = (until[cuts[1:]] - until[cuts[:-1]] for until in sums)
    there = total > 0
    middles = (edges[1:] + edges[:-1]) // 2
    return middles[there], bad[there] / total[there] / float(looked.slo.objective.error_budget)


def _x(looked: Backtest, moment: float) -> float:
    part = (moment - looked.span.start) / (looked.span.end - looked.span.start)
    return _LEFT + _WIDTH * min(max(part, 0.0), 1.0)


def _y(burn: float, most: float) -> float:
    low, high = np.log10(_LEAST_BURN), np.log10(most)
    part = (np.log10(max(burn, _LEAST_BURN)) - low) / (high - low)
    return float(_TOP + _HEIGHT * (1 - min(part, 1.0)))


def _line(at: Moments, burns: Floats, looked: Backtest, most: float) -> str:
    points = [f"{_x(looked, moment):.1f} {_y(burn, most):.1f}" for moment, burn in zip(at, burns, strict=True)]
    return f"M{'L'.join(points)}" if points else ""


def _incidents(looked: Backtest, result: SloResult) -> Iterator[str]:
    for one in result.significant:
        left = _x(looked, one.start)
        width = max(_x(looked, one.end) - left, 1.5)
        title = f"{escape(one.name) or 'incident'}: {one.spent:.1%} of the budget"
        yield (
            f'<rect x="{left:.1f}" y="{_TOP}" width="{width:.1f}" height="{_HEIGHT}" fill="#f2c0c6">'
            f"<title>{title}</title></rect>"
        )


def _scale(most: float) -> Iterator[str]:
    for tick in _TICKS:
        if tick <= most:
            y = _y(tick, most)
            yield f'<path d="M{_LEFT} {y:.1f}h{_WIDTH}" stroke="#ddd"/>'
            yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'


def _tier(looked: Backtest, tier: TierResult, y: int) -> Iterator[str]:
    colour = _COLOURS[tier.tier.severity]
    yield f'<text x="{_LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(tier.name)}</text>'
    yield f'<path d="M{_LEFT} {y + 8}h{_WIDTH}" stroke="#eee"/>'
    for one in tier.score.notifications if tier.judged else ():
        left = _x(looked, one.start)
        width = max(_x(looked, one.end) - left, 2.0)
        yield f'<rect x="{left:.1f}" y="{y + 2}" width="{width:.1f}" height="12" fill="{colour}"/>'


def _times(looked: Backtest, y: int) -> Iterator[str]:
    span = looked.span
    form = "%d %b" if span.end - span.start > 3 * 86_400_000 else "%d %b %H:%M"
    for part in range(5):
        moment = span.start + (span.end - span.start) * part // 4
        text = f"{datetime.fromtimestamp(moment / 1000, UTC):{form}}"
        anchor = ("start", "middle", "middle", "middle", "end")[part]
        yield f'<text x="{_x(looked, moment):.1f}" y="{y}" text-anchor="{anchor}">{text}</text>'
