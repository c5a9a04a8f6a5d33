"""W3C Trace Context (Recommendation, level 1), clause by clause, over real sockets, beside OpenTelemetry's own.

A server answers with the headers of three calls that it made. Each clause is a request, and what those headers must be.
OpenTelemetry's middleware and client get the same requests, so that a clause that is stated wrongly is seen.
"""

import json
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from sloctl.instrumentation import instrument_app, instrument_httpx
from testing.serving import serving
from tests.instrumentation.conftest import Configure

pytestmark = pytest.mark.server
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{PARENT}-01"
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
CALLS = 3
Lines = list[tuple[str, str]]


@dataclass(frozen=True)
class Sent:
    """The headers of the calls that a server made."""

    trace_ids: list[str]
    parent_ids: list[str]
    flags: list[int]
    states: list[str | None]

    @property
    def valid(self) -> bool:
        """One trace, and a parent that is neither zero nor the caller's: of a recorded one, another for each call.

        Calls of a trace that is not recorded have no spans; their parent is the request itself.
        """
        parents = set(self.parent_ids)
        return (
            len(set(self.trace_ids)) == 1
            and int(self.trace_ids[0], 16) != 0
            and not parents & {PARENT, "0" * 16}
            and (len(parents) == CALLS or not any(flag & 1 for flag in self.flags))
            and all(flag & ~3 == 0 for flag in self.flags)
        )

    @property
    def state(self) -> list[str]:
        """The members of the vendors' state, the same in each call."""
        (state,) = set(self.states)
        return [member.strip(" \t") for member in (state or "").split(",") if member.strip(" \t")]


def continued(sent: Sent) -> bool:
    return sent.valid and sent.trace_ids[0] == TRACE


def anew(sent: Sent) -> bool:
    return sent.valid and sent.trace_ids[0] != TRACE and sent.state == []


def flagged(sampled: int) -> Callable[[Sent], bool]:
    return lambda sent: continued(sent) and {flag & 1 for flag in sent.flags} == {sampled}


def keeps(*members: str) -> Callable[[Sent], bool]:
    return lambda sent: continued(sent) and sent.state == list(members)


def state(*values: str, parent: str = GOOD) -> Lines:
    return [("traceparent", parent), *(("tracestate", value) for value in values)]


def parent(value: str) -> Lines:
    return [("traceparent", value)]


