"""A checkout service on loopback that fails when told to, and how Prometheus scrapes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from testing.servers import PATIENCE, ROOT, answers, free_port, running


@contextmanager
def checkout_service(folder: Path) -> Iterator[str]:
    """The service that fails on demand; its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "examples.demo.exporter", str(port)]
    with (
        running("checkout", command, folder / "checkout.log", ROOT) as process,
        httpx.Client(timeout=PATIENCE) as client,
    ):
        process.wait_for(lambda: answers(client, f"{url}/metrics"), "it serves its metrics")
        yield url


def scrape_config(url: str) -> dict[str, object]:
    """Prometheus' configuration: scrape the service each second."""
    target = {"targets": [url.removeprefix("http://")]}
    return {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "checkout", "static_configs": [target]}],
    }


def order(url: str) -> None:
    """Tell the service to fail or to heal."""
    httpx.post(url, timeout=PATIENCE).raise_for_status()
