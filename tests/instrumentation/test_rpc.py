"""gRPC on real sockets, in both of its APIs: who gets the ID, and which status is whose failure."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from opentelemetry.trace import SpanKind, StatusCode

from sloctl.instrumentation import (
    RequestContext,
    carriers,
    current,
    grpc_client_interceptors,
    grpc_server_interceptor,
)
from sloctl.instrumentation.context import entered
from testing.servers import PATIENCE
from tests.instrumentation.conftest import Configure, Observed

pytestmark = pytest.mark.anyio
CONTEXT = RequestContext("request-0001", tenant_id="acme")
SERVED = "rpc_server_call_duration_seconds_count"
CALLED = "rpc_client_call_duration_seconds_count"


def answer(request: bytes, context: Any) -> bytes:
    """Who asks; or a status, or an exception, of that name."""
    word = request.decode()
    if word == "raise":
        raise KeyError("weight")
    if word in grpc.StatusCode.__members__:
        context.abort(grpc.StatusCode[word], "as you wish")
    found = current()
    assert found is not None
    return f"{found.request_id} {found.tenant_id} {found.client_request_id}".encode()


def several(request: Iterator[bytes] | bytes, context: Any) -> Iterator[bytes]:
    for word in [request] if isinstance(request, bytes) else request:
        yield answer(word, context)
        yield answer(word, context)


async def aio_answer(request: bytes, context: Any) -> bytes:
    if request.decode() in grpc.StatusCode.__members__:
        await context.abort(grpc.StatusCode[request.decode()], "as you wish")
    await asyncio.sleep(0)
    return answer(request, context)


async def aio_several(request: bytes, context: Any) -> AsyncIterator[bytes]:
    for _ in range(2):
        yield await aio_answer(request, context)


async def aio_written(request: bytes, context: Any) -> None:
    await context.write(await aio_answer(request, context))


SYNC = {
    "Answer": grpc.unary_unary_rpc_method_handler(answer),
    "Several": grpc.unary_stream_rpc_method_handler(several),
    "Both": grpc.stream_stream_rpc_method_handler(several),
    "Last": grpc.stream_unary_rpc_method_handler(lambda requests, context: [answer(r, context) for r in requests][-1]),
}
AIO = {
    "Answer": grpc.unary_unary_rpc_method_handler(aio_answer),
    "Several": grpc.unary_stream_rpc_method_handler(aio_several),
    "Written": grpc.unary_stream_rpc_method_handler(aio_written),
    "Sync": grpc.unary_unary_rpc_method_handler(answer),
}


@contextmanager
def channel(there: Observed, trust: Any = "internal") -> Iterator[grpc.Channel]:
    interceptors = [grpc_server_interceptor(there.runtime, trust=trust)]
    server = grpc.server(ThreadPoolExecutor(4), interceptors=interceptors)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("shop.Orders", SYNC)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    target = f"127.0.0.1:{port}"
    with grpc.insecure_channel(target) as plain:
        yield grpc.intercept_channel(plain, *grpc_client_interceptors(there.runtime, target=target))
    server.stop(None).wait()


def test_a_call_continues_the_callers_trace(observed: Configure) -> None:
    there = observed(internal_hosts=["127.0.0.1"])
    with channel(there) as orders, there.runtime.tracer.start_as_current_span("work"), entered(CONTEXT):
        assert orders.unary_unary("/shop.Orders/Answer")(b"", timeout=PATIENCE) == b"request-0001 acme None"
    work, call, served = (find(there, name, kind) for name, kind in KINDS)
    assert call.parent.span_id == work.get_span_context().span_id
    assert served.parent.span_id == call.get_span_context().span_id
    wanted = {"rpc.system.name": "grpc", "rpc.method": "shop.Orders/Answer", "rpc.response.status_code": "OK"}
    for span in (call, served):
        assert {name: span.attributes[name] for name in wanted} == wanted
    labels = {"rpc_method": "shop.Orders/Answer", "rpc_response_status_code": "OK", "error_type": ""}
    assert there.value(SERVED, **labels) == 1
    assert there.value(CALLED, **labels, server_address="127.0.0.1") == 1


KINDS = (
    ("work", SpanKind.INTERNAL),
    ("shop.Orders/Answer", SpanKind.CLIENT),
    ("shop.Orders/Answer", SpanKind.SERVER),
)


def find(there: Observed, name: str, kind: SpanKind) -> Any:
    return next(span for span in there.spans if (span.name, span.kind) == (name, kind))


def test_all_four_shapes(observed: Configure) -> None:
    there = observed(internal_hosts=["127.0.0.1"])
    who = b"request-0001 acme None"
    with channel(there) as orders, entered(CONTEXT):
        assert list(orders.unary_stream("/shop.Orders/Several")(b"", timeout=PATIENCE)) == [who] * 2
        assert list(orders.stream_stream("/shop.Orders/Both")(iter([b"", b""]), timeout=PATIENCE)) == [who] * 4
        assert orders.stream_unary("/shop.Orders/Last")(iter([b"", b""]), timeout=PATIENCE) == who
        assert orders.unary_unary("/shop.Orders/Answer").future(b"", timeout=PATIENCE).result() == who
    assert there.value(SERVED, error_type="") == 4
    assert there.value(CALLED, error_type="") == 4
    assert current() is None


@pytest.mark.parametrize(
    ("word", "status", "failure"),
    [
        (b"NOT_FOUND", "NOT_FOUND", ""),
        (b"UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE"),
        (b"raise", "UNKNOWN", "UNKNOWN"),
    ],
)
def test_which_status_is_the_servers_failure(observed: Configure, word: bytes, status: str, failure: str) -> None:
    there = observed()
    with channel(there) as orders:
        for _ in ("unary", "stream"):
            with pytest.raises(grpc.RpcError) as raised:
                orders.unary_unary("/shop.Orders/Answer")(word, timeout=PATIENCE)
            assert raised.value.code().name == status
        with pytest.raises(grpc.RpcError):
            list(orders.unary_stream("/shop.Orders/Several")(word, timeout=PATIENCE))
    labels = {"rpc_method": "shop.Orders/Answer", "rpc_response_status_code": status}
    assert there.value(SERVED, **labels, error_type=failure) == 2
    assert there.value(CALLED, **labels, error_type=status) == 2
    served = [span for span in there.spans if span.kind is SpanKind.SERVER]
    assert {span.status.status_code for span in served} == {StatusCode.ERROR if failure else StatusCode.UNSET}


def test_at_an_edge_the_ids_are_ours(observed: Configure) -> None:
    there = observed(internal_hosts=["127.0.0.1"])
    with channel(there, trust="edge") as orders, entered(CONTEXT):
        own, tenant, theirs = orders.unary_unary("/shop.Orders/Answer")(b"", timeout=PATIENCE).decode().split()
    assert (len(own), tenant, theirs) == (32, "None", "request-0001")


def test_metadata_of_the_caller_stay(observed: Configure) -> None:
    there, seen = observed(), []
    with channel(there) as orders, entered(CONTEXT):
        call = orders.unary_unary("/shop.Orders/Answer")
        mine = (("mine", "1"), ("x-request-id", "older-id-1"))
        assert call(b"", timeout=PATIENCE, metadata=mine).startswith(b"request-0001")
        seen += mine
    assert seen == [("mine", "1"), ("x-request-id", "older-id-1")]


def test_a_method_that_is_not_there(observed: Configure) -> None:
    there = observed()
    with channel(there) as orders, pytest.raises(grpc.RpcError) as raised:
        orders.unary_unary("/shop.Orders/Nothing")(b"", timeout=PATIENCE)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert there.value(SERVED) is None


async def test_the_asynchronous_api(observed: Configure) -> None:
    there = observed(internal_hosts=["127.0.0.1"])
    server = grpc.aio.server(
        ThreadPoolExecutor(2),
        interceptors=[grpc_server_interceptor(there.runtime, trust="internal", asynchronous=True)],
    )
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("shop.Orders", AIO)])
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    interceptors = grpc_client_interceptors(there.runtime, target=target, asynchronous=True)
    who = b"request-0001 acme None"
    async with grpc.aio.insecure_channel(target, interceptors=interceptors) as orders:
        with entered(CONTEXT):
            assert await orders.unary_unary("/shop.Orders/Answer")(b"", timeout=PATIENCE) == who
            assert await orders.unary_unary("/shop.Orders/Sync")(b"", timeout=PATIENCE) == who
            for name, count in (("Several", 2), ("Written", 1)):
                call = orders.unary_stream(f"/shop.Orders/{name}")(b"", timeout=PATIENCE)
                assert [part async for part in call] == [who] * count
            for word, status in ((b"NOT_FOUND", "NOT_FOUND"), (b"raise", "UNKNOWN")):
                with pytest.raises(grpc.RpcError) as raised:
                    await orders.unary_unary("/shop.Orders/Answer")(word, timeout=PATIENCE)
                assert raised.value.code().name == status
    await server.stop(None)
    await asyncio.sleep(0.05)
    assert current() is None
    assert there.value(SERVED, error_type="") == 5
    assert there.value(SERVED, error_type="UNKNOWN") == 1
    assert there.value(CALLED, error_type="") == 4
    assert there.value(CALLED, error_type="NOT_FOUND") == 1


def test_metadata_by_hand() -> None:
    with entered(CONTEXT):
        metadata = tuple(carriers.grpc.headers([("mine", "1")]).items())
    assert carriers.grpc.extract(metadata).fields == {"x-request-id": "request-0001", "x-tenant-id": "acme"}
