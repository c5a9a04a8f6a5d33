"""How long a server remembers: a default Prometheus keeps 15 days, and a window of 30 days then never fills."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sloctl.diagnostics import Diagnostics, Place, Related
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.model.quantities import DAY, Duration
from sloctl.prometheus import Fault, PrometheusError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sloctl.prometheus import PrometheusClient

_YEARS_AND_WEEKS: Final = re.compile(r"(?:([0-9]+)y)?(?:([0-9]+)w)?(.*)")
_SPARE: Final = 10
"""A tenth more than the window: Prometheus looks for the first tile a little before it."""


def kept_by(client: PrometheusClient) -> Duration | None:
    """How long a server keeps samples; None where it does not say, as Thanos, Mimir and those limited by size.

    Raises:
        PrometheusError: it cannot be reached.
    """
    try:
        answer = client.get("status/runtimeinfo", {})
    except PrometheusError as error:
        if error.fault in {Fault.UNREACHABLE, Fault.TIMEOUT}:
            raise
        return None  # another server that answers queries
    said = answer.get("storageRetention") if isinstance(answer, dict) else None
    return _time(str(said or "").split(" or ", maxsplit=1)[0])


def _time(text: str) -> Duration | None:
    found = _YEARS_AND_WEEKS.fullmatch(text)
    assert found is not None
    years, weeks, rest = found.groups()
    try:
        length = Duration.parse(rest) if rest else Duration(0)
    except ValueError:
        return None  # a size, such as `10GiB`
    return length + DAY * (365 * int(years or 0) + 7 * int(weeks or 0)) or None


def check_memory(catalogue: Catalogue, client: PrometheusClient, found: Diagnostics) -> None:
    """Add what a server cannot hold, once for each length, with the places that need it."""
    kept = kept_by(client)
    if kept is None:
        return
    needed: dict[tuple[str, Duration], list[Place]] = {}
    for slo in catalogue.slos:
        for what, length, place in _lengths(slo):
            if length > kept:
                needed.setdefault((what, length), []).append(place)
    for (what, length), places in needed.items():
        first, *others = dict.fromkeys(places)
        message = f"the server forgets after {kept}, and {what} of {length} needs more"
        days = -(-length.milliseconds * (_SPARE + 1) // (_SPARE * DAY.milliseconds))
        help_ = f"start Prometheus with `--storage.tsdb.retention.time={days}d`, or write a shorter time"
        related = [Related(place, "this one too") for place in others]
        found.warning("SLO207", first, message, help_, *related)


def _lengths(slo: Slo) -> Iterator[tuple[str, Duration, Place]]:
    """How far back an SLO's rules look, with what for and where it is written."""
    yield "a window", slo.window.longest, slo.at("window")
    if slo.sla:
        yield "a contract's window", slo.sla.window.longest, slo.at("sla")
    for tier in slo.tiers:
        yield from (("a tier", over, tier.place) for over in tier.windows[:1])
    if slo.forecast:
        yield "a forecast", slo.forecast.since, slo.at("forecast")
    if slo.regression:
        yield "a comparison", slo.regression.over + slo.regression.earlier, slo.at("regression")
