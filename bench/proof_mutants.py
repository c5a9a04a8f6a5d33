"""Rule files with one thing broken: each operator at each node of the syntax tree, and each part of rules and groups.

Operators: comparison, arithmetic, set operation, number, duration, matcher, label, function, operand dropped; of rules
`for`, `keep_firing_for`, labels and texts; of groups interval, limit, order, a rule that is gone or comes twice.
"""

from __future__ import annotations

import copy
import datetime
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import promql_parser

from sloctl import conventions
from sloctl.backends.prometheus.backend import slo_groups
from sloctl.model.catalogue import Platform, Slo

Groups: TypeAlias = list[dict[str, Any]]
Text: TypeAlias = tuple[str, str]
"""What is broken, and the expression then."""

_OPERATORS: Final = {
    ">": (">=", "<"),
    ">=": (">", "<"),
    "<": ("<=", ">"),
    "<=": ("<", ">"),
    "==": ("!=",),
    "!=": ("==",),
    "+": ("-",),
    "-": ("+",),
    "*": ("/",),
    "/": ("*",),
    "^": ("*",),
    "and": ("or", "unless"),
    "or": ("and", "unless"),
    "unless": ("and", "or"),
}
_FUNCTIONS: Final = {
    "sum_over_time": "max_over_time",
    "max_over_time": "min_over_time",
    "min_over_time": "max_over_time",
    "last_over_time": "min_over_time",
    "present_over_time": "absent_over_time",
    "avg_over_time": "max_over_time",
    "count_over_time": "sum_over_time",
    "clamp_max": "clamp_min",
    "clamp_min": "clamp_max",
    "sqrt": "abs",
    "timestamp": "abs",
    "absent": "present_over_time",
    "sum": "max",
    "max": "min",
    "min": "max",
    "count": "sum",
}
_SETS: Final = frozenset({"and", "or", "unless"})


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken rule file.

    Attributes:
        operator: what kind of thing is broken.
        what: is broken, in words.
        groups: those of the SLO.
    """

    operator: str
    what: str
    groups: Groups


def mutants(platform: Platform, slo: Slo) -> Iterator[Mutant]:
    """Every mutant of the rules of an SLO."""
    groups: Groups = [group.value() for group in slo_groups(platform, slo)]
    for number, group in enumerate(groups):
        yield from _of_group(groups, number)
        for index, rule in enumerate(group["rules"]):
            name = rule.get("alert") or rule["record"]
            for operator, what, parts in _of_rule(rule):
                changed = copy.deepcopy(groups)
                changed[number]["rules"][index] |= parts
                yield Mutant(operator, f"{name}: {what}", changed)


def _of_group(groups: Groups, number: int) -> Iterator[Mutant]:
    def changed(what: str, **parts: Any) -> Mutant:
        found = copy.deepcopy(groups)
        found[number] |= parts
        return Mutant("group", f"{found[number]['name']}: {what}", found)

    group = groups[number]
    rules = group["rules"]
    yield changed("interval", interval="5m" if group["interval"] != "5m" else "1m")
    yield changed("limit", limit=group["limit"] + 1)
    for index in range(len(rules)):
        yield changed(f"rule {index} is gone", rules=[*rules[:index], *rules[index + 1 :]])
    yield changed("the first rule comes last", rules=[*rules[1:], rules[0]])


def _of_rule(rule: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    if "alert" in rule:
        for key in ("for", "keep_firing_for"):
            yield key, f"`{key}` is another", {key: "7m"}
            if key in rule:
                yield key, f"`{key}` is gone", {key: "0s"}
    for key in ("labels", "annotations"):
        for part in rule.get(key, {}):
            yield key, f"{part} is another", {key: {**rule[key], part: "another"}}
            yield key, f"{part} is gone", {key: {name: text for name, text in rule[key].items() if name != part}}
    seen = {rule["expr"]}
    for operator, what, expr in _of_node(promql_parser.parse(rule["expr"])):
        if expr not in seen and _parses(expr):
            seen.add(expr)
            yield operator, what, {"expr": expr}


def _of_node(node: promql_parser.Expr) -> Iterator[tuple[str, str, str]]:
    """Every mutant of a tree: what is broken in the node itself, then in each part of it."""
    parts = [printed(child) for child in children(node)]
    yield from _own(node, parts)
    for index, child in enumerate(children(node)):
        for operator, what, text in _of_node(child):
            yield operator, what, form(node, [*parts[:index], text, *parts[index + 1 :]])


def children(node: promql_parser.Expr) -> list[promql_parser.Expr]:
    """The expressions that a node is made of; a range is part of its selector."""
    match node:
        case promql_parser.BinaryExpr():
            return [node.lhs, node.rhs]
        case promql_parser.AggregateExpr():
            return [*([node.param] if node.param is not None else []), node.expr]
        case promql_parser.Call():
            return list(node.args)
        case promql_parser.UnaryExpr() | promql_parser.ParenExpr() | promql_parser.SubqueryExpr():
            return [node.expr]
        case _:
            return []


def printed(node: promql_parser.Expr) -> str:
    """A tree as text."""
    return form(node, [printed(child) for child in children(node)])


def form(node: promql_parser.Expr, parts: Sequence[str], **other: Any) -> str:  # noqa: C901 - a branch a node
    """A node as text, with other texts for its parts, and other words of its own.

    Args:
        node: what is printed.
        parts: the texts of its children.
        other: `op`, `range`, `offset`, `matchers`, `labels`, `number` or `name` instead of its own.
    """
    match node:
        case promql_parser.NumberLiteral():
            return f"{other.get('number', node.val):.15g}"
        case promql_parser.StringLiteral():
            return _quoted(node.val)
        case promql_parser.VectorSelector():
            return _selector(node, "", **other)
        case promql_parser.MatrixSelector():
            return _selector(node.vector_selector, f"[{_length(other.get('range', node.range))}]", **other)
        case promql_parser.SubqueryExpr():
            step = _length(node.step) if node.step else ""
            text = f"{parts[0]}[{_length(other.get('range') or node.range)}:{step}]"
            return text + _offset(other.get("offset", node.offset))
        case promql_parser.BinaryExpr():
            return f"({parts[0]}) {other.get('op', str(node.op))} {_modifier(node, **other)} ({parts[1]})"
        case promql_parser.AggregateExpr():
            labels = other.get("labels", list(node.modifier.labels) if node.modifier else None)
            word = "without" if node.modifier and "Without" in str(node.modifier.type) else "by"
            grouping = f" {word} ({', '.join(labels)}) " if labels is not None else ""
            return f"{other.get('name', str(node.op))}{grouping}({', '.join(parts)})"
        case promql_parser.Call():
            return f"{other.get('name', node.func.name)}({', '.join(parts)})"
        case promql_parser.UnaryExpr():
            return f"-({parts[0]})"
        case promql_parser.ParenExpr():
            return f"({parts[0]})"
        case _:
            raise AssertionError(type(node).__name__)


def _selector(node: promql_parser.VectorSelector, range_: str, **other: Any) -> str:
    matchers = other.get("matchers", [(m.name, str(m.op), m.value) for m in node.matchers.matchers])
    words = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}
    inside = ", ".join(f"{name}{words.get(operator, operator)}{_quoted(value)}" for name, operator, value in matchers)
    return f"{node.name or ''}{{{inside}}}{range_}{_offset(other.get('offset', node.offset))}"


def _modifier(node: promql_parser.BinaryExpr, **other: Any) -> str:
    modifier = node.modifier
    if modifier is None:
        return ""
    words = ["bool"] if modifier.return_bool else []
    if modifier.matching is not None:
        labels = other.get("labels", list(modifier.matching.labels))
        word = "ignoring" if "Exclude" in str(modifier.matching.type) else "on"
        words.append(f"{word} ({', '.join(labels)})")
    cards = {"VectorMatchCardinality.ManyToOne": "group_left", "VectorMatchCardinality.OneToMany": "group_right"}
    if str(modifier.card) in cards:
        words.append(f"{cards[str(modifier.card)]} ({', '.join(modifier.group_labels or ())})")
    return " ".join(words)


def _own(  # noqa: C901, PLR0912 - a branch a node
    node: promql_parser.Expr, parts: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    match node:
        case promql_parser.NumberLiteral():
            for number in (node.val * 1.2 + (node.val == 0), node.val * 0.8 - (node.val == 0)):
                yield "number", f"{node.val:g} is {number:g}", form(node, parts, number=number)
        case promql_parser.VectorSelector():
            yield from _of_selector(node, node, parts)
        case promql_parser.MatrixSelector():
            yield from _of_range(node, parts)
            yield from _of_selector(node, node.vector_selector, parts)
        case promql_parser.SubqueryExpr():
            yield from _of_range(node, parts)
        case promql_parser.BinaryExpr():
            own = str(node.op)
            for other in _OPERATORS.get(own, ()):
                yield "operator", f"`{own}` is `{other}`", form(node, parts, op=other)
            if own in _SETS:
                yield "operand", f"the left side of `{own}` is gone", parts[1]
            yield "operand", f"the right side of `{own}` is gone", parts[0]
            if node.modifier is not None and node.modifier.matching is not None:
                yield from _of_labels(node, list(node.modifier.matching.labels), parts)
        case promql_parser.AggregateExpr():
            if name := _FUNCTIONS.get(str(node.op)):
                yield "function", f"{node.op} is {name}", form(node, parts, name=name)
            if node.modifier is not None:
                yield from _of_labels(node, list(node.modifier.labels), parts)
        case promql_parser.Call():
            if name := _FUNCTIONS.get(node.func.name):
                yield "function", f"{node.func.name} is {name}", form(node, parts, name=name)


def _of_range(
    node: promql_parser.MatrixSelector | promql_parser.SubqueryExpr, parts: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    assert node.range is not None
    length, zero = node.range, datetime.timedelta()
    tile = datetime.timedelta(minutes=1 if length < datetime.timedelta(days=1) else 4)
    for other, word in ((length + tile, "longer"), (length - tile, "shorter")):
        if other > zero:
            yield "duration", f"[{_length(length)}] is {word}", form(node, parts, range=other)


def _of_selector(
    node: promql_parser.Expr, selector: promql_parser.VectorSelector, parts: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    matchers = [(m.name, str(m.op), m.value) for m in selector.matchers.matchers]
    for index, (name, operator, value) in enumerate(matchers):
        rest = [*matchers[:index], *matchers[index + 1 :]]
        if rest or selector.name:
            yield "matcher", f"{selector.name}: {name} is gone", form(node, parts, matchers=rest)
        other = (name, operator, f"{value}-another")
        yield "matcher", f"{selector.name}: {name} is another", form(node, parts, matchers=[*rest, other])
    if selector.offset:
        yield "duration", f"{selector.name}: no offset", form(node, parts, offset=None)


def _of_labels(node: promql_parser.Expr, labels: list[str], parts: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    for label in labels:
        yield "label", f"{label} is gone", form(node, parts, labels=[name for name in labels if name != label])


def _length(length: datetime.timedelta | None) -> str:
    assert length is not None
    return f"{round(length.total_seconds() * 1000)}ms"


def _offset(length: datetime.timedelta | None) -> str:
    return f" offset {_length(length)}" if length else ""


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _parses(expr: str) -> bool:
    try:
        promql_parser.parse(expr)
    except ValueError:
        return False
    return True


def equivalent(mutant: Mutant) -> str:
    """Why a mutant that no proof fails on does the same, or nothing."""
    name, _, what = mutant.what.partition(": ")
    for operator, names, pattern, why in _EQUIVALENT:
        if operator == mutant.operator and re.fullmatch(names, name) and re.fullmatch(pattern, what):
            return why
    return ""


_RECORDED: Final = "slo:.+|.+Budget.+|.+ReachesLimit|.+Regression"
"""Rules whose operands are recordings of the SLO, one series for each split value."""
_EQUIVALENT: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("group", ".+", "limit", "one more than what no rule reaches"),
    (
        *(
            "labels",
            "slo:(?!sli_(?:total|errors):increase1m|objective).+|.+Budget.+",
            "(?:platform|service|slo) is gone",
        ),
        "what it is made of has the label already",
    ),
    (
        *("matcher", _RECORDED, "slo:.+: (?:platform|slo|service) is gone"),
        "a neighbour stands in every proof: its series find no partner, for the other operand has the own ones only",
    ),
    (
        *("function", f"{conventions.TIME_TO_EXHAUSTION}|.+Budget.+|{conventions.ERROR_RATIO}.+", "(?:sum|max) is .+"),
        "an aggregation of one series for each of its groups",
    ),
    (
        *("number", "slo:sli_(?:total|errors):increase1m", "-inf is -inf"),
        "a fifth more than infinity is infinity",
    ),
)
"""Operator, rule and what is broken, as patterns; and why nothing can come of it."""
