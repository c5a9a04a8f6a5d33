"""Which hosts are ours."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate


class HostPatterns:
    """Host names and patterns with `*`, such as `orders` or `*.svc.cluster.local`."""

    def __init__(self, patterns: Iterable[str]) -> None:
        joined = "|".join(translate(pattern.lower()) for pattern in patterns)
        self._pattern = re.compile(joined) if joined else None

    def __contains__(self, host: object) -> bool:
        """Whether the host is one of them; letters' case does not matter."""
        return self._pattern is not None and isinstance(host, str) and self._pattern.match(host.lower()) is not None
