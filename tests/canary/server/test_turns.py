"""Looks take turns, and nobody waits for long."""

from __future__ import annotations

import threading
import time

import pytest

from sloctl.canary.server.turns import Turns
from testing.servers import PATIENCE


def test_no_more_than_so_many_go_at_once() -> None:
    turns, now, most = Turns(2, seconds=PATIENCE), 0, 0
    lock, meet = threading.Lock(), threading.Barrier(2, timeout=PATIENCE)

    def look() -> None:
        nonlocal now, most
        with turns.one():
            with lock:
                now += 1
                most = max(most, now)
            meet.wait()  # two at a time, or nobody goes on
            with lock:
                now -= 1

    looks = [threading.Thread(target=look) for _ in range(12)]
    for look in looks:
        look.start()
    for look in looks:
        look.join()
    assert (now, most) == (0, 2)


def test_whoever_has_waited_long_enough_goes_all_the_same() -> None:
    turns = Turns(1, seconds=0.05)
    for _ in range(3):  # a turn that was not taken is not given back, so there is still one only
        with turns.one():
            began = time.monotonic()
            with turns.one():
                assert time.monotonic() - began > 0.04


def test_a_look_that_fails_gives_its_turn_back() -> None:
    turns = Turns(1, seconds=10 * PATIENCE)
    for _ in range(3):
        with pytest.raises(RuntimeError), turns.one():
            raise RuntimeError("no samples")
