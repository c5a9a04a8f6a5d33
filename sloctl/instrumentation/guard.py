"""What goes wrong in the instrumentation itself: counted, logged at most once a minute, never raised.

A raw value never reaches the log: only the name of the step and the type of the exception do.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from sloctl.instrumentation.counters import FAILURES, REJECTED

LOG: Final = logging.getLogger("sloctl.instrumentation")
QUIET_SECONDS: Final = 60.0
_last_logged: dict[str, float] = {}


def failed(step: str, error: BaseException) -> None:
    """Count a failed step and say so once a minute. `step` is one of our own words, never user input."""
    FAILURES.labels(step).inc()
    now = time.monotonic()
    if now - _last_logged.get(step, -QUIET_SECONDS) >= QUIET_SECONDS:
        _last_logged[step] = now
        LOG.warning("instrumentation: %s failed with %s; traffic is not affected", step, type(error).__name__)


def rejected(what: str, times: int = 1) -> None:
    """Count an inbound value that is not used. `what` is one of our own words, never user input."""
    REJECTED.labels(what).inc(times)
