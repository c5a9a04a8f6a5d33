"""Log lines and spans as `sloctl trace` needs them, whatever wrote them. This module needs no OpenTelemetry."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

REQUEST_ID: Final = "request.id"
CLIENT_ID: Final = "client.request_id"
SERVICE: Final = "service.name"
# A field of this name is a request ID, and names another request when it is not the record's own.
_NAMES_A_REQUEST: Final = re.compile(r"(?:.*[._-])?(?:request|correlation)[._-]?id", re.IGNORECASE)

SpanKey = tuple[str, str]  # trace-id and span-id in hex
# What a reader raises on a malformed part.
UNREADABLE: Final = (
    ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, OverflowError
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """A finished span, or what an entry line says of one that was not recorded; times are Unix seconds.

    Attributes:
        parent: the span that it continues.
        links: spans that it follows from without continuing them.
        kind: SERVER, CLIENT, PRODUCER, CONSUMER or INTERNAL.
        attributes: by the names of OpenTelemetry's semantic conventions.
        is_line: whether an entry line says it, so that calls of the request itself are not known.
    """

    key: SpanKey
    parent: SpanKey | None
    links: tuple[SpanKey, ...]
    service: str
    name: str
    kind: str
    start: float
    end: float
    failed: bool
    message: str
    attributes: Mapping[str, Any]
    is_line: bool = False

    @property
    def request_id(self) -> str | None:
        """The request that it belongs to, if it says so."""
        found = self.attributes.get(REQUEST_ID)
        return found if isinstance(found, str) else None

    @property
    def trace_id(self) -> str | None:
        """The trace that it is part of."""
        return self.key[0]

    @property
    def named(self) -> frozenset[str]:
        """Other requests that it names."""
        return requests_named(self.attributes, self.request_id)


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A log line; `span` is None outside of a span."""

    time: float
    severity: str
    message: str
    service: str
    request_id: str | None
    span: SpanKey | None
    failing: bool = False
    named: frozenset[str] = frozenset()

    @property
    def trace_id(self) -> str | None:
        """The trace that it is part of."""
        return None if self.span is None else self.span[0]


# The records of a part of a file; None for each part that is none.
Found = Iterator[SpanRecord | LogRecord | None]


@dataclass(slots=True)
class Telemetry:
    """Everything that was read, and how many lines were neither a log line nor a span."""

    spans: list[SpanRecord] = field(default_factory=list)
    logs: list[LogRecord] = field(default_factory=list)
    unreadable: int = 0

    def read(self, texts: Iterable[str | bytes], about: str | None = None) -> None:
        """Add the lines of a file, or its documents; blank ones are skipped, unreadable ones counted.

        Args:
            texts: each a line, or a JSON document of several.
            about: the request that a text without fields belongs to when it mentions it.
        """
        from sloctl.instrumentation.formats import records

        for text in texts:
            if not text.strip():
                continue
            for record in records(text):
                if isinstance(record, SpanRecord):
                    self.spans.append(record)
                elif record is None:
                    self.unreadable += 1
                elif about is not None and record.request_id is None and about in record.message:
                    self.logs.append(replace(record, request_id=about))
                else:
                    self.logs.append(record)


def requests_named(fields: Mapping[str, Any], own: str | None) -> frozenset[str]:
    """The request IDs in fields that are named so, but the own one."""
    found = (value for name, value in fields.items() if isinstance(value, str) and _NAMES_A_REQUEST.fullmatch(name))
    return frozenset(value for value in found if value != own and len(value) <= 128)


def safely(read: Callable[..., Found], *arguments: Any) -> Found:
    """What a reader finds; None where it fails, so that one bad part costs none of the others."""
    try:
        yield from read(*arguments)
    except UNREADABLE:
        yield None


def span_key(trace_id: object, span_id: object) -> SpanKey:
    """A span's ids as they are compared."""
    return _hex(trace_id, 32), _hex(span_id, 16)


def _hex(value: object, digits: int) -> str:
    """An ID in lower hex digits; Jaeger leaves leading zeros out, and Protobuf's JSON has Base64."""
    text = str(value).removeprefix("0x")
    if len(text) <= digits and re.fullmatch(r"[0-9a-fA-F]+", text):
        return text.lower().zfill(digits)
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.lower()
    return raw.hex().zfill(digits) if len(raw) * 2 == digits else text.lower()


def seconds(moment: Any) -> float:
    """Unix seconds of ISO 8601 text, or of a number of seconds, milli-, micro- or nanoseconds.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(moment, str) and not re.fullmatch(r"\d+(\.\d+)?", moment):
        text = re.sub(r"(\.\d{6})\d+", r"\1", moment.strip().replace(",", "."))
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    number = float(moment)
    while number > 1e11:  # the year 5138 in seconds
        number /= 1000
    return number
