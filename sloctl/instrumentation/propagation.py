"""What travels between services: `x-request-id`, `traceparent`, `tracestate`, `baggage` and `x-tenant-id`.

Parsing is strict (W3C Trace Context, W3C Baggage): what is malformed is ignored and counted, never repaired.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from opentelemetry import trace
from opentelemetry.context import Context, get_current, set_value
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import SpanContext, TraceFlags, TraceState

from sloctl.instrumentation import guard
from sloctl.instrumentation.context import CURRENT, EXTRACTED, RequestContext, extracted, valid_id, valid_tenant

REQUEST_ID: Final = "x-request-id"
TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
BAGGAGE: Final = "baggage"
TENANT: Final = "x-tenant-id"
FIELDS: Final = (REQUEST_ID, TRACEPARENT, TRACESTATE, BAGGAGE, TENANT)

MAX_BAGGAGE_BYTES: Final = 8192
MAX_BAGGAGE_MEMBERS: Final = 64
MAX_TRACESTATE: Final = 512
MAX_STATE_MEMBERS: Final = 32
KNOWN_FLAGS: Final = 3  # sampled, and a random trace-id (W3C Trace Context, level 2)

# Version ff is invalid; a later version may add fields after another dash (W3C Trace Context, 3.2).
_TRACEPARENT: Final = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
# W3C Trace Context, 3.3.1.3: `vendor` or `tenant@vendor`, and printable ASCII without comma and equals sign.
_STATE_KEY: Final = re.compile(r"[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}")
_STATE_VALUE: Final = re.compile(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")
_BAGGAGE_KEY: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffd]")


def parse_traceparent(text: str) -> SpanContext | None:
    """The remote span that a `traceparent` names, or None when it is malformed."""
    match = _TRACEPARENT.fullmatch(text)
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if (version == "00" and more is not None) or trace_id == "0" * 32 or span_id == "0" * 16:
        return None
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))


def with_tracestate(span: SpanContext, values: Sequence[str]) -> SpanContext:
    """The same remote span with the vendors' state; a malformed state is dropped as the standard says.

    It is checked before OpenTelemetry sees it, which would log what is malformed as it came.
    """
    members = [member.strip(" \t") for value in values for member in value.split(",")]
    pairs = [(key, value) for key, _, value in (member.partition("=") for member in members if member)]
    if not pairs:
        return span
    good = all(_STATE_KEY.fullmatch(key) and _STATE_VALUE.fullmatch(value) for key, value in pairs)
    too_much = len(pairs) > MAX_STATE_MEMBERS or sum(map(len, values)) > MAX_TRACESTATE
    if not good or too_much or len({key for key, _ in pairs}) < len(pairs):
        guard.rejected("tracestate")
        return span
    state = TraceState(pairs)
    return SpanContext(span.trace_id, span.span_id, is_remote=True, trace_flags=span.trace_flags, trace_state=state)


def format_traceparent(span: SpanContext) -> str:
    """The `traceparent` of a span."""
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags & KNOWN_FLAGS:02x}"


def parse_baggage(values: Sequence[str], allowed: frozenset[str]) -> dict[str, str]:
    """The allowed members of all `baggage` header lines together; W3C's limits hold over all of them.

    A member whose decoded value has a control character (CR, LF, ESC), or is no UTF-8, is ignored and counted.
    """
    if not allowed:
        return {}
    if sum(map(len, values)) > MAX_BAGGAGE_BYTES:
        guard.rejected("baggage")
        return {}
    members = [member for value in values for member in value.split(",")]
    if len(members) > MAX_BAGGAGE_MEMBERS:
        guard.rejected("baggage")
        return {}
    found: dict[str, str] = {}
    for member in members:
        key, separator, value = member.partition(";")[0].partition("=")
        key = key.strip(" \t")
        if not separator or key not in allowed:
            continue
        value = value.strip(" \t")
        if not (value.isascii() and value.isalnum()):
            value = unquote_to_bytes(value).decode("utf-8", "replace")
            if _UNSAFE.search(value):
                guard.rejected("baggage member")
                continue
        found[key] = value
    return found


class HeaderBaggage(Mapping[str, str]):
    """The baggage of a request, read when somebody looks: most requests never do."""

    __slots__ = ("_allowed", "_members", "_values")

    def __init__(self, values: Sequence[bytes], allowed: frozenset[str]) -> None:
        self._values = values
        self._allowed = allowed
        self._members: dict[str, str] | None = None

    def _read(self) -> dict[str, str]:
        if self._members is None:
            self._members = parse_baggage([value.decode("latin-1") for value in self._values], self._allowed)
        return self._members

    def __getitem__(self, key: str) -> str:
        return self._read()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __repr__(self) -> str:
        return repr(self._read())


def format_baggage(members: Mapping[str, str], allowed: frozenset[str]) -> str:
    """A `baggage` value with the allowed members, or an empty string."""
    return ",".join(
        f"{key}={quote(value, safe='')}"
        for key, value in members.items()
        if key in allowed and _BAGGAGE_KEY.fullmatch(key)
    )


@dataclass(frozen=True, slots=True)
class Remote:
    """What a request or message says of where it comes from; every value has been checked."""

    request_id: str | None = None
    tenant_id: str | None = None
    span: SpanContext | None = None
    baggage: Mapping[str, str] = field(default_factory=dict)


def read_fields(fields: Mapping[str, str], allowed_baggage: frozenset[str]) -> Remote:
    """What the fields of a message say; malformed ones are counted and ignored."""
    text = {key: value for key in FIELDS if isinstance(value := fields.get(key), str) and value}
    if odd := sum(1 for key in FIELDS if key in fields and not isinstance(fields[key], str)):
        guard.rejected("field type", odd)
    request_id = _checked("request id", valid_id(text.get(REQUEST_ID)), text.get(REQUEST_ID))
    tenant_id = _checked("tenant", valid_tenant(text.get(TENANT)), text.get(TENANT))
    span = parse_traceparent(text.get(TRACEPARENT, ""))
    if span is None and TRACEPARENT in text:
        guard.rejected("traceparent")
    if span is not None and TRACESTATE in text:
        span = with_tracestate(span, [text[TRACESTATE]])
    baggage = parse_baggage([text[BAGGAGE]], allowed_baggage) if BAGGAGE in text else {}
    return Remote(request_id, tenant_id, span, baggage)


def _checked(what: str, value: str | None, raw: str | None) -> str | None:
    if value is None and raw is not None:
        guard.rejected(what)
    return value


def outgoing_fields(context: RequestContext, allowed_baggage: frozenset[str], *, internal: bool) -> dict[str, str]:
    """What a message sent from here carries.

    Args:
        context: of the request being handled.
        allowed_baggage: names of the members that may leave.
        internal: whether the receiver is one of ours; only then the tenant and the baggage go along.
    """
    fields = {REQUEST_ID: context.request_id}
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        fields[TRACEPARENT] = format_traceparent(span)
        if span.trace_state:
            fields[TRACESTATE] = span.trace_state.to_header()
    if internal:
        if context.tenant_id is not None:
            fields[TENANT] = context.tenant_id
        if context.baggage and (baggage := format_baggage(context.baggage, allowed_baggage)):
            fields[BAGGAGE] = baggage
    return fields


class RequestIdPropagator(TextMapPropagator):
    """Carries the request ID beside the trace, so that any OpenTelemetry instrumentation takes it along.

    Where such an instrumentation consumes a message, the ID is found by `current()`. Our middleware and `consume` do
    not ask it: they decide themselves whether a caller is trusted.
    """

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """The context with the ID that the carrier has, if it is one."""
        context = get_current() if context is None else context
        request_id = first_valid_id(getter.get(carrier, REQUEST_ID) or ())
        if request_id is None:
            return context
        return set_value(EXTRACTED, RequestContext(request_id, origin="otel"), context)

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Set `x-request-id` to the current request ID, where there is one."""
        request = CURRENT.get() or extracted(context)
        if request is not None:
            setter.set(carrier, REQUEST_ID, request.request_id)

    @property
    def fields(self) -> set[str]:
        """The one header that is set."""
        return {REQUEST_ID}


def first_valid_id(values: Iterable[object]) -> str | None:
    """The first value that is a request ID; each one before it that is none is counted."""
    for value in values:
        if (found := valid_id(value)) is not None:
            return found
        guard.rejected("request id")
    return None
