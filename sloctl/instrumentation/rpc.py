"""gRPC: interceptors of clients and servers, for both of its APIs; the context travels as metadata."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from opentelemetry.trace import NonRecordingSpan, SpanKind, get_current_span, use_span

from sloctl.instrumentation import guard
from sloctl.instrumentation.carriers.textmap import grpc as carrier
from sloctl.instrumentation.client_spans import ClientSpan, client_span
from sloctl.instrumentation.consuming import Work, handled, remote_of
from sloctl.instrumentation.context import RequestContext, current
from sloctl.instrumentation.durations import ERROR_TYPE, RPC_CLIENT, RPC_SERVER
from sloctl.instrumentation.propagation import FIELDS, outgoing_fields
from sloctl.instrumentation.runtime import Runtime, configured, default_runtime

if TYPE_CHECKING:
    pass

Trust: TypeAlias = Literal["edge", "internal"]
Behaviour: TypeAlias = Callable[[Any, Any], Any]
Serve: TypeAlias = Callable[[Any], AbstractContextManager[None]]
STATUS: Final = "rpc.response.status_code"
# Of a server, by the semantic conventions; the other ones are the caller's doing.
_FAILURES: Final = frozenset(
    ("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS")
)  # fmt: skip
_SHAPES: Final = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


def grpc_server_interceptor(runtime: Runtime | None = None, *, trust: Trust, asynchronous: bool = False) -> Any:
    """An interceptor for `grpc.server(..., interceptors=[...])`, or for `grpc.aio.server` if asynchronous.

    Each call is handled in its context and a SERVER span; its duration counts in `rpc_server_call_duration_seconds`.

    Args:
        runtime: what `configure` returned; without it, what was configured when a call comes.
        trust: `internal` if only own services call, `edge` if anybody may; see `instrument_app`.
        asynchronous: for `grpc.aio`.

    Raises:
        ValueError: an unknown trust.
    """
    import grpc

    if trust not in ("edge", "internal"):
        raise ValueError(f'trust is "edge" or "internal", not {trust!r}')

    class Interceptor(grpc.ServerInterceptor):  # type: ignore[misc]
        def intercept_service(self, continuation: Any, details: Any) -> Any:
            return _wrapped(continuation(details), details, runtime, trust)

    class AioInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
        async def intercept_service(self, continuation: Any, details: Any) -> Any:
            return _wrapped(await continuation(details), details, runtime, trust)

    return AioInterceptor() if asynchronous else Interceptor()


def _wrapped(handler: Any, details: Any, runtime: Runtime | None, trust: Trust) -> Any:
    """The handler of a method, each of whose calls is handled in a context; an unknown method has none."""
    import grpc

    if handler is None:
        return None
    shape = next(name for name in _SHAPES if getattr(handler, name) is not None)

    def serve(context: Any) -> AbstractContextManager[None]:
        return _served(details, context, runtime or default_runtime(), trust)

    behaviour = _in_context(getattr(handler, shape), serve, streams=shape.endswith("stream"))
    make = getattr(grpc, f"{shape}_rpc_method_handler")
    return make(behaviour, handler.request_deserializer, handler.response_serializer)


def _in_context(behaviour: Behaviour, serve: Serve, *, streams: bool) -> Behaviour:
    """A method of the same sort, in its context."""

    def unary(request: Any, context: Any) -> Any:
        with serve(context):
            return behaviour(request, context)

    def stream(request: Any, context: Any) -> Any:
        with serve(context):
            yield from behaviour(request, context)

    async def aio_unary(request: Any, context: Any) -> Any:
        with serve(context):
            return await behaviour(request, context)

    async def aio_stream(request: Any, context: Any) -> Any:
        with serve(context):
            async for answer in behaviour(request, context):
                yield answer

    if inspect.isasyncgenfunction(behaviour):
        return aio_stream
    if inspect.iscoroutinefunction(behaviour):
        return aio_unary
    return stream if streams else unary


@contextmanager
def _served(details: Any, context: Any, runtime: Runtime, trust: Trust) -> Iterator[None]:
    method = str(details.method).lstrip("/")
    attributes = {"rpc.system.name": "grpc", "rpc.method": method}
    work = Work(method, SpanKind.SERVER, trust, attributes=attributes, measure=RPC_SERVER, transport="grpc")
    incoming = carrier.extract([(str(key), value) for key, value in details.invocation_metadata or ()])
    work.came_from(remote_of(incoming, runtime), edge=trust == "edge")
    answer: BaseException | None = None
    with handled(work, runtime) as request:
        try:
            yield
        except (Exception, GeneratorExit, asyncio.CancelledError) as error:
            left = not isinstance(error, Exception)
            status = work.attributes[STATUS] = _code(context) or ("CANCELLED" if left else "UNKNOWN")
            if status in _FAILURES:
                request.failure = request.failure or status
                raise
            answer = error  # such as NOT_FOUND by `context.abort`, which is no failure of the server
        else:
            status = work.attributes[STATUS] = _code(context) or "OK"
            if status in _FAILURES and request.failure is None:
                request.fail(status)
    if answer is not None:
        raise answer


def _code(context: Any) -> str | None:
    """The status that the method has set; a plain method of the asynchronous API cannot ask for it."""
    import grpc

    try:
        found = context.code() if hasattr(context, "code") else None
        if isinstance(found, int):
            found = next((code for code in grpc.StatusCode if code.value[0] == found), None)
        return None if found in (None, grpc.StatusCode.OK) else str(found.name)
    except Exception as error:  # noqa: BLE001 - our failure never fails a call
        guard.failed("grpc status", error)
        return None


def grpc_client_interceptors(
    runtime: Runtime | None = None, *, target: str | None = None, asynchronous: bool = False
) -> list[Any]:
    """Interceptors for `grpc.intercept_channel(channel, *interceptors)`, or for a channel of `grpc.aio`.

    Each call within a request carries the ID and the trace; a recorded one has a CLIENT span. All count in
    `rpc_client_call_duration_seconds`.

    Args:
        runtime: what `configure` returned; without it, what is configured when a call is made.
        target: whom the channel is to, as `orders:50051`: interceptors are not told. Tenant and baggage go only to a
            target of `configure(internal_hosts=...)`.
        asynchronous: for `grpc.aio`.
    """
    import grpc

    def begin(details: Any) -> tuple[_Outgoing, Any]:
        outgoing = _Outgoing(details.method, target, runtime or configured())
        return outgoing, outgoing.details(details)

    def intercept(_self: Any, continuation: Any, details: Any, request: Any) -> Any:
        outgoing, changed = begin(details)
        call = continuation(changed, request)
        if hasattr(call, "add_done_callback"):
            call.add_done_callback(lambda done: outgoing.over(done.code()))
        else:
            call.add_callback(lambda: outgoing.over(call.code()))
        return call

    async def aio_intercept(_self: Any, continuation: Any, details: Any, request: Any) -> Any:
        outgoing, changed = begin(details)
        try:
            call = await continuation(changed, request)
        except BaseException:
            outgoing.over(None)
            raise
        loop = asyncio.get_running_loop()
        ending: set[asyncio.Task[None]] = set()  # a loop keeps no task alive

        async def end() -> None:
            outgoing.over(await call.code())

        def done(_call: Any) -> None:
            task = loop.create_task(end())
            ending.add(task)
            task.add_done_callback(ending.discard)

        call.add_done_callback(done)
        return call

    module: Any = grpc.aio if asynchronous else grpc
    function = aio_intercept if asynchronous else intercept
    names = {shape: shape.title().replace("_", "") for shape in _SHAPES}
    return [
        type(f"{name}Interceptor", (getattr(module, f"{name}ClientInterceptor"),), {f"intercept_{shape}": function})()
        for shape, name in names.items()
    ]


class _Outgoing:
    """One outgoing call."""

    def __init__(self, method: str | bytes, target: str | None, runtime: Runtime | None) -> None:
        name = (method.decode() if isinstance(method, bytes) else method).lstrip("/")
        self._started = perf_counter()
        self._runtime = runtime
        self._host = (target or "").rpartition("/")[2].rpartition(":")[0] or target
        self._attributes: dict[str, Any] = {"rpc.system.name": "grpc", "rpc.method": name}
        if self._host:
            self._attributes["server.address"] = self._host
        self._span: ClientSpan | None = None
        self._request = current()
        try:
            self._begin(name, self._request)
        except Exception as error:  # noqa: BLE001 - our failure never stops a call
            guard.failed("grpc call", error)

    def _begin(self, name: str, request: RequestContext | None) -> None:
        here = get_current_span()
        if request is not None and self._runtime is not None and here.is_recording():
            attributes, parent = dict(self._attributes), here.get_span_context()
            self._span = client_span(name, attributes, parent, request, self._runtime, SpanKind.CLIENT)

    def details(self, given: Any) -> Any:
        """The details of the call with our metadata; the caller's are not changed."""
        try:
            return _with_metadata(given, [*self._others(given.metadata), *self._fields().items()])
        except Exception as error:  # noqa: BLE001 - our failure never stops a call
            guard.failed("grpc metadata", error)
            return given

    @staticmethod
    def _others(metadata: Any) -> list[tuple[str, Any]]:
        return [(key, value) for key, value in metadata or () if key not in FIELDS]

    def _fields(self) -> dict[str, str]:
        if self._request is None:
            return {}
        runtime = self._runtime
        internal = runtime is not None and self._host in runtime.internal_hosts
        allowed = runtime.baggage if runtime is not None else frozenset()
        if self._span is None:
            return outgoing_fields(self._request, allowed, internal=internal)
        with use_span(NonRecordingSpan(self._span.context), end_on_exit=False, record_exception=False):
            return outgoing_fields(self._request, allowed, internal=internal)

    def over(self, code: Any) -> None:
        """It was answered with this status; None for a call that did not come about."""
        try:
            status = "UNKNOWN" if code is None else str(code.name)
            attributes = {STATUS: status}
            if status != "OK":
                attributes[ERROR_TYPE] = status
            if self._runtime is not None:
                measured = {**self._attributes, **attributes}
                self._runtime.durations.observe(RPC_CLIENT, measured, perf_counter() - self._started)
            if self._span is not None:
                self._span.end(attributes, None if status == "OK" else status)
        except Exception as error:  # noqa: BLE001 - our failure never stops a call
            guard.failed("grpc answer", error)


def _with_metadata(given: Any, metadata: list[tuple[str, Any]]) -> Any:
    import grpc

    if hasattr(given, "_replace"):
        from_pairs = metadata if not isinstance(given, grpc.aio.ClientCallDetails) else grpc.aio.Metadata(*metadata)
        return given._replace(metadata=from_pairs)

    class Details(grpc.ClientCallDetails):  # type: ignore[misc]
        method, timeout = given.method, given.timeout
        credentials, wait_for_ready = given.credentials, given.wait_for_ready
        compression = given.compression

    Details.metadata = metadata
    return Details()
