"""The forms that the fields take inside messages: one text, a JSON member, or an envelope around other bytes."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from sloctl.instrumentation.carriers.outcome import NOT_AN_OBJECT, TOO_LARGE, Fields, Skip
from sloctl.instrumentation.propagation import FIELDS

KEY: Final = "_ctx"
ENVELOPE: Final = "sloctl_envelope"
VERSION: Final = 1
MAX_TEXT: Final = 16_384
KIB: Final = 1024
_IN_ARN: Final = re.compile("[:/]")
_BLANKS: Final = " \t\r\n"  # of JSON


def to_text(fields: Fields) -> str:
    """One text that is no JSON: JSON strings in attributes break SNS filter policies."""
    return urlencode(fields)


def from_text(text: object) -> Fields:
    """The fields of such a text; empty when it is none."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        return {}
    return known(dict(parse_qsl(text, max_num_fields=2 * len(FIELDS))))


def known(fields: object) -> Fields:
    """The fields that we know and whose values are text, from any mapping."""
    if not isinstance(fields, Mapping):
        return {}
    return {key: value for key in FIELDS if isinstance(value := fields.get(key), str)}


def header_pairs(source: object) -> list[tuple[Any, Any]]:
    """The headers of a message as pairs, in whatever shape a client library has them.

    Args:
        source: None, a mapping, or pairs; or a message that has one of them as its `headers` or `headers()`.

    Raises:
        TypeError: it is none of these.
    """
    found = getattr(source, "headers", source)
    if callable(found):
        found = found()
    if found is None:
        return []
    if isinstance(found, Mapping):
        return list(found.items())
    if isinstance(found, Iterable) and not isinstance(found, (str, bytes, bytearray)):
        pairs = [tuple(pair) if isinstance(pair, (tuple, list)) else () for pair in found]
        if all(len(pair) == 2 and isinstance(pair[0], (str, bytes)) for pair in pairs):
            return pairs
    raise TypeError(f"headers are a mapping, (name, value) pairs or None, not {type(source).__name__}")


def name_in_arn(arn: object) -> str | None:
    """The name of a queue, topic, stream or table in its ARN: `...:orders`, `...:stream/orders`, `...:function:f:1`."""
    if not isinstance(arn, str) or not arn.startswith("arn:"):
        return None
    kind, *name = _IN_ARN.split(arn.split(":", 5)[-1])
    return (name[0] if name else kind) or None


def as_text(value: object) -> object:
    """Bytes as text; anything else as it is."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8", "replace") if len(value) <= MAX_TEXT else None
    return value


def check_size(before: int, added: int, *limits: int) -> None:
    """Refuse to push a message over a limit that it kept without us.

    Raises:
        Skip: it would cross one.
    """
    if any(before <= limit < before + added for limit in limits):
        raise Skip(TOO_LARGE)


def size(value: object) -> int:
    """Bytes of a text or bytes; of anything else, those of its JSON."""
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    return len(json.dumps(value, default=str))


def add_to_json(text: str, fields: Fields) -> str:
    """A JSON object with the fields as member `_ctx`; all other characters stay as they are.

    Raises:
        Skip: the text is no JSON object.
    """
    found = parsed(text)
    if found is None:
        raise Skip(NOT_AN_OBJECT)
    ours = json.dumps(fields)
    if KEY in found:
        start, end = _place_of_value(text, KEY)
        return f"{text[:start]}{ours}{text[end:]}"
    closing = text.rindex("}")
    head = text[:closing].rstrip(_BLANKS)
    comma = ", " if found else ""
    return f"{head}{comma}{json.dumps(KEY)}: {ours}{text[closing:]}"


def _place_of_value(text: str, key: str) -> tuple[int, int]:
    """Where the value of a member of a JSON object begins and ends; of the last one, as readers take it."""
    decode = json.JSONDecoder().raw_decode
    place = 0, 0
    at = text.index("{") + 1
    while (at := _after_blanks(text, at)) < len(text) and text[at] != "}":
        name, at = decode(text, at)
        start = _after_blanks(text, text.index(":", at) + 1)
        _, at = decode(text, start)
        if name == key:
            place = start, at
        at = _after_blanks(text, at)
        at += text[at] == ","
    return place


def _after_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANKS:
        at += 1
    return at


def parsed(data: object) -> dict[str, Any] | None:
    """The JSON object in a text or bytes, or None."""
    if isinstance(data, (bytes, bytearray, memoryview)):
        try:
            data = bytes(data).decode("utf-8")
        except UnicodeDecodeError:
            return None
    if not isinstance(data, str) or not data.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def add_to_payload(data: bytes | str, fields: Fields, *, envelope: bool) -> bytes | str:
    """The payload with the fields: a member of its JSON object, or an envelope around anything else if allowed.

    Raises:
        Skip: it is no JSON object, and an envelope is not allowed.
    """
    if parsed(data) is not None:
        text = data if isinstance(data, str) else bytes(data).decode("utf-8")
        result = add_to_json(text, fields)
        return result if isinstance(data, str) else result.encode("utf-8")
    if not envelope:
        raise Skip(NOT_AN_OBJECT)
    raw = data.encode("utf-8") if isinstance(data, str) else bytes(data)
    wrapped = {ENVELOPE: VERSION, KEY: fields, "data": base64.b64encode(raw).decode("ascii")}
    result = json.dumps(wrapped)
    return result if isinstance(data, str) else result.encode("utf-8")


def open_payload(data: bytes | str) -> tuple[bytes | str, Fields]:
    """The payload as its sender gave it, and the fields; a JSON object keeps its `_ctx`, an envelope is opened."""
    found = parsed(data)
    if found is None:
        return data, {}
    fields = known(found.get(KEY))
    if found.get(ENVELOPE) != VERSION or set(found) != {ENVELOPE, KEY, "data"}:
        return data, fields
    try:
        raw = base64.b64decode(found["data"], validate=True)
    except (ValueError, TypeError):
        return data, fields
    if not isinstance(data, str):
        return raw, fields
    return raw.decode("utf-8", "replace"), fields
