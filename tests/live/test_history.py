"""The past as it is read from a real Prometheus: recorded, counted here, asked, and joined."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest

from sloctl.cli.options import tile_texts
from sloctl.history.tiles import Tiles
from sloctl.live.history import Past, Reach, Reader, Source, read_past
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.model.quantities import DAY, HOUR
from sloctl.prometheus import Fault, PrometheusClient, PrometheusError
from testing.histories import BEGIN, catalogue_of, past_server
from tests.conftest import program

pytestmark = pytest.mark.xdist_group("history")  # one Prometheus serves all

HOURS = 30
STEP = 60_000
END = BEGIN + HOURS * 3_600_000
RECORDED = BEGIN + 20 * 3_600_000 + 7_123
"""Since when tiles are recorded, at the second of their group."""
SPEC = """
apiVersion: sloctl/v1
kind: Platform
name: shop
scrape_interval: 30s
runbook: https://runbooks.example.com/$slo
---
apiVersion: sloctl/v1
kind: Service
service: cart
slos:
  - name: availability
    objective: 99%
    sli: {ratio: {total: requests_total, bad_if: 'code="500"'}}
  - name: pods
    objective: 99%
    by: [instance]
    max_series: 5
    sli: {ratio: {total: requests_total, bad_if: 'code="500"'}}
  - name: query
    objective: 99%
    sli:
      query:
        total: sum(increase(requests_total[$window]))
        bad: sum(increase(requests_total{code="500"}[$window]))
  - name: nothing
    objective: 99%
    sli: {ratio: {total: 'nothing_total{job="x"}', bad: 'nothing_bad_total{job="x"}'}}
    by: [instance]
