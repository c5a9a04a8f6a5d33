"""The webhook under load, with a source that fails, killed again and again, and as two replicas."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from bench.canary_server_faults import AWAY, Proxy, proxied
from bench.canary_server_world import CANARY, STABLE, Server, names, scraped, server, write_specs
from bench.rows import Row
from sloctl.canary.audit.chain import Subject
from sloctl.canary.audit.store import Store
from testing.databases import postgresql

ROLLOUTS: Final = 64
AT_ONCE: Final = 64
BURSTS: Final = 20
ANALYSES: Final = 10_000
FAULTY: Final = 5_000
KILLS: Final = 200
WAIT_SECONDS: Final = 180
"""Until the canaries of the world can be promoted: without a history their errors are taken to come in bursts."""
HOLD: Final = 20


def rows() -> Iterator[Row]:
    """Every figure; some 25 minutes."""
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        prometheus = stack.enter_context(scraped(ROLLOUTS, folder))
        specs = write_specs(ROLLOUTS, folder, HOLD)
        time.sleep(WAIT_SECONDS)
        yield from _speed(specs, prometheus.url, folder)
        yield from _faults(specs, prometheus.url, folder)
        yield from _kills(specs, prometheus.url, folder)
        yield from _replicas(specs, prometheus.url, folder)


def _gates(revision: str = "1", rollouts: int = ROLLOUTS) -> list[dict[str, Any]]:
    """What the gates of so many rollouts ask."""
    common = {"canary": CANARY, "stable": STABLE, "revision": revision, "step": 0}
    return [{"service": name, **common} for name in names(rollouts)]


def _gates_and_guards(revision: str = "1", rollouts: int = ROLLOUTS) -> list[dict[str, Any]]:
    """What Argo asks at once: for each rollout its gate, which names the step, and its guard, which does not."""
    gates = _gates(revision, rollouts)
    return [each for gate in gates for each in (gate, {name: value for name, value in gate.items() if name != "step"})]


def _speed(specs: Path, prometheus: str, folder: Path) -> Iterator[Row]:
    with server(specs, prometheus, f"sqlite:///{folder}/speed.db", folder) as one:
        releases, rollouts = _gates(), _gates_and_guards(rollouts=AT_ONCE // 2)
        verdicts: list[str] = []
        for what, asked in (
            (f"{AT_ONCE} releases", releases),
            (f"gate and guard of {AT_ONCE // 2} rollouts", rollouts),
        ):
            asyncio.run(_bursts(one.url, asked, 2, pause=1))  # the hours before the canaries are read once
            took, said = asyncio.run(_bursts(one.url, asked, BURSTS, pause=1))
            verdicts += said
            ranked = sorted(took)
            yield Row(f"{AT_ONCE} analyses at once, {what}: median (s)", ranked[len(ranked) // 2], at_most=1)
            yield Row(f"{AT_ONCE} analyses at once, {what}: p99 (s)", ranked[int(len(ranked) * 0.99)], at_most=1)
        yield Row(
            "of them promoted, as all are healthy (%)", 100 * verdicts.count("promote") / len(verdicts), at_least=99
        )
        rounds = ANALYSES // AT_ONCE + 1
        asyncio.run(_bursts(one.url, rollouts, rounds // 4, pause=0))
        warm = _memory(one)
        more, _ = asyncio.run(_bursts(one.url, rollouts, rounds, pause=0))
        yield Row("analyses then", len(more), at_least=ANALYSES)
        yield Row("memory grown meanwhile (MiB)", (_memory(one) - warm) / 2**20, at_most=16)


async def _bursts(url: str, asked: Sequence[dict[str, Any]], times: int, pause: float) -> tuple[list[float], list[str]]:
    """Each question over a connection of its own, all at once, as from so many controllers.

    The client shares the server's cores, so it is as little as HTTP/1.1 allows.
    """
    took: list[float] = []
    verdicts: list[str] = []
    host, _, port = url.removeprefix("http://").partition(":")
    open_ = [await asyncio.open_connection(host, int(port)) for _ in asked]

    async def ask(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], body: bytes) -> None:
        reader, writer = connection
        began = time.perf_counter()
        writer.write(b"POST /v1/canary/evaluate HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        answer = json.loads(await reader.readexactly(length))
        took.append(time.perf_counter() - began)
        verdicts.append(answer.get("verdict", "none"))

    bodies = [json.dumps(answer).encode() for answer in asked]
    for _ in range(times):
        await asyncio.gather(*map(ask, open_, bodies))
        await asyncio.sleep(pause)
    for _, writer in open_:
        writer.close()
    return took, verdicts


def _memory(one: Server) -> int:
    pages = Path(f"/proc/{one.running.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@dataclass
class Faulty:
    """What was answered while the source failed."""

    promoted: int = 0
    rolled_back: int = 0
    slowest: float = 0.0
    done: int = 0
    wrong: Counter[tuple[str, str]] = field(default_factory=Counter)

    def ask(self, url: str, fault: str, right: Set[str]) -> None:
        """Every service at once. Always about one release: a later one would begin now, and have no sample yet."""
        took, answers = asyncio.run(_answers(url, _gates("faults")))
        self.slowest = max(self.slowest, *took)
        self.promoted += sum(answer["verdict"] == "promote" for answer in answers)
        self.rolled_back += sum(answer["verdict"] == "rollback" for answer in answers)
        self.wrong.update((fault, answer["reason"]) for answer in answers if answer["reason"] not in right)
        self.done += len(answers)


def _faults(specs: Path, prometheus: str, folder: Path) -> Iterator[Row]:
    """Asked through a proxy that fails in every way; after each fault the breaker has time to close."""
    faults = list(Proxy.REASONS)
    faulty = Faulty()
    with proxied(prometheus) as proxy, server(specs, proxy.url, f"sqlite:///{folder}/faults.db", folder) as one:
        while faulty.done < FAULTY - ROLLOUTS:
            fault = faults[faulty.done // ROLLOUTS % len(faults)]
            proxy.fault = fault
            time.sleep(2.5 if fault == "clock" else 0.1)  # the clock is read every two seconds
            faulty.ask(one.url, fault, Proxy.REASONS[fault])
            proxy.fault = None
            _until_closed(one.url)
    _killed(specs, folder, faulty)
    yield Row("analyses with a failing source", faulty.done, at_least=FAULTY)
    yield Row("of them promoted", faulty.promoted, at_most=0)
    yield Row("of them rolled back", faulty.rolled_back, at_most=0)
    for (fault, reason), count in faulty.wrong.items():
        print(f"{count} answers to a source that is {fault} say {reason}", file=sys.stderr)
    yield Row("of them with another reason than the right one", faulty.wrong.total(), at_most=0)
    yield Row("slowest answer (s)", faulty.slowest, at_most=8)


def _killed(specs: Path, folder: Path, faulty: Faulty) -> None:
    """The same with a Prometheus that is killed after it has answered."""
    apart = folder / "killed"
    apart.mkdir()
    with scraped(1, apart) as prometheus:
        time.sleep(10)
        with server(specs, prometheus.url, f"sqlite:///{apart}/killed.db", apart) as one:
            _, (before,) = asyncio.run(_answers(one.url, _gates(rollouts=1)))
            if before["reason"] == "source_unavailable":
                raise RuntimeError("Prometheus was to answer before it is killed")
            prometheus.running.process.kill()
            faulty.ask(one.url, "killed", AWAY)


async def _answers(url: str, asked: Sequence[dict[str, Any]]) -> tuple[list[float], list[dict[str, Any]]]:
    took: list[float] = []
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with httpx.AsyncClient(timeout=30, limits=limits) as client:

        async def ask(one: dict[str, Any]) -> dict[str, Any]:
            began = time.perf_counter()
            answer = await client.post(f"{url}/v1/canary/evaluate", json=one)
            took.append(time.perf_counter() - began)
            found: dict[str, Any] = answer.json()
            return found if answer.status_code == 200 else {"verdict": "none", "reason": found["error"]}

        return took, await asyncio.gather(*map(ask, asked))


def _until_closed(url: str) -> None:
    """Wait until Prometheus is asked again."""
    asked = {"service": names(1)[0], "canary": CANARY, "stable": STABLE, "revision": "between"}
    with httpx.Client(timeout=30) as client:
        while client.post(f"{url}/v1/canary/evaluate", json=asked).json().get("verdict") != "promote":
            time.sleep(0.5)


def _kills(specs: Path, prometheus: str, folder: Path) -> Iterator[Row]:
    """Killed under load; what it had acknowledged must be there."""
    url = f"sqlite:///{folder}/kills.db"
    acknowledged: set[str] = set()
    slowest = 0.0
    chance = random.Random(11)
    for kill in range(KILLS):
        began = time.perf_counter()
        with server(specs, prometheus, url, folder) as one:
            slowest = max(slowest, time.perf_counter() - began)
            writers = [threading.Thread(target=_hammer, args=(one, acknowledged, f"{kill}-{n}")) for n in range(4)]
            for writer in writers:
                writer.start()
            time.sleep(chance.uniform(0.05, 0.6))
            one.running.process.kill()
            for writer in writers:
                writer.join()
    store = Store.open(url)
    kept = _kept(store)
    problems = store.verify().problems
    store.close()
    yield Row("kill -9 under load", KILLS, at_least=200)
    yield Row("decisions acknowledged meanwhile", len(acknowledged), at_least=KILLS)
    yield Row("acknowledged decisions lost", len(acknowledged - kept), at_most=0)
    yield Row("problems of the chain", len(problems), at_most=0)
    yield Row("slowest start until ready (s)", slowest, at_most=2)


def _hammer(one: Server, acknowledged: set[str], name: str) -> None:
    """Ask about one release after the other until nobody answers."""
    with httpx.Client(timeout=30) as client:
        for number in range(100_000):
            asked = {"service": names(1)[0], "canary": CANARY, "stable": STABLE, "revision": f"k{name}-{number}"}
            try:
                answer = client.post(f"{one.url}/v1/canary/evaluate", json=asked)
            except httpx.TransportError:
                return
            acknowledged.add(answer.json()["decision_id"])


def _kept(store: Store) -> set[str]:
    kept: set[str] = set()
    before = None
    while page := store.decisions(Subject("", ""), before=before, limit=500):
        kept |= {entry.id for entry in page}
        before = page[-1].sequence
    return kept


def _replicas(specs: Path, prometheus: str, folder: Path) -> Iterator[Row]:
    with postgresql() as url, ExitStack() as stack:
        replicas = [stack.enter_context(server(specs, prometheus, url, folder)) for _ in range(2)]
        differing = 0
        for revision in range(10):
            asked = _gates_and_guards(str(revision), rollouts=8)
            found = asyncio.run(_both([replica.url for replica in replicas], asked))
            differing += sum(left["decision_id"] != right["decision_id"] for left, right in zip(*found, strict=True))
        store = Store.open(url)
        verified = store.verify()
        store.close()
    yield Row("answers of two replicas that name different decisions", differing, at_most=0)
    yield Row("entries of their one chain", verified.entries, at_least=80)
    yield Row("problems of it", len(verified.problems), at_most=0)


async def _both(urls: Sequence[str], asked: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    found = await asyncio.gather(*(_answers(url, asked) for url in urls))
    return [answers for _, answers in found]


if __name__ == "__main__":
    from bench.rows import show

    sys.exit(0 if show("canary-server", rows()) else 1)
