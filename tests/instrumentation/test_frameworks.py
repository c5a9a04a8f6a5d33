"""Flask, Django by WSGI and by ASGI, Starlette, Litestar and aiohttp's server: the same by one call each.

Each application has the routes of `CASES`; all are asked on real sockets.
"""

import asyncio
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import pytest
from aiohttp import web

from sloctl.instrumentation import JsonFormatter, WsgiContextMiddleware, current, instrument_app
from testing.servers import PATIENCE, free_port
from testing.serving import serving
from tests.instrumentation.conftest import Configure, Observed

pytestmark = pytest.mark.server
ONE_EACH = httpx.Limits(max_keepalive_connections=0)  # a connection for each request
LOG = logging.getLogger("orders")


def handled() -> dict[str, str]:
    """What every application answers to a good request."""
    request = current()
    assert request is not None
    request.set_tenant("acme")
    LOG.info("handled")
    return {"request_id": request.request_id}


def flask(seen: Observed) -> AbstractContextManager[int]:
    from flask import Flask, Response

    app = Flask("shop")

    @app.get("/items/<int:item>")
    def item(item: int) -> dict[str, str]:
        return handled()

    @app.get("/broken")
    def broken() -> None:
        raise ValueError("broken")

    @app.get("/streamed")
    def streamed() -> Response:
        return Response((handled()["request_id"] for _ in range(2)), 503)

    return wsgi_served(instrument_app(app, seen.runtime, trust="internal", tenants=["acme"]))


def django_views() -> None:
    """Configure Django once in the process."""
    import django
    from django.conf import settings
    from django.http import JsonResponse, StreamingHttpResponse
    from django.urls import path

    if settings.configured:
        return

    def item(request: Any, item: int) -> JsonResponse:
        return JsonResponse(handled())

    def broken(request: Any) -> None:
        raise ValueError("broken")

    def streamed(request: Any) -> StreamingHttpResponse:
        return StreamingHttpResponse((handled()["request_id"] for _ in range(2)), status=503)

    patterns = [path("items/<int:item>", item), path("broken", broken), path("streamed", streamed)]
    urls = type("urls", (), {"urlpatterns": patterns})
    settings.configure(ROOT_URLCONF=urls, ALLOWED_HOSTS=["*"], SECRET_KEY="x", LOGGING_CONFIG=None)
    django.setup()


def django_wsgi(seen: Observed) -> AbstractContextManager[int]:
    django_views()
    from django.core.wsgi import get_wsgi_application

    app = get_wsgi_application()
    return wsgi_served(instrument_app(app, seen.runtime, trust="internal", tenants=["acme"]))


def django_asgi(seen: Observed) -> AbstractContextManager[int]:
    django_views()
    from django.core.asgi import get_asgi_application

    return serving(instrument_app(get_asgi_application(), seen.runtime, trust="internal", tenants=["acme"]))


def starlette(seen: Observed) -> AbstractContextManager[int]:
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, StreamingResponse
    from starlette.routing import Route

    async def item(request: Any) -> JSONResponse:
        return JSONResponse(handled())

    async def broken(request: Any) -> JSONResponse:
        raise ValueError("broken")

    async def streamed(request: Any) -> StreamingResponse:
        return StreamingResponse(chunks(), 503)

    routes = [Route("/items/{item:int}", item), Route("/broken", broken), Route("/streamed", streamed)]
    return serving(instrument_app(Starlette(routes=routes), seen.runtime, trust="internal", tenants=["acme"]))


async def chunks() -> AsyncIterator[str]:
    for _ in range(2):
        yield handled()["request_id"]
        await asyncio.sleep(0)


def litestar(seen: Observed) -> AbstractContextManager[int]:
    from litestar import Litestar, get
    from litestar.response import Stream

    @get("/items/{item:int}")
    async def item(item: int) -> dict[str, str]:
        return handled()

    @get("/broken")
    async def broken() -> None:
        raise ValueError("broken")

    @get("/streamed", status_code=503)
    async def streamed() -> Stream:
        return Stream(chunks())

    app = Litestar([item, broken, streamed], openapi_config=None, logging_config=None)
    return serving(instrument_app(app, seen.runtime, trust="internal", tenants=["acme"]))


