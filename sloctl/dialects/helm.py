"""Charts of Helm as YAML: what is literal is read, what only a release knows keeps its text and is named.

Each line stays where it is, so that findings name the chart's own lines.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_OPEN: Final = "\ue000"
_CLOSE: Final = "\ue001"
_LINE: Final = "\ue002"
_ACTION: Final = re.compile(r"\{\{((?:[^{}`]|`[^`]*`|\{\{[^{}]*\}\})*)\}\}", re.DOTALL)
_LITERAL: Final = re.compile(r"-?\s*(?:`([^`]*)`|\"((?:[^\"\\\\])*)\")\s*-?", re.DOTALL)
_CHART: Final = re.compile(
    r"\{\{-|-\}\}|\{\{\s*(?:`|\"|/\*)|\{\{[^}]*(?:\.Values|\.Release|\.Chart|\.Capabilities)\b"
    r"|\{\{\s*(?:include|template|tpl|range|if|with|define|end|else|toYaml)\b"
)
_WORD: Final = re.compile(r"-?\s*(if|with|range|define|block|else|end)\b")
_MARKED: Final = re.compile(f"{_OPEN}([0-9a-f]*){_CLOSE}")


class Unread(NamedTuple):
    """A line of a chart that was left out, counted from 1, and its text."""

    line: int
    text: str


def is_chart(text: str) -> bool:
    """Whether a text holds actions of Helm, beyond the placeholders of the tool that it configures."""
    return _CHART.search(text) is not None


def without_actions(text: str) -> tuple[str, list[Unread]]:
    """A chart's template as YAML with the same lines, and those of its lines that were left out.

    Conditions are taken as true. Literals stand for themselves; any other action within a value stays there as a mark
    that `template_in` finds.
    """
    lines, unread, skipped = list[str](), list[Unread](), list[bool]()
    number = 0
    for line in _joined(text).split("\n"):
        number += 1
        word = _WORD.match(line.strip()[2:]) if _is_action(line) else None
        if word is not None:
            _nest(word[1], skipped)
        if word is not None or any(skipped):
            if word is None and line.strip():
                unread.append(Unread(number, line.strip()))
            lines.append(_LINE * line.count(_LINE))
        elif _is_action(line) and not _is_literal(line):
            if not line.strip().startswith(("{{/*", "{{- /*")):
                unread.append(Unread(number, line.strip()))
            lines.append(_LINE * line.count(_LINE))
        else:
            lines.append(_ACTION.sub(_written, line))
        number += line.count(_LINE)
    return "\n".join(lines).replace(_LINE, "\n"), unread


def template_in(text: str) -> str | None:
    """The first action that a value depends on; None where it is plain."""
    found = _MARKED.search(text)
    return None if found is None else bytes.fromhex(found[1]).decode()


def _joined(text: str) -> str:
    """Each action on one line, with a sign for every line end in it."""
    return _ACTION.sub(lambda found: found[0].replace("\n", _LINE), text)


def _is_action(line: str) -> bool:
    return _ACTION.fullmatch(line.strip()) is not None


def _is_literal(line: str) -> bool:
    found = _ACTION.fullmatch(line.strip())
    return found is not None and _LITERAL.fullmatch(found[1]) is not None


def _nest(word: str, skipped: list[bool]) -> None:
    """Follow blocks: what `else` brings is left out until its `end`."""
    if word == "else":
        if skipped:
            skipped[-1] = True
    elif word == "end":
        del skipped[-1:]
    else:
        skipped.append(False)


def _written(action: re.Match[str]) -> str:
    literal = _LITERAL.fullmatch(action[1])
    if literal is not None:
        return literal[1] if literal[1] is not None else literal[2]
    return f"{_OPEN}{action[0].encode().hex()}{_CLOSE}"
