"""Signals that ask a command to end: Ctrl-C, SIGTERM, and SIGHUP of a terminal that is closed.

They are raised as exceptions, so that `with` blocks put away what is half done. What whoever started us ignores, as a
shell does for SIGINT of what it starts with `&`, stays ignored.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_ASKING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def raised() -> None:
    """From now on each of them is an exception, wherever the main thread is."""
    for number in _heeded():
        signal.signal(number, _raise)


def final() -> None:
    """From now on each of them ends the process at once: nothing is left to put away."""
    for number in _heeded():
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def told(tell: Callable[[BaseException], None]) -> Iterator[None]:
    """Within, `tell` gets the exception instead, and whoever waits for it raises it.

    An exception in the middle of a lock's `acquire` would leave the lock held and the threads that need it waiting for
    ever, and so would one in the middle of a start of a thread or process. `tell` may come at any moment: it takes no
    lock, as `queue.SimpleQueue.put`.
    """
    before = {number: signal.getsignal(number) for number in _heeded()}
    for number in before:
        signal.signal(number, lambda number, _: tell(_asked(number)))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _heeded() -> list[signal.Signals]:
    return [number for number in _ASKING if signal.getsignal(number) is not signal.SIG_IGN]


def _asked(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)


def _raise(number: int, _: FrameType | None) -> None:
    raise _asked(number)
