"""SLOs and their past, as small as a test or a benchmark needs."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from sloctl.diagnostics import Diagnostics
from sloctl.history.tiles import Tiles
from sloctl.language.document import parse_documents
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.resolve import resolve
from testing import servers

BEGIN = 1_790_000_160_000
"""Unix milliseconds, whole minutes and roll-ups."""
_TEXT = """\
apiVersion: sloctl/v1
kind: Platform
name: shop
runbook: https://runbooks.example.com/$slo
{platform}
---
apiVersion: sloctl/v1
kind: Service
service: cart
slos:
  - name: availability
    objective: {objective}
    window: {window}
    sli: {{ratio: {{total: 'requests_total{{job="cart"}}', bad_if: 'code=~"5.."'}}}}
    alerts: {alerts}
{more}
"""


def catalogue_of(text: str) -> Catalogue:
    """The catalogue of a specification without errors."""
    found = Diagnostics()
    catalogue = resolve(parse_documents(text.encode(), "shop.yaml", found), found)
    if found.errors:
        raise ValueError("; ".join(f"{error.place}: {error.message}" for error in found.errors))
    return catalogue


def slo_of(
    alerts: str = "google", objective: str = "99.9%", window: str = "30d", platform: str = "", more: str = ""
) -> Slo:
    """The one SLO, of requests; `more` are further keys of it and `platform` of its platform."""
    text = _TEXT.format(alerts=alerts, objective=objective, window=window, platform=platform, more=more)
    return next(catalogue_of(text).slos)


def tiles_of(counts: Iterable[tuple[float, float]], step: int = 60_000, begin: int = BEGIN) -> Tiles:
    """Consecutive tiles from their events and bad events, the first one recorded at `begin`."""
    total, bad = np.array(list(counts), dtype=np.float64).reshape(-1, 2).T
    return Tiles(begin + step * np.arange(len(total), dtype=np.int64), total, bad)


def outages(days: float, *times: tuple[float, float, float], rate: float = 600, base: float = 0.0) -> Tiles:
    """Tiles of a minute at steady traffic; each outage has begin and length in minutes, and its error ratio."""
    ratios = np.full(int(days * 1440), base)
    for begin, length, ratio in times:
        ratios[int(begin) : int(begin + length)] = ratio
    return tiles_of(zip(np.full(len(ratios), rate), np.round(ratios * rate), strict=True))


def openmetrics(series: Mapping[str, Iterable[tuple[float, float]]]) -> str:
    """Samples as `promtool tsdb create-blocks-from openmetrics` reads them, by series with labels: Unix seconds, value.

    Metrics are of unknown type, so that nothing is said of their names.
    """
    lines = [f"{name} {value:.17g} {moment:.3f}" for name, samples in series.items() for moment, value in samples]
    return "\n".join([*lines, "# EOF", ""])


@contextmanager
def past_server(series: Mapping[str, Iterable[tuple[float, float]]], *flags: str) -> Iterator[servers.Prometheus]:
    """A real Prometheus that remembers these samples and scrapes nothing."""
    with tempfile.TemporaryDirectory(prefix="sloctl-past-") as name:
        folder = Path(name)
        (folder / "past.om").write_text(openmetrics(series), encoding="utf-8")
        words = ("tsdb", "create-blocks-from", "--max-block-duration=54h", "openmetrics")  # it reads all for each block
        command: list[str | Path] = [servers.find_program("promtool"), *words, folder / "past.om", folder / "data"]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        if ran.returncode:
            raise servers.ServerError(f"promtool failed: {ran.stdout} {ran.stderr}")
        flags = ("--storage.tsdb.retention.time=100y", *flags)
        with servers.prometheus({}, flags=flags, data=folder / "data") as server:
            yield server
