"""Compare variants of one thing in one process, in CPU time, so that a busy machine hits all alike.

Each round runs every variant once, in a new order. A variant's extra cost is the median over the rounds of what it
took more than the bare one in the same round.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Awaitable, Callable, Mapping
from time import process_time
from typing import Final

ROUNDS: Final = 80
SEED: Final = 7
BARE: Final = "bare"

Run = Callable[[], Awaitable[None]]


async def extra_costs(variants: Mapping[str, Run], operations: int) -> Mapping[str, float]:
    """What an operation of each variant costs more than one of `bare`, in microseconds of CPU time.

    Args:
        variants: each does `operations` operations when it is awaited.
        operations: in one round of one variant.
    """
    order = list(variants)
    draw = random.Random(SEED)
    for run in variants.values():
        await run()  # warms up caches
    rounds = [await _round(variants, _shuffled(order, draw)) for _ in range(ROUNDS)]
    return {
        name: statistics.median(seconds[name] - seconds[BARE] for seconds in rounds) / operations * 1e6
        for name in variants
        if name != BARE
    }


def _shuffled(order: list[str], draw: random.Random) -> list[str]:
    return draw.sample(order, len(order))


async def _round(variants: Mapping[str, Run], order: list[str]) -> dict[str, float]:
    seconds = {}
    for name in order:
        start = process_time()
        await variants[name]()
        seconds[name] = process_time() - start
    return seconds
