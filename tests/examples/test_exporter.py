import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from testing.servers import PATIENCE, ROOT, answers, free_port, running, until


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[httpx.Client]:
    """The demonstration's service at 1000 requests a second."""
    port = free_port()
    command = [sys.executable, "-m", "examples.demo.exporter", str(port), "1000"]
    with (
        running("checkout", command, tmp_path / "log", ROOT) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client,
    ):
        process.wait_for(lambda: answers(client, "/metrics"), "it serves its metrics")
        yield client


def counts(checkout: httpx.Client) -> dict[str, int]:
    found = re.findall(r'^http_requests_total\{code="(\d+)"\} (\d+)$', checkout.get("/metrics").text, re.MULTILINE)
    return {code: int(count) for code, count in found}


def test_a_healthy_service_has_no_error_series(checkout: httpx.Client) -> None:
    until(lambda: counts(checkout)["200"] > 0)
    assert counts(checkout).keys() == {"200"}


def test_it_fails_with_the_ratio_asked_for_until_it_is_healed(checkout: httpx.Client) -> None:
    assert checkout.post("/fail?ratio=0.25").text == "failing: 0.25\n"
    before = counts(checkout)
    after = until(lambda: found if (found := counts(checkout)).get("500", 0) > 50 else None)
    bad, good = after["500"] - before.get("500", 0), after["200"] - before["200"]
    assert bad / (bad + good) == pytest.approx(0.25, abs=0.02)  # counts are whole numbers

    assert checkout.post("/heal").text == "failing: 0\n"
    healed = counts(checkout)
    until(lambda: counts(checkout)["200"] > healed["200"] + 50)
    assert counts(checkout)["500"] == healed["500"]


@pytest.mark.parametrize("order", ["/fail?ratio=2", "/fail?ratio=much", "/break"])
def test_an_order_it_does_not_know_is_refused(checkout: httpx.Client, order: str) -> None:
    assert checkout.post(order).status_code == 400
    assert counts(checkout).keys() == {"200"}
