"""Whoever holds connections, sends too much or never ends a request shuts nobody else out."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from sloctl.canary.server import protocol
from testing.servers import until
from tests.canary.server.conftest import ASKED, Hook

TIMEOUT = 10


@contextmanager
def holding(hook: Hook, count: int, sent: bytes = b"", source: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    """So many connections of one client that each have sent this."""
    with ExitStack() as stack:
        held = []
        for _ in range(count):
            address = ("127.0.0.1", hook.client.base_url.port)
            one = stack.enter_context(socket.create_connection(address, TIMEOUT, (source, 0)))
            one.sendall(sent)
            held.append(one)
        yield held


UNFINISHED = {
    "nothing": b"",
    "half a head": b"POST /v1/canary/evaluate HTTP/1.1\r\nX-Slow: ",
    "half a body": b"POST /v1/canary/evaluate HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nab",
}


@pytest.mark.parametrize("sent", list(UNFINISHED.values()), ids=list(UNFINISHED))
def test_unfinished_requests_shut_nobody_out(hook: Hook, sent: bytes) -> None:
    with holding(hook, 2 * protocol.MOST_CONNECTIONS, sent):
        for _ in range(3):
            assert hook.said() == "promote/healthy"
        assert hook.client.get("/healthz").status_code == 200


def test_the_oldest_unfinished_request_gives_way_and_is_told_so(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MOST_OF_ONE_PEER", 2)
    with holding(hook, 3) as (oldest, *others):
        head, _, body = oldest.recv(65536).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert json.loads(body)["error"] == "overloaded"
        others[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert others[0].recv(65536).startswith(b"HTTP/1.1 200 ")


def test_one_peer_has_a_part_of_the_connections_only(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 8)
    monkeypatch.setattr(protocol, "MOST_OF_ONE_PEER", 4)
    with holding(hook, 3, source="127.0.0.3") as polite, holding(hook, 20, source="127.0.0.2"):
        assert hook.said() == "promote/healthy"
        for client in polite:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200 "), "another peer's connections made it give way"


def test_health_is_told_when_every_connection_is_at_work(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 2)
    hook.client.headers["Connection"] = "close"
    hook.stub.delay = 1.0
    asked = json.dumps(ASKED).encode()
    head = f"POST /v1/canary/evaluate HTTP/1.1\r\nHost: x\r\nContent-Length: {len(asked)}\r\n\r\n".encode()
    with holding(hook, 2, head + asked) as working:
        until(lambda: hook.webhook.in_flight == 2)
        assert hook.client.get("/healthz").status_code == 200
        refused = hook.client.post("/v1/canary/evaluate", json=ASKED)
        assert (refused.status_code, refused.json()["error"]) == (503, "overloaded")
        for client in working:
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("size", [9_000, 100_000])
def test_long_headers_are_refused_in_one_packet_too(hook: Hook, size: int) -> None:
    lines = "".join(f"X-{number}: a\r\n" for number in range(size // 8))
    head = f"GET /healthz HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode()
    with holding(hook, 1, head) as (one,):
        answer = one.recv(65536)
        while b"}" not in answer:  # not to the end: who sent more than was read gets a reset there
            piece = one.recv(65536)
            assert piece
            answer += piece
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"] == "malformed"


def test_a_long_address_is_refused(hook: Hook) -> None:
    with holding(hook, 1, f"GET /healthz?{'a' * 9000} HTTP/1.1\r\nHost: x\r\n\r\n".encode()) as (one,):
        assert one.recv(65536).startswith(b"HTTP/1.1 400 ")
