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
    from sloctl.resolve import resolve
    from sloctl.spec.discovery import discover, read_all

    found = Diagnostics()
    catalogue = resolve(read_all(discover([os.fspath(path)], found), found), found)
    if found.errors:
        lines = (f"{error.place}: {error.message}" for error in found.errors)
        raise ValueError("the specification has errors; `sloctl validate` shows them:\n" + "\n".join(lines))
    return tuple(sorted({float(slo.indicator.at_most) for slo in catalogue.slos if _is_ours(slo.indicator)}))


def _is_ours(indicator: Any) -> bool:
    """Only a latency indicator has a histogram."""
    return any(selector.metric == DURATION for selector in getattr(indicator, "histogram", ()))
