"""Three weeks of a checkout in September 2026: some twenty requests a second, and what went wrong."""

from __future__ import annotations

import math
import random
from typing import Final

BEGIN: Final = 1_788_220_800
"""2026-09-01, midnight UTC."""
DAYS: Final = 21
END: Final = BEGIN + DAYS * 86_400
_DAY: Final = 1440
_CALM: Final = 0.0003
"""Share of requests that fail when nothing is wrong: less than a third of the budget."""
_OUTAGES: Final = (
    (1 * _DAY + 600, 40, 0.04),  # a bad deployment
    (5 * _DAY + 200, 5, 0.2),  # a restart of the database
    (8 * _DAY + 990, 40, 0.25),  # the payment provider is away
    (14 * _DAY + 700, 600, 0.003),  # a slow leak
    (18 * _DAY + 1100, 2, 0.9),  # a network that flaps
)
"""Begin and length in minutes, and the share of requests that fail."""


def past() -> dict[str, list[tuple[float, float]]]:
    """The samples of each series: Unix seconds and value, one a minute."""
    draw, counts = random.Random(2026), {"200": 0, "500": 0}
    own = 'job="checkout",instance="checkout-1:8080"'
    found: dict[str, list[tuple[float, float]]] = {f"up{{{own}}}": []}
    found |= {f'http_requests_total{{{own},code="{code}"}}': [] for code in counts}
    for minute in range(DAYS * _DAY):
        moment = BEGIN + 60 * minute + 7.25
        requests = round(1200 * (1 + 0.4 * math.sin(2 * math.pi * (minute - 500) / _DAY)))
        failing = next((ratio for begin, length, ratio in _OUTAGES if begin <= minute < begin + length), _CALM)
        bad = _drawn(draw, requests * failing)
        counts["200"] += requests - bad
        counts["500"] += bad
        for samples, value in zip(found.values(), (1, *counts.values()), strict=True):
            samples.append((moment, value))
    return found


def _drawn(draw: random.Random, mean: float) -> int:
    """So many events where they come independently of each other (Knuth; a sum of small ones where they are many)."""
    count = 0
    while mean > 0:
        limit, product = math.exp(-min(mean, 30.0)), draw.random()
        while product > limit:
            count += 1
            product *= draw.random()
        mean -= 30.0
    return count
