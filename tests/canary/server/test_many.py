"""A thousand analyses, every other one with a source that fails in one of its ways."""

from __future__ import annotations

import logging
import os
import random
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from sloctl.canary.server.breaker import Breaker
from sloctl.canary.server.queries import PrometheusClock
from sloctl.prometheus import PrometheusClient
from testing.servers import PATIENCE
from tests.canary.server.conftest import ASKED, Hook, MakeHook
from tests.canary.stub import NOW, RESET, Answer, matrix, spoiled

ANALYSES = 1_000
LOOK_SECONDS = 0.2
MOST_GROWTH = 24 * 1024 * 1024
Body = Callable[[str], Answer]


def killed(hook: Hook) -> Body:
    dead = PrometheusClient("http://127.0.0.1:9")
    hook.webhook.evaluation.shared.prometheus = lambda: dead
    return hook.stub.healthy


def hung(hook: Hook) -> Body:
    hook.stub.delay = 0.3
    return hook.stub.healthy


def slow(hook: Hook) -> Body:
    hook.stub.delay = 0.12
    return hook.stub.healthy


def half(hook: Hook) -> Body:
    return lambda query: (200, hook.stub.healthy(query)[1][:-20])


def shifted(hook: Hook) -> Body:
    hook.stub.now = NOW + 90
    hook.webhook.evaluation.shared.clock = PrometheusClock()
    return hook.stub.healthy


def partly(hook: Hook) -> Body:
    return lambda query: (200, hook.stub.healthy(query)[1][:-1] + ', "warnings": ["a store is away"]}')


FAULTS: dict[str, tuple[Callable[[Hook], Body], str]] = {
    "killed": (killed, "source_unavailable"),
    "hung": (hung, "source_unavailable"),
    "slow": (slow, "source_unavailable"),
    "resetting": (lambda _: lambda _: (RESET, ""), "source_unavailable"),
    "truncated": (half, "source_unavailable"),
    "HTML": (lambda _: lambda _: (200, "<html>log in</html>"), "source_unavailable"),
    "partial": (partly, "partial"),
    "NaN": (lambda hook: spoiled(lambda *_: "NaN")(hook.stub), "stale_data"),
    "nothing": (lambda _: lambda _: (200, matrix()), "no_data"),
    "clock shifted": (shifted, "stale_data"),
}


def test_a_thousand_analyses_with_faults(hook_of: MakeHook) -> None:
    """Every one is answered with the right reason; nothing is promoted or rolled back without evidence."""
    hook = hook_of(look_seconds=LOOK_SECONDS)
    shared = hook.webhook.evaluation.shared
    shared.breaker = Breaker(failures=10**9)
    alive = shared.prometheus
    said: Counter[tuple[str, str]] = Counter()
    faults = random.Random(11).sample(list(FAULTS), len(FAULTS))
    fault: str | None = None
    memory = 0
    logging.disable()  # pytest would keep every line
    sys.setswitchinterval(0.0002)  # caller, server, analysis and Prometheus are threads of one process here
    for number in range(ANALYSES):
        if number % 10 == 0:  # ten looks each: an unchanged decision is written once
            fault = None if number % 20 else faults[number // 20 % len(faults)]
        elif number % 10 == 2 and fault in {"hung", "slow"}:
            fault = "killed"  # waiting is dear
        hook.stub.delay, hook.stub.now = 0.0, NOW
        shared.prometheus, shared.clock = alive, PrometheusClock()
        hook.stub.body, wanted = (hook.stub.healthy, "healthy") if fault is None else _spoil(hook, fault)
        patience = LOOK_SECONDS if fault in {"hung", "slow"} else PATIENCE
        object.__setattr__(hook.webhook.evaluation, "look_seconds", patience)
        response = hook.client.post("/v1/canary/evaluate", json=ASKED)
        answer = response.json()
        assert answer["reason"] == wanted, (fault, answer)
        assert answer["verdict"] == ("promote" if fault is None else "continue"), fault
        said[fault or "none", answer["reason"]] += 1
        hook.stub.queries.clear()
        if number == ANALYSES // 4:
            memory = _resident()
    logging.disable(logging.NOTSET)
    sys.setswitchinterval(0.005)
    assert set(FAULTS) <= {fault for fault, _ in said}
    assert sum(count for (fault, _), count in said.items() if fault != "none") == ANALYSES // 2
    assert _resident() - memory < MOST_GROWTH
    assert hook.store.verify().problems == ()


def _spoil(hook: Hook, fault: str) -> tuple[Body, str]:
    make, wanted = FAULTS[fault]
    return make(hook), wanted


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
