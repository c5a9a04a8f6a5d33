"""PromQL as text: where its strings are, and the limits that keep the parser alive.

The parser can end the process on long nested text, so length, nesting and operators are counted before it reads one.
"""

from __future__ import annotations

import re
from typing import Final

from sloctl.errors import PromqlError

MAX_LENGTH: Final = 2048
MAX_NESTING: Final = 16
MAX_OPERATORS: Final = 100

# A string that is never closed ends with its line, so that a search stays linear.
STRING: Final = r"\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?|`[^`]*`?"
_COMMENT_OR_STRING: Final = re.compile(f"#[^\n]*|({STRING})")
_ESCAPED_END: Final = re.compile(r"(?<!\\)(?:\\\\)*\\$")
_BRACKET: Final = re.compile(r"[][(){}]")
_MATCHERS: Final = re.compile(r"\{[^{}]*\}")
_OPERATOR: Final = re.compile(r"[-+*/%^]|==|!=|<=|>=|<|>|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)


def check_limits(text: str) -> None:
    """Refuse text that could hurt the parser.

    Raises:
        PromqlError: it is too long, nested too deep, holds too many operators, or a string in it is not closed.
    """
    if len(text) > MAX_LENGTH or len(text.encode(errors="surrogatepass")) > MAX_LENGTH:
        raise PromqlError("PromQL longer than 2 kB", "put the expression in a recording rule")
    if len(text) <= MAX_OPERATORS and sum(map(text.count, "([{")) <= MAX_NESTING:
        return  # too short for what follows
    if any(string[1] and not is_closed(string[1]) for string in _COMMENT_OR_STRING.finditer(text)):
        raise PromqlError("a quote in the expression is not closed", "close it on the same line")
    code, depth = outside_strings(text), 0
    for bracket in _BRACKET.findall(code):
        depth += 1 if bracket in "([{" else -1
        if depth > MAX_NESTING:
            raise PromqlError(f"brackets nested deeper than {MAX_NESTING}", "use a recording rule")
    if len(_OPERATOR.findall(_MATCHERS.sub("", code))) > MAX_OPERATORS:
        raise PromqlError(f"more than {MAX_OPERATORS} operators", "use a recording rule")


def outside_strings(text: str) -> str:
    """The text without its strings and comments."""
    return _COMMENT_OR_STRING.sub("", text)


def is_closed(string: str) -> bool:
    """Whether a match of `STRING` ends with the quote that it began with."""
    escaped = string[0] != "`" and _ESCAPED_END.search(string[1:-1])
    return len(string) > 1 and string[-1] == string[0] and not escaped
