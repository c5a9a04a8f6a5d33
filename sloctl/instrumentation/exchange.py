"""One request of a client, whatever the server speaks: its ID, its span, its metrics and its entry line.

ASGI, WSGI and aiohttp tell it what happens; see `middleware`, `wsgi` and `aiohttp_server`. A request is described by a
scope as ASGI has it. Every step of our own is guarded: when it fails, the request goes through as if it were not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextvars import Token
from time import perf_counter, time_ns
from typing import Any, Final, Protocol, Required, TypeAlias, TypedDict

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    StatusCode,
)

from sloctl.instrumentation import entries, guard, semconv
from sloctl.instrumentation.callers import NO_BAGGAGE, Caller, Callers, Exclude, Scope, Trust, excluding, method_of
from sloctl.instrumentation.context import CURRENT, SPAN_KEY, RequestContext
from sloctl.instrumentation.metrics import HttpMetrics
from sloctl.instrumentation.runtime import Runtime
from sloctl.instrumentation.sampling import NotRecorded, SpansOfOthers, new_trace_id
from sloctl.instrumentation.stamps import stamp_exception

Headers: TypeAlias = list[tuple[bytes, bytes]]

ID_HEADERS: Final = ("x-request-id", "x-correlation-id")
EXEMPLAR_LABEL: Final = "trace_id"
CLIENT_GONE: Final = 499
FAILED: Final = 500
_ALLOW_ORIGIN: Final = b"access-control-allow-origin"
_EXPOSE: Final = b"access-control-expose-headers"
_CONTENT_TYPE: Final = b"content-type"
_EVENT_STREAM: Final = b"text/event-stream"


class Routes(Protocol):
    """Knows an application's routes."""

    def template(self, scope: Scope, status: int) -> str:
        """The template of the route that this request belongs to, or `_unmatched`."""

    def serves(self, path: str) -> bool:
        """Whether some route has exactly this path."""


class Settings(TypedDict, total=False):
    """What an `Entrance` is told beside its runtime and its routes."""

    trust: Required[Trust]
    metrics: HttpMetrics | None
    id_headers: Sequence[str]
    span: bool
    exclude: Exclude


