"""The month as a monitoring system sees it: scrapes of each pod, some lost, written as OpenMetrics.

Three jobs: `clean`; `gap`, the same events with no scrapes for a while inside two incidents and in a quiet hour;
and `low`, one request a minute. Beside the text stays a ledger: how many events happened when, and how many of
them were on a page that was scraped. Nothing here imports sloctl.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TextIO

from bench.rules_traffic import BIN, BINS, DAY, HOUR, INCIDENTS, MINUTE, START, Answered, Process, Service

SCRAPE_BINS: Final = 3
"""A pod is scraped each 30 s."""
SCRAPED_AFTER: Final = 0.05
"""Seconds after a bin's end at which it is scraped."""
LOST: Final = 0.0005
BLOCK: Final = 162 * HOUR
"""Seconds of a file; blocks of the database are cut at its multiples."""
CODES: Final = ("200", "204", "404", "500", "503")
KINDS: Final = ("total", "errors", "slow")

Gap = tuple[int, int]
_A, _B = INCIDENTS[:2]
GAPS: Final[tuple[Gap, ...]] = (
    (_A.begin + 10 * MINUTE, _A.begin + 22 * MINUTE),
    (_B.begin + 6 * MINUTE, _B.begin + 10 * MINUTE),
    (13 * DAY + 4 * HOUR, 13 * DAY + 4 * HOUR + 30 * MINUTE),
)


def _empty() -> dict[str, array[int]]:
    return {kind: array("q", bytes(8 * BINS)) for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Ledger:
    """What happened in each bin, and what a perfect reader of the scraped pages learns in it, by kind."""

    happened: Mapping[str, array[int]] = field(default_factory=_empty)
    scraped: Mapping[str, array[int]] = field(default_factory=_empty)

    def truth(self, kind: str, begin: float, end: float) -> int:
        """Events from one moment to another, in Unix seconds."""
        return sum(self.happened[kind][_bin(begin) : _bin(end)])

    def seen(self, kind: str, begin: float, end: float) -> int:
        """Events that were learnt by scrapes after one moment and up to another."""
        return sum(self.scraped[kind][_bin(begin) : _bin(end)])


def _bin(moment: float) -> int:
    return min(BINS, max(0, int((moment - START) // BIN)))


@dataclass(slots=True)
class Page:
    """What a process exports: counters that begin with it; a code appears with its first request."""

    process: Process
    codes: list[int] = field(default_factory=lambda: [0] * len(CODES))
    count: int = 0
    slow: int = 0

    @property
    def errors(self) -> int:
        """Requests that failed."""
        return self.codes[3] + self.codes[4]

    def add(self, answered: Answered, chance: float) -> None:
        """Count one bin; of the errors 30 % are 503, of the rest 8 % are 204 and 2 % are 404."""
        good = answered.total - answered.errors
        unavailable = int(answered.errors * 0.3 + chance)
        empty, unknown = int(good * 0.08 + chance), int(good * 0.02 + chance)
        empty = min(empty, good - unknown)
        for position, number in enumerate(
            (good - empty - unknown, empty, unknown, answered.errors - unavailable, unavailable)
        ):
            self.codes[position] += number
        self.count += answered.total
        self.slow += min(answered.slow, answered.total)


@dataclass(slots=True)
class Reader:
    """What one job knows of a pod: the values of its last scrape."""

    job: str
    ledger: Ledger
    gaps: tuple[Gap, ...]
    lost: random.Random
    histogram: bool
    known: tuple[Page | None, int, int, int] = (None, 0, 0, 0)

    def scrape(self, number: int, instance: str, page: Page | None) -> str:
        """The samples of one scrape; nothing while Prometheus itself is away."""
        second = (number + 1) * BIN
        if any(begin <= second < end for begin, end in self.gaps):
            return ""
        target = f'job="{self.job}",instance="{instance}"'
        moment = f"{START + second + SCRAPED_AFTER:.3f}"
        if page is None or self.lost.random() < LOST:
            return f"up{{{target}}} 0 {moment}\n"
        self._learn(number, page)
        return "".join(_samples(page, target, moment, histogram=self.histogram))

    def _learn(self, number: int, page: Page) -> None:
        before = self.known[1:] if self.known[0] is page else (0, 0, 0)
        now = (page.count, page.errors, page.slow)
        for kind, value, known in zip(KINDS, now, before, strict=True):
            self.ledger.scraped[kind][number] += value - known
        self.known = (page, *now)


def _samples(page: Page, target: str, moment: str, *, histogram: bool) -> Iterable[str]:
    yield f"up{{{target}}} 1 {moment}\n"
    for code, value in zip(CODES, page.codes, strict=True):
        if value:
            yield f'http_requests_total{{{target},code="{code}"}} {value} {moment}\n'
    if histogram:
        yield f"http_request_duration_seconds_count{{{target}}} {page.count} {moment}\n"
        yield f'http_request_duration_seconds_bucket{{{target},le="+Inf"}} {page.count} {moment}\n'
        yield f'http_request_duration_seconds_bucket{{{target},le="0.3"}} {page.count - page.slow} {moment}\n'


class Files:
    """OpenMetrics files, one for each block of the database."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[int, TextIO] = {}

    def at(self, second: int) -> TextIO:
        """The file for this second after `START`."""
        block = (START + second) // BLOCK
        if block not in self._open:
            self._open[block] = (self._folder / f"block-{block}.om").open("w", encoding="ascii")
        return self._open[block]

    def close(self) -> list[Path]:
        """End every file; their paths in time."""
        for file in self._open.values():
            file.write("# EOF\n")
            file.close()
        return [Path(self._open[block].name) for block in sorted(self._open)]


def write(busy: Service, quiet: Service, folder: Path) -> tuple[dict[str, Ledger], list[Path]]:
    """Write every sample below a folder; the ledger of each job, and the files."""
    ledgers = {"clean": Ledger(), "gap": Ledger(), "low": Ledger()}
    files = Files(folder)
    _play(busy, {"clean": (), "gap": GAPS}, ledgers, files)
    _play(quiet, {"low": ()}, ledgers, files)
    return ledgers, files.close()


def _play(service: Service, jobs: Mapping[str, tuple[Gap, ...]], ledgers: Mapping[str, Ledger], files: Files) -> None:
    for slot in range(service.slots):
        chance = random.Random(f"{service.seed}/pages/{slot}")
        readers = [
            Reader(job, ledgers[job], gaps, random.Random(f"{job}/lost/{slot}"), histogram=job == "clean")
            for job, gaps in jobs.items()
        ]
        _play_slot(service, slot, chance, readers, files)


def _play_slot(service: Service, slot: int, chance: random.Random, readers: list[Reader], files: Files) -> None:
    page: Page | None = None
    instance = service.processes[slot][0].instance
    for number, process, answered in service.life(slot):
        if process is not None:
            instance = process.instance
            page = page if page and page.process is process else Page(process)
            page.add(answered, chance.random())
        for reader in readers:
            _count(reader.ledger, number, answered)
            if number % SCRAPE_BINS == slot % SCRAPE_BINS:
                files.at((number + 1) * BIN).write(reader.scrape(number, instance, page if process else None))


def _count(ledger: Ledger, number: int, answered: Answered) -> None:
    ledger.happened["total"][number] += answered.total
    ledger.happened["errors"][number] += answered.errors
    ledger.happened["slow"][number] += answered.slow
