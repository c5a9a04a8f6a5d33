"""Conditions of the form `max(queue_length) > 1000`: the samples of one selector beside a number."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

import promql_parser

from sloctl.model.selector import Expression, Selector
from sloctl.promql.expressions import selector_of
from sloctl.promql.parse import parse_printed

_STEP: Final = {"<": -1, "<=": 0, "==": 0, ">=": 0, ">": 1, "!=": 1}


class NumberComparison(NamedTuple):
    """The selector of a condition, and a sample with which the condition holds."""

    selector: Selector
    holds_at: Decimal


def comparison(condition: Expression) -> NumberComparison | None:
    """What a condition compares; None for any other form."""
    node = parse_printed(condition.text)
    while isinstance(node, promql_parser.ParenExpr):
        node = node.expr
    if not isinstance(node, promql_parser.BinaryExpr) or not isinstance(node.rhs, promql_parser.NumberLiteral):
        return None
    step, selector = _STEP.get(str(node.op)), selector_of(node.lhs)
    if step is None or selector is None:
        return None
    return NumberComparison(selector, Decimal(repr(node.rhs.val)) + step)
