"""One line a request or message, written when it is over: who called whom, by what, with what result.

Its fields are described in docs/instrumentation.md; `sloctl trace` reads them where no span was recorded.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry.trace import SpanContext

from sloctl.instrumentation.context import RequestContext
from sloctl.instrumentation.stamps import STAMP, stamp

LOG: Final = logging.getLogger("sloctl.entry")
# Where nobody configures logging, the server says itself what failed.
LOG.addHandler(logging.NullHandler())
INFO: Final = logging.INFO
ERROR: Final = logging.ERROR
REQUEST: Final = "http.server.request"
CONNECTION: Final = "websocket.connection"
MESSAGE: Final = "messaging.process"
INVOCATION: Final = "faas.invocation"
RPC: Final = "rpc.server.call"


def write(
    event: str,
    context: RequestContext,
    span: SpanContext,
    *,
    name: str,
    transport: str,
    outcome: str,
    duration: float,
    attributes: Mapping[str, Any],
    parent: SpanContext | None,
    links: Sequence[SpanContext] = (),
    error: BaseException | None = None,
    error_type: str | None = None,
) -> None:
    """Write the line: INFO, or ERROR when there is an error type.

    Args:
        event: `REQUEST`, `CONNECTION`, `MESSAGE`, `INVOCATION` or `RPC`.
        context: of the request or message.
        span: its own span, recorded or not.
        name: of that span.
        transport: `http`, `websocket`, `sqs`, ...
        outcome: for the text of the line: the status, `ok` or `failed`.
        duration: in seconds.
        attributes: those of the span that say what was asked and answered.
        parent: the span that this continues.
        links: the spans that this follows from otherwise.
        error: the exception that it ended with.
        error_type: what failed, as on the span; None when nothing did.
    """
    level = INFO if error_type is None else ERROR
    if not LOG.isEnabledFor(level):
        return
    exception = None if error is None else (type(error), error, error.__traceback__)
    # Not LOG.log, which looks for the line of code that called it: there is none.
    record = LOG.makeRecord(LOG.name, level, "", 0, "%s %s", (name, outcome), exception)
    said = record.__dict__
    said[STAMP] = stamp(context, span)
    said["event.name"] = event
    if parent is not None:
        said["parent_span_id"] = f"{parent.span_id:016x}"
    if links:
        said["links"] = [{"trace_id": f"{link.trace_id:032x}", "span_id": f"{link.span_id:016x}"} for link in links]
    said["transport"] = transport
    said["span.name"] = name
    said.update(attributes)
    said["duration"] = round(duration, 6)
    if error_type is not None:
        said["error.type"] = error_type
    LOG.handle(record)
