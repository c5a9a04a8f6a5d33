"""A month in the life of two services: the events, the crashes and the moments of scraping, drawn before any rule.

This is the truth that rules are measured against, so it imports nothing of sloctl. Time is cut into bins of 10 s;
a bin knows how many requests each process answered, how many of them failed and how many were slow.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

BIN: Final = 10
"""Seconds of a bin."""
MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86400
START: Final = 1704067200
"""Monday 2024-01-01, midnight UTC, in Unix seconds."""
DAYS: Final = 36
"""Six days before the window of 30 days, so that every window is full where it is looked at."""
END: Final = START + DAYS * DAY
BINS: Final = DAYS * DAY // BIN
WINDOW: Final = 30 * DAY

BASELINE_ERRORS: Final = 0.0003
SLOW: Final = 0.004
PEAK_DAYS: Final = (8, 12, 16, 21, 30)
PEAK_FROM, PEAK_TO, PEAK = 18 * HOUR, 20 * HOUR, 3.4
DEPLOY_EVERY: Final = 3.37 * DAY
CRASH_EVERY: Final = 2 * DAY


@dataclass(frozen=True, slots=True)
class Incident:
    """A time at which more requests fail; seconds count from `START`."""

    name: str
    begin: int
    seconds: int
    ratio: float
    crashes: int = 0

    @property
    def end(self) -> int:
        """The first second that is good again."""
        return self.begin + self.seconds

    def at(self, share: float) -> int:
        """The second at which this share of it is over."""
        return self.begin + round(share * self.seconds)


INCIDENTS: Final = (
    Incident("A, 45 min at 40 % in the night's trough", 9 * DAY + 160 * MINUTE, 45 * MINUTE, 0.40, crashes=2),
    Incident("B, 20 min at 8 % in a peak", 16 * DAY + 18 * HOUR + 50 * MINUTE, 20 * MINUTE, 0.08, crashes=2),
    Incident("C, 6 h at 0.4 %", 22 * DAY + 9 * HOUR, 6 * HOUR, 0.004),
    Incident("D, 5 min at 30 %", 25 * DAY + 14 * HOUR, 5 * MINUTE, 0.30),
)


@dataclass(frozen=True, slots=True)
class Process:
    """One process from its start to its end, in bins; a crashed one comes back under the same instance."""

    instance: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Answered:
    """What a process did in one bin."""

    total: int
    errors: int
    slow: int


@dataclass(frozen=True, slots=True)
class Service:
    """A service with its pods.

    Attributes:
        slots: how many pods run side by side.
        rate: requests per second of the whole service, for each bin.
        error_ratio: the share that fails, for each bin.
        errors: errors at fixed bins instead, by slot; None draws them from `error_ratio`.
    """

    name: str
    seed: int
    slots: int
    rate: Sequence[float]
    error_ratio: Sequence[float]
    incidents: tuple[Incident, ...] = ()
    errors: Mapping[int, frozenset[int]] | None = None
    processes: tuple[tuple[Process, ...], ...] = field(default=())

    def life(self, slot: int) -> Iterator[tuple[int, Process | None, Answered]]:
        """Each bin of a slot: its process, or None while it is down, and what that answered."""
        chance = random.Random(f"{self.seed}/traffic/{slot}")
        for number, process in enumerate(_by_bin(self.processes[slot])):
            yield number, process, self._answered(chance, slot, number) if process else Answered(0, 0, 0)

    def _answered(self, chance: random.Random, slot: int, number: int) -> Answered:
        total = poisson(chance, self.rate[number] * BIN / self.slots)
        if self.errors is None:
            errors = min(total, poisson(chance, total * self.error_ratio[number]))
        else:
            errors = int(number in self.errors[slot])
            total = max(total, errors)
        return Answered(total, errors, int(total * SLOW + chance.random()))


def poisson(chance: random.Random, mean: float) -> int:
    """A Poisson count; above 30 by its normal approximation."""
    if mean > 30:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    draw = chance.random()
    if draw < 1 - mean:  # never above the chance of no event, exp(-mean): saves the exponential
        return 0
    count, term = 0, math.exp(-mean)
    total = term
    while draw > total and count < 200:
        count += 1
        term *= mean / count
        total += term
    return count


def busy() -> Service:
    """40 requests a second on average: day and night, weekends, peaks, deployments, crashes, four incidents."""
    rate = [40 * _swing(number * BIN) for number in range(BINS)]
    ratio = [BASELINE_ERRORS] * BINS
    for incident in INCIDENTS:
        for number in range(incident.begin // BIN, incident.end // BIN):
            ratio[number] = incident.ratio
    return Service("busy", 1, 6, rate, ratio, INCIDENTS, processes=_processes("busy", 1, 6, INCIDENTS))


def quiet(errors: int = 28) -> Service:
    """One request a minute, and this many errors at random moments of the window."""
    processes = _processes("quiet", 2, 3, ())
    alive = [list(_by_bin(slot)) for slot in processes]
    chance = random.Random("2/errors")
    fixed: list[set[int]] = [set() for _ in processes]
    while sum(map(len, fixed)) < errors:
        slot, number = (
            chance.randrange(len(processes)),
            chance.randrange(BINS - WINDOW // BIN, BINS - 10 * MINUTE // BIN),
        )
        if alive[slot][number]:
            fixed[slot].add(number)
    by_slot = {slot: frozenset(bins) for slot, bins in enumerate(fixed)}
    return Service("quiet", 2, 3, [1 / 60] * BINS, [], errors=by_slot, processes=processes)


def _swing(second: int) -> float:
    """Traffic as a multiple of its mean: +-60 % over a day with the trough at 3:00, weekends, peaks."""
    day, clock = divmod(second, DAY)
    factor = 1 + 0.6 * math.sin(2 * math.pi * (clock - 9 * HOUR) / DAY)
    if day % 7 >= 5:
        factor *= 0.75
    return factor * PEAK if day in PEAK_DAYS and PEAK_FROM <= clock < PEAK_TO else factor


def _processes(name: str, seed: int, slots: int, incidents: tuple[Incident, ...]) -> tuple[tuple[Process, ...], ...]:
    return tuple(tuple(_slot(name, seed, slot, incidents)) for slot in range(slots))


def _slot(name: str, seed: int, slot: int, incidents: tuple[Incident, ...]) -> Iterator[Process]:
    """Rolling deployments give new names, 90 s apart; crashes end a process that comes back under its name."""
    chance = random.Random(f"{seed}/processes/{slot}")
    crashes = sorted(_crashes(chance, slot, incidents))
    deploys = [
        round((DEPLOY_EVERY * count + slot * 90) / BIN) for count in range(1, int(DAYS * DAY / DEPLOY_EVERY) + 1)
    ]
    begin = 0
    for version, deploy in enumerate([*deploys, BINS], start=1):
        instance = f"{name}-v{version}-{slot}:8080"
        for crash in crashes:
            if begin < crash < deploy - 20:
                yield Process(instance, begin, crash)
                begin = crash + chance.randint(2, 9)
        yield Process(instance, begin, deploy)
        begin = deploy + 2


def _crashes(chance: random.Random, slot: int, incidents: tuple[Incident, ...]) -> Iterator[int]:
    second = chance.expovariate(1 / CRASH_EVERY)
    while second < DAYS * DAY:
        yield round(second / BIN)
        second += 10 * MINUTE + chance.expovariate(1 / CRASH_EVERY)
    for incident in incidents:
        if slot < incident.crashes:
            yield incident.at((slot + 1) / (incident.crashes + 1)) // BIN


def _by_bin(processes: Sequence[Process]) -> Iterator[Process | None]:
    """The process of each bin, or None."""
    position = 0
    for process in processes:
        yield from (None for _ in range(position, process.begin))
        yield from (process for _ in range(process.begin, process.end))
        position = process.end
