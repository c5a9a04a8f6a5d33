"""Transports whose messages have headers that map text to text: a row each, `mapping` for those without a row."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from sloctl.instrumentation.carriers.encoding import as_text, header_pairs, known
from sloctl.instrumentation.carriers.outcome import Incoming, Outcome, extracted, injected
from sloctl.instrumentation.carriers.payload import Payload, read_payload, with_payload
from sloctl.instrumentation.carriers.payload import payload as opened


@dataclass(frozen=True, slots=True)
class TextMap:
    """The carrier of one transport.

    Attributes:
        transport: its name, in metrics, spans and `sloctl trace`.
        destination: the attribute of a received message that says where it was sent to, such as NATS' `subject`.
    """

    transport: str
    destination: str = ""

    def inject(self, target: MutableMapping[str, Any]) -> Outcome:
        """Set our fields in the mapping."""
        return injected(self.transport, target.update)

    def headers(self, others: object = None) -> dict[str, Any]:
        """Headers to send: these and ours.

        Raises:
            TypeError: the others are no headers.
        """
        result = dict(header_pairs(others))
        self.inject(result)
        return result

    def extract(self, source: object) -> Incoming:
        """What a message says.

        Args:
            source: a mapping of text or bytes, pairs, None, or a message that has them as its `headers`.
        """

        def read() -> Incoming:
            fields = known({as_text(name): as_text(value) for name, value in header_pairs(source)})
            destination = getattr(source, self.destination, None) if self.destination else None
            return Incoming(self.transport, fields, destination=destination if isinstance(destination, str) else None)

        return extracted(self.transport, read)

    def inject_payload(self, data: bytes | str, *, envelope: bool = False) -> Payload:
        """The payload with the context, where a message has no headers: Redis' lists and publish/subscribe.

        Args:
            data: a JSON object gets the member `_ctx`.
            envelope: wrap anything else; every receiver must then read it with `payload`.
        """
        return with_payload(self.transport, data, envelope=envelope)

    def extract_payload(self, data: bytes | str) -> Incoming:
        """What a payload says."""
        return read_payload(self.transport, data)

    def payload(self, data: bytes | str) -> bytes | str:
        """The payload as its sender gave it, out of its envelope if it is in one."""
        return opened(data)


mapping: Final = TextMap("mapping")
redis: Final = TextMap("redis")
rabbitmq: Final = TextMap("rabbitmq", "routing_key")
nats: Final = TextMap("nats", "subject")
s3: Final = TextMap("s3")  # the metadata of an object, which notifications do not have: `head_object`
grpc: Final = TextMap("grpc")  # metadata, which the interceptors set by themselves
