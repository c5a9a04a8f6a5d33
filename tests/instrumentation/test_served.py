"""What is counted when real servers serve: uvicorn with both of its parsers, middlewares around, prefixes, workers."""

import asyncio
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware

from sloctl.instrumentation import current, instrument_app
from testing.servers import PATIENCE, ROOT, answers, free_port, running, until
from testing.serving import serving, workers
from tests.instrumentation.conftest import Configure, Observed

pytestmark = pytest.mark.server
SETTINGS: dict[str, dict[str, Any]] = {
    "h11": {"http": "h11"},
    "httptools": {"http": "httptools"},
    "root path": {"root_path": "/api"},
}
MIDDLEWARE = "BaseHTTPMiddleware"
LEAVES_AFTER = 0.3
COUNTED = 'http_server_request_duration_seconds_count{error_type="",http_request_method="GET"'
ONE_EACH = httpx.Limits(max_keepalive_connections=0)  # a connection for each request


def application(seen: Observed) -> FastAPI:  # noqa: C901 - a route a case
    app = FastAPI()

    @app.get("/ok/{item}")
    async def ok(item: str) -> str:
        request = current()
        assert request is not None
        return request.request_id

    @app.get("/streamed/{status}")
    async def streamed(status: int) -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"chunk"
                await asyncio.sleep(0.01)

        return StreamingResponse(chunks(), status)

    @app.get("/broken")
    async def broken() -> None:
        raise ValueError("broken")

    @app.get("/refused")
    async def refused() -> None:
        raise HTTPException(503)

    @app.get("/breaks-off")
    async def breaks_off() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("the source is gone")

        return StreamingResponse(chunks())

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 1000
                await asyncio.sleep(0.02)

        return StreamingResponse(chunks())

    @app.get("/polls")
    async def polls(request: Request) -> Response:
        for _ in range(100):
            if await request.is_disconnected():
                return PlainTextResponse("nobody is there")
            await asyncio.sleep(0.02)
        raise AssertionError("the client stayed")

    @app.get("/events")
    async def events() -> StreamingResponse:
        async def chunks() -> AsyncIterator[str]:
            while True:
                yield "data: 1\n\n"
                await asyncio.sleep(0.02)

        return StreamingResponse(chunks(), media_type="text/event-stream")

    instrument_app(app, seen.runtime, trust="internal")
    return app


def served(seen: Observed, kind: str) -> AbstractContextManager[int]:
    app = application(seen)
    if kind == MIDDLEWARE:

        async def passes(request: Request, go: Any) -> Response:
            response: Response = await go(request)
            return response

        app.add_middleware(BaseHTTPMiddleware, dispatch=passes)
    return serving(app, **SETTINGS.get(kind, {}))


def counted(seen: Observed, expected: int) -> dict[tuple[str, str, str], float]:
    """What was counted, as soon as so many requests are."""
    deadline = time.monotonic() + PATIENCE
    while sum(seen.counted().values()) < expected and time.monotonic() < deadline:
        time.sleep(0.02)
    return seen.counted()


READ_TO_THE_END = [
    ("/ok/1", "/ok/{item}", 200),
    ("/streamed/200", "/streamed/{status}", 200),
    ("/streamed/503", "/streamed/{status}", 503),
    ("/broken", "/broken", 500),
    ("/refused", "/refused", 503),
    ("/nothing", "_unmatched", 404),
]


@pytest.mark.parametrize("kind", [*SETTINGS, MIDDLEWARE])
def test_each_response_counts_as_what_it_was(observed: Configure, kind: str) -> None:
    seen = observed()
    with served(seen, kind) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", limits=ONE_EACH) as client:
        for path, _route, status in READ_TO_THE_END:
            response = client.get(path, headers={"x-request-id": "request-0001"})
            assert (response.status_code, response.headers["x-request-id"]) == (status, "request-0001")
        with suppress(httpx.RemoteProtocolError):
            client.get("/breaks-off")
        for path in ("/endless", "/polls", "/events"):
            leave(port, path)
        found = counted(seen, len(READ_TO_THE_END) + 4)
    # Starlette's middleware ends a broken stream as if it were whole, and raises afterwards.
    broken = "200" if kind == MIDDLEWARE else "500"
    assert found == {
        **{("GET", route, str(status)): 1 for _path, route, status in READ_TO_THE_END},
        ("GET", "/breaks-off", broken): 1,
        ("GET", "/endless", "499"): 1,
        ("GET", "/polls", "499"): 1,
        ("GET", "/events", "200"): 1,
    }
    assert seen.value("http_server_active_requests") == 0
    assert seen.seconds("/events") < LEAVES_AFTER


def leave(port: int, path: str) -> None:
    """Ask, wait, and close the socket."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        time.sleep(LEAVES_AFTER)


@pytest.mark.parametrize("root_path", ["", "/api"])
def test_metrics_are_served_whatever_prefix_a_proxy_strips(observed: Configure, root_path: str) -> None:
    app = application(observed())
    with serving(app, root_path=root_path) as port:
        response = httpx.get(f"http://127.0.0.1:{port}/metrics", headers={"accept-encoding": "gzip"})
    assert response.status_code == 200
    assert "# TYPE http_server_request_duration_seconds histogram" in response.text


WORKER = """
import os
from fastapi import FastAPI
from sloctl.instrumentation import configure, current, instrument_app

