"""Apache Kafka: record headers, which are bytes and may occur twice: ours replace, and the last one counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sloctl.instrumentation.carriers.encoding import MAX_TEXT, known
from sloctl.instrumentation.carriers.outcome import Fields, Incoming, Outcome, extracted, injected
from sloctl.instrumentation.propagation import FIELDS

Headers = list[tuple[str, bytes | str | None]]


def inject(headers: Headers) -> Outcome:
    """Set our headers in the list that goes to the producer; older ones of the same names are removed."""

    def put(fields: Fields) -> None:
        others = [header for header in headers if header[0].lower() not in FIELDS]
        headers[:] = [*others, *((name, value.encode("utf-8")) for name, value in fields.items())]

    return injected("kafka", put)


def headers(others: Iterable[tuple[str, bytes | str | None]] = ()) -> Headers:
    """Headers for `produce(..., headers=...)`: these and ours."""
    result = list(others)
    inject(result)
    return result


def extract(headers: Iterable[tuple[str, bytes | str | None]] | Mapping[str, bytes | str | None] | None) -> Incoming:
    """What the headers of a record say; `message.headers()` may be None."""

    def read() -> Incoming | None:
        if headers is None:
            return None
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        return Incoming("kafka", known({name.lower(): _text(value) for name, value in pairs}))

    return extracted("kafka", read)


def _text(value: bytes | str | None) -> str | None:
    if value is None or len(value) > MAX_TEXT:
        return None
    return value if isinstance(value, str) else value.decode("utf-8", "replace")
