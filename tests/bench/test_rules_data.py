"""The generator that rules are measured against: what it counts as happened and as scraped is what it writes."""

from __future__ import annotations

import random
import re
import statistics
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from bench import rules_data, rules_traffic
from bench.rules_data import GAPS, KINDS, Ledger, Page, Reader
from bench.rules_traffic import BIN, INCIDENTS, START, Answered, Process, busy, poisson, quiet

SAMPLE = re.compile(
    r'(?P<name>\w+)\{job="(?P<job>\w+)",instance="(?P<instance>[^"]+)"(?P<more>[^}]*)\} (?P<value>\S+) (?P<at>\S+)'
)


def reader(gaps: tuple[rules_data.Gap, ...] = ()) -> Reader:
    return Reader("clean", Ledger(), gaps, random.Random(1), histogram=False)


def test_a_poisson_count_has_its_mean_and_its_variance() -> None:
    for mean in (0.01, 2.0, 80.0):
        chance = random.Random(1)
        drawn = [poisson(chance, mean) for _ in range(20_000)]
        assert statistics.fmean(drawn) == pytest.approx(mean, rel=0.1)
        assert statistics.variance(drawn) == pytest.approx(mean, rel=0.1)


def test_a_page_counts_each_event_once() -> None:
    page = Page(Process("a", 0, 10))
    page.add(Answered(total=100, errors=7, slow=2), 0.5)
    assert (sum(page.codes), page.errors, page.count, page.slow) == (100, 7, 100, 2)


def test_a_crashed_process_is_learnt_from_zero_and_its_last_events_by_nobody() -> None:
    one = reader()
    first, second = Page(Process("a", 0, 3)), Page(Process("a", 5, 9))
    first.add(Answered(10, 0, 0), 0.5)
    one.scrape(2, "a", first)
    first.add(Answered(4, 0, 0), 0.5)  # never scraped
    second.add(Answered(3, 0, 0), 0.5)
    one.scrape(8, "a", second)
    assert (one.ledger.scraped["total"][2], one.ledger.scraped["total"][8]) == (10, 3)


def test_a_gap_leaves_no_sample_and_the_next_scrape_learns_all_of_it() -> None:
    observer = reader(gaps=((50, 70),))
    page = Page(Process("a", 0, 30))
    page.add(Answered(5, 1, 0), 0.9)
    assert observer.scrape(5, "a", page) == ""
    assert "up{" in observer.scrape(8, "a", page)
    assert observer.ledger.scraped["errors"][5] == 0
    assert observer.ledger.scraped["errors"][8] == 1


def test_every_trap_is_in_the_month() -> None:
    service, low = busy(), quiet()
    peaks = [rate for rate in service.rate if rate > 3 * 40]
    assert max(service.rate) / statistics.fmean(service.rate) > 3.4
    assert len(peaks) > 0
    instances = {process.instance for slot in service.processes for process in slot}
    assert len(instances) > 6 * 9  # new names with each deployment
    assert sum(map(len, service.processes)) > len(instances) + 6 * 10  # crashes keep the name
    for incident in INCIDENTS[:2]:
        crashed = [p for slot in service.processes for p in slot if incident.begin < p.end * BIN < incident.end]
        assert len(crashed) >= 2
    assert [any(i.begin < begin < end <= i.end for i in INCIDENTS) for begin, end in GAPS] == [True, True, False]
    assert low.errors is not None
    assert sum(map(len, low.errors.values())) == 28


def test_what_is_written_is_what_the_ledger_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bins = 2 * 360  # two hours of it
    monkeypatch.setattr(rules_data, "BINS", bins)

    def short(service: rules_traffic.Service) -> rules_traffic.Service:
        cut = [tuple(replace(p, end=min(p.end, bins)) for p in slot if p.begin < bins) for slot in service.processes]
        return replace(service, processes=tuple(cut))

    ledgers, files = rules_data.write(short(busy()), short(quiet()), tmp_path)
    counters: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
    for match in (found for file in files for found in SAMPLE.finditer(file.read_text())):
        key = (match["name"], match["job"], match["instance"], match["more"])
        counters[key].append((float(match["at"]), float(match["value"])))
    for job in ("clean", "gap", "low"):
        written = sum(
            sum(now - before if now >= before else now for before, now in zip([0.0, *values], values, strict=False))
            for (name, of, _, _), samples in counters.items()
            if name == "http_requests_total" and of == job
            for values in [[value for _, value in samples]]
        )
        assert written == ledgers[job].seen("total", START, START + bins * BIN) > 0
    assert [ledgers["clean"].truth(kind, 0, 2e9) for kind in KINDS] == [
        ledgers["gap"].truth(kind, 0, 2e9) for kind in KINDS
    ]
