"""Expressions that users write themselves: parsed, narrowed by the platform's matchers, printed canonically."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Final, NamedTuple

import promql_parser

from sloctl.errors import PromqlError
from sloctl.model.quantities import Duration
from sloctl.model.selector import Expression, Matcher, Selector
from sloctl.promql.limits import STRING
from sloctl.promql.parse import parse_nodes, parse_printed, walk
from sloctl.promql.selectors import from_tree, selector_text

WINDOW: Final = "$window"
# Stands for $window while an expression is parsed, in as many characters; nobody writes a range of this odd length.
_STAND_IN: Final = timedelta(seconds=987_653)
_WORDS: Final = {"scalar": "a number", "string": "a text", "matrix": "a range"}
_STAND_IN_WRITTEN: Final = "987653s"
_STAND_IN_PRINTED: Final = promql_parser.display_duration(_STAND_IN)
_HOLDS_AT: Final = {"<": -1, "<=": 0, "==": 0, ">=": 0, ">": 1, "!=": 1}
"""How far from the number a sample lies with which a comparison holds."""
_SAME_UNIT: Final = frozenset(
    ("abs", "ceil", "clamp", "clamp_max", "clamp_min", "floor", "label_join", "label_replace", "round")
)
"""Functions that return what they are given, in its own unit."""
_PERIODS: Final = ("week", "month", "year")
_CLOCK: Final = ("time", "minute", "hour", "month", "year", "days_in_month", *(f"day_of_{of}" for of in _PERIODS))
_WITHOUT_DATA: Final = frozenset(("absent", "absent_over_time", "vector", *_CLOCK))
"""Functions that return something where there are no series."""
_OF_TWO_SAMPLES: Final = frozenset(("delta", "deriv", "idelta", "increase", "irate", "rate"))
_RATE_OR_STRING: Final = re.compile(rf"{STRING}|\b(i?rate)\(")
_STRING_OR_WINDOW: Final = re.compile(rf"{STRING}|\$window\b")


def parse_expression(text: str, matchers: Iterable[Matcher] = (), *, windowed: bool = False) -> Expression:
    """One PromQL expression, with `matchers` added to each of its selectors.

    Args:
        windowed: `$window` stands for a length in it.

    Raises:
        PromqlError: it is no PromQL that returns series, or a selector already matches one of the labels otherwise.
    """
    nodes, added = parse_nodes(_replaced(text, _STAND_IN_WRITTEN)), tuple(matchers)
    tree = nodes[0]
    _check_window(nodes, text, windowed=windowed)
    if (kind := _kind(tree)) != "vector":
        raise PromqlError(f"this is {_WORDS[kind]} where series are needed", "write PromQL such as `max(queue_length)`")
    narrowed = printed(_narrowed(tree, added))
    selectors = (from_tree(node) for node in nodes if isinstance(node, promql_parser.VectorSelector))
    return Expression(narrowed, grouping(tree), tuple(selector.narrowed(*added) for selector in selectors))


def parse_windowed(text: str) -> promql_parser.Expr:
    """The syntax tree of an expression in which `$window` stands for a range.

    Raises:
        PromqlError: it is no PromQL, or uses names or characters that sloctl refuses.
    """
    return parse_nodes(_replaced(text, _STAND_IN_WRITTEN))[0]


def printed(tree: promql_parser.Expr) -> str:
    """The text of a tree of `parse_windowed`."""
    return tree.prettify().replace(_STAND_IN_PRINTED, WINDOW)


def is_window(range_: timedelta) -> bool:
    """Whether a range of a tree of `parse_windowed` was written `$window`."""
    return range_ == _STAND_IN


def counted(text: str) -> str:
    """The text of an expression with `increase` for each `rate` and `irate`."""
    return _RATE_OR_STRING.sub(lambda found: "increase(" if found[1] else found[0], text)


def with_window(expression: Expression, window: Duration) -> str:
    """The text of an expression with a length for `$window`."""
    return _replaced(expression.text, str(window))


def plain_selector(expression: Expression) -> Selector | None:
    """The selector whose samples an expression returns as they are, or as the only one of a group; None otherwise."""
    return selector_of(parse_printed(_replaced(expression.text, _STAND_IN_WRITTEN)))


def selector_of(node: promql_parser.Expr) -> Selector | None:
    """As `plain_selector`, of a syntax tree."""
    while not isinstance(node, promql_parser.VectorSelector):
        match node:
            case promql_parser.ParenExpr(expr=inner):
                node = inner
            case promql_parser.AggregateExpr(op=op, expr=inner) if str(op) in {"sum", "min", "max", "avg"}:
                node = inner
            case _:
                return None
    return None if node.offset or node.at else from_tree(node)


class NumberComparison(NamedTuple):
    """The selector of a condition, and a sample with which the condition holds."""

    selector: Selector
    holds_at: Decimal


def comparison(condition: Expression) -> NumberComparison | None:
    """What a condition of the form `max(queue_length) > 1000` compares; None for any other form."""
    node = parse_printed(condition.text)
    while isinstance(node, promql_parser.ParenExpr):
        node = node.expr
    if not isinstance(node, promql_parser.BinaryExpr) or not isinstance(node.rhs, promql_parser.NumberLiteral):
        return None
    step, selector = _HOLDS_AT.get(str(node.op)), selector_of(node.lhs)
    if step is None or selector is None:
        return None
    return NumberComparison(selector, Decimal(repr(node.rhs.val)) + step)


def may_hold_without_data(condition: Expression) -> bool:
    """Whether a condition asks for the time or for what is absent, so that it may hold where there are no series."""
    nodes = walk(parse_printed(condition.text))
    calls = {node.func.name for node in nodes if isinstance(node, promql_parser.Call)}
    return bool(calls & _WITHOUT_DATA) or not condition.selectors


def per_second(expression: Expression) -> str | None:
    """The function, `rate` or `irate`, by which an expression counts events per second; None where none does.

    What is multiplied or divided is another unit, which the user knows.
    """
    return _per_second(parse_printed(_replaced(expression.text, _STAND_IN_WRITTEN)))


def _per_second(node: promql_parser.Expr) -> str | None:
    match node:
        case promql_parser.ParenExpr(expr=inner) | promql_parser.UnaryExpr(expr=inner):
            return _per_second(inner)
        case promql_parser.AggregateExpr(op=op, expr=inner) if str(op) not in {"count", "group", "count_values"}:
            return _per_second(inner)
        case promql_parser.BinaryExpr(op=op, lhs=left, rhs=right, modifier=modifier):
            if str(op) in {"*", "/", "%", "^", "atan2"} or (modifier is not None and modifier.return_bool):
                return None
            return _per_second(left) or (_per_second(right) if str(op) in {"+", "-", "or"} else None)
        case promql_parser.Call(func=function, args=arguments):
            if function.name in {"rate", "irate"}:
                return str(function.name)
            return _per_second(arguments[0]) if function.name in _SAME_UNIT else None
        case _:
            return None


def needs_two_samples(expression: Expression) -> str | None:
    """A function over `$window` that has no value for a single sample, such as `increase`; None where none is."""
    nodes = parse_nodes(_replaced(expression.text, _STAND_IN_WRITTEN))
    calls = (node for node in nodes if isinstance(node, promql_parser.Call) and node.func.name in _OF_TWO_SAMPLES)
    return next((str(call.func.name) for call in calls if _over_window(call.args[0])), None)


def _over_window(node: promql_parser.Expr) -> bool:
    return isinstance(node, promql_parser.MatrixSelector) and node.range == _STAND_IN


def summands_may_be_absent(expression: Expression) -> bool:
    """Whether a `+` or `-` stands between aggregations: where one of them has no series, there is no sum either."""
    nodes = parse_nodes(_replaced(expression.text, _STAND_IN_WRITTEN))
    sums = (node for node in nodes if isinstance(node, promql_parser.BinaryExpr) and str(node.op) in {"+", "-"})
    return any(_aggregates(node.lhs) and _aggregates(node.rhs) for node in sums)


def _aggregates(node: promql_parser.Expr) -> bool:
    while isinstance(node, promql_parser.ParenExpr):
        node = node.expr
    if isinstance(node, promql_parser.BinaryExpr) and str(node.op) in {"+", "-"}:
        return _aggregates(node.lhs) or _aggregates(node.rhs)
    return isinstance(node, promql_parser.AggregateExpr)


def _replaced(text: str, window: str) -> str:
    return _STRING_OR_WINDOW.sub(lambda found: window if found[0] == WINDOW else found[0], text)


def _narrowed(tree: promql_parser.Expr, matchers: tuple[Matcher, ...]) -> promql_parser.Expr:
    """The tree with more matchers: selectors cannot be edited, so each is printed anew and parsed."""
    if not matchers:
        return tree

    def narrowed(node: promql_parser.Expr) -> promql_parser.Expr | None:
        if isinstance(node, promql_parser.MatrixSelector):
            range_ = promql_parser.display_duration(node.range)
            return promql_parser.parse(_added(node.vector_selector, matchers, range_))
        if isinstance(node, promql_parser.VectorSelector):
            return promql_parser.parse(_added(node, matchers, ""))
        return None

    return promql_parser.transform(tree, post_visit=narrowed)


def _added(node: promql_parser.VectorSelector, matchers: tuple[Matcher, ...], range_: str) -> str:
    selector = from_tree(node)
    for matcher in matchers:
        if any(own.label == matcher.label and own != matcher for own in selector.matchers):
            raise PromqlError(
                f"{selector.metric} already matches `{matcher.label}`, which `matchers` sets to {matcher.value!r}",
                "remove it here, or from `matchers`",
            )
    tail = (
        node.prettify().rpartition("}")[2] if node.matchers.matchers else node.prettify().removeprefix(node.name or "")
    )
    return selector_text(selector.narrowed(*matchers)) + (f"[{range_}]" if range_ else "") + tail


def _check_window(nodes: list[promql_parser.Expr], text: str, *, windowed: bool) -> None:
    if WINDOW not in text:
        return
    if not windowed and _replaced(text, "") != text:
        raise PromqlError("`$window` has no meaning here", "write a length, such as `[5m]`")
    numbers = (node.val for node in nodes if isinstance(node, promql_parser.NumberLiteral))
    if _STAND_IN.total_seconds() in numbers:
        raise PromqlError("`$window` is no number", "it stands in brackets only: `increase(requests_total[$window])`")


def _kind(node: promql_parser.Expr) -> str:
    """What an expression returns: vector, scalar, string or matrix."""
    match node:
        case promql_parser.NumberLiteral():
            return "scalar"
        case promql_parser.StringLiteral():
            return "string"
        case promql_parser.MatrixSelector() | promql_parser.SubqueryExpr():
            return "matrix"
        case promql_parser.ParenExpr(expr=inner) | promql_parser.UnaryExpr(expr=inner):
            return _kind(inner)
        case promql_parser.BinaryExpr(lhs=left, rhs=right):
            return "scalar" if _kind(left) == _kind(right) == "scalar" else "vector"
        case promql_parser.Call(func=function):
            return str(function.return_type).rpartition(".")[2].lower()
        case _:
            return "vector"


def grouping(node: promql_parser.Expr) -> tuple[str, ...] | None:
    """The labels that the result of an expression is grouped by; None where the expression does not tell."""
    match node:
        case promql_parser.ParenExpr(expr=inner) | promql_parser.UnaryExpr(expr=inner):
            return grouping(inner)
        case promql_parser.AggregateExpr(op=op, expr=inner) if str(op) in {"topk", "bottomk"}:
            return grouping(inner)
        case promql_parser.AggregateExpr(op=op, param=param, modifier=modifier):
            added = [param.val] if str(op) == "count_values" and isinstance(param, promql_parser.StringLiteral) else []
            by = modifier is None or str(modifier.type).endswith("By")
            return tuple(sorted({*(modifier.labels if modifier else ()), *added})) if by else None
        case promql_parser.BinaryExpr(lhs=left, rhs=right):
            return _common([left, right])
        case promql_parser.Call(func=function, args=arguments):
            return _of_function(function.name, arguments)
        case _:
            return None


def _of_function(name: str, arguments: list[promql_parser.Expr]) -> tuple[str, ...] | None:
    """The grouping of what a function returns; nearly all keep that of their argument."""
    if name == "vector":
        return ()
    if name in {"absent", "absent_over_time"}:
        return None  # labels of the selector's own matchers
    found = _common(arguments)
    if found is None:
        return None
    if name == "histogram_quantile":
        return tuple(label for label in found if label != "le")
    if name in {"label_replace", "label_join"} and isinstance(arguments[1], promql_parser.StringLiteral):
        return tuple(sorted({*found, arguments[1].val}))
    return found


def _common(nodes: list[promql_parser.Expr]) -> tuple[str, ...] | None:
    """The grouping of all operands that are no plain numbers or strings, if they agree."""
    literals = (promql_parser.NumberLiteral, promql_parser.StringLiteral)
    found = {grouping(node) for node in nodes if not isinstance(node, literals)}
    return found.pop() if len(found) == 1 else None
