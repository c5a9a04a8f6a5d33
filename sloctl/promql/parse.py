"""PromQL text to a syntax tree, within limits that keep the parser alive, and the tree's shape.

The parser can end the process on long nested text, so length, nesting and operators are counted before it.
"""

from __future__ import annotations

import re
from typing import Final

import promql_parser

from sloctl.errors import PromqlError

MAX_LENGTH: Final = 2048
MAX_NESTING: Final = 16
MAX_OPERATORS: Final = 100

_STRINGS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`')
_OPERATORS: Final = re.compile(
    r"[-+*/%^]|==|!=|<=|>=|<|>|\b(?:and|or|unless|atan2|on|ignoring|by|without)\b", re.IGNORECASE
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")
_BRACKETS: Final = re.compile(r"[][(){}]")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def check_limits(text: str) -> None:
    """Refuse text that could hurt the parser.

    Raises:
        PromqlError: it is too long, nested too deep, or holds too many operators or a control character.
    """
    if len(text) > MAX_LENGTH:
        raise PromqlError(
            f"this is {len(text)} characters long; at most {MAX_LENGTH} are accepted",
            "record parts of it by rules of your own and use their names",
        )
    if not text.isprintable() and _CONTROL.search(text):
        raise PromqlError("this holds a control character")
    if len(text) <= MAX_OPERATORS and sum(map(text.count, "([{")) <= MAX_NESTING:
        return  # too short for what follows
    outside = _STRINGS.sub('""', text)
    depth = 0
    for bracket in _BRACKETS.findall(outside):
        depth += 1 if bracket in "([{" else -1
        if depth > MAX_NESTING:
            raise PromqlError(f"brackets are nested deeper than {MAX_NESTING}")
    if len(_OPERATORS.findall(outside)) > MAX_OPERATORS:
        raise PromqlError(f"this holds more than {MAX_OPERATORS} operators")


def parse(text: str) -> promql_parser.Expr:
    """The syntax tree of one PromQL expression; it raises as `parse_nodes` does."""
    return parse_nodes(text)[0]


def parse_nodes(text: str) -> list[promql_parser.Expr]:
    """All nodes of the syntax tree of one PromQL expression, the whole one first.

    Raises:
        PromqlError: it is no PromQL, or uses names that sloctl refuses.
    """
    check_limits(text)
    try:
        tree: promql_parser.Expr = promql_parser.parse(text)
    except (ValueError, OverflowError) as error:
        raise PromqlError(f"this is not PromQL: {_sentence(str(error))}") from error
    nodes = walk(tree)
    for node in nodes:
        if isinstance(node, promql_parser.VectorSelector):
            _refuse_odd_selector(node)
    return nodes


def walk(tree: promql_parser.Expr) -> list[promql_parser.Expr]:
    """All nodes in depth-first order; a range is followed by its selector."""
    if isinstance(tree, promql_parser.VectorSelector):  # most are nothing else
        return [tree]
    nodes: list[promql_parser.Expr] = []

    def visit(node: promql_parser.Expr) -> None:
        nodes.append(node)

    promql_parser.walk(tree, visit)
    return nodes


def shape(tree: promql_parser.Expr) -> tuple[str, ...]:
    """The kinds of all nodes in depth-first order: operators and functions, but no names and numbers.

    Two expressions of one template have the same shape whatever a specification says.
    """
    return tuple(_kind(node) for node in walk(tree))


def _kind(node: promql_parser.Expr) -> str:
    match node:
        case promql_parser.Call(func=function):
            return f"call {function.name}"
        case promql_parser.AggregateExpr(op=operator) | promql_parser.BinaryExpr(op=operator):
            return f"{type(node).__name__} {operator}"
        case _:
            return type(node).__name__


def _refuse_odd_selector(node: promql_parser.VectorSelector) -> None:
    if node.matchers.or_matchers:
        raise PromqlError("`or` between matchers is not supported", 'write one regular expression: a=~"x|y"')
    if not node.name:
        raise PromqlError("this selector has no metric name", "begin it with the name of the metric")
    for matcher in node.matchers.matchers:
        if not _LABEL.fullmatch(matcher.name):
            raise PromqlError(f"`{matcher.name}` is no plain label name", "rename it by relabelling")
        if not matcher.value.isprintable() and _CONTROL.search(matcher.value):
            raise PromqlError(f"the value of label `{matcher.name}` holds a control character")
        if "{{" in matcher.value:  # alerts on a vanished metric name its selector
            message = f"`{{{{` in the value of label `{matcher.name}` would open a template action"
            raise PromqlError(message, "write `[{][{]` for two braces in a regular expression")


def _sentence(message: str) -> str:
    first = message.splitlines()[0] if message else "the parser gives no reason"
    return first[:1].lower() + first[1:]
