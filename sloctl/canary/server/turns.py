"""Few looks at once: Python computes one at a time anyway, and many at once get in each other's way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

AT_ONCE: Final = 2
PATIENCE_SECONDS: Final = 1.0


class Turns:
    """Lets a few through at once, in the order in which they came.

    Whoever has waited for `seconds` goes on all the same: a source that hangs holds up those who wait on it only.
    """

    def __init__(self, at_once: int = AT_ONCE, seconds: float = PATIENCE_SECONDS) -> None:
        self._free = threading.Semaphore(at_once)
        self._seconds = seconds

    @contextmanager
    def one(self) -> Iterator[None]:
        """A turn, while the block runs."""
        mine = self._free.acquire(timeout=self._seconds)
        try:
            yield
        finally:
            if mine:
                self._free.release()