def aiohttp(seen: Observed) -> AbstractContextManager[int]:
    async def item(request: web.Request) -> web.Response:
        return web.json_response(handled())

    async def broken(request: web.Request) -> web.Response:
        raise ValueError("broken")

    async def streamed(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=503)
        await response.prepare(request)
        async for chunk in chunks():
            await response.write(chunk.encode())
        await response.write_eof()
        return response

    async def socket(request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse()
        await response.prepare(request)
        await response.send_json(handled())
        await response.receive()
        return response

    app = web.Application()
    app.add_routes([web.get("/items/{item}", item), web.get("/broken", broken), web.get("/streamed", streamed)])
    app.add_routes([web.get("/socket", socket)])
    return aiohttp_served(instrument_app(app, seen.runtime, trust="internal", tenants=["acme"]))


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def wsgi_served(app: Any) -> Iterator[int]:
    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@contextmanager
def aiohttp_served(app: web.Application) -> Iterator[int]:
    loop, port = asyncio.new_event_loop(), free_port()
    runner = web.AppRunner(app)

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    yield port
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


FRAMEWORKS: dict[str, tuple[Callable[[Observed], AbstractContextManager[int]], str]] = {
    "Flask": (flask, "/items/<int:item>"),
    "Django by WSGI": (django_wsgi, "/items/<int:item>"),
    "Django by ASGI": (django_asgi, "/items/<int:item>"),
    "Starlette": (starlette, "/items/{item}"),
    "Litestar": (litestar, "/items/{item}"),
    "aiohttp": (aiohttp, "/items/{item}"),
}


@pytest.fixture
def entries(observed: Configure) -> Iterator[tuple[Observed, list[dict[str, Any]]]]:
    """All log lines of a runtime's requests as they are written."""
    seen = observed()
    lines: list[dict[str, Any]] = []
    formatter = JsonFormatter(seen.runtime)

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(formatter.format(record)))

    handler = Lines()
    for name in ("orders", "sloctl.entry"):
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(logging.INFO)
    yield seen, lines
    for name in ("orders", "sloctl.entry"):
        logging.getLogger(name).removeHandler(handler)
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
@pytest.mark.filterwarnings("ignore:.*path parameter .* declared using deprecated inferred style")
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_id_logs_metrics_and_spans_by_one_call(framework: str, entries: tuple[Observed, list[dict[str, Any]]]) -> None:
    seen, lines = entries
    serve, route = FRAMEWORKS[framework]
    settings: dict[str, Any] = {"timeout": PATIENCE, "limits": ONE_EACH}
    with serve(seen) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", **settings) as client:
        good = client.get("/items/7", headers={"x-request-id": "request-good"})
        assert (good.status_code, good.json()) == (200, {"request_id": "request-good"})
        broken = client.get("/broken", headers={"x-request-id": "request-broken"})
        streamed = client.get("/streamed", headers={"x-request-id": "request-streamed"})
        missing = client.get("/nothing", headers={"x-request-id": "request-missing"})
        scraped = client.get("/metrics")
        until(lambda: len([line for line in lines if line["logger"] == "sloctl.entry"]) == 4)
    statuses = {"good": (good, 200), "broken": (broken, 500), "streamed": (streamed, 503), "missing": (missing, 404)}
    for name, (response, status) in statuses.items():
        assert (response.status_code, response.headers["x-request-id"]) == (status, f"request-{name}")
    assert streamed.text == "request-streamed" * 2
    routes = {"request-good": route, "request-broken": "/broken", "request-streamed": "/streamed"}
    assert seen.counted() == {
        ("GET", route, "200"): 1,
        ("GET", "/broken", "500"): 1,
        ("GET", "/streamed", "503"): 1,
        ("GET", "_unmatched", "404"): 1,
    }
    assert seen.value("http_server_active_requests") == 0
    assert scraped.status_code == 200
    assert "http_server_request_duration_seconds_bucket" in scraped.text
    assert seen.value("tenant_requests_total", tenant="acme", http_route=route, http_response_status_code="200") == 1
    assert {(line["request.id"], line.get("http.route")) for line in lines if line["logger"] == "sloctl.entry"} == {
        *routes.items(),
        ("request-missing", None),
    }
    assert {line["request.id"] for line in lines if line["logger"] == "orders"} == {"request-good", "request-streamed"}
    failure = next(line for line in lines if line["request.id"] == "request-broken")
    assert (failure["severity"], failure["exception.type"]) == ("ERROR", "ValueError")
    assert "raise ValueError" in failure["exception.stacktrace"]
    spans = {str((span.attributes or {})["request.id"]): span for span in seen.spans}
    assert {name: spans[name].name for name in routes} == {name: f"GET {of}" for name, of in routes.items()}
    assert [event.name for event in spans["request-broken"].events] == ["exception"]
    assert current() is None


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)


