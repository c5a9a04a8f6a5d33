"""The ID goes on a log record when the record is made.

A handler may format it later, in another thread or in the context of another request (`MemoryHandler`,
`QueueHandler`). So `configure` has each record of the process stamped when it is made, and whatever formats it reads
the stamp.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import suppress
from contextvars import copy_context
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from opentelemetry.context import get_current
from opentelemetry.trace import SpanContext

from sloctl.instrumentation.context import CURRENT, SPAN_KEY, RequestContext, extracted

STAMP: Final = "_sloctl"
REQUEST_ID: Final = "request.id"
TENANT_ID: Final = "tenant.id"
CLIENT_ID: Final = "client.request_id"
FIELDS: Final = (REQUEST_ID, TENANT_ID, CLIENT_ID, "trace_id", "span_id")
_ON_EXCEPTION: Final = "_sloctl_stamp"
_MAX_CAUSES: Final = 8

P = ParamSpec("P")
R = TypeVar("R")


def log_fields() -> dict[str, str]:
    """The fields by which the request or message being handled here is found: `request.id`, `trace_id`, ...

    For loggers that do not make records of `logging`; outside of a request and of a span it is empty.
    """
    around = get_current()
    span: Any = around.get(SPAN_KEY)
    return stamp(CURRENT.get() or extracted(around), None if span is None else span.get_span_context())


def stamp(request: RequestContext | None, span: SpanContext | None) -> dict[str, str]:
    """The fields of a request and a span."""
    fields: dict[str, str] = {}
    if request is not None:
        fields[REQUEST_ID] = request.request_id
        if request.tenant_id is not None:
            fields[TENANT_ID] = request.tenant_id
        if request.client_request_id is not None:
            fields[CLIENT_ID] = request.client_request_id
    if span is not None and span.is_valid:
        fields["trace_id"] = f"{span.trace_id:032x}"
        fields["span_id"] = f"{span.span_id:016x}"
    return fields


def stamp_exception(error: BaseException) -> None:
    """Let the exception say whose it is: servers log it when the request's context is gone."""
    with suppress(AttributeError):  # an exception class with slots takes no attribute
        error._sloctl_stamp = log_fields()  # type: ignore[attr-defined]


def of_record(record: logging.LogRecord) -> dict[str, str]:
    """The stamp of a record; a record that nobody stamped was made here and now."""
    found: dict[str, str] | None = record.__dict__.get(STAMP)
    return _for_record(record) if found is None else found


def _for_record(record: logging.LogRecord) -> dict[str, str]:
    fields = log_fields()
    if not fields and record.exc_info and record.exc_info[1] is not None:
        for error in _causes(record.exc_info[1]):
            if found := getattr(error, _ON_EXCEPTION, None):
                return dict(found)
    return fields


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(_MAX_CAUSES):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def stamp_records() -> None:
    """Have every log record of this process stamped from now on; once is enough."""
    before = logging.getLogRecordFactory()
    if getattr(before, STAMP, False):
        return

    def stamped(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = before(*args, **kwargs)
        record.__dict__[STAMP] = log_fields() or _for_record(record)
        return record

    setattr(stamped, STAMP, True)
    logging.setLogRecordFactory(stamped)


class ContextFilter(logging.Filter):
    """Gives records `request_id`, `tenant_id`, `client_request_id`, `trace_id` and `span_id`, for formats of text.

    On a handler: `"%(levelname)s [%(request_id)s] %(message)s"`. What is not known is `-`; what the application set
    itself by `extra` stays.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the names; every record goes on."""
        fields = of_record(record)
        for field in FIELDS:
            record.__dict__.setdefault(field.replace(".", "_"), fields.get(field, "-"))
        return True


def structlog_processor(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor of structlog that adds the fields; `structlog.configure(processors=[structlog_processor, ...])`."""
    event.update(log_fields())
    return event


def loguru_patcher(record: dict[str, Any]) -> None:
    """A patcher of loguru that adds the fields to `extra`; `logger.configure(patcher=loguru_patcher)`."""
    record["extra"].update(log_fields())


def with_context(function: Callable[P, R]) -> Callable[P, R]:
    """The function, to be run by a thread or an executor as part of the request being handled here.

    `executor.submit(with_context(work), order)`. `asyncio.to_thread` and tasks do it themselves.
    """
    context = copy_context()

    @wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        # A context cannot be entered twice at once, and the function may run in several threads.
        return context.copy().run(function, *args, **kwargs)

    return inside
