"""What libyaml says about broken text, in words that help."""

from __future__ import annotations

import re
from typing import Final

from yaml import Mark, MarkedYAMLError, YAMLError

from sloctl.diagnostics import Place

_QUOTED: Final = re.compile(r"""'(?:[^']|'')*'|"(?:\\.|[^"\\])*\"""")
_BARE_SELECTOR: Final = re.compile(r"\w\{\s*[A-Za-z_]\w*\s*(?:=~|!~|!=|=)")
_BARE_CHANNEL: Final = re.compile(r"[\[{,:]\s*#\S")

_LOOKED_AT: Final = 1000  # characters of a line

_SELECTOR_HELP: Final = "put the whole selector in single quotes: 'name{label=\"value\"}'"
_CHANNEL_HELP: Final = "a `#` begins a comment: put the channel in quotes, such as '#alerts'"

_NESTING: Final = "exceeded maximum nesting depth"

# libyaml's words -> message, help. The first entry whose words are contained wins.
_PROBLEMS: Final = (
    (
        "mapping values are not allowed",
        "a `:` where no key can stand",
        "check the indentation of this line and the one above; put a text that contains `: ` in quotes",
    ),
    (
        "did not find expected ',' or ']'",
        "the list is not closed, or a `,` is missing",
        "write [first, second]",
    ),
    (
        "did not find expected ',' or '}'",
        "the mapping is not closed, or a `,` is missing",
        "write {key: value, other: value}",
    ),
    (
        "did not find expected key",
        "this does not continue the mapping around it",
        "check the indentation; a text that goes on after its closing quote needs quotes around all of it",
    ),
    ("did not find expected '-'", "this does not continue the list above it", "check the indentation"),
    (
        "could not find expected ':'",
        "a key without `:`",
        "write `key: value`; indent the further lines of a long text",
    ),
    (
        "block sequence entries are not allowed",
        "a list item cannot stand here",
        "begin the list on a line of its own, below its key",
    ),
    (
        "unexpected end of stream",
        "the text ends inside quotes",
        "close the quote that begins here",
    ),
    (
        "unknown escape character",
        "an unknown escape in double quotes",
        "use single quotes, or write `\\\\` for a backslash",
    ),
    (
        "invalid Unicode character escape",
        "this escape is no character",
        "write the character itself, or use single quotes",
    ),
    (
        "did not find expected hexdecimal number",
        "an escape without its hexadecimal number",
        "use single quotes, or write `\\\\` for a backslash",
    ),
    ("undefined tag handle", "tags are not read", "remove the tag, or put the value in quotes if it is text"),
    ("node content", "a value is missing here", "remove the stray sign, or put the text in quotes"),
    (
        "document start",
        "a new document must begin with `---`",
        "remove `...` or write `---` on a line before",
    ),
    (_NESTING, "nested deeper than libyaml, which reads the text, can follow", "write it flatter"),
)
_UNCLOSED: Final = ("node content", "did not find expected ','")
_NEVER_CLOSED: Final = ("this bracket is never closed", "close it with `]` or `}`")
_UNKNOWN: Final = ("this is not YAML", "check indentation, quotes and brackets around here")


def syntax_problem(problem: YAMLError, file: Place, text: str, opened: Place | None) -> tuple[Place, str, str]:
    """Place, message and help for an error that libyaml raised about `text`.

    `opened` is where the innermost list or mapping begins that was open when the error was raised.
    """
    mark = getattr(problem, "problem_mark", None)
    if not isinstance(problem, MarkedYAMLError) or mark is None:
        return file, *_UNKNOWN
    lines, said = text.split("\n"), str(problem.problem)
    place = Place(file.path, mark.line + 1, mark.column + 1)
    if said.startswith("found character that cannot start"):
        return place, *_bad_start(lines, mark.line, mark.column)
    message, help_ = next(((say, do) for words, say, do in _PROBLEMS if words in said), _UNKNOWN)
    if "unexpected end of stream" in said and problem.context_mark is not None:
        place = Place(file.path, problem.context_mark.line + 1, problem.context_mark.column + 1)
    elif opened is not None and any(words in said for words in _UNCLOSED) and _is_end(lines, mark):
        place, message, help_ = opened, *_NEVER_CLOSED
    first = min(place.line - 1, mark.line if problem.context_mark is None else problem.context_mark.line)
    return place, message, _specific_help(lines[max(first, mark.line - 3) : mark.line + 1]) or help_


def nesting_limit(problem: YAMLError) -> int | None:
    """Index of the character at which libyaml refused to nest any deeper; None for any other problem."""
    mark = getattr(problem, "problem_mark", None)
    return mark.index if mark is not None and _NESTING in str(problem) else None


def _is_end(lines: list[str], mark: Mark) -> bool:
    """Whether nothing but space follows."""
    return mark.line >= len(lines) or not (lines[mark.line][mark.column :] + "".join(lines[mark.line + 1 :])).strip()


def _bad_start(lines: list[str], line: int, column: int) -> tuple[str, str]:
    character = lines[line][column : column + 1] if line < len(lines) else ""
    if character == "\t":
        return "a tab in the indentation", "indent with spaces"
    return f"a text cannot begin with `{character}` unless it is in quotes", "put the text in quotes"


def _specific_help(lines: list[str]) -> str:
    """Help for what people write most often without the quotes it needs."""
    written = [_QUOTED.sub("''", each[:_LOOKED_AT]) for each in lines]
    if any(_BARE_SELECTOR.search(each) for each in written):
        return _SELECTOR_HELP
    return _CHANNEL_HELP if any(_BARE_CHANNEL.search(each) for each in written) else ""
