"""The histories of baselines, kept: they change no more, and every look at the same canary needs one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from sloctl.canary.analysis.samples import ArmSamples

V = TypeVar("V")
SETTLED_SECONDS: Final = 60.0
"""What ended so long ago has all its samples."""
MOST: Final = 256
MOST_SERIES: Final = 150_000
"""Of all histories together, some 1 kB each."""


class Recent(Generic[V]):
    """The values that were used last, at most `most`; safe for threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> V | None:
        """The value under a key, None where there is none any more."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: Hashable, value: V) -> None:
        """Keep a value."""
        with self._lock:
            self._kept[key] = value
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)


class HistoryCache(Recent[ArmSamples]):
    """The samples of the hours before canaries."""

    def __init__(self, most: int = MOST) -> None:
        super().__init__(most)

    def put(self, key: Hashable, value: ArmSamples) -> None:
        """Keep a history, at the cost of those that were used longest ago."""
        super().put(key, value)
        with self._lock:
            while len(self._kept) > 1 and sum(map(_series_in, self._kept.values())) > MOST_SERIES:
                self._kept.popitem(last=False)

    def once(self, key: Hashable, find: Callable[[], ArmSamples], *, settled: bool) -> ArmSamples:
        """What is known under a key, or what `find` gives; that is kept when it is `settled`."""
        if (known := self.get(key)) is not None:
            return known
        found = find()
        if settled:
            self.put(key, found)
        return found


def _series_in(samples: ArmSamples) -> int:
    return sum(map(len, samples.series.values()))
