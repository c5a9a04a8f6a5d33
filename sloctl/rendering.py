"""Values to bytes: canonical YAML for people who review diffs, canonical JSON for dashboards.

The YAML emitter knows mappings, lists and scalars only. It is ten times as fast as a general one, and PromQL
becomes block text, so that a change of one line is a diff of one line. A test reads everything back.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Final

import orjson

from sloctl.model.artifact import Artifact

HEADER: Final = "# Written by `sloctl generate`: change the specification, not this file.\n"

_PLAIN: Final = re.compile(
    r"[A-Za-z_/](?:[A-Za-z0-9_./-]|:(?=[A-Za-z0-9_/])| (?=[A-Za-z0-9_./-]))*|(?:[0-9]+(?:ms|[smhdwy]))+"
)
_NOT_TEXT: Final = re.compile(r"(?i:null|true|false|yes|no|on|off|y|n|nan|inf)")
_LONG: Final = 100
_PRINTABLE_ASCII: Final = bytes([*range(0x20, 0x7F), 0x0A])
_SPACE_BEFORE_END: Final = re.compile(" \n")  # as expressions these are found several times as fast as by `in`
_EMPTY_LINE: Final = re.compile("\n\n")


def render(artifact: Artifact) -> bytes:
    """The bytes of an artifact, by the suffix of its path."""
    if artifact.path.endswith(".json"):
        return orjson.dumps(
            artifact.value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
        )
    return (HEADER + to_yaml(artifact.value)).encode()


def to_yaml(value: object) -> str:
    """A mapping or a list as a YAML document in block style, keys in their order."""
    emitter = _Emitter()
    emitter.value(value, "", "")
    return "".join(emitter.pieces)


class _Emitter:
    """Collects the pieces of a document. A mapping that stands at several places, as labels do, is rendered once."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.known: dict[tuple[int, str], str] = {}  # by identity: every value lives as long as the document

    def value(self, value: object, first: str, indent: str) -> None:
        """Add the lines of a value; the first begins with `first`, the others with `indent`."""
        if isinstance(value, dict) and value:
            for key, item in value.items():
                self.entry(f"{first}{_text(key)}:", item, indent)
                first = indent
        elif isinstance(value, list | tuple) and value:
            for item in value:
                if _is_collection(item):
                    self.value(item, f"{first}- ", f"{indent}  ")
                else:
                    self.entry(f"{first}-", item, indent)
                first = indent
        else:
            self.pieces.append(f"{first}{_scalar(value)}\n")

    def entry(self, head: str, value: object, indent: str) -> None:
        """Add a key or a dash with its value."""
        if isinstance(value, str):
            text = f"{head} |-\n{_indented(value, indent)}\n" if _is_block(value) else f"{head} {_text(value)}\n"
            self.pieces.append(text)
        elif not _is_collection(value):
            self.pieces.append(f"{head} {_scalar(value)}\n")
        elif (known := self.known.get((id(value), indent))) is not None:
            self.pieces += (head, known)
        else:
            start = len(self.pieces) + 1
            self.pieces += (head, "\n")
            self.value(value, f"{indent}  ", f"{indent}  ")
            if isinstance(value, dict):
                self.known[id(value), indent] = "".join(self.pieces[start:])


def _indented(text: str, indent: str) -> str:
    """Every line of a block two spaces further right; empty ones stay empty."""
    if _EMPTY_LINE.search(text):
        return "\n".join(f"{indent}  {line}" if line else "" for line in text.split("\n"))
    return f"{indent}  " + text.replace("\n", f"\n{indent}  ")


def _is_collection(value: object) -> bool:
    return isinstance(value, dict | list | tuple) and bool(value)


def _is_block(value: str) -> bool:
    """Whether a text reads better, and reads back the same, as a block."""
    if "\n" not in value and '"' not in value and len(value) <= _LONG:
        return False
    if value[0] in "\n #" or value[-1] == "\n" or _SPACE_BEFORE_END.search(value):
        return False
    if value.isascii():
        return not value.encode().translate(None, _PRINTABLE_ASCII)
    return value.replace("\n", "").isprintable()


def _scalar(value: object) -> str:
    match value:
        case str():
            return _text(value)
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case int():
            return str(value)
        case dict():
            return "{}"
        case list() | tuple():
            return "[]"
        case _:
            raise TypeError(f"{type(value).__name__} is not rendered: a backend emits text and whole numbers")


@lru_cache(maxsize=4096)
def _text(value: str) -> str:
    """A scalar text: plain where that reads back the same. Keys and labels come again and again."""
    plain = _PLAIN.fullmatch(value) and not _NOT_TEXT.fullmatch(value)
    return value if plain else _quoted(value)


def _quoted(value: str) -> str:
    """A double-quoted scalar. JSON's escapes are YAML's, but for characters that YAML refuses to see raw."""
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in text)