"""


def raw() -> dict[str, list[tuple[float, float]]]:
    """Counters of two pods; one of them is replaced, and errors are born, at odd times."""
    draw, found = random.Random(4), dict[str, list[tuple[float, float]]]()
    for pod, (first, last) in {"a:80": (0, HOURS * 120), "b:80": (900, 2100), "c:80": (2101, HOURS * 120)}.items():
        counts: dict[str, int] = {}
        for scrape in range(first, last):
            moment = BEGIN / 1000 + 30 * scrape + 11.5
            found.setdefault(f'up{{job="cart",instance="{pod}"}}', []).append((moment, 1))
            counts["200"] = counts.get("200", 0) + draw.randrange(20)
            if draw.random() < 0.05 or 1500 < scrape < 1560:
                counts["500"] = counts.get("500", 0) + draw.randrange(1, 4)
            if scrape == 1200:
                counts = {"200": 3}  # a restart
            for code, count in counts.items():
                name = f'requests_total{{job="cart",instance="{pod}",code="{code}"}}'
                found.setdefault(name, []).append((moment, count))
    return found


def recorded() -> dict[str, list[tuple[float, float]]]:
    """Tiles as rules would have written them, with a gap of an hour in which they were evaluated."""
    found: dict[str, list[tuple[float, float]]] = {}
    own = 'platform="shop",service="cart",slo="cart-availability"'
    for index, moment in enumerate(range(RECORDED, END, STEP)):
        found.setdefault(f"slo:measured_since:timestamp_seconds{{{own}}}", []).append((moment / 1000, BEGIN / 1000))
        if not 240 <= index < 300:
            found.setdefault(f"slo:sli_total:increase1m{{{own}}}", []).append((moment / 1000, 100 + index % 7))
            found.setdefault(f"slo:sli_errors:increase1m{{{own}}}", []).append((moment / 1000, index % 5))
        if index % 4 == 3:
            rolled = moment / 1000 + 20
            found.setdefault(f"slo:sli_total:increase4m{{{own}}}", []).append((rolled, 400))
            found.setdefault(f"slo:sli_errors:increase4m{{{own}}}", []).append((rolled, 8))
            found.setdefault(f"slo:objective:info{{{own}}}", []).append((rolled, 0.99))
    return found


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    program("prometheus")
    with past_server({**raw(), **recorded()}) as server:
        yield server.url


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return catalogue_of(SPEC)


def slo_named(catalogue: Catalogue, name: str) -> Slo:
    return next(slo for slo in catalogue.slos if slo.name == name)


def read(
    url: str, catalogue: Catalogue, name: str, source: Source, *, hours: int = HOURS - 2, folder: Path | None = None
) -> dict[str, Past]:
    slo, (platform,) = slo_named(catalogue, name), catalogue.platforms
    reach = Reach(END - hours * 3_600_000, END, HOUR)
    with PrometheusClient(url) as client:
        reader = Reader(client, END + DAY.milliseconds, folder)
        pasts = read_past([slo], reader, reach, lambda one: tile_texts(platform, one), source)
        return {past.split.get("instance", ""): past for past in pasts}


def equal(one: Tiles, other: Tiles) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("at", "total", "bad"))


@pytest.mark.server
def test_tiles_counted_here_are_those_that_the_server_evaluates(url: str, catalogue: Catalogue) -> None:
    counted = read(url, catalogue, "availability", Source.SAMPLES)[""]
    asked = read(url, catalogue, "availability", Source.QUERY)[""]
    assert counted.sources == (Source.SAMPLES,)
    assert asked.sources == (Source.QUERY,)
    assert len(counted.history.tiles) > 1700
    assert equal(counted.history.tiles, asked.history.tiles)
    assert counted.history.tiles.bad.sum() > 100
    # nothing tells at which second rules would be evaluated, so four of them are tried
    assert [int(other.tiles.at[0]) % STEP for other in counted.phases] == [15_000, 30_000, 45_000]
    assert counted.measured == pytest.approx(1, abs=0.001)


@pytest.mark.server
def test_each_split_value_is_counted_by_itself(url: str, catalogue: Catalogue) -> None:
    counted, asked = (read(url, catalogue, "pods", source) for source in (Source.SAMPLES, Source.QUERY))
    assert counted.keys() == asked.keys() == {"a:80", "b:80", "c:80"}
    for pod, past in counted.items():
        theirs, step = asked[pod].history.tiles, 5 * STEP
        # the server knows a vanished series until five minutes later, where no scrape says that it is gone
        until = int(past.history.tiles.at[-1]) - step
        assert equal(past.history.tiles.between(0, until), theirs.between(0, until))
    assert counted["b:80"].measured < 0.5


@pytest.mark.server
def test_recorded_tiles_are_read_as_they_are_with_the_evaluations_in_a_gap(url: str, catalogue: Catalogue) -> None:
    past = read(url, catalogue, "availability", Source.TILES)[""]
    tiles, rollups = past.history.tiles, past.history.rollups
    assert (int(tiles.at[0]), len(tiles)) == (RECORDED, 540)
    assert tiles.total[:3].tolist() == [100, 101, 102]
    assert (len(rollups), int(rollups.at[0])) == (150, RECORDED + 3 * STEP + 20_000)
    assert len(past.history.evaluated) == 600
    assert past.history.since == RECORDED / 1000 - 60
    assert past.measured == pytest.approx(541 / (28 * 60))


@pytest.mark.server
def test_what_is_older_than_recordings_is_counted_from_raw_samples(url: str, catalogue: Catalogue) -> None:
    past = read(url, catalogue, "availability", Source.AUTO)[""]
    assert past.sources == (Source.TILES, Source.SAMPLES)
    tiles = past.history.tiles
    cut = int(np.searchsorted(tiles.at, RECORDED))
    assert tiles.total[cut] == 100
    assert set((tiles.at[:cut] % STEP).tolist()) == {RECORDED % STEP}
    counted = read(url, catalogue, "availability", Source.SAMPLES)[""].history.tiles
    # the same events, at another second of the minute
    assert tiles.total[:cut].sum() == pytest.approx(counted.between(0, RECORDED).total.sum(), abs=100)
    rolled = past.history.rollups
    assert set((rolled.at % (4 * STEP)).tolist()) == {(RECORDED + 3 * STEP + 20_000) % (4 * STEP)}
    assert past.phases == ()


@pytest.mark.server
def test_what_cannot_be_counted_here_is_asked_of_the_server(url: str, catalogue: Catalogue) -> None:
    past = read(url, catalogue, "query", Source.AUTO)[""]
    assert past.sources == (Source.QUERY,)
    assert past.history.tiles.total.sum() > 10_000


@pytest.mark.server
def test_more_raw_samples_than_can_be_counted_are_asked_as_tiles(
    url: str, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = read(url, catalogue, "pods", Source.SAMPLES, hours=2)
    monkeypatch.setattr("sloctl.live.history.MOST_COUNTED", 10)
    asked = read(url, catalogue, "pods", Source.SAMPLES, hours=2)
    assert {past.sources for past in asked.values()} == {(Source.QUERY,)}
    assert {past.sources for past in counted.values()} == {(Source.SAMPLES,)}
    assert equal(asked["a:80"].history.tiles, counted["a:80"].history.tiles)


@pytest.mark.server
def test_an_slo_without_any_series_has_no_past(url: str, catalogue: Catalogue) -> None:
    assert read(url, catalogue, "nothing", Source.AUTO) == {}


@pytest.mark.server
def test_answers_about_settled_times_are_kept(url: str, catalogue: Catalogue, tmp_path: Path) -> None:
    first = read(url, catalogue, "availability", Source.AUTO, folder=tmp_path)[""]
    kept = sorted(tmp_path.glob("*.npz"))
    assert kept
    assert not list(tmp_path.glob(".new-*"))
    again = read(url, catalogue, "availability", Source.AUTO, folder=tmp_path)[""]
    assert equal(first.history.tiles, again.history.tiles)
    for path in kept:
        path.write_bytes(b"cut off")
    assert equal(
        first.history.tiles, read(url, catalogue, "availability", Source.AUTO, folder=tmp_path)[""].history.tiles
    )


class Limited(BaseHTTPRequestHandler):
    """Answers two hours of samples at most; remembers what it was asked."""

    asked: list[Mapping[str, list[str]]]
    spacing = 60

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.asked.append(form)
        query = form["query"][0]
        length = int(query.rpartition("[")[2].rstrip("ms])")) if "[" in query else 0
        if length > 2 * HOUR.milliseconds:
            self._send(422, {"status": "error", "errorType": "execution", "error": "query would load too many samples"})
            return
        end = float(form["time"][0])
        samples = [[end - second, "1"] for second in range(length // 1000, -1, -self.spacing)]
        metric = {"__name__": "slo:sli_total:increase1m", "platform": "shop", "slo": "cart-availability"}
        self._send(
            200,
            {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": metric, "values": samples}]}},
        )

    def _send(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def limited() -> Iterator[str]:
    Limited.asked, Limited.spacing = [], 60
    with ThreadingHTTPServer(("127.0.0.1", 0), Limited) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_query_that_asks_for_too_much_is_asked_in_halves(limited: str) -> None:
    with PrometheusClient(limited) as client:
        (found,) = Reader(client, END).samples("x", END - 9 * HOUR.milliseconds, END)
    # each minute once, also where two parts meet
    assert len(found.at) == 9 * 60
    assert (np.diff(found.at) == STEP).all()


def test_a_source_that_refuses_even_an_hour_is_no_half_result(limited: str) -> None:
    Limited.asked = []
    with PrometheusClient(limited) as client, pytest.raises(PrometheusError) as caught:
        Reader(client, END).points("sum(x[9999999ms])", END - 8 * HOUR.milliseconds, END, HOUR)
    assert caught.value.fault is Fault.TOO_MUCH


def test_averages_of_five_minutes_stand_for_as_many_tiles_and_short_tiers_are_left_out(
    limited: str, catalogue: Catalogue
) -> None:
    Limited.spacing = 300
    past = read(limited, catalogue, "availability", Source.TILES, hours=2)[""]
    assert set(past.history.tiles.total.tolist()) == {5.0}
    assert past.notes == ("the source keeps one sample each 5m: tiers shorter than 1h are left out",)
    assert past.shortest == HOUR
    # raw samples are asked for first
    assert all(form["max_source_resolution"] == ["0s"] for form in Limited.asked)
