"""JSON log lines that the one ID finds."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import PurePath
from typing import Any, Final

import orjson

from sloctl.instrumentation import guard
from sloctl.instrumentation.context import REQUEST_ATTRIBUTE, TENANT_ATTRIBUTE
from sloctl.instrumentation.runtime import Runtime, configured
from sloctl.instrumentation.stamps import REQUEST_ID, STAMP, TENANT_ID, of_record

MAX_FIELD_BYTES: Final = 8192
_CUT: Final = "...[cut]"
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", STAMP}
_OWN: Final = len(vars(logging.makeLogRecord({})))
_NUMBERS: Final = frozenset({int, float, bool, type(None)})
_MOST_CHARACTERS: Final = MAX_FIELD_BYTES // 4  # so many never need more bytes, whatever they are
_DEEPEST: Final = 32
_LARGEST_INT_BITS: Final = 64


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `timestamp, severity, message, logger`, who wrote it, and for which request.

    `service.name`, `k8s.pod.name`, `k8s.cluster.name` and `deployment.environment.name` come from the runtime;
    `tenant.id`, `request.id`, `client.request_id`, `trace_id` and `span_id` are those of the request that was handled
    where the record was made. What is passed as `extra` is added under its own name. A field above 8 KiB is cut; a
    line is never lost to what it holds, nor is its ID.

    Args:
        runtime: what `configure` returned; without it, what was configured last.
    """

    def __init__(self, runtime: Runtime | None = None) -> None:
        super().__init__()
        self._runtime = runtime
        self._known: Runtime | None = None
        self._identity: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        try:
            fields = self._fields(record)
        except Exception as error:  # noqa: BLE001 - a log line is worth more than its form
            guard.failed("log line", error)
            fields = _least(record)
        return _encoded(fields).decode()

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        runtime = self._runtime or configured()
        if runtime is not self._known and runtime is not None:
            self._learn(runtime)
        said = record.__dict__
        stamp = said.get(STAMP)
        if stamp is None:
            stamp = of_record(record)
        if self._names:
            stamp = {self._names.get(name, name): value for name, value in stamp.items()}
        try:
            message = record.getMessage()
        except Exception as error:  # noqa: BLE001 - wrong arguments of a log call; its text is still worth having
            guard.failed("log message", error)
            message = _text(record.msg, str)
        fields: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC),
            "severity": record.levelname,
            "message": message if len(message) <= _MOST_CHARACTERS else _cut(message),
            "logger": record.name,
            **self._identity,
            **stamp,
        }
        if record.exc_info and record.exc_info[1] is not None:
            fields.update(self._exception(record.exc_info))
        if record.stack_info:
            fields["code.stacktrace"] = _cut(record.stack_info)
        if len(said) > _OWN:
            for name in islice(said, _OWN, None):  # what `logging` sets itself stands first
                if name not in _STANDARD and name not in fields:
                    value = said[name]
                    short = type(value) is str and len(value) <= _MOST_CHARACTERS
                    fields[name] = value if short or type(value) in _NUMBERS else _cut(value)
        return fields

    def _learn(self, runtime: Runtime) -> None:
        self._known = runtime
        self._identity = runtime.identity
        renamed = {REQUEST_ID: runtime.request_attribute, TENANT_ID: runtime.tenant_attribute}
        usual = {REQUEST_ID: REQUEST_ATTRIBUTE, TENANT_ID: TENANT_ATTRIBUTE}
        self._names = {} if renamed == usual else renamed

    def _exception(self, raised: Any) -> Mapping[str, str]:
        kind, error, _ = raised
        return {
            "exception.type": kind.__qualname__,
            "exception.message": _cut(_text(error, str)),
            "exception.stacktrace": _cut(self.formatException(raised)),
        }


def _cut(value: Any) -> Any:
    """The value, or its first 8 KiB as text."""
    if not isinstance(value, str):
        return _cut_structure(value)
    if len(value) <= _MOST_CHARACTERS:
        return value
    encoded = value.encode("utf-8", "backslashreplace")
    if len(encoded) <= MAX_FIELD_BYTES:
        return value
    return encoded[: MAX_FIELD_BYTES - len(_CUT)].decode("utf-8", "ignore") + _CUT


def _cut_structure(value: Any) -> Any:
    encoded = _encoded(value)
    return value if len(encoded) <= MAX_FIELD_BYTES else _cut(encoded.decode())


def _encoded(value: Any) -> bytes:
    """The value as JSON, whatever it holds."""
    for options in (0, orjson.OPT_NON_STR_KEYS):  # the second costs more, and few need it
        try:
            return orjson.dumps(value, _text, options)
        except orjson.JSONEncodeError:  # text that is no UTF-8 somewhere, or a key of another kind
            continue
    return json.dumps(_plain(value, ()), ensure_ascii=False, allow_nan=False).encode()


def _text(value: Any, by: Any = None) -> str:
    """What JSON does not know, as text."""
    shown = by or (str if isinstance(value, (Decimal, PurePath)) else repr)
    try:
        return str(shown(value))
    except Exception:  # noqa: BLE001 - it cannot be shown; that it was there can
        return f"<{type(value).__qualname__}>"


def _plain(value: Any, around: tuple[int, ...]) -> Any:
    """The value with nothing in it that JSON cannot hold: what is no UTF-8 escaped, cycles and depths cut."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int):
        return value if value.bit_length() <= _LARGEST_INT_BITS else hex(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    if not isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return _plain(_text(value), around)
    if id(value) in around or len(around) >= _DEEPEST:
        return _CUT
    inside = (*around, id(value))
    if isinstance(value, Mapping):
        return {_key(key): _plain(each, inside) for key, each in value.items()}
    return [_plain(each, inside) for each in value]


def _key(key: Any) -> str:
    text: str = _plain(key if isinstance(key, str) else _text(key), ())
    return text


def _least(record: logging.LogRecord) -> dict[str, Any]:
    """What can be said of a record whatever it holds."""
    return {
        "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
        "severity": str(record.levelname),
        "message": f"a log line of {record.pathname}:{record.lineno} could not be formatted",
        "logger": str(record.name),
        **of_record(record),
    }
