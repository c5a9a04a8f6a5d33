"""Eight services, seven transports, one ID, on real brokers; and each carrier is needed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.parcels.run import Pipeline, pipeline
from examples.parcels.settings import SERVICES, TRANSPORTS
from tests.conftest import program

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("chain")]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    program("mosquitto")
    with pipeline(tmp_path_factory.mktemp("pipeline")) as started:
        yield started


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def assert_one_id_finds_everything(chain: Pipeline, parcel: str, request_id: str) -> None:
    """Every log line and every span of a parcel has the one ID."""
    for service in SERVICES:
        about = [line for line in lines(chain.settings.log(service)) if parcel in str(line["message"])]
        assert about, f"{service} logged nothing of {parcel}"
        assert {line.get("request.id") for line in about} == {request_id}, service
        assert {line.get("tenant.id") for line in about} == {"acme"}, service
        assert {line["service.name"] for line in about} == {service}
    spans = [span for span in lines(chain.settings.spans) if span["attributes"].get("request.id") == request_id]  # type: ignore[attr-defined]
    assert {span["resource"]["attributes"]["service.name"] for span in spans} == set(SERVICES)  # type: ignore[index]
    assert {span["attributes"].get("tenant.id") for span in spans} == {"acme"}  # type: ignore[attr-defined]


def test_one_id_finds_every_log_line_and_span_of_eight_services(chain: Pipeline) -> None:
    assert_one_id_finds_everything(chain, "parcel-whole", chain.ship("parcel-whole"))


def test_trace_names_orders_where_the_bad_value_was_set(chain: Pipeline) -> None:
    finished = chain.trace(chain.ship("parcel-traced"))
    report = finished.stdout.splitlines()
    assert finished.returncode == 1, finished.stderr
    assert "8 hops, 8 services, 7 transports, 16 log lines" in report[0]
    assert [next(s for s in SERVICES if s in row.split()) for row in report[2:10]] == list(SERVICES)
    assert report[10:] == [
        "earliest failing hop: orders (POST /orders)",
        "  ERROR weight of parcel-traced is missing, -1 is booked instead",
    ]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_without_the_carrier_of_one_transport_the_id_is_lost(chain: Pipeline, transport: str) -> None:
    parcel = f"parcel-without-{transport}"
    request_id = chain.ship(parcel, without=transport)
    with pytest.raises(AssertionError):
        assert_one_id_finds_everything(chain, parcel, request_id)
    services_before = SERVICES[: TRANSPORTS.index(transport) + 1]
    for service in SERVICES:
        about = [line for line in lines(chain.settings.log(service)) if parcel in str(line["message"])]
        assert about, f"{service} logged nothing of {parcel}"
        assert ({line.get("request.id") for line in about} == {request_id}) == (service in services_before)
