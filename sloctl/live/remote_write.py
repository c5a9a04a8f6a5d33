"""Samples as Prometheus' remote-write protocol 1.0 has them: a protobuf message in a snappy block.

Snappy is written as literals only, which every reader takes: to compress would need a package more.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sloctl.errors import OutsideError
from sloctl.history.tiles import Floats, Moments
from sloctl.prometheus import without_password

if TYPE_CHECKING:
    from sloctl.prometheus import PrometheusClient

_HEADERS: Final = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
_LITERAL: Final = 65_536
_TRIES: Final = 3
_BUSY: Final = 429


@dataclass(frozen=True, slots=True)
class RemoteSeries:
    """Samples of one series; `at` are Unix milliseconds."""

    labels: Mapping[str, str]
    at: Moments
    values: Floats


def send(client: PrometheusClient, url: str, series: Iterable[RemoteSeries]) -> None:
    """Send samples in one request, which a receiver takes whole or not at all.

    Raises:
        OutsideError: it did not take them; what is busy or failing is asked again a few times.
    """
    content, shown = snappy(write_request(series)), without_password(url)
    attempt = 0
    while True:
        status, said = client.send(url, content, _HEADERS)
        if status < 300:
            return
        if (status != _BUSY and status < 500) or attempt == _TRIES:
            break
        time.sleep(2.0**attempt)
        attempt += 1
    help_ = ""
    if "out of order" in said or "out of bounds" in said or "too old" in said or "out-of-order" in said:
        help_ = "; it must take samples of the past: set `out_of_order_time_window` to the whole time"
    raise OutsideError(f"{shown} answered HTTP {status}: {said.strip()[:300]}{help_}")


def write_request(series: Iterable[RemoteSeries]) -> bytes:
    """The message `prometheus.WriteRequest`."""
    return b"".join(_field(1, b"".join(_series(one))) for one in series)


def _series(one: RemoteSeries) -> Iterator[bytes]:
    for name, value in sorted(one.labels.items()):
        yield _field(1, _field(1, name.encode()) + _field(2, value.encode()))
    yield _samples(one.at, one.values)


def _samples(at: Moments, values: Floats) -> bytes:
    """Each sample is a message of the same length: a double, and a time of as many bytes for a hundred years."""
    moments = _varint(int(at[0])) if len(at) else b""
    body = np.empty((len(at), 12 + len(moments)), np.uint8)
    body[:, 0], body[:, 1] = (2 << 3) | 2, 10 + len(moments)
    body[:, 2] = (1 << 3) | 1
    body[:, 3:11] = np.ascontiguousarray(values, "<f8").view(np.uint8).reshape(-1, 8)
    body[:, 11] = 2 << 3
    rest = at.copy()
    for index in range(len(moments)):
        more = 0x80 if index < len(moments) - 1 else 0
        body[:, 12 + index] = (rest & 0x7F) | more
        rest >>= 7
    return body.tobytes()


def _field(number: int, content: bytes) -> bytes:
    return _varint((number << 3) | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def snappy(content: bytes) -> bytes:
    """A snappy block of literals."""
    parts = [_varint(len(content))]
    for start in range(0, len(content), _LITERAL):
        literal = content[start : start + _LITERAL]
        parts += [bytes([61 << 2]), (len(literal) - 1).to_bytes(2, "little"), literal]
    return b"".join(parts)
