"""An application with every kind of route; run as a program, it checks the FastAPI that it finds."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import fastapi
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from sloctl.instrumentation import configure, instrument_app
from testing.asgi import call

EXPECTED = [
    ("/plain", ("/plain", 200)),
    ("/plain/", ("_unmatched", 307)),
    ("/items/42", ("/items/{item}", 200)),
    ("/v1/deep/u/7", ("/v1/deep/u/{x}", 200)),
    ("/twice/a/u/7", ("/twice/a/u/{x}", 200)),
    ("/twice/b/u/7", ("/twice/b/u/{x}", 200)),
    ("/sub/s/7", ("/sub/s/{y}", 200)),
    ("/sub/inner/7", ("/sub/inner/{w}", 200)),
    ("/sub/nothing", ("_unmatched", 404)),
    ("/tenants/acme/s/7", ("/tenants/{tenant}/s/{y}", 200)),
    ("/wrapped/s/7", ("/wrapped/s/{y}", 200)),
    ("/files/a/b.txt", ("/files/{path}", 200)),
    ("/starlette/r/7", ("/starlette/r/{r}", 200)),
    ("/anything/with/slashes", ("/anything/{rest}", 200)),
    ("/openapi.json", ("/openapi.json", 200)),
    ("/nothing", ("_unmatched", 404)),
    ("/items/42?probe=1", ("/items/{item}", 200)),
]


def sub_application() -> FastAPI:
    sub = FastAPI()

    @sub.get("/s/{y}")
    async def s(y: str) -> str:
        return y

    router = APIRouter()

    @router.get("/{w}")
    async def inner(w: str) -> str:
        return w

    sub.include_router(router, prefix="/inner")
    return sub


async def files(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse("a file")(scope, receive, send)


async def shown(request: Any) -> PlainTextResponse:
    return PlainTextResponse(request.path_params["r"])


def application() -> tuple[FastAPI, CollectorRegistry]:
    app = FastAPI()
    registry = CollectorRegistry()
    deep, users = APIRouter(prefix="/deep"), APIRouter()

    @app.get("/plain")
    async def plain() -> str:
        return ""

    @app.get("/items/{item}")
    async def item(item: str) -> str:
        return item

    @app.get("/anything/{rest:path}")
    async def anything(rest: str) -> str:
        return rest

    @users.get("/u/{x}")
    async def user(x: str) -> str:
        return x

    deep.include_router(users)
    app.include_router(deep, prefix="/v1")
    app.include_router(users, prefix="/twice/a")
    app.include_router(users, prefix="/twice/b")
    app.mount("/sub", sub_application())
    app.mount("/tenants/{tenant}", sub_application())
    app.mount("/wrapped", CORSMiddleware(sub_application(), allow_origins=["*"]))
    app.mount("/files", files)
    app.mount("/starlette", Starlette(routes=[Mount("/r", routes=[Route("/{r}", shown)])]))
    runtime = configure("routed", registry=registry, set_global=False)
    instrument_app(app, runtime, trust="edge")
    return app, registry


def only(registry: CollectorRegistry) -> tuple[str, int]:
    """Route and status of the one request that was counted."""
    (sample,) = (
        s
        for metric in registry.collect()
        for s in metric.samples
        if s.name == "http_server_request_duration_seconds_count"
    )
    return sample.labels["http_route"], int(sample.labels["http_response_status_code"])


def counted(path: str, **more: Any) -> tuple[str, int]:
    """What one request of this path is counted as, also behind a proxy that adds a prefix."""
    found = []
    for root in ("", "/proxied"):
        app, registry = application()
        asyncio.run(call(app, root + path, root_path=root, **more))
        found.append(only(registry))
    assert found[0] == found[1], found
    return found[0]


def counted_after_adding_a_route() -> tuple[str, int]:
    app, registry = application()

    @app.get("/later/{z}")
    async def later(z: str) -> str:
        return z

    asyncio.run(call(app, "/later/1"))
    return only(registry)


def main() -> int:
    print("FastAPI", fastapi.__version__)
    wrong = [(path, expected, found) for path, expected in EXPECTED if (found := counted(path)) != expected]
    print("\n".join(f"{path}: expected {expected}, found {found}" for path, expected, found in wrong) or "all right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