class Entrance:
    """Where the requests of an application come in.

    Args:
        runtime: what `configure` returned.
        trust: `edge` where clients call: their ID, trace, sampling flag and baggage are not taken over;
            `internal` where only own services call; or a function of the scope that says whether it is internal.
        routes: finds the template of the route that answered.
        metrics: what to record into; None records nothing.
        id_headers: where a request ID is looked for, in this order; the first is set on the response.
        span: make a SERVER span; off where another instrumentation makes it.
        exclude: requests that get an ID and nothing else: paths or `METHOD path`, both with `*`; or a function of
            the scope.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        trust: Trust,
        routes: Routes,
        metrics: HttpMetrics | None = None,
        id_headers: Sequence[str] = ID_HEADERS,
        span: bool = True,
        exclude: Exclude = (),
    ) -> None:
        if not id_headers:
            raise ValueError("id_headers needs at least one header name")
        self.runtime = runtime
        self.routes = routes
        self.metrics = metrics
        self.makes_span = span
        self.spans = runtime.entry_spans if span else SpansOfOthers()
        self.id_names = tuple(header.lower().encode("latin-1") for header in id_headers)
        self.id_header = self.id_names[0]
        self._excludes = excluding(exclude)
        self._callers = Callers(trust, self.id_names, runtime.baggage)

    def begin(self, scope: Scope) -> Exchange | None:
        """A request came; None when that step of ours fails."""
        try:
            watched = self._excludes is None or not self._excludes(scope)
            exchange = Exchange(self, scope, self._callers.of(scope), watched=watched)
            if watched and self.metrics is not None:
                self.metrics.begun(exchange)
        except Exception as error:  # noqa: BLE001 - our failure never stops a request
            guard.failed("request start", error)
            return None
        return exchange

    def connect(self, scope: Scope) -> Connection | None:
        """A websocket is asked for; None when that step of ours fails."""
        try:
            watched = self._excludes is None or not self._excludes(scope)
            return Connection(self, scope, self._callers.of(scope), watched=watched)
        except Exception as error:  # noqa: BLE001 - our failure never stops a connection
            guard.failed("connection start", error)
            return None


class Visit:
    """What a request and a websocket have in common: a context and a span from the beginning to the end."""

    # What most requests never change stands here once; setting it anew for each of them would cost.
    _finished = _left_context = _streams = False
    _parent: SpanContext | None = None
    _trace_token: Token[Context] | None = None

    def __init__(self, entrance: Entrance, scope: Scope, incoming: Caller, *, watched: bool) -> None:
        self._started = perf_counter()
        self._entrance = entrance
        self._scope = scope
        self._watched = watched
        if incoming.internal and incoming.span is not None:
            self._parent = incoming.span
        span: Span
        decided = entrance.spans.decided(self._parent, watched)
        if type(decided) is NotRecorded:  # as of most requests
            span, trace_id = decided, decided.trace_id
        else:
            span = self._started_span(decided, incoming)
            trace_id = span.get_span_context().trace_id
        self._span = span
        context = self.context = _request_context(incoming, trace_id)
        if span is not decided and span.is_recording():
            self._note_recording(span)
        self._id = context.request_id.encode("ascii")
        if incoming.identified:
            self._replace_ids_in_scope()
        else:
            scope["headers"] = [*scope["headers"], (entrance.id_header, self._id)]
        if entrance.makes_span:
            self._trace_token = otel_context.attach(Context({SPAN_KEY: span}))
        self._context_token: Token[RequestContext | None] = CURRENT.set(context)

    def _started_span(self, trace_id: int | None, incoming: Caller) -> Span:
        scope = self._scope
        method = method_of(scope)
        attributes = {
            "http.request.method": semconv.METHODS.get(method, semconv.OTHER_METHOD),
            "url.path": scope["path"],
            "url.scheme": scope.get("scheme", "http"),
        }
        links = None if incoming.internal or incoming.span is None else [Link(incoming.span)]
        name = semconv.span_name(method, None)
        return self._entrance.spans.start(name, self._parent, attributes, links, trace_id)

    def _note_recording(self, span: Span) -> None:
        """What the application says of its request goes on the span too."""
        self.context.span = span
        self.context.tenant_attribute = self._entrance.runtime.tenant_attribute
        if not self._entrance.makes_span:
            span.set_attributes(self._identity())

    def _replace_ids_in_scope(self) -> None:
        """What lies inside sees the ID in force, in each header that is read for one."""
        names = self._entrance.id_names
        headers = self._scope["headers"]
        there = {header[0] for header in headers}
        self._scope["headers"] = [
            *(header for header in headers if header[0] not in names),
            (names[0], self._id),
            *((name, self._id) for name in names[1:] if name in there),
        ]

    def _identity(self) -> dict[str, Any]:
        """The attributes that find a request."""
        runtime, context = self._entrance.runtime, self.context
        attributes = {runtime.request_attribute: context.request_id}
        if context.tenant_id is not None:
            attributes[runtime.tenant_attribute] = context.tenant_id
        if context.client_request_id is not None:
            attributes["client.request_id"] = context.client_request_id
        return attributes

    def identified(self, headers: Iterable[tuple[bytes, bytes]]) -> Headers:
        """The response's headers with our ID instead of any other; readable by scripts of allowed origins (CORS)."""
        name = self._entrance.id_header
        kept: Headers = []
        foreign = False
        for header in headers:
            key = header[0].lower()
            if key == name:
                continue
            if key == _ALLOW_ORIGIN:
                foreign = True
            elif key == _CONTENT_TYPE and header[1].startswith(_EVENT_STREAM):
                self._streams = True
            kept.append(header)
        kept.append((name, self._id))
        if foreign:
            _expose(kept, name)
        return kept

    def raised(self, error: BaseException) -> None:
        """The application ended with an exception; it goes on after this."""
        if isinstance(error, Exception):
            stamp_exception(error)
        self._finish(error)

    def close(self) -> None:
        """Whatever happened: finish, and put the contexts back."""
        if not self._finished:
            self._finish(None)
        self.leave()

    def leave(self) -> None:
        """Put the contexts back; what is still to come of the request runs in a copy of its own."""
        if self._left_context:
            return
        self._left_context = True
        try:
            if self._trace_token is not None:
                otel_context.detach(self._trace_token)
            CURRENT.reset(self._context_token)
        except Exception as error:  # noqa: BLE001 - our failure never stops a request
            guard.failed("context reset", error)

    def _finish(self, error: BaseException | None) -> None:
        if self._finished:
            return
        self._finished = True
        try:
            self._over(error)
        except Exception as own:  # noqa: BLE001 - our failure never stops a request
            guard.failed("request end", own)

    def _over(self, error: BaseException | None) -> None:
        """Record how it ended; called once."""
        raise NotImplementedError

    def _end_span(
        self, name: str, attributes: Mapping[str, Any], error: BaseException | None, end: int | None, *, failed: bool
    ) -> None:
        span = self._span
        span.set_attributes({**semconv.request_attributes(self._scope), **self._identity(), **attributes})
        span.update_name(name)
        if error is not None and isinstance(error, Exception):
            span.record_exception(error)
        if failed:
            span.set_status(StatusCode.ERROR, f"{type(error).__name__}: {error}" if error is not None else None)
        span.end(end)


