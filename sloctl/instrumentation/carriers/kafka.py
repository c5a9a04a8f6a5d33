"""Apache Kafka: record headers, which are bytes and may occur twice: ours replace, and the last one counts.

The clients have them in different shapes: confluent-kafka as pairs, as a dict or as None, and behind
`message.headers()`; kafka-python and aiokafka as pairs at `record.headers`. Each of these is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, TypeAlias

from sloctl.instrumentation.carriers.encoding import as_text, header_pairs, known
from sloctl.instrumentation.carriers.outcome import Fields, Incoming, Outcome, extracted, injected
from sloctl.instrumentation.propagation import FIELDS

Value: TypeAlias = bytes | str | None
Headers: TypeAlias = list[tuple[str, Value]]


def inject(headers: Headers | MutableMapping[str, Any]) -> Outcome:
    """Set our headers in the list or dict that goes to the producer; older ones of the same names are removed."""

    def put(fields: Fields) -> None:
        others = [(name, value) for name, value in header_pairs(headers) if _lower(name) not in FIELDS]
        ours = [(name, value.encode("utf-8")) for name, value in fields.items()]
        if isinstance(headers, MutableMapping):
            headers.clear()
            headers.update([*others, *ours])
        else:
            headers[:] = [*others, *ours]

    return injected("kafka", put)


def headers(others: Iterable[tuple[str, Value]] | Mapping[str, Value] | None = ()) -> Headers:
    """Headers for `produce(..., headers=...)`: these and ours.

    Raises:
        TypeError: the others are no headers.
    """
    result: Headers = header_pairs(others)
    inject(result)
    return result


def extract(source: object) -> Incoming:
    """What a record says.

    Args:
        source: its headers in any shape that a client has, or the record itself, which also names its topic.
    """

    def read() -> Incoming:
        fields = {_lower(name): as_text(value) for name, value in header_pairs(source)}
        return Incoming("kafka", known(fields), destination=_topic(source))

    return extracted("kafka", read)


def _lower(name: object) -> str:
    return str(as_text(name)).lower()


def _topic(source: object) -> str | None:
    topic = getattr(source, "topic", None)
    if callable(topic):
        topic = topic()
    return topic if isinstance(topic, str) else None
