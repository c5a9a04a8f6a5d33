"""The context of a request: one mutable object in one ContextVar.

It is mutable on purpose: frameworks run synchronous dependencies in a *copy* of the context, where setting a
ContextVar is lost with the copy while a change of the object is seen by everyone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from opentelemetry.context import Context, create_key, get_value
from opentelemetry.trace import INVALID_SPAN, Span, SpanContext, StatusCode, get_current_span, set_span_in_context

from sloctl.instrumentation import guard

_ID: Final = re.compile(rb"[A-Za-z0-9._-]{8,128}")
_REASON: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TENANT: Final = re.compile(r"[A-Za-z0-9._:@/-]{1,128}")
TENANT_ATTRIBUTE: Final = "tenant.id"
REQUEST_ATTRIBUTE: Final = "request.id"


@dataclass
class RequestContext:
    """What is known of the request or message being handled.

    Attributes:
        request_id: the correlation ID; the same in every service that the request reaches.
        tenant_id: who is served, or None while that is unknown; see `set_tenant`.
        origin: `edge`, `internal`, or the transport that a message came by: `sqs`, `kafka`, ...
        client_request_id: a valid ID that an untrusted client sent; for its support requests, never an identity.
        links: spans that this work follows from without being their child.
        baggage: the allowed members that came in; see `configure(baggage=...)`.
        span: the span of the whole request or message, when it is sampled.
        tenant_attribute: name of the span attribute that holds the tenant.
        failure: why it failed although nothing was raised; see `fail`.
        waited: seconds that the client wanted to wait; see `waiting`.
        route: the template of the route that answers, where the framework says it.
        error: an exception that the framework makes a response of.
    """

    request_id: str
    tenant_id: str | None = None
    origin: str = "internal"
    client_request_id: str | None = None
    links: tuple[SpanContext, ...] = ()
    baggage: Mapping[str, str] = field(default_factory=dict)
    span: Span | None = None
    tenant_attribute: str = TENANT_ATTRIBUTE
    # On the class until they are set, which they are for few requests.
    waited: float = field(default=0.0, init=False)
    route: str | None = field(default=None, init=False)
    error: BaseException | None = field(default=None, init=False)
    failure: str | None = field(default=None, init=False)

    def fail(self, reason: object) -> None:
        """Count this request or message as failed although it is answered or handled: GraphQL's and RPC's errors.

        Args:
            reason: one word of few that there are, such as `payment_declined`: it becomes `error_type` in the metrics
                and `error.type` on the span. What is no word (`[A-Za-z0-9._-]`, 1 to 64 characters) becomes `_OTHER`.
        """
        self.failure = reason if isinstance(reason, str) and _REASON.fullmatch(reason) else "_OTHER"
        if self.span is not None:
            self.span.set_attribute("error.type", self.failure)
            self.span.set_status(StatusCode.ERROR, self.failure)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for something that the client asked to be told of (a long poll): no part of the latency.

        `with current().waiting(): await news.get()`
        """
        started = perf_counter()
        try:
            yield
        finally:
            self.waited += perf_counter() - started

    def set_tenant(self, tenant_id: object) -> None:
        """Say who is served, from authenticated state only (a verified token, never a header of the client).

        A value that is no tenant ID (`[A-Za-z0-9._:@/-]`, 1 to 128 characters) is ignored and counted.
        """
        tenant = valid_tenant(tenant_id)
        if tenant is None:
            guard.rejected("tenant")
            return
        self.tenant_id = tenant
        if self.span is not None:
            self.span.set_attribute(self.tenant_attribute, tenant)
        here = get_current_span()
        if here is not self.span:
            here.set_attribute(self.tenant_attribute, tenant)


CURRENT: Final[ContextVar[RequestContext | None]] = ContextVar("sloctl_request_context", default=None)

# Where OpenTelemetry keeps the current span; its own functions for it ask and copy more than is needed here.
SPAN_KEY: Final = next(iter(set_span_in_context(INVALID_SPAN, Context())))
# Where the propagator puts what came with a message that another instrumentation consumes.
EXTRACTED: Final = create_key("sloctl-request")


def current() -> RequestContext | None:
    """The context of the request or message being handled here, or None outside of one."""
    return CURRENT.get() or extracted()


def extracted(context: Context | None = None) -> RequestContext | None:
    """What the propagator found in what an instrumentation of OpenTelemetry consumes; of the current context."""
    found = get_value(EXTRACTED, context)
    return found if isinstance(found, RequestContext) else None


@contextmanager
def entered(context: RequestContext | None) -> Iterator[None]:
    """Handle something within this context; the one before is back afterwards, whatever happens."""
    token = CURRENT.set(context)
    try:
        yield
    finally:
        CURRENT.reset(token)


def valid_id(value: object) -> str | None:
    """The value as a request ID, or None when it is none: `[A-Za-z0-9._-]`, 8 to 128 characters, bytes or text."""
    if isinstance(value, str):
        value = value.encode("utf-8", "replace")
    if isinstance(value, bytes) and _ID.fullmatch(value):
        return value.decode("ascii")
    return None


def valid_tenant(value: object) -> str | None:
    """The value as a tenant ID, or None when it is none."""
    return value if isinstance(value, str) and _TENANT.fullmatch(value) else None
