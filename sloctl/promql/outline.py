"""What an expression is made of: its outline, and what fills it, so that two expressions can be compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import promql_parser

from sloctl.promql.parse import parse_printed


class Fill(NamedTuple):
    """A metric name (`kind` is empty), the value of a matcher (`kind` is its label), or a number (`kind` is None)."""

    kind: str | None
    value: str | float


Outline: TypeAlias = tuple[object, ...]
"""Nodes, operators, functions, durations, groupings and labels, in order."""


def outlined(text: str) -> tuple[Outline, tuple[Fill, ...]]:
    """The outline of an expression and what fills it, both in depth-first order.

    Raises:
        PromqlError: it is no PromQL.
    """
    outline, fills = list[object](), list[Fill]()
    for part in _parts(parse_printed(text)):
        if isinstance(part, Fill):
            fills.append(part)
            outline.append(part.kind)
        else:
            outline.append(part)
    return tuple(outline), tuple(fills)


def _parts(node: promql_parser.Expr) -> Iterator[object]:  # noqa: C901, PLR0912 - one branch a node
    yield type(node).__name__
    match node:
        case promql_parser.NumberLiteral():
            yield Fill(None, node.val)
        case promql_parser.StringLiteral():
            yield node.val
        case promql_parser.VectorSelector():
            yield Fill("", node.name or "")
            for matcher in node.matchers.matchers:
                yield matcher.name
                yield str(matcher.op)
                yield Fill(matcher.name, matcher.value)
            yield str(node.offset)
            yield str(node.at)
        case promql_parser.MatrixSelector():
            yield str(node.range)
            yield from _parts(node.vector_selector)
        case promql_parser.SubqueryExpr():
            yield from (str(node.range), str(node.step), str(node.offset), str(node.at))
            yield from _parts(node.expr)
        case promql_parser.BinaryExpr():
            yield str(node.op)
            yield from _matching(node.modifier)
            yield from _parts(node.lhs)
            yield from _parts(node.rhs)
        case promql_parser.AggregateExpr():
            yield str(node.op)
            yield (str(node.modifier.type), *node.modifier.labels) if node.modifier else None
            if node.param is not None:
                yield from _parts(node.param)
            yield from _parts(node.expr)
        case promql_parser.Call():
            yield node.func.name
            yield len(node.args)
            for argument in node.args:
                yield from _parts(argument)
        case promql_parser.UnaryExpr() | promql_parser.ParenExpr():
            yield from _parts(node.expr)
        case _:
            raise AssertionError(f"an unknown node: {type(node).__name__}")


def _matching(modifier: promql_parser.BinModifier | None) -> Iterator[object]:
    if modifier is None:
        yield None
        return
    yield str(modifier.card)
    yield modifier.return_bool
    yield tuple(modifier.group_labels or ()) if modifier.group_labels is not None else None
    yield modifier.fill_values.lhs, modifier.fill_values.rhs
    matching = modifier.matching
    yield (str(matching.type), *matching.labels) if matching is not None else None
