"""The histories of baselines, kept: they change no more, and every look at the same canary needs one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

from sloctl.canary.analysis.samples import Samples

SETTLED_SECONDS: Final = 60.0
"""What ended so long ago has all its samples."""
MOST: Final = 256


class HistoryCache:
    """The samples of the hours before canaries, those used last; safe for threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, Samples] = OrderedDict()
        self._lock = threading.Lock()

    def once(self, key: Hashable, find: Callable[[], Samples], *, settled: bool) -> Samples:
        """What is known under a key, or what `find` gives; that is kept when it is `settled`."""
        with self._lock:
            if (known := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return known
        found = find()
        if settled:
            with self._lock:
                self._kept[key] = found
                if len(self._kept) > self._most:
                    self._kept.popitem(last=False)
        return found
