"""Who calls: what the headers of a request say, how far they are believed, and which requests are left out.

A request is described by a scope as ASGI has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from fnmatch import translate
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from opentelemetry.trace import SpanContext

from sloctl.instrumentation import guard
from sloctl.instrumentation.context import valid_tenant
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
from sloctl.instrumentation.routes import local_path

Scope: TypeAlias = MutableMapping[str, Any]
Trust: TypeAlias = Literal["edge", "internal"] | Callable[[Scope], bool]
Exclude: TypeAlias = Iterable[str] | Callable[[Scope], bool]

NO_BAGGAGE: Final[Mapping[str, str]] = {}
_TRACE_HEADERS: Final = tuple(name.encode("latin-1") for name in (TRACEPARENT, TRACESTATE, BAGGAGE, TENANT))


class Caller:
    """What the headers of a request say; every value has been checked."""

    __slots__ = ("baggage", "identified", "internal", "request_id", "span", "tenant_id")

    def __init__(
        self,
        internal: bool,  # noqa: FBT001 - made once a request, by position
        request_id: str | None = None,
        span: SpanContext | None = None,
        tenant_id: str | None = None,
        baggage: Mapping[str, str] | None = None,
        *,
        identified: bool = False,
    ) -> None:
        self.internal = internal
        self.identified = identified  # some header that may hold an ID is there, valid or not
        self.request_id = request_id
        self.span = span
        self.tenant_id = tenant_id
        self.baggage = NO_BAGGAGE if baggage is None else baggage


_UNKNOWN_INSIDE: Final = Caller(internal=True)
_UNKNOWN_OUTSIDE: Final = Caller(internal=False)


class Callers:
    """Reads who calls.

    Args:
        trust: `edge`, `internal`, or a function of the scope that says whether the caller is internal.
        id_names: headers that may hold the request ID, in order.
        baggage: names of the members that may come in.
    """

    def __init__(self, trust: Trust, id_names: Sequence[bytes], baggage: frozenset[str]) -> None:
        if not (trust in ("edge", "internal") or callable(trust)):
            raise ValueError(f'trust is "edge", "internal" or a function of the scope, not {trust!r}')
        self._trusts = trust if callable(trust) else None
        self._internal = trust == "internal"
        self._wanted = {name: name.decode("latin-1") for name in (*id_names, *_TRACE_HEADERS)}
        self._id_slots = [self._wanted[name] for name in id_names]
        self._baggage = baggage

    def of(self, scope: Scope) -> Caller:
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
        internal = self._internal if self._trusts is None else self._is_trusted(self._trusts, scope)
        if not values:
            return _UNKNOWN_INSIDE if internal else _UNKNOWN_OUTSIDE
        request_id = first_valid_id(value for slot in self._id_slots for value in values.get(slot, ()))
        identified = request_id is not None or any(slot in values for slot in self._id_slots)
        parent = _remote_span(values)
        if not internal:
            return Caller(internal=False, request_id=request_id, span=parent, identified=identified)
        return Caller(
            internal=True,
            request_id=request_id,
            span=parent,
            tenant_id=_tenant(values),
            baggage=_baggage(values, self._baggage),
            identified=identified,
        )

    @staticmethod
    def _is_trusted(trusts: Callable[[Scope], bool], scope: Scope) -> bool:
        try:
            return bool(trusts(scope))
        except Exception as error:  # noqa: BLE001 - a function of the application; nobody is trusted by accident
            guard.failed("trust function", error)
            return False


def _remote_span(values: Mapping[str, list[bytes]]) -> SpanContext | None:
    said = values.get(TRACEPARENT)
    if said is None:
        return None
    # Two of them contradict each other: neither counts (W3C Trace Context, 3.2.1).
    # Blanks around a header's value are none of it (RFC 9110, 5.5); not every server strips them.
    span = parse_traceparent(said[0].strip(b" \t").decode("latin-1")) if len(said) == 1 else None
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
        return NO_BAGGAGE
    return HeaderBaggage(said, allowed)


def excluding(exclude: Exclude) -> Callable[[Scope], bool] | None:
    """Whether a request gets an ID and nothing else; None where none is left out.

    Args:
        exclude: paths or `METHOD path`, both with `*`; or a function of the scope.
    """
    if isinstance(exclude, str):
        raise ValueError(f"exclude is a list of paths, or a function of the scope, not {exclude!r}")  # noqa: TRY004
    if callable(exclude):
        return partial(_asked, exclude)
    joined = "|".join(map(translate, exclude))
    if not joined:
        return None
    pattern = re.compile(joined)

    def matches(scope: Scope) -> bool:
        path = local_path(scope)
        return bool(pattern.match(path) or pattern.match(f"{method_of(scope)} {path}"))

    return partial(_asked, matches)


def _asked(excludes: Callable[[Scope], bool], scope: Scope) -> bool:
    try:
        return excludes(scope)
    except Exception as error:  # noqa: BLE001 - a function of the application; its request is counted
        guard.failed("exclude function", error)
        return False


def method_of(scope: Scope) -> str:
    method: str = scope.get("method", "GET")  # the handshake of a websocket is a GET
    return method
