"""Which requests are counted, and as what: answers before routing, exclusions, waiting clients, foreign origins."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from sloctl.instrumentation import current, instrument_app
from testing.asgi import call
from tests.instrumentation.conftest import Configure, Observed

pytestmark = pytest.mark.anyio
ORIGIN = (b"origin", b"https://a.example.com")
DOWN = (b"x-down", b"1")


def guarded(seen: Observed, **settings: Any) -> FastAPI:
    """An application whose middleware answers 503 before routing when a header says so."""
    app = FastAPI()

    @app.middleware("http")
    async def guard(request: Request, go: Callable[[Request], Awaitable[Response]]) -> Response:
        return JSONResponse({}, 503) if "x-down" in request.headers else await go(request)

    @app.get("/orders/{number}")
    async def order(number: int) -> str:
        return str(number)

    @app.get("/healthz")
    async def healthz() -> None:
        pass

    def shown(_request: Any) -> PlainTextResponse:
        return PlainTextResponse()

    app.mount("/shop", Starlette(routes=[Mount("/items", routes=[Route("/{item:int}", shown)])]))
    instrument_app(app, seen.runtime, trust="edge", **settings)
    return app


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/orders/1", "/orders/{number}"),
        ("/shop/items/7", "/shop/items/{item}"),
        ("/shop/items/seven", "_unmatched"),
        ("/orders/1/more", "_unmatched"),
        ("/nothing", "_unmatched"),
    ],
)
async def test_an_answer_before_routing_belongs_to_the_route_that_the_path_matches(
    observed: Configure, path: str, route: str
) -> None:
    seen = observed()
    app = guarded(seen)
    await call(app, path, [DOWN])
    await call(app, "/prefix" + path, [DOWN], root_path="/prefix")
    assert seen.counted() == {("GET", route, "503"): 2}


async def test_what_the_application_itself_does_not_find_matches_no_route(observed: Configure) -> None:
    seen = observed()
    app = guarded(seen)
    for path in ("/nothing", "/shop/items/seven"):
        await call(app, path)
    assert seen.counted() == {("GET", "_unmatched", "404"): 2}


async def test_a_preflight_belongs_to_its_route_and_scripts_may_read_the_id(observed: Configure) -> None:
    seen = observed()
    app = FastAPI()
    app.add_middleware(
        CORSMiddleware, allow_origins=["https://a.example.com"], allow_methods=["*"], expose_headers=["x-page"]
    )

    @app.get("/x")
    async def x() -> None:
        pass

    instrument_app(app, seen.runtime, trust="edge")
    answer = await call(app, "/x", [ORIGIN])
    assert answer.header("access-control-expose-headers") == ["x-page, x-request-id"]
    await call(app, "/x", [ORIGIN, (b"access-control-request-method", b"GET")], "OPTIONS")
    assert (await call(app, "/x")).header("access-control-expose-headers") == []
    assert set(seen.counted()) == {("GET", "/x", "200"), ("OPTIONS", "/x", "200")}


@pytest.mark.parametrize(
    "exclude", [["/health*", "OPTIONS *"], lambda scope: scope["path"] == "/healthz" or scope["method"] == "OPTIONS"]
)
async def test_excluded_requests_have_an_id_and_nothing_else(
    observed: Configure, exclude: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    seen = observed()
    app = guarded(seen, exclude=exclude)
    excluded = [await call(app, "/healthz"), await call(app, "/orders/1", method="OPTIONS")]
    assert [len(response.request_id) for response in excluded] == [32, 32]
    assert (seen.spans, seen.counted(), caplog.records) == ([], {}, [])
    await call(app, "/orders/1")
    assert seen.counted() == {("GET", "/orders/{number}", "200"): 1}
    assert len(seen.spans) == len(caplog.records) == 1


@pytest.mark.breaks_a_step
async def test_a_function_of_the_application_that_raises_excludes_nothing_and_trusts_nobody(
    observed: Configure,
) -> None:
    def raises(scope: Any) -> bool:
        return bool(scope["client"][0])  # on a Unix socket there is no client

    seen = observed()
    app = FastAPI()
    app.get("/ok")(lambda: None)
    instrument_app(app, seen.runtime, trust=raises, exclude=raises)
    response = await call(app, "/ok", [(b"x-request-id", b"client-id-0001")], client=None)
    assert len(response.request_id) == 32
    assert seen.counted() == {("GET", "/ok", "200"): 1}
    assert seen.span.attributes is not None
    assert seen.span.attributes["client.request_id"] == "client-id-0001"


async def test_what_a_client_wants_to_wait_for_is_no_latency(observed: Configure) -> None:
    seen = observed()
    app = FastAPI()

    @app.get("/poll")
    async def poll() -> None:
        request = current()
        assert request is not None
        with request.waiting():
            await asyncio.sleep(0.3)

    instrument_app(app, seen.runtime, trust="edge")
    await call(app, "/poll")
    assert seen.seconds("/poll") < 0.2


@pytest.mark.parametrize("trust", ["edge", "internal"])
async def test_what_lies_inside_sees_the_id_in_force_in_the_headers(observed: Configure, trust: Any) -> None:
    app = FastAPI()

    @app.get("/seen")
    async def seen(request: Request) -> list[list[str]]:
        return [request.headers.getlist(name) for name in ("x-request-id", "x-correlation-id", "x-other")]

    instrument_app(app, observed().runtime, trust=trust)
    came = [(b"x-request-id", b"not valid"), (b"x-correlation-id", b"client-id-0001"), (b"x-other", b"stays")]
    for headers in ([], came):
        response = await call(app, "/seen", headers)
        ours = [response.request_id]
        assert response.json() == ([ours, ours, ["stays"]] if headers else [ours, [], []])


async def test_requests_in_progress_are_a_gauge(observed: Configure) -> None:
    seen = observed()
    app = FastAPI()
    during: list[float | None] = []

    @app.get("/busy")
    async def busy() -> None:
        during.append(seen.value("http_server_active_requests"))

    instrument_app(app, seen.runtime, trust="edge")
    await call(app, "/busy")
    assert (during, seen.value("http_server_active_requests")) == ([1], 0)


def test_tenants_are_a_list_and_no_text(observed: Configure) -> None:
    with pytest.raises(ValueError, match="tenants is a list"):
        instrument_app(FastAPI(), observed().runtime, trust="edge", tenants="acme")


def test_an_application_factory_may_be_called_again_with_the_same_registry(observed: Configure) -> None:
    seen = observed()
    for _ in range(2):
        instrument_app(FastAPI(), seen.runtime, trust="edge")
    with pytest.raises(ValueError, match="other buckets or tenants"):
        instrument_app(FastAPI(), seen.runtime, trust="edge", buckets=[1])
