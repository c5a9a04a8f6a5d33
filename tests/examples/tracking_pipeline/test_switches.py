"""Each fault can be switched on while the services run, and shows where it should."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from examples.tracking_pipeline import run, switches
from examples.tracking_pipeline.load import PEAK, rate
from examples.tracking_pipeline.switches import Share, Switches
from examples.tracking_pipeline.world import World, world
from testing.servers import until
from tests.conftest import program

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("tracking-pipeline")]
HEADERS = {"Authorization": "Bearer token-of-tenant-07"}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    for name in run.PROGRAMS:
        program(name)
    with world(tmp_path_factory.mktemp("pipeline")) as started:
        started.switch(traffic=2)
        yield started


@pytest.fixture
def switched(live: World) -> Iterator[Callable[..., None]]:
    """Turn switches for one test; returns when every service has seen them."""
    client = switches.client_of(live.settings)
    before, turned = switches.read(client), set[str]()

    def turn(**values: float) -> None:
        turned.update(values)
        live.switch(**values)
        turned_at = time.time()
        until(lambda: switches.seen_since(client, turned_at))

    yield turn
    turn(**{name: before.get(name, 0.0) for name in turned})


def track(live: World, shipment: str = "shipment-07") -> httpx.Response:
    url = f"{live.settings.url('gateway')}/track"
    return live.client.post(url, json={"shipment": shipment}, headers=HEADERS)


def send(live: World, latitude: float, shipment: str = "shipment-07") -> str:
    """Send a position; returns the request's ID."""
    event = {"shipment": shipment, "latitude": latitude, "longitude": 8.0}
    response = live.client.post(f"{live.settings.url('gateway')}/events", json=event, headers=HEADERS)
    assert response.status_code == 202
    return response.headers["x-request-id"]


def metric(live: World, process: str, name: str) -> float:
    lines = live.client.get(f"{live.settings.url(process)}/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def lines_of(live: World, process: str, request_id: str) -> list[dict[str, Any]]:
    return [line for line in live.logged(process) if line.get("request.id") == request_id]


def test_a_position_goes_through_every_store_under_one_id(live: World) -> None:
    request_id = send(live, 51.5)
    until(lambda: lines_of(live, "projection", request_id))
    messages = [line["message"] for line in lines_of(live, "ingestion", request_id) if line["logger"] != "sloctl.entry"]
    assert messages == ["stored event of shipment-07"]
    assert {line["tenant.id"] for line in lines_of(live, "projection", request_id)} == {"tenant-07"}


def test_a_stranger_gets_no_answer(live: World) -> None:
    url = f"{live.settings.url('gateway')}/track"
    answer = live.client.post(url, json={"shipment": "shipment-07"}, headers={"Authorization": "Bearer guessed"})
    assert answer.status_code == 401


def test_errors_fail_their_share_of_one_endpoint(live: World, switched: Callable[..., None]) -> None:
    until(lambda: track(live).status_code == 200)
    switched(errors=0.5, traffic=0.001)
    statuses = [track(live).status_code for _ in range(10)]
    assert 4 <= statuses.count(500) <= 6
    assert statuses.count(200) + statuses.count(500) == 10
    shown = live.client.get(f"{live.settings.url('gateway')}/shipments/shipment-07", headers=HEADERS)
    assert shown.status_code == 200


def test_latency_delays_every_answer(live: World, switched: Callable[..., None]) -> None:
    switched(latency=0.6)
    assert track(live).elapsed.total_seconds() >= 0.6


def test_stale_data_is_written_by_nobody(live: World, switched: Callable[..., None]) -> None:
    switched(stale=1)
    request_id = send(live, -33.3)
    until(lambda: lines_of(live, "ingestion", request_id))
    switched(stale=0)
    later = send(live, 33.3)
    until(lambda: lines_of(live, "projection", later))
    assert lines_of(live, "projection", request_id) == []


def test_a_stopped_worker_leaves_a_backlog_and_takes_it_up_again(live: World, switched: Callable[..., None]) -> None:
    switched(stopped=1)
    send(live, 1.0)  # for the read that it waits in
    request_ids = [send(live, 1.0) for _ in range(5)]
    until(lambda: metric(live, "ingestion", "stream_backlog_events") >= 5)
    assert [line for request_id in request_ids for line in lines_of(live, "ingestion", request_id)] == []
    switched(stopped=0)
    until(lambda: all(lines_of(live, "ingestion", request_id) for request_id in request_ids))


def test_without_the_carrier_the_id_ends_at_the_stream(live: World, switched: Callable[..., None]) -> None:
    switched(dropped_carrier=1, traffic=0.001)
    before = metric(live, "ingestion", "tracking_events_ingested_total")
    request_id = send(live, 2.0)
    until(lambda: metric(live, "ingestion", "tracking_events_ingested_total") > before)
    assert lines_of(live, "ingestion", request_id) == []


def test_a_broken_position_names_the_request_that_wrote_it(live: World, switched: Callable[..., None]) -> None:
    switched(broken_positions=1, traffic=0.001)
    request_id = send(live, 2.0, "shipment-27")
    answer = until(lambda: failed if (failed := track(live, "shipment-27")).status_code == 500 else None)
    [line] = lines_of(live, "tracking-api-stable", answer.headers["x-request-id"])[:1]
    assert line["message"] == f"record of shipment-27 has latitude 191; request {request_id} wrote it"


def test_what_is_kept_up_says_where_it_is_and_ends_with_ctrl_c(
    live: World, switched: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ctrl_c(_seconds: float) -> None:
        raise KeyboardInterrupt

    console = Console(width=200, file=StringIO())
    with monkeypatch.context() as patched:
        patched.setattr("time.sleep", ctrl_c)
        run.keep(console, live)
    switched(diurnal=1)
    assert isinstance(console.file, StringIO)
    said = console.file.getvalue()
    assert live.prometheus.url in said
    assert live.told.url in said
    assert f"python -m examples.tracking_pipeline.switches {live.folder}" in said
    for url in (live.prometheus.url, live.told.url, live.settings.url("canary-server")):
        assert live.client.get(f"{url}/metrics").is_success
    assert switches.main(str(live.folder)) == 0


def test_an_unknown_switch_is_refused_with_those_that_there_are(
    live: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert switches.main(str(live.folder), "erors=1") == 2
    assert "there is no switch 'erors'; there are traffic, day" in capsys.readouterr().err


def test_where_nothing_runs_there_is_nothing_to_switch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert switches.main(str(tmp_path), "errors=1") == 3
    assert f"nothing runs in {tmp_path}; `make demo ARGS=--keep` prints the folder" in capsys.readouterr().err


def test_a_share_is_exact_and_evenly_spread() -> None:
    share = Share(lambda: 0.03)
    hits = [number for number in range(1, 1001) if share.hit()]
    assert len(hits) in {29, 30}
    assert {after - before for before, after in itertools.pairwise(hits)} <= {33, 34}


def test_the_day_brings_3_4_times_the_nights_traffic() -> None:
    night, day, cycle = (Switches({"traffic": 10.0, **more}) for more in ({}, {"day": 1.0}, {"diurnal": 1.0}))
    assert rate(day, 0) == pytest.approx(PEAK * rate(night, 0))
    assert [rate(cycle, second) for second in (0, 60, 120)] == pytest.approx([10, 34, 10])
