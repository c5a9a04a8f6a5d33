"""The shape of PromQL, by which tests see that a specification's words changed nothing but words."""

from __future__ import annotations

import promql_parser

from sloctl.promql.parse import walk


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
