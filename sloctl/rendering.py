"""Values to bytes: canonical YAML for people who review diffs, canonical JSON for dashboards.

The YAML emitter knows mappings, lists and scalars only. It is ten times as fast as a general one, and PromQL
becomes block text, so that a change of one line is a diff of one line. A test reads everything back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import orjson

from sloctl.model.artifact import Artifact

HEADER: Final = "# Written by `sloctl generate`: change the specification, not this file.\n"

_PLAIN: Final = re.compile(
    r"[A-Za-z_/](?:[A-Za-z0-9_./-]|:(?=[A-Za-z0-9_/])| (?=[A-Za-z0-9_./-]))*|(?:[0-9]+(?:ms|[smhdwy]))+"
)
_NOT_TEXT: Final = re.compile(r"(?i:null|true|false|yes|no|on|off|y|n|nan|inf)")
_BLOCK: Final = re.compile(r"(?![\s#])[^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]+")
_LONG: Final = 100


def render(artifact: Artifact) -> bytes:
    """The bytes of an artifact, by the suffix of its path."""
    if artifact.path.endswith(".json"):
        return orjson.dumps(
            artifact.value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
        )
    return (HEADER + to_yaml(artifact.value)).encode()


def to_yaml(value: object) -> str:
    """A mapping or a list as a YAML document in block style, keys in their order."""
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: object) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _entry(f"{_scalar(key)}:", item)
    elif isinstance(value, Sequence) and not isinstance(value, str) and value:
        for item in value:
            yield from _item(item)
    else:
        yield _scalar(value)


def _entry(head: str, value: object) -> Iterator[str]:
    if _is_block(value):
        assert isinstance(value, str)
        yield f"{head} |-"
        yield from (f"  {line}" if line else "" for line in value.split("\n"))
    elif _is_collection(value):
        yield head
        yield from (f"  {line}" if line else "" for line in _lines(value))
    else:
        yield f"{head} {_scalar(value)}"


def _item(value: object) -> Iterator[str]:
    if not _is_collection(value):
        yield from _entry("-", value)
        return
    for number, line in enumerate(_lines(value)):
        yield f"{'  ' if number else '- '}{line}" if line else ""


def _is_collection(value: object) -> bool:
    return isinstance(value, Mapping | Sequence) and not isinstance(value, str) and bool(value)


def _is_block(value: object) -> bool:
    """Whether a text reads better, and reads back the same, as a block."""
    if not isinstance(value, str) or ("\n" not in value and '"' not in value and len(value) <= _LONG):
        return False
    return _BLOCK.fullmatch(value) is not None and not value.endswith("\n") and " \n" not in value


def _scalar(value: object) -> str:
    match value:
        case str():
            plain = _PLAIN.fullmatch(value) and not _NOT_TEXT.fullmatch(value)
            return value if plain else _quoted(value)
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case int():
            return str(value)
        case Mapping():
            return "{}"
        case Sequence():
            return "[]"
        case _:
            raise TypeError(f"{type(value).__name__} is not rendered: a backend emits text and whole numbers")


def _quoted(value: str) -> str:
    """A double-quoted scalar. JSON's escapes are YAML's, but for characters that YAML refuses to see raw."""
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in text)