app = FastAPI()
runtime = configure(service="workers", environment="test")
instrument_app(app, runtime, trust="internal", tenants=2)

@app.get("/pid")
async def pid() -> int:
    return os.getpid()

@app.get("/of/{tenant}")
async def of(tenant: str) -> None:
    current().set_tenant(tenant)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "worked.py"
    file.write_text(WORKER)
    return file


def ask(url: str, times: int) -> list[Any]:
    """Each request on a connection of its own, so that all workers get some; their answers."""
    answers: list[Any] = []
    todo = iter(range(times))

    def some() -> None:
        with httpx.Client(verify=False, limits=ONE_EACH) as client:
            answers.extend(client.get(url).json() for _ in todo)

    threads = [threading.Thread(target=some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def all_answer(client: httpx.Client, url: str, status: int) -> list[httpx.Response]:
    """Several answers, each on a connection of its own, once all have the status."""
    found = [client.get(url) for _ in range(6)]
    return found if {response.status_code for response in found} == {status} else []


def all_counted(url: str, count: int) -> str:
    """The metrics, once so many requests are in them."""
    text = httpx.get(url).text
    return text if total(text, COUNTED) == count else ""


def total(text: str, start: str) -> float:
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(start))


def test_workers_without_a_directory_are_refused_and_said_never_a_random_share(program: Path) -> None:
    with workers(program, 4, path="/pid") as there:
        until(lambda: len(set(ask(f"{there.url}/pid", 40))) > 1)  # the others are still starting
        answers = [httpx.get(f"{there.url}/metrics") for _ in range(8)]
        log = there.server.log.read_text()
    assert {answer.status_code for answer in answers} == {503}
    assert "set PROMETHEUS_MULTIPROC_DIR" in answers[0].text
    assert "several worker processes serve this port" in log


FLASK = """
from flask import Flask
from sloctl.instrumentation import configure, instrument_app
app = Flask("shop")
app.get("/ok")(lambda: {})
instrument_app(app, configure(service="shop"), trust="edge")
"""


@pytest.mark.parametrize(("folder", "status"), [(None, 503), ("not there yet", 200)])
def test_workers_that_gunicorn_forks_are_refused_too_or_added_up(
    tmp_path: Path, folder: str | None, status: int
) -> None:
    (tmp_path / "forked.py").write_text(FLASK)
    port = free_port()
    chosen = [] if folder is None else [f"PROMETHEUS_MULTIPROC_DIR={tmp_path / folder}"]
    gunicorn = ["gunicorn", "forked:app", "--workers", "3", "--bind", f"127.0.0.1:{port}", "--chdir", tmp_path]
    command = ["env", f"PYTHONPATH={ROOT}", *chosen, sys.executable, "-m", *gunicorn]
    url = f"http://127.0.0.1:{port}"
    with running("gunicorn", command, tmp_path / "log") as server, httpx.Client(limits=ONE_EACH) as client:
        server.wait_for(lambda: answers(client, f"{url}/ok"), "it answers")
        log = server.log
        server.wait_for(lambda: log.read_text().count("Booting worker") == 3, "all workers run")
        for _ in range(30):
            client.get(f"{url}/ok")
        # Each worker looks for others when it is asked, and again after some seconds.
        found = until(lambda: all_answer(client, f"{url}/metrics", status))
    if status == 200:
        assert total(found[-1].text, COUNTED) >= 31
    else:
        assert "several worker processes serve this port" in log.read_text()


def test_one_worker_needs_no_directory(program: Path) -> None:
    with workers(program, 1, path="/pid") as there:
        assert httpx.get(f"{there.url}/metrics").status_code == 200


def test_totals_of_four_workers_are_exact_also_after_one_was_killed(program: Path, tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    with workers(program, 4, {"PROMETHEUS_MULTIPROC_DIR": str(folder)}, "/metrics") as there:
        pids = ask(f"{there.url}/pid", 200)
        until(lambda: all_counted(f"{there.url}/metrics", 200))  # a response is out before it counts
        there.kill_one(pids[0])
        until(lambda: not Path(f"/proc/{pids[0]}").exists())
        ask(f"{there.url}/pid", 100)
        text = until(lambda: all_counted(f"{there.url}/metrics", 300))
        assert total(text, "http_server_active_requests") == 0


def test_a_cap_of_tenants_holds_for_all_workers_together(program: Path, tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    with workers(program, 4, {"PROMETHEUS_MULTIPROC_DIR": str(folder)}, "/metrics") as there:
        for tenant in ("s1", "s2", "s3"):
            ask(f"{there.url}/of/{tenant}", 60)
        text = httpx.get(f"{there.url}/metrics").text
    start = 'tenant_requests_total{http_response_status_code="200",http_route="/of/{tenant}",tenant='
    found = {tenant: total(text, f'{start}"{tenant}"') for tenant in ("s1", "s2", "s3", "_other")}
    assert found == {"s1": 60, "s2": 60, "s3": 0, "_other": 60}, text
