"""PromQL text to a syntax tree."""

from __future__ import annotations

import re
from typing import Final

import promql_parser

from sloctl.errors import PromqlError
from sloctl.promql.limits import check_limits

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")
_UTF8: Final = (
    "quoted names with dots are not read: write the underscores to which Prometheus translates OTLP, "
    "`http_server_request_duration_seconds`"
)
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def parse_nodes(text: str) -> list[promql_parser.Expr]:
    """All nodes of the syntax tree of one PromQL expression, the whole one first.

    Raises:
        PromqlError: it is no PromQL, exceeds a limit, or uses names or characters that sloctl refuses.
    """
    check_limits(text)
    if not text.isprintable() and _CONTROL.search(text):
        raise PromqlError("this holds a control character")
    nodes = walk(parse_printed(text))
    for node in nodes:
        if isinstance(node, promql_parser.VectorSelector):
            _refuse_odd_selector(node)
    return nodes


def parse_printed(text: str) -> promql_parser.Expr:
    """The syntax tree of text that was parsed before; matchers added since may have made it longer than a user's.

    Raises:
        PromqlError: it is no PromQL.
    """
    try:
        tree: promql_parser.Expr = promql_parser.parse(text)
    except (ValueError, OverflowError) as error:
        raise PromqlError(f"this is not PromQL: {_sentence(str(error))}") from error
    return tree


def walk(tree: promql_parser.Expr) -> list[promql_parser.Expr]:
    """All nodes in depth-first order; a range is followed by its selector."""
    if isinstance(tree, promql_parser.VectorSelector):  # most are nothing else
        return [tree]
    nodes: list[promql_parser.Expr] = []

    def visit(node: promql_parser.Expr) -> None:
        nodes.append(node)

    promql_parser.walk(tree, visit)
    return nodes


def _refuse_odd_selector(node: promql_parser.VectorSelector) -> None:
    if node.matchers.or_matchers:
        raise PromqlError("`or` between matchers is not supported", 'write one regular expression: a=~"x|y"')
    if not node.name:
        raise PromqlError("this selector has no metric name", f"begin it with the name of the metric; {_UTF8}")
    for matcher in node.matchers.matchers:
        if not _LABEL.fullmatch(matcher.name):
            raise PromqlError(f"`{matcher.name}` is no plain label name", f"rename it by relabelling; {_UTF8}")
        if not matcher.value.isprintable() and _CONTROL.search(matcher.value):
            raise PromqlError(f"the value of label `{matcher.name}` holds a control character")
        if "{{" in matcher.value:  # alerts on a vanished metric name its selector
            message = f"`{{{{` in the value of label `{matcher.name}` would open a template action"
            raise PromqlError(message, "write `[{][{]` for two braces in a regular expression")


def _sentence(message: str) -> str:
    first = message.splitlines()[0] if message else "the parser gives no reason"
    return first[:1].lower() + first[1:]
