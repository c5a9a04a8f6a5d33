"""Bucket bounds from the SLO specification, so that each latency threshold is an edge that can be counted exactly."""

from __future__ import annotations

import os
from typing import Any

from sloctl.instrumentation.metrics import DURATION


def thresholds(path: str | os.PathLike[str]) -> tuple[float, ...]:
    """The latency thresholds, in seconds, that a specification sets on `http_server_request_duration_seconds`.

    Templates and Platforms in the folders above count, as in `sloctl validate`.

    Raises:
        ValueError: the specification has errors; with each at its file, line and column.
    """
    from sloctl.diagnostics import Diagnostics
    from sloctl.language.discovery import discover, read_all
    from sloctl.resolve import resolve

    found = Diagnostics()
    catalogue = resolve(read_all(discover([os.fspath(path)], found), found), found)
    if found.errors:
        lines = (f"{error.place}: {error.message}" for error in found.errors)
        raise ValueError("the specification has errors; `sloctl validate` shows them:\n" + "\n".join(lines))
    return tuple(sorted({bound for slo in catalogue.slos for bound in _bounds(slo.indicator)}))


def _bounds(indicator: Any) -> list[float]:
    """The bound of a latency indicator, which alone has a histogram, when that is ours."""
    ours = any(selector.metric == DURATION for selector in getattr(indicator, "histogram", ()))
    return [float(indicator.at_most)] if ours else []
