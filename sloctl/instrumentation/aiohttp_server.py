"""aiohttp's server: a middleware around all others, and a signal for the headers of each response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from aiohttp import web

from sloctl.instrumentation import guard, semconv
from sloctl.instrumentation.callers import Scope
from sloctl.instrumentation.exchange import Connection, Entrance, Exchange, Visit
from sloctl.instrumentation.metrics import Exposition
from sloctl.instrumentation.workers import WORKERS

_REQUEST: Final = "aiohttp.request"  # in the scope
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
# Where a request keeps its visit. Newer versions want a key of their own kind, made at the top of a module.
_VISIT: Final[Any] = web.RequestKey("_VISIT", Visit) if hasattr(web, "RequestKey") else "sloctl.visit"


class AiohttpRoutes:
    """The routes of an application; aiohttp resolves one before any middleware runs."""

    def __init__(self, app: web.Application) -> None:
        self._app = app

    def template(self, scope: Scope, _status: int) -> str:
        """The canonical path of the resource, such as `/orders/{number}`."""
        resource = scope[_REQUEST].match_info.route.resource
        return semconv.UNMATCHED if resource is None else str(resource.canonical)

    def serves(self, path: str) -> bool:
        """Whether some resource has exactly this path."""
        return any(resource.canonical == path for resource in self._app.router.resources())


def install(app: web.Application, entrance: Entrance, metrics_path: str | None) -> None:
    """Put the middleware around all others, and the signal beside them."""
    exposition = Exposition(entrance.runtime.registry)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == metrics_path and not entrance.routes.serves(metrics_path):
            headers = request.headers
            status, fields, body = exposition.answer(
                headers.get("accept", ""), headers.get("accept-encoding", ""), request.query_string
            )
            return web.Response(status=status, headers=dict(fields), body=body)
        if request.headers.get("upgrade", "").lower() == "websocket":
            return await _connected(entrance.connect(_scope(request, "websocket")), request, handler)
        return await _answered(entrance.begin(_scope(request, "http")), request, handler)

    async def warn(_app: web.Application) -> None:
        WORKERS.warn()

    app.middlewares.insert(0, middleware)
    app.on_response_prepare.append(_prepared)
    app.on_startup.append(warn)


async def _answered(exchange: Exchange | None, request: web.Request, handler: Handler) -> web.StreamResponse:
    if exchange is None:
        return await handler(request)
    request[_VISIT] = exchange
    try:
        response = await handler(request)
        if not response.prepared:  # its status is known here, its headers are sent later
            _begins(exchange, response)
        exchange.responded()
    except web.HTTPException as answer:
        _begins(exchange, answer)
        exchange.responded()
        raise
    except BaseException as error:
        if isinstance(error, OSError) and request.transport is None:
            exchange.client_left()
        exchange.raised(error)
        raise
    finally:
        exchange.close()
    return response


async def _connected(connection: Connection | None, request: web.Request, handler: Handler) -> web.StreamResponse:
    if connection is None:
        return await handler(request)
    request[_VISIT] = connection
    try:
        response = await handler(request)
        code = getattr(response, "close_code", None)
        if code is not None:
            connection.closed(code, by_client=True)
    except BaseException as error:
        connection.raised(error)
        raise
    finally:
        connection.close()
    return response


async def _prepared(request: web.Request, response: web.StreamResponse) -> None:
    """The headers of a response are about to be sent, also of those that aiohttp makes itself."""
    visit: Visit | None = request.get(_VISIT)
    if visit is not None:
        _begins(visit, response)


def _begins(visit: Visit, response: web.StreamResponse) -> None:
    try:
        raw = [(name.encode("latin-1"), value.encode("utf-8")) for name, value in response.headers.items()]
        if isinstance(visit, Exchange):
            ours: Iterable[tuple[bytes, bytes]] = visit.response(response.status, raw)
        elif isinstance(visit, Connection) and response.status == semconv.SWITCHING:
            ours = visit.accepted(raw)
        else:
            ours = visit.identified(raw)
        for name, value in ours:
            if (name, value) not in raw:
                response.headers[name.decode("latin-1")] = value.decode("utf-8")
    except Exception as error:  # noqa: BLE001 - our failure never changes a response
        guard.failed("response header", error)


def _scope(request: web.Request, kind: str) -> dict[str, Any]:
    """The request as ASGI describes it."""
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    here = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return {
        "type": kind,
        "http_version": f"{request.version.major}.{request.version.minor}",
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path,
        "root_path": "",
        "query_string": request.query_string.encode("utf-8"),
        "headers": [(name.lower(), value) for name, value in request.raw_headers],
        "client": peer[:2] if isinstance(peer, tuple) else None,
        "server": here[:2] if isinstance(here, tuple) else None,
        _REQUEST: request,
    }
