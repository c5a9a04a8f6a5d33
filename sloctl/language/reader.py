"""Text to values: a strict, documented subset of YAML, read from libyaml's event stream.

`yaml.load` is never used: deep brackets kill the process inside `CSafeLoader`, duplicate keys are dropped in
silence, `no` becomes false and alias bombs expand. Here depth and size are limited before anything is built,
anchors, aliases, tags, merge keys and duplicate keys are errors, and each value keeps its line and column.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from sys import intern
from typing import Any, Final

import yaml

from sloctl.diagnostics import Diagnostics, Place, Related
from sloctl.errors import OutsideError
from sloctl.language.files import CHARACTER_HELP, FORBIDDEN, checked_text, code_point
from sloctl.language.syntax import nesting_limit, syntax_problem
from sloctl.language.tree import COLUMN_BITS, REFUSED, Mapping, Sequence, Tree, YamlValue, packed, place_at

MAX_DEPTH: Final = 32
MAX_TEXT: Final = 16 * 1024
MAX_VALUES: Final = 100_000
MAX_PROBLEMS: Final = 1000
MAX_DIGITS: Final = 40
MAX_EXPONENT: Final = 12

_NUMBER: Final = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE]([-+]?[0-9]+))?")
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_SPECIAL_START: Final = frozenset("+-.0123456789~nNtTfF<")  # of what is not always text
_CONSTANTS: Final[dict[str, YamlValue]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class _StopReading(Exception):  # noqa: N818 - control flow, already reported
    """The rest of the file cannot be read."""


def read_text(text: bytes, path: str, found: Diagnostics, kind: type[Reader] | None = None) -> list[Tree]:
    """The documents of one file, in order; findings about the text are added to `found`.

    A value that was refused is `REFUSED` in its tree. After a problem that makes the rest unreadable
    (size, encoding, syntax, depth) the documents that were complete before it are returned.
    """
    if not yaml.__with_libyaml__:
        raise OutsideError("PyYAML was built without libyaml; install the wheel from the package index")
    clean = checked_text(text, path, found)
    if clean is None:
        return []
    reader = (kind or Reader)(path, found)
    try:
        reader.read(clean)
    except _StopReading:
        pass
    except yaml.YAMLError as problem:
        deep = nesting_limit(problem)
        if deep is not None and deep < len(shown := clean.decode()):
            # libyaml looks ahead and since 0.2.6 stops at a depth of its own, before it reports the first level.
            # Without what lies deeper it reports them, and the reader refuses the same level for every libyaml.
            return read_text(shown[:deep].encode(), path, found, kind)
        opened = place_at(path, reader.opened[-1]) if reader.opened else None
        found.error("SLO005", *syntax_problem(problem, Place(path), clean.decode(), opened))
    return reader.documents[: reader.complete]


def mark_of(event: Any) -> int:  # libyaml always sets the marks that the types call optional
    start = event.start_mark
    return packed(start.line, start.column)


class Reader:
    """Builds trees from events. The innermost open collection is `parent`; the others wait in `stack`."""

    def __init__(self, path: str, found: Diagnostics) -> None:
        self.path, self.found = path, found
        self.documents: list[Tree] = []
        self.stack: list[tuple[Mapping | Sequence | None, str | None, int, bool]] = []
        self.opened: list[int] = []  # positions of the collections that are open
        self.parent: Mapping | Sequence | None = None
        self.key: str | None = None  # of the mapping pair that waits for its value
        self.key_mark = 0
        self.drop = False  # the next value belongs to a key that was refused
        self.values = self.problems = 0
        self.complete = 0  # documents that have ended
        self.handlers: dict[type[yaml.Event], Callable[[Any], None]] = {
            yaml.MappingStartEvent: lambda event: self._start(Mapping(), event),
            yaml.SequenceStartEvent: lambda event: self._start(Sequence(), event),
            yaml.MappingEndEvent: self._end,
            yaml.SequenceEndEvent: self._end,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._start_document,
            yaml.DocumentEndEvent: self._end_document,
        }

    def read(self, text: bytes) -> None:
        """Take libyaml's events one by one, so that nothing deep is ever built."""
        loader = yaml.CSafeLoader(text)
        next_event, scalar, others = loader.get_event, self._scalar, self.handlers
        try:
            while (event := next_event()) is not None:
                if type(event) is yaml.ScalarEvent:
                    scalar(event)
                elif (handle := others.get(type(event))) is not None:
                    handle(event)
        finally:
            loader.dispose()

    def _error(self, code: str, mark: int, message: str, help: str = "", *related: Related) -> None:  # noqa: A002
        self.found.error(code, place_at(self.path, mark), message, help, *related)
        self.problems += 1
        if self.problems >= MAX_PROBLEMS:
            message = "too many problems; the rest of the file was not read"
            self.found.error("SLO049", place_at(self.path, mark), message, "repair those that are shown first")
            raise _StopReading

    def _add(self, value: YamlValue, mark: int) -> None:
        """Put a value where the event stream stands: as document, item, key or value of a key."""
        self.values += 1
        if self.values > MAX_VALUES:
            self._error("SLO002", mark, "the file holds more than 100 000 values", "split it into several files")
            raise _StopReading
        parent: Any = self.parent
        key = self.key
        if self.drop:
            self.drop = False
        elif key is not None:
            parent[key] = value
            parent.marks.extend((self.key_mark, mark))
            self.key = None
        elif parent is None:
            self.documents.append(Tree(self.path, value, mark))
        elif isinstance(parent, Mapping):
            self._start_pair(parent, value, mark)
        else:
            parent.append(value)
            parent.marks.append(mark)

    def _start_pair(self, parent: Mapping, key: YamlValue, mark: int) -> None:
        if not isinstance(key, str):
            if key is not REFUSED:
                self._error("SLO011", mark, f"a key must be text, not {_kind(key)}", _KEY_HELP)
            self.drop = True
        elif key in parent:
            first = parent.marks[2 * list(parent).index(key)]
            other = Related(place_at(self.path, first), "first written here")
            self._error("SLO010", mark, f"the key `{key[:80]}` is written twice", "keep one of them", other)
            self.drop = True
        else:
            self.key, self.key_mark = intern(key), mark

    def _start(self, collection: Mapping | Sequence, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        mark = mark_of(event)
        if event.anchor is not None or event.tag is not None:
            self._refuse_extras(event, mark)
        if len(self.stack) >= MAX_DEPTH:
            self._error("SLO006", mark, f"nested deeper than {MAX_DEPTH} levels", "write it flatter")
            raise _StopReading
        self._add(collection, mark)
        self.opened.append(mark)
        self.stack.append((self.parent, self.key, self.key_mark, self.drop))
        self.parent, self.key, self.drop = collection, None, False

    def _end(self, _: yaml.Event) -> None:
        self.opened.pop()
        self.parent, self.key, self.key_mark, self.drop = self.stack.pop()

    def _scalar(self, event: Any) -> None:
        start = event.start_mark
        mark = start.line << COLUMN_BITS | start.column  # `packed`, without the call
        text = value = event.value
        if event.anchor is not None or event.tag is not None:
            self._refuse_extras(event, mark)
        if len(text) > MAX_TEXT // 4 and len(text.encode()) > MAX_TEXT:
            self._error("SLO007", mark, "a text longer than 16 kB", "shorten it")
            value = REFUSED
        elif event.implicit[0]:
            if not text or text[0] in _SPECIAL_START:
                value = self._plain(text, mark)
        elif event.style == '"' and (hidden := FORBIDDEN.search(text)):
            self._error("SLO004", mark, f"the text contains {code_point(hidden[0])}", CHARACTER_HELP)
            value = REFUSED
        self._add(value, mark)

    def _plain(self, text: str, mark: int) -> YamlValue:
        """A value written without quotes, by the YAML 1.2 core schema; `no`, `22:22` and `0777` are text."""
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if number := _NUMBER.fullmatch(text):
            return self._number(text, number[1] or "0", mark)
        if text == "<<" and isinstance(self.parent, Mapping) and self.key is None and not self.drop:
            self._error("SLO008", mark, "merge keys are not read", "write the keys out, or use a Template")
            return REFUSED
        return text

    def _number(self, text: str, exponent: str, mark: int) -> YamlValue:
        if len(text) > MAX_DIGITS or abs(int(exponent)) > MAX_EXPONENT:
            limits = f"at most {MAX_DIGITS} characters and an exponent of {MAX_EXPONENT}"
            self._error("SLO012", mark, f"the number is too long: {limits}", "put it in quotes if it is text")
            return REFUSED
        return int(text) if _INTEGER.fullmatch(text) else Decimal(text)

    def _alias(self, event: yaml.AliasEvent) -> None:
        mark = mark_of(event)
        self._error("SLO008", mark, f"`*{str(event.anchor)[:80]}`: aliases are not read", _ALIAS_HELP)
        self._add(REFUSED, mark)

    def _refuse_extras(
        self, event: yaml.ScalarEvent | yaml.MappingStartEvent | yaml.SequenceStartEvent, mark: int
    ) -> None:
        if event.anchor is not None:
            self._error("SLO008", mark, f"`&{event.anchor[:80]}`: anchors are not read", _ALIAS_HELP)
        if event.tag is not None:
            self._error(
                "SLO009",
                mark,
                f"`{event.tag.replace('tag:yaml.org,2002:', '!!')[:80]}`: tags are not read",
                _TAG_HELP,
            )

    def _end_document(self, _: yaml.Event) -> None:
        self.complete = len(self.documents)

    def _start_document(self, event: yaml.DocumentStartEvent) -> None:
        if event.version or event.tags:
            mark = mark_of(event)
            self._error(
                "SLO009",
                mark,
                "directives such as `%YAML` are not read",
                "remove the lines that begin with `%`",
            )


_KEY_HELP: Final = "put the key in quotes"
_ALIAS_HELP: Final = "write the value out, put it in quotes if it is text, or use a Template"
_TAG_HELP: Final = "remove the tag, or put the value in quotes if it is text"


def _kind(value: YamlValue) -> str:
    """What a value is, in words that a person who writes YAML knows."""
    match value:
        case None:
            return "empty"
        case bool():
            return f"`{str(value).lower()}`"
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case _:
            return f"the number {value}"
