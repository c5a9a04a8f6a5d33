"""ASGI: one pass through one middleware."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, Unpack

from prometheus_client import CollectorRegistry

from sloctl.instrumentation import guard
from sloctl.instrumentation.callers import Scope
from sloctl.instrumentation.exchange import Connection, Entrance, Exchange, Routes, Settings
from sloctl.instrumentation.metrics import metrics_app
from sloctl.instrumentation.routes import RouteTable, local_path
from sloctl.instrumentation.runtime import Runtime
from sloctl.instrumentation.workers import WORKERS

Message: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]


class ContextMiddleware:
    """Wraps any ASGI application.

    Args:
        app: what is wrapped.
        runtime: what `configure` returned.
        metrics_path: where the metrics are served, unless the application has this route; None nowhere.
        routes: finds the template of the route that answered; without it, Starlette's and FastAPI's are known.
        settings: `trust`, `metrics`, `id_headers`, `span` and `exclude` of `Entrance`.
    """

    def __init__(
        self,
        app: ASGIApp,
        runtime: Runtime,
        *,
        metrics_path: str | None = None,
        routes: Routes | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        self.app = app
        self.entrance = Entrance(runtime, routes=routes or RouteTable(app), **settings)
        self._metrics = (
            None if metrics_path is None else MetricsRoute(runtime.registry, metrics_path, self.entrance.routes)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or websocket; the lifespan goes straight to the application."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        metrics = self._metrics
        if metrics is not None and scope["path"].endswith(metrics.path) and metrics.wants(scope):
            await metrics.app(scope, receive, send)
            return
        exchange = self.entrance.begin(scope)
        if exchange is None:
            await self.app(scope, receive, send)
            return
        wire = _HttpWire(exchange, receive, send)
        try:
            await self.app(scope, wire.receive, wire.send)
        except BaseException as error:
            exchange.raised(error)
            raise
        finally:
            exchange.close()

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" and self.entrance.metrics is not None:
            WORKERS.warn()
        connection = self.entrance.connect(scope) if scope["type"] == "websocket" else None
        if connection is None:
            await self.app(scope, receive, send)
            return
        wire = _SocketWire(connection, receive, send)
        try:
            await self.app(scope, wire.receive, wire.send)
        except BaseException as error:
            connection.raised(error)
            raise
        finally:
            connection.close()


class MetricsRoute:
    """Where the metrics of a registry are served, unless the application has that route."""

    def __init__(self, registry: CollectorRegistry, path: str, routes: Routes) -> None:
        self.app = metrics_app(registry)
        self.path = path
        self._routes = routes

    def wants(self, scope: Scope) -> bool:
        """Whether the request is for them."""
        try:
            return local_path(scope) == self.path and not self._routes.serves(self.path)
        except Exception as error:  # noqa: BLE001 - our failure never stops a request
            guard.failed("route table", error)
            return False


class _HttpWire:
    """The messages of one request, on their way between server and application."""

    __slots__ = ("_ending", "_exchange", "_receive", "_send", "_trailers")

    def __init__(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        self._exchange = exchange
        self._receive = receive
        self._send = send
        self._trailers = self._ending = False

    async def receive(self) -> Message:
        """The server's next message; notes when the client went away before the response ended.

        Afterwards servers say `http.disconnect` too: the request is over.
        """
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self._ending:
            self._exchange.client_left()
        return message

    async def send(self, message: Message) -> None:
        """Pass the application's message on; the first one gets the ID, the last one ends the clock."""
        kind = message["type"]
        if kind == "http.response.start":
            message = self._with_id(message)
        elif (
            (kind == "http.response.body" and not self._trailers and not message.get("more_body", False))
            or kind == "http.response.pathsend"
            or (kind == "http.response.trailers" and not message.get("more_trailers", False))
        ):
            self._ending = True
        try:
            await self._send(message)
        except OSError:
            self._exchange.client_left()
            raise
        if self._ending:
            self._exchange.responded()

    def _with_id(self, message: Message) -> Message:
        """A copy of the message, because a response object may be sent twice."""
        try:
            self._trailers = bool(message.get("trailers", False))
            return {**message, "headers": self._exchange.response(message["status"], message.get("headers", ()))}
        except Exception as error:  # noqa: BLE001 - our failure never changes a response
            guard.failed("response header", error)
            return message


class _SocketWire:
    """The messages of one websocket, on their way between server and application."""

    __slots__ = ("_connection", "_receive", "_send")

    def __init__(self, connection: Connection, receive: Receive, send: Send) -> None:
        self._connection = connection
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        """The server's next message; notes with which code the client closes."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._connection.closed(message.get("code", 1005), by_client=True)
        return message

    async def send(self, message: Message) -> None:
        """Pass the application's message on; the answer to the handshake gets the ID."""
        message = self._noted(message)
        await self._send(message)

    def _noted(self, message: Message) -> Message:
        try:
            match message["type"]:
                case "websocket.accept":
                    return {**message, "headers": self._connection.accepted(message.get("headers", ()))}
                case "websocket.http.response.start":
                    headers = self._connection.refused(message["status"], message.get("headers", ()))
                    return {**message, "headers": headers}
                case "websocket.close":
                    self._connection.closed(message.get("code", 1000), by_client=False)
        except Exception as error:  # noqa: BLE001 - our failure never changes a handshake
            guard.failed("handshake header", error)
        return message
