"""requests, urllib3 and aiohttp on real sockets: who gets what, at each step of a redirect, and what is measured."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import aiohttp
import pytest
import requests
import urllib3

from sloctl.instrumentation import (
    RequestContext,
    instrument_aiohttp,
    instrument_requests,
    instrument_urllib3,
)
from sloctl.instrumentation.context import entered
from testing.servers import free_port
from tests.instrumentation.conftest import Configure, Observed

pytestmark = pytest.mark.anyio
CONTEXT = RequestContext("request-0001", tenant_id="acme", baggage={"plan": "gold"})
Headers = list[tuple[str, dict[str, str]]]


@contextmanager
def server(seen: Headers) -> Iterator[int]:
    """Answers 200; `/away` leads to the same server by another name; `/bad` is a 503."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response({"/away": 307, "/bad": 503}.get(self.path, 200))
            if self.path == "/away":
                self.send_header("Location", f"http://localhost:{self.server.server_address[1]}/there")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield int(http.server_address[1])
    finally:
        http.shutdown()
        http.server_close()


async def by_requests(there: Observed, urls: list[str]) -> None:
    with requests.Session() as session:
        instrument_requests(session, there.runtime)
        for url in urls:
            session.get(url)


async def by_urllib3(there: Observed, urls: list[str]) -> None:
    with urllib3.PoolManager() as manager:
        instrument_urllib3(manager, there.runtime)
        for url in urls:
            manager.request("GET", url)


async def by_aiohttp(there: Observed, urls: list[str]) -> None:
    async with aiohttp.ClientSession() as session:
        instrument_aiohttp(session, there.runtime)
        for url in urls:
            async with session.get(url):
                pass


CLIENTS: list[Callable[[Observed, list[str]], Any]] = [by_requests, by_urllib3, by_aiohttp]


@pytest.mark.parametrize("send", CLIENTS)
async def test_a_recorded_call(observed: Configure, send: Any) -> None:
    there, seen = observed(internal_hosts=["127.0.0.1"], baggage=["plan"]), Headers()
    with server(seen) as port, there.runtime.tracer.start_as_current_span("work"), entered(CONTEXT):
        await send(there, [f"http://127.0.0.1:{port}/list?x=1&sig=secret", f"http://127.0.0.1:{port}/bad"])
    good, bad = (span for span in there.spans if span.name == "GET")
    assert (good.attributes or {})["url.full"] == f"http://127.0.0.1:{port}/list?x=1&sig=REDACTED"
    assert (bad.attributes or {})["error.type"] == "503"
    for (_, headers), span in zip(seen, (good, bad), strict=True):
        assert headers["x-request-id"] == "request-0001"
        assert headers["x-tenant-id"] == "acme"
        assert headers["baggage"] == "plan=gold"
        assert headers["traceparent"].split("-")[2] == f"{span.get_span_context().span_id:016x}"  # type: ignore[union-attr]
    labels = {"http_request_method": "GET", "server_address": "127.0.0.1", "server_port": str(port)}
    counted = "http_client_request_duration_seconds_count"
    assert there.value(counted, **labels, http_response_status_code="200", error_type="") == 1
    assert there.value(counted, **labels, http_response_status_code="503", error_type="503") == 1


@pytest.mark.parametrize("send", CLIENTS)
async def test_a_redirect_to_somebody_else_takes_no_tenant_along(observed: Configure, send: Any) -> None:
    there, seen = observed(internal_hosts=["127.0.0.1"], baggage=["plan"]), Headers()
    with server(seen) as port, entered(CONTEXT):
        await send(there, [f"http://127.0.0.1:{port}/away"])
    (first, own), (second, others) = seen
    assert (first, second) == ("/away", "/there")
    assert {"x-tenant-id", "baggage"} <= own.keys()
    assert not {"x-tenant-id", "baggage"} & others.keys()
    assert others["x-request-id"] == "request-0001"


@pytest.mark.parametrize("send", CLIENTS)
async def test_outside_of_a_request_only_the_duration_counts(observed: Configure, send: Any) -> None:
    there, seen = observed(), Headers()
    with server(seen) as port:
        await send(there, [f"http://127.0.0.1:{port}/"])
    assert not {"x-request-id", "traceparent"} & seen[0][1].keys()
    assert there.value("http_client_request_duration_seconds_count", server_port=str(port)) == 1


@pytest.mark.parametrize("send", CLIENTS)
async def test_a_server_that_is_not_there(observed: Configure, send: Any) -> None:
    there, port = observed(), free_port()
    with pytest.raises(Exception, match=str(port)):
        await send(there, [f"http://127.0.0.1:{port}/"])
    labels = {"server_port": str(port), "http_response_status_code": ""}
    assert there.value("http_client_request_duration_seconds_count", **labels) == 1
    assert there.value("http_client_request_duration_seconds_count", **labels, error_type="") is None


async def test_a_pool_of_urllib3_and_its_retries_are_one_call(observed: Configure) -> None:
    there, seen = observed(), Headers()
    with server(seen) as port, urllib3.HTTPConnectionPool("127.0.0.1", port) as pool, entered(CONTEXT):
        instrument_urllib3(pool, there.runtime)
        retries = urllib3.Retry(2, status_forcelist=[503], raise_on_status=False)
        assert pool.request("GET", "/bad", retries=retries, redirect=False).status == 503
    assert [headers["x-request-id"] for _, headers in seen] == ["request-0001"] * 3
    assert there.value("http_client_request_duration_seconds_count", server_address="127.0.0.1") == 1


async def test_twice_and_something_else_is_refused() -> None:
    session, manager = requests.Session(), urllib3.PoolManager()
    instrument_requests(session)
    instrument_urllib3(manager)
    with pytest.raises(ValueError, match="call instrument_requests once"):
        instrument_requests(session)
    with pytest.raises(ValueError, match="call instrument_urllib3 once"):
        instrument_urllib3(manager)
    async with aiohttp.ClientSession() as client:
        instrument_aiohttp(client)
        with pytest.raises(ValueError, match="call instrument_aiohttp once"):
            instrument_aiohttp(client)
    wrong: Any = requests
    for instrument in (instrument_requests, instrument_urllib3, instrument_aiohttp):
        with pytest.raises(TypeError, match="module is no"):
            instrument(wrong)