KEY = "abcdefghijklmnopqrstuvwxyz0123456789_-*/"
VALUE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in ",=")
MANY = [f"k{number}={number}" for number in range(33)]
PARENTS = {
    "without traceparent a trace begins": ([], anew),
    "a traceparent is continued": (parent(GOOD), continued),
    "its state is empty without tracestate": (parent(GOOD), keeps()),
    "the name of the header has any case": ([("TraceParent", GOOD)], continued),
    "also capitals": ([("TRACEPARENT", GOOD)], continued),
    "a name with a hyphen is another header": ([("trace-parent", GOOD)], anew),
    "a name with a dot too": ([("trace.parent", GOOD)], anew),
    "a blank before the value is none of it": (parent(f" {GOOD}"), continued),
    "nor a tab": (parent(f"\t{GOOD}"), continued),
    "nor a blank behind": (parent(f"{GOOD} "), continued),
    "nor several": (parent(f"\t {GOOD} \t"), continued),
    "two headers contradict each other": ([*parent(GOOD), *parent(GOOD.replace("0af", "1af"))], anew),
    "two values in one header too": (parent(f"{GOOD},{GOOD}"), anew),
    "an empty value is none": (parent(""), anew),
    "version 00 ends behind the flags": (parent(f"{GOOD}."), anew),
    "version 00 has no fifth part": (parent(f"{GOOD}-what-the-future-brings"), anew),
    "version 00 has no last dash": (parent(f"{GOOD}-"), anew),
    "a later version is read as ours": (parent(f"cc{GOOD[2:]}"), continued),
    "a later version may have a fifth part": (parent(f"cc{GOOD[2:]}-what-the-future-brings"), continued),
    "a later version has a dash before it": (parent(f"cc{GOOD[2:]}.what-the-future-brings"), anew),
    "a later version is no shorter": (parent(f"cc{GOOD[2:-1]}"), anew),
    "version ff is none": (parent(f"ff{GOOD[2:]}"), anew),
    "a version is hexadecimal": (parent(f".0{GOOD[2:]}"), anew),
    "in both digits": (parent(f"0.{GOOD[2:]}"), anew),
    "a version has no capitals": (parent(f"CC{GOOD[2:]}"), anew),
    "a version has no third digit": (parent(f"0{GOOD}"), anew),
    "nor a fourth": (parent(f"00{GOOD}"), anew),
    "nor one only": (parent(GOOD[1:]), anew),
    "the trace-id is not zero": (parent(f"00-{'0' * 32}-{PARENT}-01"), anew),
    "the trace-id is hexadecimal": (parent(f"00-.{TRACE[1:]}-{PARENT}-01"), anew),
    "to its end": (parent(f"00-{TRACE[:-1]}.-{PARENT}-01"), anew),
    "the trace-id has no capitals": (parent(f"00-{TRACE.upper()}-{PARENT}-01"), anew),
    "the trace-id is no longer": (parent(f"00-{TRACE}0-{PARENT}-01"), anew),
    "the trace-id is no shorter": (parent(f"00-{TRACE[1:]}-{PARENT}-01"), anew),
    "the parent-id is not zero": (parent(f"00-{TRACE}-{'0' * 16}-01"), anew),
    "the parent-id is hexadecimal": (parent(f"00-{TRACE}-.{PARENT[1:]}-01"), anew),
    "until its end": (parent(f"00-{TRACE}-{PARENT[:-1]}.-01"), anew),
    "the parent-id has no capitals": (parent(f"00-{TRACE}-{PARENT.upper()}-01"), anew),
    "the parent-id is no longer": (parent(f"00-{TRACE}-{PARENT}0-01"), anew),
    "the parent-id is no shorter": (parent(f"00-{TRACE}-{PARENT[1:]}-01"), anew),
    "the flags are hexadecimal": (parent(f"{GOOD[:-2]}.0"), anew),
    "both of them": (parent(f"{GOOD[:-2]}0."), anew),
    "the flags have no capitals": (parent(f"{GOOD[:-2]}0A"), anew),
    "the flags are no longer": (parent(f"{GOOD[:-2]}001"), anew),
    "the flags are no shorter": (parent(f"{GOOD[:-2]}1"), anew),
    "the parts are separated by dashes": (parent(GOOD.replace("-", "_")), anew),
    "the sampled flag is kept": (parent(GOOD), flagged(1)),
    "also when it is not set": (parent(f"{GOOD[:-2]}00"), flagged(0)),
    "flags that nobody knows yet do not go on": (parent(f"{GOOD[:-2]}fd"), flagged(1)),
    "also of a trace that is not recorded": (parent(f"{GOOD[:-2]}fc"), flagged(0)),
}
STATES = {
    "a state goes on": (state("foo=1,bar=2"), keeps("foo=1", "bar=2")),
    "also of a trace that is not recorded": (
        state("foo=1,bar=2", parent=f"{GOOD[:-2]}00"),
        keeps("foo=1", "bar=2"),
    ),
    "a state without traceparent is discarded": (state("foo=1")[1:], anew),
    "so is one beside a malformed traceparent": (state("foo=1", parent=f"{GOOD}."), anew),
    "the name of the header has any case": ([*parent(GOOD), ("TraceState", "foo=1")], keeps("foo=1")),
    "also capitals": ([*parent(GOOD), ("TRACESTATE", "foo=1")], keeps("foo=1")),
    "a name with a hyphen is another header": ([*parent(GOOD), ("trace-state", "foo=1")], keeps()),
    "a name with a dot too": ([*parent(GOOD), ("trace.state", "foo=1")], keeps()),
    "an empty state is none": (state(""), keeps()),
    "an empty header behind another": (state("foo=1", ""), keeps("foo=1")),
    "an empty header before another": (state("", "foo=1"), keeps("foo=1")),
    "members may be empty": (state("foo=1,,bar=2, ,"), keeps("foo=1", "bar=2")),
    "several headers are one list, in order": (
        state("foo=1,bar=2", "rojo=1,congo=2", "baz=3"),
        keeps("foo=1", "bar=2", "rojo=1", "congo=2", "baz=3"),
    ),
    "blanks and tabs around members": (state("\t foo=1 \t ,\t bar=2, \tbaz=3\t"), keeps("foo=1", "bar=2", "baz=3")),
    "32 members": (state(",".join(MANY[:32])), keeps(*MANY[:32])),
    "32 members in several headers": (state(",".join(MANY[:20]), ",".join(MANY[20:32])), keeps(*MANY[:32])),
    "33 members are too many": (state(",".join(MANY)), keeps()),
    "33 members in several headers too": (state(",".join(MANY[:20]), ",".join(MANY[20:])), keeps()),
    "512 characters": (state(f"foo={'x' * 249},bar={'x' * 254}"), keeps(f"foo={'x' * 249}", f"bar={'x' * 254}")),
    "all characters of a key": (state(f"{KEY}=1"), keeps(f"{KEY}=1")),
    "all characters of a key with a tenant": (state(f"{KEY}@a-z0-9_-*/=1"), keeps(f"{KEY}@a-z0-9_-*/=1")),
    "a tenant begins with a digit": (state("0tenant@vendor=1"), keeps("0tenant@vendor=1")),
    "all characters of a value": (state(f"foo={VALUE}"), keeps(f"foo={VALUE}")),
    "a value of 256 characters": (state(f"foo={'x' * 256}"), keeps(f"foo={'x' * 256}")),
    "a value of 257 characters": (state(f"foo={'x' * 257}"), keeps()),
    "a key of 256 characters": (state("foo=1", f"{'z' * 256}=1"), keeps("foo=1", f"{'z' * 256}=1")),
    "a key of 257 characters": (state("foo=1", f"{'z' * 257}=1"), keeps()),
    "a tenant of 241 characters, a vendor of 14": (
        state(f"{'t' * 241}@{'v' * 14}=1"),
        keeps(f"{'t' * 241}@{'v' * 14}=1"),
    ),
    "a tenant of 242 characters": (state("foo=1", f"{'t' * 242}@v=1"), keeps()),
    "a vendor of 15 characters": (state("foo=1", f"t@{'v' * 15}=1"), keeps()),
    "the same key twice": (state("foo=1,foo=1"), keeps()),
    "the same key twice with other values": (state("foo=1,bar=1,foo=2"), keeps()),
    "the same key in two headers": (state("foo=1", "foo=2"), keeps()),
    **{f"no key: {key!r}": (state(f"{key}=1,bar=2"), keeps()) for key in (
        "", "FOO", "foo.bar", "foo ", "foo@", "@foo", "foo@@bar", "foo@bar@baz", "0foo", "_foo", "foo@0bar", "foo:bar"
    )},
    **{f"no value: {value!r}": (state(f"foo={value},bar=2"), keeps()) for value in ("", "a=b", "=", "a\tb")},
    "a member without an equals sign": (state("foo,bar=2"), keeps()),
}  # fmt: skip
CLAUSES = {
    **{f"traceparent: {name}": clause for name, clause in PARENTS.items()},
    **{f"tracestate: {name}": clause for name, clause in STATES.items()},
}
# What OpenTelemetry's Python does otherwise: it takes the first of two.
THEIRS = {"traceparent: two headers contradict each other"}


