"""WSGI: the same for applications that are called once and iterated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextvars import copy_context
from http import HTTPStatus
from typing import Any, Final, TypeAlias, Unpack

from sloctl.instrumentation import guard
from sloctl.instrumentation.callers import Scope
from sloctl.instrumentation.exchange import Entrance, Exchange, Routes, Settings
from sloctl.instrumentation.metrics import Exposition
from sloctl.instrumentation.routes import RouteTable, local_path
from sloctl.instrumentation.runtime import Runtime
from sloctl.instrumentation.workers import WORKERS

Environ: TypeAlias = MutableMapping[str, Any]
StartResponse: TypeAlias = Callable[..., Any]
WSGIApp: TypeAlias = Callable[[Any, Any], Iterable[bytes]]
ENVIRON: Final = "wsgi.environ"  # in the scope


class WsgiContextMiddleware:
    """Wraps any WSGI application.

    Args:
        app: what is wrapped.
        runtime: what `configure` returned.
        metrics_path: where the metrics are served, unless the application has this route; None nowhere.
        routes: finds the template of the route that answered; without it, none is known.
        settings: `trust`, `metrics`, `id_headers`, `span` and `exclude` of `Entrance`.
    """

    def __init__(
        self,
        app: WSGIApp,
        runtime: Runtime,
        *,
        metrics_path: str | None = None,
        routes: Routes | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        self.app = app
        self.entrance = Entrance(runtime, routes=routes or RouteTable(), **settings)
        self._metrics_path = metrics_path
        self._looked = self.entrance.metrics is None
        self._exposition = Exposition(runtime.registry)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Handle one request."""
        scope = _scope(environ)
        if not self._looked:  # nobody says when a WSGI server starts
            self._looked = True
            WORKERS.warn()
        if self._wants_metrics(scope):
            return self._served(environ, start_response)
        exchange = self.entrance.begin(scope)
        if exchange is None:
            return self.app(environ, start_response)
        for name in self.entrance.id_names:
            key = f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}"
            if key in environ or name == self.entrance.id_header:
                environ[key] = exchange.context.request_id
        try:
            body = self.app(environ, _starting(exchange, start_response))
        except BaseException as error:
            exchange.raised(error)
            exchange.close()
            raise
        if isinstance(body, (list, tuple)):  # all of it is there; and servers ask how many parts there are
            exchange.responded()
            exchange.close()
            return body
        rest = _Body(body, exchange)
        exchange.leave()  # a client in this thread, as tests have, is no part of the request
        return rest

    def _wants_metrics(self, scope: Scope) -> bool:
        try:
            path = self._metrics_path
            return path is not None and local_path(scope) == path and not self.entrance.routes.serves(path)
        except Exception as error:  # noqa: BLE001 - our failure never stops a request
            guard.failed("route table", error)
            return False

    def _served(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        status, headers, body = self._exposition.answer(
            environ.get("HTTP_ACCEPT", ""), environ.get("HTTP_ACCEPT_ENCODING", ""), environ.get("QUERY_STRING", "")
        )
        start_response(f"{status} {HTTPStatus(status).phrase}", [*headers, ("content-length", str(len(body)))])
        return [body]


def _scope(environ: Environ) -> Scope:
    """The request as ASGI describes it."""
    root = _text(environ.get("SCRIPT_NAME", ""))
    port = environ.get("SERVER_PORT", "")
    return {
        "type": "http",
        "http_version": environ.get("SERVER_PROTOCOL", "HTTP/1.1").partition("/")[2],
        "method": environ["REQUEST_METHOD"],
        "scheme": environ.get("wsgi.url_scheme", "http"),
        "path": (root + _text(environ.get("PATH_INFO", ""))) or "/",
        "root_path": root,
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
        "headers": [
            (key[5:].lower().replace("_", "-").encode("latin-1"), value.encode("latin-1", "replace"))
            for key, value in environ.items()
            if key.startswith("HTTP_")
        ],
        "client": (address, int(environ.get("REMOTE_PORT") or 0)) if (address := environ.get("REMOTE_ADDR")) else None,
        "server": (environ.get("SERVER_NAME", ""), int(port) if str(port).isdecimal() else None),
        ENVIRON: environ,
    }


def _text(value: str) -> str:
    """WSGI hands bytes over as Latin-1 (PEP 3333)."""
    return value.encode("latin-1", "replace").decode("utf-8", "replace")


def _starting(exchange: Exchange, start_response: StartResponse) -> StartResponse:
    def started(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        try:
            raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
            ours = exchange.response(int(status.partition(" ")[0]), raw)
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in ours]
        except Exception as error:  # noqa: BLE001 - our failure never changes a response
            guard.failed("response header", error)
        return start_response(status, headers, *more)

    return started


class _Body:
    """The parts of a response, each made in the request's context; the last one ends the clock."""

    def __init__(self, body: Iterable[bytes], exchange: Exchange) -> None:
        self._body = body
        self._parts = iter(body)
        self._exchange = exchange
        self._over = False
        self._inside = copy_context().run

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return self._inside(next, self._parts)
        except StopIteration:
            self._over = True
            self._inside(self._exchange.responded)
            raise
        except BaseException as error:
            self._over = True
            self._inside(self._exchange.raised, error)
            raise

    def close(self) -> None:
        """Called by the server, also when the client has left before the end."""
        if not self._over:
            self._exchange.client_left()
        try:
            if (close := getattr(self._body, "close", None)) is not None:
                self._inside(close)
        finally:
            self._inside(self._exchange.close)
