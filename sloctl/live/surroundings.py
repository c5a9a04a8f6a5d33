"""What a first Platform can know from a running Prometheus: how often it scrapes, and what tells targets apart."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from sloctl.errors import OutsideError
from sloctl.model.quantities import Duration

if TYPE_CHECKING:
    from sloctl.prometheus import PrometheusClient

_RECENT: Final = "5m"
_USUAL: Final = tuple(Duration.of(seconds=seconds) for seconds in (1, 5, 10, 15, 20, 30, 60, 120, 240))
_PLACES: Final = ("cluster", "namespace", "region")
"""Labels that say where a target is; `up` has them where all targets do."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the targets of a Prometheus have in common.

    Attributes:
        scrape_interval: the usual one that most targets are nearest to.
        target_labels: labels of `up` that tell targets apart.
        targets: how many there are.
    """

    scrape_interval: Duration
    target_labels: tuple[str, ...]
    targets: int


def look_around(client: PrometheusClient) -> Surroundings:
    """Read `up` of the last minutes.

    Raises:
        OutsideError: nothing is scraped, or not for long enough.
    """
    targets = client.samples("up", _RECENT, time.time())
    distances = [after - before for target in targets for before, after in pairwise(target.times)]
    if not distances:
        raise OutsideError(f"{client.url} scrapes nothing yet: ask again in some minutes, or leave --prometheus out")
    seen = statistics.median(distances)
    interval = min(_USUAL, key=lambda usual: abs(float(usual.seconds) / seen - 1))
    everywhere = [label for label in _PLACES if all(target.labels.get(label) for target in targets)]
    return Surroundings(interval, (*everywhere, "job", "instance"), len(targets))
