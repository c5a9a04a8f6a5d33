"""One pass through one pure-ASGI middleware: correlation ID, span and metrics.

Every step of our own is guarded: when it fails, the request goes through as if the middleware were not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from contextvars import Token
from time import perf_counter, time_ns
from typing import Any, Final, Literal, TypeAlias

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    StatusCode,
    get_current_span,
    set_span_in_context,
)

from sloctl.instrumentation import guard, semconv
from sloctl.instrumentation.context import CURRENT, RequestContext, valid_tenant
from sloctl.instrumentation.metrics import HttpMetrics, metrics_app
from sloctl.instrumentation.propagation import (
    BAGGAGE,
    TENANT,
    TRACEPARENT,
    TRACESTATE,
    HeaderBaggage,
    first_valid_id,
    parse_traceparent,
    with_tracestate,
)
from sloctl.instrumentation.routes import RouteTable
from sloctl.instrumentation.runtime import Runtime

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
Trust: TypeAlias = Literal["edge", "internal"] | Callable[[Scope], bool]

ID_HEADERS: Final = ("x-request-id", "x-correlation-id")
EXEMPLAR_LABEL: Final = "trace_id"
CLIENT_GONE: Final = 499
FAILED: Final = 500
_NOTHING: Final = Context()
_NO_BAGGAGE: Final[Mapping[str, str]] = {}


class ContextMiddleware:
    """Wraps any ASGI application.

    Args:
        app: what is wrapped.
        runtime: what `configure` returned.
        trust: `edge` where clients call: their ID, trace, sampling flag and baggage are not taken over;
            `internal` where only own services call; or a function of the scope that says whether it is internal.
        metrics: what to record into; None records nothing.
        metrics_path: where the metrics are served, unless the application has this route; None nowhere.
        id_headers: where a request ID is looked for, in this order; the first is set on the response.
        routes: finds the template of the route that answered.
        span: make a SERVER span; off where another instrumentation makes it.
    """

    def __init__(
        self,
        app: ASGIApp,
        runtime: Runtime,
        *,
        trust: Trust,
        metrics: HttpMetrics | None = None,
        metrics_path: str | None = None,
        id_headers: Sequence[str] = ID_HEADERS,
        routes: RouteTable | None = None,
        span: bool = True,
    ) -> None:
        if not (trust in ("edge", "internal") or callable(trust)):
            raise ValueError(f'trust is "edge", "internal" or a function of the scope, not {trust!r}')
        if not id_headers:
            raise ValueError("id_headers needs at least one header name")
        self.app = app
        self.runtime = runtime
        self.metrics = metrics
        self.routes = routes or RouteTable(app)
        self.makes_span = span
        self.id_header = id_headers[0].lower().encode("latin-1")
        self._trusts = trust if callable(trust) else None
        self._internal = trust == "internal"
        self._metrics_path = metrics_path
        self._metrics_app = metrics_app(runtime.registry) if metrics_path is not None else None
        self._wanted = _wanted(id_headers)
        self._id_slots = [self._wanted[header.lower().encode("latin-1")] for header in id_headers]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; anything but HTTP goes straight to the application."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["path"] == self._metrics_path and self._metrics_app is not None and not self._app_serves_metrics():
            await self._metrics_app(scope, receive, send)
            return
        exchange = self._begun(scope, receive, send)
        if exchange is None:
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            exchange.raised(error)
            raise
        finally:
            exchange.close()

    def _app_serves_metrics(self) -> bool:
        try:
            return self._metrics_path is not None and self.routes.serves(self._metrics_path)
        except Exception as error:  # noqa: BLE001 - our failure never stops a request
            guard.failed("route table", error)
            return False

    def _begun(self, scope: Scope, receive: Receive, send: Send) -> Exchange | None:
        try:
            return Exchange(self, scope, receive, send, self._caller(scope))
        except Exception as error:  # noqa: BLE001 - our failure never stops a request
            guard.failed("request start", error)
            return None

    def _caller(self, scope: Scope) -> Caller:
        """Read the headers in one pass."""
        headers = scope["headers"]
        if not isinstance(headers, (list, tuple)):
            headers = scope["headers"] = list(headers)
        values: dict[str, list[bytes]] = {}
        wanted = self._wanted
        for name, value in headers:
            slot = wanted.get(name)
            if slot is not None:
                values.setdefault(slot, []).append(value)
        internal = self._trusts(scope) if self._trusts is not None else self._internal
        if not values:
            return Caller(internal)
        request_id = first_valid_id(value for slot in self._id_slots for value in values.get(slot, ()))
        parent = _remote_span(values)
        if not internal:
            return Caller(internal=False, request_id=request_id, span=parent)
        return Caller(
            internal=True,
            request_id=request_id,
            span=parent,
            tenant_id=_tenant(values),
            baggage=_baggage(values, self.runtime.baggage),
        )


def _wanted(id_headers: Iterable[str]) -> dict[bytes, str]:
    names = (*id_headers, TRACEPARENT, TRACESTATE, BAGGAGE, TENANT)
    return {name.lower().encode("latin-1"): name.lower() for name in names}


def _remote_span(values: Mapping[str, list[bytes]]) -> SpanContext | None:
    said = values.get(TRACEPARENT)
    if said is None:
        return None
    # Two of them contradict each other: neither counts (W3C Trace Context, 3.2.1).
    span = parse_traceparent(said[0].decode("latin-1")) if len(said) == 1 else None
    if span is None:
        guard.rejected("traceparent")
    elif TRACESTATE in values:
        span = with_tracestate(span, [value.decode("latin-1") for value in values[TRACESTATE]])
    return span


def _tenant(values: Mapping[str, list[bytes]]) -> str | None:
    said = values.get(TENANT)
    if said is None:
        return None
    tenant = valid_tenant(said[0].decode("latin-1"))
    if tenant is None:
        guard.rejected("tenant")
    return tenant


def _baggage(values: Mapping[str, list[bytes]], allowed: frozenset[str]) -> Mapping[str, str]:
    said = values.get(BAGGAGE)
    if said is None or not allowed:
        return _NO_BAGGAGE
    return HeaderBaggage(said, allowed)


class Caller:
    """What the headers of a request say; every value has been checked."""

    __slots__ = ("baggage", "internal", "request_id", "span", "tenant_id")

    def __init__(
        self,
        internal: bool,  # noqa: FBT001 - made once a request, by position
        request_id: str | None = None,
        span: SpanContext | None = None,
        tenant_id: str | None = None,
        baggage: Mapping[str, str] | None = None,
    ) -> None:
        self.internal = internal
        self.request_id = request_id
        self.span = span
        self.tenant_id = tenant_id
        self.baggage = _NO_BAGGAGE if baggage is None else baggage


class Exchange:
    """One request and its response."""

    __slots__ = (
        "_context",
        "_context_token",
        "_disconnected",
        "_duration",
        "_ended_at",
        "_finished",
        "_middleware",
        "_receive",
        "_scope",
        "_send",
        "_span",
        "_started",
        "_status",
        "_trace_token",
        "_trailers",
    )

    def __init__(
        self, middleware: ContextMiddleware, scope: Scope, receive: Receive, send: Send, incoming: Caller
    ) -> None:
        self._started = perf_counter()
        self._middleware = middleware
        self._scope = scope
        self._receive = receive
        self._send = send
        self._status = 0
        self._duration = 0.0
        self._ended_at = 0
        self._trailers = self._finished = self._disconnected = False
        around = _NOTHING if incoming.span is None or not incoming.internal else _below(incoming.span)
        self._span = self._started_span(around, incoming) if middleware.makes_span else get_current_span()
        self._context = _request_context(incoming, self._span.get_span_context())
        self._context.tenant_attribute = middleware.runtime.tenant_attribute
        if self._span.is_recording():
            self._context.span = self._span
            if not middleware.makes_span:
                self._span.set_attributes(self._identity())
        self._trace_token: Token[Context] | None = None
        if middleware.makes_span:
            self._trace_token = otel_context.attach(set_span_in_context(self._span, around))
        self._context_token: Token[RequestContext | None] | None = CURRENT.set(self._context)

    def _started_span(self, around: Context, incoming: Caller) -> Span:
        spans = self._middleware.runtime.entry_spans
        decided = spans.decided(incoming.span if incoming.internal else None)
        if isinstance(decided, Span):
            return decided
        scope = self._scope
        attributes = {
            "http.request.method": semconv.METHODS.get(scope["method"], semconv.OTHER_METHOD),
            "url.path": scope["path"],
            "url.scheme": scope.get("scheme", "http"),
        }
        links = None if incoming.internal or incoming.span is None else [Link(incoming.span)]
        return spans.start(semconv.span_name(scope["method"], None), around, attributes, links, decided)

    def _identity(self) -> dict[str, Any]:
        """The attributes that find a request."""
        runtime = self._middleware.runtime
        attributes = {runtime.request_attribute: self._context.request_id}
        if self._context.tenant_id is not None:
            attributes[runtime.tenant_attribute] = self._context.tenant_id
        if self._context.client_request_id is not None:
            attributes["client.request_id"] = self._context.client_request_id
        return attributes

    async def receive(self) -> Message:
        """The server's next message; notes when the client went away."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._disconnected = True
        return message

    async def send(self, message: Message) -> None:
        """Pass the application's message on; the first one gets the ID, the last one ends the clock."""
        kind = message["type"]
        if kind == "http.response.start":
            message = self._with_id(message)
        try:
            await self._send(message)
        except OSError:
            self._disconnected = True
            raise
        if (kind == "http.response.body" and not self._trailers and not message.get("more_body", False)) or (
            kind == "http.response.pathsend"
            or (kind == "http.response.trailers" and not message.get("more_trailers", False))
        ):
            self._responded()

    def _with_id(self, message: Message) -> Message:
        """The message with our ID instead of any other; a copy, because a response object may be sent twice."""
        try:
            self._status = message["status"]
            self._trailers = bool(message.get("trailers", False))
            name = self._middleware.id_header
            headers = [header for header in message.get("headers", ()) if header[0].lower() != name]
            headers.append((name, self._context.request_id.encode("ascii")))
        except Exception as error:  # noqa: BLE001 - our failure never changes a response
            guard.failed("response header", error)
            return message
        return {**message, "headers": headers}

    def _responded(self) -> None:
        """The last byte was handed to the server: background tasks do not count."""
        if self._ended_at or self._finished:
            return
        self._duration = perf_counter() - self._started
        self._ended_at = time_ns()
        # A failure's exception arrives after its response, and belongs on the span.
        if self._status < FAILED:
            self._finish(None)

    def raised(self, error: BaseException) -> None:
        """The application ended with an exception; it goes on after this."""
        if isinstance(error, asyncio.CancelledError) and not self._ended_at:
            self._disconnected = True
        self._finish(error)

    def close(self) -> None:
        """Whatever happened: finish, and put the contexts back."""
        if not self._finished:
            self._finish(None)
        try:
            if self._trace_token is not None:
                otel_context.detach(self._trace_token)
            if self._context_token is not None:
                CURRENT.reset(self._context_token)
        except Exception as error:  # noqa: BLE001 - our failure never stops a request
            guard.failed("context reset", error)

    def _finish(self, error: BaseException | None) -> None:
        if self._finished:
            return
        self._finished = True
        try:
            complete = self._ended_at != 0
            if not complete:
                self._duration = perf_counter() - self._started
            route = self._middleware.routes.template(self._scope)
            self._record(self._counted_status(error, complete=complete), route)
            if self._middleware.makes_span and self._context.span is not None:
                self._end_span(error, route)
        except Exception as own:  # noqa: BLE001 - our failure never stops a request
            guard.failed("request end", own)

    def _counted_status(self, error: BaseException | None, *, complete: bool) -> int:
        """What the metrics say: 499 when the client left first, 500 when the response was never completed."""
        if self._disconnected and (not complete or self._status >= FAILED):
            return CLIENT_GONE
        if not complete or (error is not None and not self._status):
            return FAILED
        return self._status

    def _record(self, status: int, route: str) -> None:
        metrics = self._middleware.metrics
        if metrics is None:
            return
        span = self._span.get_span_context()
        exemplar = {EXEMPLAR_LABEL: f"{span.trace_id:032x}"} if span.trace_flags & 1 and span.is_valid else None
        metrics.observe(self._scope["method"], route, status, self._duration, exemplar, self._context.failure)
        if metrics.tenants is not None:
            metrics.count_tenant(self._context.tenant_id, route, status)

    def _end_span(self, error: BaseException | None, route: str) -> None:
        span = self._span
        attributes, failed = semconv.response_attributes(self._status, route, error)
        span.set_attributes({**semconv.request_attributes(self._scope), **self._identity(), **attributes})
        span.update_name(semconv.span_name(self._scope["method"], route))
        if error is not None and isinstance(error, Exception):
            span.record_exception(error)
        if failed:
            span.set_status(StatusCode.ERROR, f"{type(error).__name__}: {error}" if error is not None else None)
        span.end(self._ended_at or None)


def _below(parent: SpanContext) -> Context:
    """The OpenTelemetry context below a trusted caller's span."""
    return set_span_in_context(NonRecordingSpan(parent), _NOTHING)


def _request_context(incoming: Caller, span: SpanContext) -> RequestContext:
    if incoming.internal:
        request_id = incoming.request_id or f"{span.trace_id:032x}"
        return RequestContext(request_id, incoming.tenant_id, "internal", baggage=incoming.baggage)
    links = () if incoming.span is None else (incoming.span,)
    return RequestContext(f"{span.trace_id:032x}", None, "edge", incoming.request_id, links)
