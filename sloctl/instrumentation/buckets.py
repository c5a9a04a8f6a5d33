"""Bucket bounds from the SLO specification, so that each latency threshold is an edge that can be counted exactly."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sloctl.instrumentation.metrics import DURATION

if TYPE_CHECKING:
    from sloctl.spec.indicators import Latency


def thresholds(path: str | os.PathLike[str]) -> tuple[float, ...]:
    """The latency thresholds, in seconds, that a specification sets on `http_server_request_duration_seconds`.

    Raises:
        ValueError: the specification has errors; with each at its file, line and column.
    """
    from sloctl.diagnostics import Diagnostics
    from sloctl.spec.document import Service, read_documents

    found = Diagnostics()
    documents = read_documents(os.fspath(path), found)
    if found.errors:
        raise ValueError(f"{os.fspath(path)} has errors; run `sloctl validate {os.fspath(path)}`:\n{_shown(found)}")
    services = [document.spec for document in documents if isinstance(document.spec, Service)]
    return tuple(sorted({bound for service in services for slo in service.slos or () for bound in _bounds(slo)}))


def _shown(found: Any) -> str:
    return "\n".join(f"{error.place}: {error.message}" for error in found.errors)


def _bounds(slo: Any) -> Iterator[float]:
    sli = slo.sli
    latency: Latency | None = getattr(sli, "latency", None)
    if latency is not None and any(_is_ours(selector) for selector in _texts(latency.histogram)):
        yield _seconds(latency)


def _texts(selectors: Any) -> list[str]:
    return [str(one) for one in selectors] if isinstance(selectors, (tuple, list)) else [str(selectors)]


def _is_ours(selector: str) -> bool:
    return selector.partition("{")[0].strip() == DURATION


def _seconds(latency: Latency) -> float:
    value, unit = latency.at_most
    return float(value / 1000 if unit == "duration" else value)