def calling(client: httpx.AsyncClient) -> FastAPI:
    """An application that calls another one."""
    app = FastAPI()

    @app.get("/")
    async def call() -> list[dict[str, str]]:
        return [json.loads((await client.get("http://other.example/")).content) for _ in range(CALLS)]

    return app


def echo(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json=dict(request.headers))


def ours(observed: Configure, trust: Literal["edge", "internal"]) -> FastAPI:
    runtime = observed().runtime
    client = httpx.AsyncClient(transport=httpx.MockTransport(echo))
    instrument_httpx(client, runtime)
    app = calling(client)
    instrument_app(app, runtime, trust=trust)
    return app


def theirs() -> Any:
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(1)))
    client = httpx.AsyncClient(transport=httpx.MockTransport(echo))
    HTTPXClientInstrumentor.instrument_client(client, tracer_provider=provider)
    return OpenTelemetryMiddleware(calling(client), tracer_provider=provider)


def ask(connection: socket.socket, lines: Lines) -> Sent:
    """The headers as they are, which no client library would send."""
    raw = "".join(f"{name}:{value}\r\n" for name, value in lines)
    connection.sendall(f"GET / HTTP/1.1\r\nhost: x\r\n{raw}\r\n".encode("latin-1"))
    with connection.makefile("rb") as file:
        head = iter(file.readline, b"\r\n")
        status, *headers = [line.decode("latin-1").strip() for line in head]
        assert status.startswith("HTTP/1.1 200"), status
        length = next(int(line.split(":")[1]) for line in headers if line.startswith("content-length:"))
        calls = json.loads(file.read(length))
    matches = [TRACEPARENT.fullmatch(call["traceparent"]) for call in calls]
    assert None not in matches, calls
    parts = [match.groups() for match in matches if match]
    return Sent(
        [trace_id for trace_id, _, _ in parts],
        [parent_id for _, parent_id, _ in parts],
        [int(flags, 16) for _, _, flags in parts],
        [call.get("tracestate") for call in calls],
    )


def asked(port: int) -> dict[str, Sent]:
    """What a server sends for each clause."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        return {name: ask(connection, lines) for name, (lines, _) in CLAUSES.items()}


def broken(port: int) -> set[str]:
    """The clauses that a server does not keep."""
    return {name for name, sent in asked(port).items() if not CLAUSES[name][1](sent)}


@pytest.mark.parametrize("parser", ["h11", "httptools"])
def test_every_clause_is_kept(observed: Configure, parser: str) -> None:
    with serving(ours(observed, "internal"), http=parser) as port:
        assert broken(port) == set()


def test_the_clauses_are_those_that_opentelemetry_keeps_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("ERROR", "opentelemetry")  # it logs what is malformed as it came
    with serving(theirs()) as port:
        assert broken(port) <= THEIRS


def test_at_an_edge_each_request_begins_a_trace(observed: Configure) -> None:
    with serving(ours(observed, "edge")) as port:
        assert [name for name, sent in asked(port).items() if not anew(sent)] == []
