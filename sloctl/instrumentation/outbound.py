"""Calls to other services with httpx: headers always, a CLIENT span only for a request that is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import SpanContext, get_current_span

from sloctl.instrumentation import guard
from sloctl.instrumentation.client_spans import ClientSpan, client_span
from sloctl.instrumentation.context import RequestContext, current
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
from sloctl.instrumentation.semconv import METHODS, OTHER_METHOD

if TYPE_CHECKING:
    import httpx

_MARK: Final = "_sloctl_instrumented"


def instrument_httpx(client: httpx.Client | httpx.AsyncClient, runtime: Runtime | None = None) -> None:
    """Let a client send the request ID and the trace to wherever it calls.

    Tenant and baggage go to `configure(internal_hosts=...)` only, at each step of a redirect. A call outside of a
    request is left alone.

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
    if getattr(client, _MARK, False):
        raise ValueError("the client is instrumented already; call instrument_httpx once")
    wrap: Any = SyncTransport if isinstance(client, httpx.Client) else AsyncTransport
    client._transport = wrap(client._transport, runtime)
    mounts = client._mounts
    for pattern, transport in mounts.items():
        mounts[pattern] = None if transport is None else wrap(transport, runtime)
    setattr(client, _MARK, True)


class Call:
    """One outgoing request."""

    __slots__ = ("_span",)

    def __init__(self, request: httpx.Request, runtime: Runtime | None) -> None:
        self._span: ClientSpan | None = None
        try:
            self._begin(request, runtime or configured())
        except Exception as error:  # noqa: BLE001 - our failure never stops a call
            guard.failed("httpx request", error)

    def _begin(self, request: httpx.Request, runtime: Runtime | None) -> None:
        context = current()
        if context is None:
            return
        here = get_current_span()
        span = here.get_span_context()
        if runtime is not None and here.is_recording():
            method = METHODS.get(request.method, OTHER_METHOD)
            name = method if method != OTHER_METHOD else "HTTP"
            self._span = client_span(name, _attributes(request, method), span, context, runtime)
            span = self._span.context
        _set_headers(request, context, span, runtime)

    def answered(self, response: httpx.Response) -> None:
        """The response's headers are here."""
        if self._span is None:
            return
        attributes: dict[str, Any] = {"http.response.status_code": response.status_code}
        failed = response.status_code >= 400
        if failed:
            attributes["error.type"] = str(response.status_code)
        self._end(attributes, "" if failed else None)

    def failed(self, error: BaseException) -> None:
        """There is no response."""
        self._end({"error.type": type(error).__qualname__}, type(error).__name__)

    def _end(self, attributes: dict[str, Any], failure: str | None) -> None:
        try:
            if self._span is not None:
                self._span.end(attributes, failure)
        except Exception as error:  # noqa: BLE001 - our failure never stops a call
            guard.failed("httpx response", error)


def _attributes(request: httpx.Request, method: str) -> dict[str, Any]:
    url = request.url
    return {
        "http.request.method": method,
        "url.full": str(url.copy_with(username=None, password=None) if url.userinfo else url),
        "server.address": url.host,
        "server.port": url.port or (443 if url.scheme == "https" else 80),
    }


def _set_headers(request: httpx.Request, context: RequestContext, span: SpanContext, runtime: Runtime | None) -> None:
    headers = request.headers
    headers[REQUEST_ID] = context.request_id
    if span.is_valid:
        headers[TRACEPARENT] = format_traceparent(span)
        if span.trace_state:
            headers[TRACESTATE] = span.trace_state.to_header()
    ours = runtime is not None and request.url.host in runtime.internal_hosts
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
