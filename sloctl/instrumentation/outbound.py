"""Calls to other services: headers always, a CLIENT span only for a request that is recorded, and their duration.

A client library is instrumented where its calls pass one by one, redirects included: httpx and requests at their
transports, urllib3 at its pools, aiohttp by its own hooks. Nothing but the object that is given is changed.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from opentelemetry.trace import SpanContext, SpanKind, get_current_span

from sloctl.instrumentation import guard
from sloctl.instrumentation.client_spans import ClientSpan, client_span
from sloctl.instrumentation.context import RequestContext, current
from sloctl.instrumentation.durations import CALLS
from sloctl.instrumentation.propagation import (
    BAGGAGE,
    REQUEST_ID,
    TENANT,
    TRACEPARENT,
    TRACESTATE,
    format_baggage,
    format_traceparent,
)
from sloctl.instrumentation.runtime import Runtime, configured
from sloctl.instrumentation.semconv import METHODS, OTHER_METHOD, without_secrets

if TYPE_CHECKING:
    import aiohttp
    import httpx
    import requests
    import urllib3

_MARK: Final = "_sloctl_instrumented"
_LOGIN: Final = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#@]*@")
_PORTS: Final = {"https": 443, "http": 80}
_NESTED: Final[ContextVar[OutboundCall | None]] = ContextVar("sloctl_call_of_urllib3", default=None)


def instrument_httpx(client: httpx.Client | httpx.AsyncClient, runtime: Runtime | None = None) -> None:
    """Let a client send the request ID and the trace to wherever it calls.

    Tenant and baggage go to `configure(internal_hosts=...)` only, at each step of a redirect. A call outside of a
    request gets no headers; its duration counts all the same, in `http_client_request_duration_seconds`.

    Args:
        client: any httpx client; its transports, also those of proxies, are wrapped.
        runtime: what `configure` returned; without it, what is configured when a call is made.

    Raises:
        TypeError: it is no httpx client.
        ValueError: it is instrumented already.
    """
    import httpx

    from sloctl.instrumentation.transports import AsyncTransport, SyncTransport

    if not isinstance(client, (httpx.Client, httpx.AsyncClient)):
        raise TypeError(f"{type(client).__name__} is no httpx.Client or httpx.AsyncClient")
    _mark(client, "instrument_httpx")
    wrap: Any = SyncTransport if isinstance(client, httpx.Client) else AsyncTransport
    client._transport = wrap(client._transport, runtime)
    mounts = client._mounts
    for pattern, transport in mounts.items():
        mounts[pattern] = None if transport is None else wrap(transport, runtime)


def instrument_requests(session: requests.Session, runtime: Runtime | None = None) -> None:
    """The same for a session of requests; see `instrument_httpx`.

    Raises:
        TypeError: it is no session; the functions of the module `requests` have none.
        ValueError: it is instrumented already.
    """
    import requests

    if not isinstance(session, requests.Session):
        raise TypeError(f"{type(session).__name__} is no requests.Session")
    _mark(session, "instrument_requests")
    find: Any = session.get_adapter

    def get_adapter(url: str | bytes) -> Any:
        return _Adapter(find(url), runtime)

    patched: Any = session
    patched.get_adapter = get_adapter


class _Adapter:
    """An adapter of requests for one call; each step of a redirect asks for its own."""

    def __init__(self, adapter: Any, runtime: Runtime | None) -> None:
        self._adapter = adapter
        self._runtime = runtime

    def send(self, request: Any, **options: Any) -> Any:
        call = OutboundCall.to(request.method or "GET", request.url or "", request.headers, self._runtime)
        try:
            response = self._adapter.send(request, **options)
        except BaseException as error:
            call.failed(error)
            raise
        call.answered(response.status_code)
        return response

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)


def instrument_urllib3(
    manager: urllib3.PoolManager | urllib3.HTTPConnectionPool, runtime: Runtime | None = None
) -> None:
    """The same for a pool manager of urllib3, or one pool. A call with its retries and redirects is one call.

    Raises:
        TypeError: it is neither.
        ValueError: it is instrumented already.
    """
    import urllib3

    if not isinstance(manager, (urllib3.PoolManager, urllib3.HTTPConnectionPool)):
        raise TypeError(f"{type(manager).__name__} is no urllib3.PoolManager or HTTPConnectionPool")
    _mark(manager, "instrument_urllib3")
    base = ""
    if isinstance(manager, urllib3.HTTPConnectionPool):
        port = f":{manager.port}" if manager.port else ""
        base = f"{manager.scheme}://{manager.host}{port}"
    send: Any = manager.urlopen

    def urlopen(method: str, url: str, *arguments: Any, **options: Any) -> Any:
        given = arguments[1] if len(arguments) > 1 else options.get("headers")
        headers = dict(manager.headers if given is None else given)
        if len(arguments) > 1:  # a pool's, after the body
            arguments = (arguments[0], headers, *arguments[2:])
        else:
            options["headers"] = headers
        outer = _NESTED.get()
        if outer is not None:  # a retry, or a step of a redirect
            outer.moved(urlsplit(base + url).hostname or "", headers)
            return send(method, url, *arguments, **options)
        call = OutboundCall.to(method, base + url, headers, runtime)
        token = _NESTED.set(call)
        try:
            response = send(method, url, *arguments, **options)
        except BaseException as error:
            call.failed(error)
            raise
        finally:
            _NESTED.reset(token)
        call.answered(response.status)
        return response

    patched: Any = manager
    patched.urlopen = urlopen


def instrument_aiohttp(session: aiohttp.ClientSession, runtime: Runtime | None = None) -> None:
    """The same for a client session of aiohttp; a call with its redirects is one call.

    Raises:
        TypeError: it is no client session.
        ValueError: it is instrumented already.
    """
    import aiohttp

    if not isinstance(session, aiohttp.ClientSession):
        raise TypeError(f"{type(session).__name__} is no aiohttp.ClientSession")
    for config in session.trace_configs:
        if getattr(config, _MARK, False):
            raise ValueError("it is instrumented already; call instrument_aiohttp once")
    hooks = aiohttp.TraceConfig()
    setattr(hooks, _MARK, True)

    async def start(_session: Any, about: Any, sent: Any) -> None:
        about.call = OutboundCall.to(sent.method, str(sent.url), sent.headers, runtime)

    async def redirect(_session: Any, about: Any, sent: Any) -> None:
        # The next request is made of the same headers, and may go to somebody else.
        target = sent.url.join(_location(sent.response))
        about.call.moved(target.host or "", sent.headers)

    async def end(_session: Any, about: Any, received: Any) -> None:
        about.call.answered(received.response.status)

    async def fail(_session: Any, about: Any, raised: Any) -> None:
        about.call.failed(raised.exception)

    hooks.on_request_start.append(start)
    hooks.on_request_redirect.append(redirect)
    hooks.on_request_end.append(end)
    hooks.on_request_exception.append(fail)
    hooks.freeze()
    session.trace_configs.append(hooks)


def _location(response: Any) -> Any:
    from yarl import URL

    return URL(response.headers.get("Location") or response.headers.get("URI") or "")


def _mark(client: object, function: str) -> None:
    if getattr(client, _MARK, False):
        raise ValueError(f"the client is instrumented already; call {function} once")
    setattr(client, _MARK, True)


class OutboundCall:
    """One outgoing request.

    Args:
        method: as it is sent.
        target: scheme, host and port, which may be None.
        url: as text or something that is one by `str`; only a recorded call looks at it.
        headers: of the request; they are changed.
        runtime: what `configure` returned; without it, what is configured now.
    """

    __slots__ = ("_context", "_method", "_runtime", "_span", "_started", "_target")

    def __init__(
        self,
        method: str,
        target: tuple[str, str, int | None],
        url: object,
        headers: MutableMapping[str, str],
        runtime: Runtime | None,
    ) -> None:
        self._span: ClientSpan | None = None
        self._started = perf_counter()
        self._runtime = runtime or configured()
        self._method = METHODS.get(method, OTHER_METHOD)
        self._target = target
        self._context = current()
        try:
            self._begin(method, url, headers)
        except Exception as error:  # noqa: BLE001 - our failure never stops a call
            guard.failed("http client request", error)

    @classmethod
    def to(cls, method: str, url: str, headers: Any, runtime: Runtime | None) -> OutboundCall:
        """A call whose target is in its URL."""
        try:
            parts = urlsplit(url)
            target = (parts.scheme, parts.hostname or "", parts.port)
        except ValueError:  # the client library says what is wrong with it
            target = ("", "", None)
        return cls(method.upper(), target, url, headers, runtime)

    def _begin(self, method: str, url: object, headers: MutableMapping[str, str]) -> None:
        if self._context is None:
            return
        here = get_current_span()
        span = here.get_span_context()
        runtime = self._runtime
        if runtime is not None and here.is_recording():
            name = self._method if self._method != OTHER_METHOD else "HTTP"
            attributes = self._attributes()
            attributes["url.full"] = without_secrets(_LOGIN.sub(r"\1", str(url)))
            if self._method == OTHER_METHOD:
                attributes["http.request.method_original"] = method
            self._span = client_span(name, attributes, span, self._context, runtime, SpanKind.CLIENT)
            span = self._span.context
        _set_headers(headers, self._target[1], self._context, span, runtime)

    def _attributes(self) -> dict[str, Any]:
        scheme, host, port = self._target
        return {
            "http.request.method": self._method,
            "server.address": host,
            "server.port": port or _PORTS.get(scheme, 80),
        }

    def moved(self, host: str, headers: MutableMapping[str, str]) -> None:
        """It is redirected: tenant and baggage follow to own hosts only."""
        try:
            if self._context is not None:
                _set_headers(headers, host, self._context, None, self._runtime)
        except Exception as error:  # noqa: BLE001 - our failure never stops a call
            guard.failed("http client redirect", error)

    def answered(self, status: int) -> None:
        """The response's headers are here."""
        failed = status >= 400
        attributes: dict[str, Any] = {"http.response.status_code": status}
        if failed:
            attributes["error.type"] = str(status)
        self._end(attributes, "" if failed else None)

    def failed(self, error: BaseException) -> None:
        """There is no response."""
        self._end({"error.type": type(error).__qualname__}, type(error).__name__)

    def _end(self, attributes: dict[str, Any], failure: str | None) -> None:
        try:
            if self._runtime is not None:
                measured = {**self._attributes(), **attributes}
                self._runtime.durations.observe(CALLS, measured, perf_counter() - self._started)
            if self._span is not None:
                self._span.end(attributes, failure)
        except Exception as error:  # noqa: BLE001 - our failure never stops a call
            guard.failed("http client response", error)


def _set_headers(
    headers: MutableMapping[str, str],
    host: str,
    context: RequestContext,
    span: SpanContext | None,
    runtime: Runtime | None,
) -> None:
    headers[REQUEST_ID] = context.request_id
    if span is not None and span.is_valid:
        headers[TRACEPARENT] = format_traceparent(span)
        if span.trace_state:
            headers[TRACESTATE] = span.trace_state.to_header()
    ours = runtime is not None and host in runtime.internal_hosts
    if runtime is not None and ours:
        if context.tenant_id is not None:
            headers[TENANT] = context.tenant_id
        if context.baggage and (baggage := format_baggage(context.baggage, runtime.baggage)):
            headers[BAGGAGE] = baggage
    elif context.tenant_id is not None or context.baggage:
        # A redirect copies the headers of the request before it, and may lead to somebody else.
        for name in (TENANT, BAGGAGE):
            if name in headers:
                del headers[name]
