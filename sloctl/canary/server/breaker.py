"""A circuit breaker: a server that failed again and again is left alone for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

FAILURES: Final = 5
OPEN_SECONDS: Final = 10.0


class Breaker:
    """Counts failures in a row (Nygard, *Release It!*, chapter 5).

    Args:
        failures: so many in a row open it.
        seconds: so long it stays open; then one attempt decides.
        clock: seconds of a clock that never goes back.
        on_change: is told 1 when it opens and 0 when it closes.
    """

    def __init__(
        self,
        failures: int = FAILURES,
        seconds: float = OPEN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        on_change: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._most, self._seconds, self._clock, self._on_change = failures, seconds, clock, on_change
        self._failures = 0
        self._closed_at = 0.0
        self._trying = False
        self._lock = threading.Lock()

    def allows(self) -> bool:
        """Whether an attempt may be made now; while open one at a time after its seconds."""
        with self._lock:
            if self._failures < self._most:
                return True
            if self._trying or self._clock() < self._closed_at:
                return False
            self._trying = True
            return True

    def succeeded(self) -> None:
        """Tell that an attempt was answered."""
        with self._lock:
            self._failures, self._trying = 0, False
            self._on_change(0)

    def failed(self) -> None:
        """Tell that an attempt failed."""
        with self._lock:
            self._failures, self._trying = self._failures + 1, False
            if self._failures >= self._most:
                self._closed_at = self._clock() + self._seconds
                self._on_change(1)
