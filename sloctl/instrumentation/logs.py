"""JSON log lines that the one ID finds."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from opentelemetry.trace import get_current_span

from sloctl.instrumentation import guard
from sloctl.instrumentation.context import CURRENT
from sloctl.instrumentation.runtime import Runtime, configured

MAX_FIELD_BYTES: Final = 8192
_CUT: Final = "...[cut]"
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `timestamp, severity, message, logger`, who wrote it, and for which request.

    `service.name`, `k8s.pod.name`, `k8s.cluster.name` and `deployment.environment.name` come from the runtime;
    `tenant.id`, `request.id`, `trace_id` and `span_id` from the request being handled. What is passed as `extra`
    is added under its own name. A field above 8 KiB is cut; a line is never lost to an error in formatting it.

    Args:
        runtime: what `configure` returned; without it, what was configured last.
    """

    def __init__(self, runtime: Runtime | None = None) -> None:
        super().__init__()
        self._runtime = runtime

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        try:
            return json.dumps(self._fields(record), ensure_ascii=False, default=repr)
        except Exception as error:  # noqa: BLE001 - a log line is worth more than its form
            guard.failed("log line", error)
            return json.dumps(_least(record))

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "severity": record.levelname,
            "message": _message(record),
            "logger": record.name,
        }
        runtime = self._runtime or configured()
        if runtime is not None:
            fields.update(runtime.identity)
        fields.update(_request(runtime))
        fields.update(_exception(self, record))
        for name, value in vars(record).items():
            if name not in _STANDARD and name not in fields:
                fields[name] = value
        return {name: _cut(value) for name, value in fields.items()}


def _request(runtime: Runtime | None) -> dict[str, str]:
    fields: dict[str, str] = {}
    request = CURRENT.get()
    if request is not None:
        fields[runtime.request_attribute if runtime else "request.id"] = request.request_id
        if request.tenant_id is not None:
            fields[runtime.tenant_attribute if runtime else "tenant.id"] = request.tenant_id
    span = get_current_span().get_span_context()
    if span.is_valid:
        fields["trace_id"] = f"{span.trace_id:032x}"
        fields["span_id"] = f"{span.span_id:016x}"
    return fields


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - wrong arguments of a log call; its text is still worth having
        guard.failed("log message", error)
        return str(record.msg)


def _exception(formatter: logging.Formatter, record: logging.LogRecord) -> Mapping[str, str]:
    if not record.exc_info or record.exc_info[0] is None:
        return {}
    return {
        "exception.type": record.exc_info[0].__qualname__,
        "exception.message": str(record.exc_info[1]),
        "exception.stacktrace": formatter.formatException(record.exc_info),
    }


def _cut(value: Any) -> Any:
    """The value, or its first 8 KiB; what JSON does not know becomes text first."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if not isinstance(value, str):
        whole = json.dumps(value, ensure_ascii=False, default=repr)
        if len(whole.encode("utf-8", "replace")) <= MAX_FIELD_BYTES:
            return json.loads(whole)
        value = whole
    if len(value) * 4 <= MAX_FIELD_BYTES:
        return value
    encoded = value.encode("utf-8", "replace")
    if len(encoded) <= MAX_FIELD_BYTES:
        return value
    return encoded[: MAX_FIELD_BYTES - len(_CUT)].decode("utf-8", "ignore") + _CUT


def _least(record: logging.LogRecord) -> dict[str, str]:
    """What can be said of a record whatever it holds."""
    return {
        "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
        "severity": str(record.levelname),
        "message": f"a log line of {record.pathname}:{record.lineno} could not be formatted",
        "logger": str(record.name),
    }