class Exchange(Visit):
    """One request and its response."""

    _status = _ended_at = 0
    _duration = _first_byte = 0.0
    _ended = _left = False

    def response(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> Headers:
        """The response begins: its headers, with our ID instead of any other."""
        self._status = status
        kept = self.identified(headers)
        if self._streams:
            self._first_byte = perf_counter() - self._started
        return kept

    def client_left(self) -> None:
        """The client closed the connection before the last byte was handed to the server."""
        self._left = True

    def responded(self) -> None:
        """The last byte was handed to the server: background tasks do not count."""
        if self._ended or self._finished:
            return
        self._ended = True
        self._duration = perf_counter() - self._started
        if self.context.span is not None:
            self._ended_at = time_ns()
        # A failure's exception arrives after its response, and belongs on the span.
        if self._status < FAILED:
            self._finish(None)

    def raised(self, error: BaseException) -> None:
        """The application ended with an exception; it goes on after this."""
        if isinstance(error, asyncio.CancelledError) and not self._ended:
            self._left = True
        super().raised(error)

    def _over(self, error: BaseException | None) -> None:
        if not self._ended:
            self._duration = perf_counter() - self._started
        if not self._watched:
            return
        context, entrance, metrics = self.context, self._entrance, self._entrance.metrics
        if error is None and self._status >= FAILED:
            error = context.error
        if metrics is not None:
            metrics.over(self)
        route = context.route or entrance.routes.template(self._scope, self._status)
        usual = self._ended and not self._left and error is None
        status = self._status if usual else self._counted_status(error)
        if metrics is not None:
            self._record(metrics, status, route)
        if context.span is not None and entrance.makes_span:
            attributes, failed = semconv.response_attributes(self._status, route, error)
            name = semconv.span_name(self._scope["method"], route)
            self._end_span(name, attributes, error, self._ended_at or None, failed=failed)
        if entries.LOG.isEnabledFor(entries.ERROR if status >= FAILED or context.failure else entries.INFO):
            self._write_entry(status, route, error)

    def _counted_status(self, error: BaseException | None) -> int:
        """What the metrics say: 499 when the client left first, 500 when the response was never completed.

        A stream of events has no end of its own: that its client leaves is how it ends.
        """
        if self._left:
            return self._status if self._streams and self._status else CLIENT_GONE
        if not self._ended or (error is not None and not self._status):
            return FAILED
        return self._status

    def _record(self, metrics: HttpMetrics, status: int, route: str) -> None:
        exemplar, context = None, self.context
        if context.span is not None and (span := context.span.get_span_context()).trace_flags & 1:
            exemplar = {EXEMPLAR_LABEL: f"{span.trace_id:032x}"}
        seconds = self._first_byte if self._streams else self._duration
        if context.waited:
            seconds = max(seconds - context.waited, 0.0)
        metrics.observe(self._scope["method"], route, status, seconds, exemplar, context.failure)
        if metrics.tenants is not None:
            metrics.count_tenant(context.tenant_id, route, status)

    def _write_entry(self, status: int, route: str, error: BaseException | None) -> None:
        failure = self.context.failure
        failed = status >= FAILED or failure is not None
        scope = self._scope
        attributes = {
            "http.request.method": semconv.METHODS.get(scope["method"], semconv.OTHER_METHOD),
            "url.path": scope["path"],
            "http.response.status_code": status,
        }
        if route != semconv.UNMATCHED:
            attributes["http.route"] = route
        entries.write(
            entries.REQUEST,
            self.context,
            self._span.get_span_context(),
            name=semconv.span_name(scope["method"], route),
            transport="http",
            outcome=str(status),
            duration=self._duration,
            attributes=attributes,
            parent=self._parent,
            links=self.context.links,
            error=error if failed else None,
            error_type=failure or semconv.error_type(self._status, error) or str(status) if failed else None,
        )


class Connection(Visit):
    """One websocket, from its handshake to its close."""

    _accepted = _code_of_client = False
    _opened_as = _code = ""

    def accepted(self, headers: Iterable[tuple[bytes, bytes]]) -> Headers:
        """The handshake is answered: its headers, with our ID."""
        self._accepted = True
        metrics = self._entrance.metrics
        self._opened_as = self._entrance.routes.template(self._scope, semconv.SWITCHING)
        if metrics is not None and self._watched:
            metrics.opened(self._opened_as)
        return self.identified(headers)

    def refused(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> Headers:
        """The handshake is answered with an HTTP response instead."""
        self._code = str(status)
        return self.identified(headers)

    def closed(self, code: int, *, by_client: bool) -> None:
        """One of both sides closes it; the first code counts."""
        if not self._code:
            self._code = str(code) if self._accepted else str(semconv.REFUSED)
            self._code_of_client = by_client

    def _over(self, error: BaseException | None) -> None:
        if not self._watched:
            return
        entrance, scope = self._entrance, self._scope
        route = self._opened_as or entrance.routes.template(scope, 0)
        code = self._outcome(error)
        if entrance.metrics is not None:
            label = semconv.close_code(code) if self._code_of_client else code
            entrance.metrics.closed(route, label, accepted=self._accepted)
        failed = isinstance(error, Exception) or code == semconv.INTERNAL_ERROR
        attributes: dict[str, Any] = {"network.protocol.name": "websocket", "websocket.close_code": code}
        if route != semconv.UNMATCHED:
            attributes["http.route"] = route
        error_type = semconv.error_type(0, error) or code if failed else None
        name = semconv.span_name("GET", route)
        if entrance.makes_span and self.context.span is not None:
            reason = {"error.type": error_type} if error_type is not None else {}
            self._end_span(name, {**attributes, **reason}, error, None, failed=failed)
        entries.write(
            entries.CONNECTION,
            self.context,
            self._span.get_span_context(),
            name=name,
            transport="websocket",
            outcome=code,
            duration=perf_counter() - self._started,
            attributes={"url.path": scope["path"], **attributes},
            parent=self._parent,
            links=self.context.links,
            error=error if failed else None,
            error_type=error_type,
        )

    def _outcome(self, error: BaseException | None) -> str:
        if self._code:
            return self._code
        if isinstance(error, Exception):
            return semconv.INTERNAL_ERROR if self._accepted else str(FAILED)
        return semconv.ABNORMAL if self._accepted else str(semconv.REFUSED)


def _expose(headers: Headers, name: bytes) -> None:
    for position, (key, value) in enumerate(headers):
        if key.lower() == _EXPOSE:
            if name not in value.lower() and value.strip() != b"*":
                headers[position] = (key, value + b", " + name)
            return
    headers.append((_EXPOSE, name))


def _request_context(incoming: Caller, trace_id: int) -> RequestContext:
    theirs = incoming.span
    if not incoming.internal and theirs is not None and trace_id == theirs.trace_id:
        trace_id = 0  # another instrumentation continues a trace that the client chose
    if incoming.internal:
        request_id = incoming.request_id or f"{trace_id or new_trace_id():032x}"
        return RequestContext(request_id, incoming.tenant_id, "internal", None, (), incoming.baggage)
    minted = f"{trace_id or new_trace_id():032x}"
    return RequestContext(minted, None, "edge", incoming.request_id, () if theirs is None else (theirs,), NO_BAGGAGE)
