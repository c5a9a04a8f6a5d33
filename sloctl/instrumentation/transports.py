"""httpx transports that send the context along; `instrument_httpx` puts them around a client's own."""

from __future__ import annotations

import httpx

from sloctl.instrumentation.outbound import OutboundCall
from sloctl.instrumentation.runtime import Runtime


def _call(request: httpx.Request, runtime: Runtime | None) -> OutboundCall:
    url = request.url
    return OutboundCall(request.method, (url.scheme, url.host, url.port), url, request.headers, runtime)


class SyncTransport(httpx.BaseTransport):
    """Wraps the transport of an `httpx.Client`."""

    def __init__(self, transport: httpx.BaseTransport, runtime: Runtime | None = None) -> None:
        self._transport = transport
        self._runtime = runtime

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request with the context's headers."""
        call = _call(request, self._runtime)
        try:
            response = self._transport.handle_request(request)
        except BaseException as error:
            call.failed(error)
            raise
        call.answered(response.status_code)
        return response

    def close(self) -> None:
        """Close the wrapped transport."""
        self._transport.close()


class AsyncTransport(httpx.AsyncBaseTransport):
    """Wraps the transport of an `httpx.AsyncClient`."""

    def __init__(self, transport: httpx.AsyncBaseTransport, runtime: Runtime | None = None) -> None:
        self._transport = transport
        self._runtime = runtime

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request with the context's headers."""
        call = _call(request, self._runtime)
        try:
            response = await self._transport.handle_async_request(request)
        except BaseException as error:
            call.failed(error)
            raise
        call.answered(response.status_code)
        return response

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._transport.aclose()