def test_a_websocket_of_aiohttp(entries: tuple[Observed, list[dict[str, Any]]]) -> None:
    import websockets.sync.client

    seen, lines = entries
    with aiohttp(seen) as port:
        headers = {"x-request-id": "request-0001"}
        with websockets.sync.client.connect(f"ws://127.0.0.1:{port}/socket", additional_headers=headers) as client:
            assert client.response is not None
            assert client.response.headers["x-request-id"] == "request-0001"
            assert json.loads(client.recv()) == {"request_id": "request-0001"}
            assert seen.value("websocket_server_active_connections", http_route="/socket") == 1
        until(lambda: len(lines) == 2)
    closed = {"http_route": "/socket", "websocket_close_code": "1000"}
    assert seen.value("websocket_server_connections_total", **closed) == 1
    assert seen.value("websocket_server_active_connections", http_route="/socket") == 0


@pytest.mark.parametrize("framework", ["Flask", "Litestar"])
def test_none_is_instrumented_twice(framework: str, observed: Configure) -> None:
    from flask import Flask
    from litestar import Litestar

    app: Any = Flask("shop") if framework == "Flask" else Litestar([])
    runtime = observed().runtime
    instrument_app(app, runtime, trust="edge")
    with pytest.raises(ValueError, match="instrumented already"):
        instrument_app(app, runtime, trust="edge")


def test_what_wsgi_middlewares_answer_before_routing_belongs_to_its_rule(observed: Configure) -> None:
    from flask import Flask

    app = Flask("shop")
    app.post("/orders/<number>")(lambda number: number)
    inner = app.wsgi_app

    def guard(environ: Any, start_response: Any) -> Any:
        if "HTTP_X_DOWN" not in environ:
            return inner(environ, start_response)
        start_response("503 Service Unavailable", [("content-type", "text/plain")])
        return [b"down"]

    app.wsgi_app = guard  # type: ignore[method-assign]
    seen = observed()
    client = instrument_app(app, seen.runtime, trust="edge").test_client()
    for path, method, down, status in (
        ("/orders/1", "POST", {"x-down": "1"}, 503),
        ("/orders/1", "GET", {}, 405),
        ("/nothing", "GET", {"x-down": "1"}, 503),
    ):
        with client.open(path, method=method, headers=down) as response:
            assert response.status_code == status
            assert response.get_data() is not None
            assert current() is None
    assert seen.counted() == {
        ("POST", "/orders/<number>", "503"): 1,
        ("GET", "/orders/<number>", "405"): 1,
        ("GET", "_unmatched", "503"): 1,
    }


def test_a_wsgi_server_that_stops_early_is_a_client_that_left(observed: Configure) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"first"
        yield b"second"

    from sloctl.instrumentation.metrics import SEMCONV_BUCKETS, HttpMetrics

    seen = observed()
    metrics = HttpMetrics(seen.runtime.registry, SEMCONV_BUCKETS)
    wrapped = WsgiContextMiddleware(app, seen.runtime, trust="edge", metrics=metrics)
    for parts in (1, 2):
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/caf\xc3\xa9", "SERVER_PORT": "80"}
        body: Any = wrapped(environ, lambda *_: None)
        for _ in range(parts):
            next(body)
        if parts == 2:
            assert list(body) == []
        body.close()
        assert current() is None
    assert seen.counted() == {("GET", "_unmatched", "499"): 1, ("GET", "_unmatched", "200"): 1}
    assert {(span.attributes or {})["url.path"] for span in seen.spans} == {"/café"}
