"""Error ratios that other tools write as PromQL, taken apart into the selectors of an SLI.

Sloth, Pyrra, OpenSLO and others divide rates of counters. What divides sums of counters becomes `ratio`, what
compares buckets of a histogram `latency`, what averages a 0/1 gauge `probe`; everything else stays PromQL (`query`).
`$window` stands for the range in every expression here, as in a `query`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, TypeAlias

import promql_parser

from sloctl.errors import PromqlError
from sloctl.model.quantities import Duration
from sloctl.model.selector import Matcher, MatchOperator, Selector
from sloctl.promql.expressions import WINDOW, counted, grouping, is_window, parse_windowed, printed
from sloctl.promql.parse import walk
from sloctl.promql.selectors import from_tree, matchers_text, selector_text

Sli: TypeAlias = dict[str, Any]
"""The value of the key `sli`, as it is written in a specification."""

_INVERSE: Final = {
    MatchOperator.EQUAL: MatchOperator.NOT_EQUAL,
    MatchOperator.NOT_EQUAL: MatchOperator.EQUAL,
    MatchOperator.REGEX: MatchOperator.NOT_REGEX,
    MatchOperator.NOT_REGEX: MatchOperator.REGEX,
}
_UNIT: Final = re.compile(r"_(seconds|milliseconds|ms)(?=_|$)")
_ENDS_WITH_UNIT: Final = ("_seconds", "_milliseconds", "_ms")
_IN_MILLISECONDS: Final = {"s": 1000, "ms": 1}

KEPT: Final = "kept as PromQL: the first events of a new series are not counted"
INVERTED: Final = "the bucket of fast requests is counted as errors, so a slower service looks better; turned round"


@dataclass(slots=True)
class Lifted:
    """What two expressions mean.

    Attributes:
        sli: the SLI.
        by: the labels that were grouped by.
        changes: what is counted otherwise than by the source.
        mistakes: what is wrong in the source.
    """

    sli: Sli = field(default_factory=dict)
    by: tuple[str, ...] = ()
    changes: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    def changed(self, what: str) -> None:
        """Note once that something is counted otherwise."""
        if what not in self.changes:
            self.changes.append(what)

    def mistaken(self, what: str) -> None:
        """Note once that the source is wrong."""
        if what not in self.mistakes:
            self.mistakes.append(what)


@dataclass(frozen=True, slots=True)
class _Counted:
    """A sum of increases of counters, and the labels that it is grouped by."""

    selectors: tuple[Selector, ...]
    by: tuple[str, ...]


def lift_events(side: str, events: str, total: str) -> Lifted:
    """The SLI that counts `events` of `total`.

    Args:
        side: `bad` or `good`: what `events` are.

    Raises:
        PromqlError: an expression is no PromQL, or has no `$window`.
    """
    return _events(side, _bare(parse_windowed(events)), _bare(parse_windowed(total)))


def lift_ratio(side: str, text: str) -> Lifted:
    """The SLI of an expression that is itself the share of `bad` or `good` events.

    Raises:
        PromqlError: it is no PromQL, or has no `$window`.
    """
    return _ratio(side, _bare(parse_windowed(text)))


def lift_selectors(side: str, events: Selector, total: Selector) -> Lifted:
    """The SLI of two plain counters; `side` as in `lift_events`."""
    events, total = _without_infinity(events), _without_infinity(total)
    return _of_counted(Lifted(), side, _Counted((events,), ()), _Counted((total,), ()))


def _ratio(side: str, tree: promql_parser.Expr) -> Lifted:
    other = {"bad": "good", "good": "bad"}[side]
    match tree:
        case promql_parser.BinaryExpr(lhs=left, rhs=right) if _is(tree, "or") and _is_filler(right):
            return _ratio(side, _bare(left))  # without data there are no events, with or without it
        case promql_parser.BinaryExpr(lhs=left, rhs=right) if _is(tree, "-") and _number(left) == 1:
            return _ratio(other, _bare(right))
        case promql_parser.BinaryExpr(lhs=left, rhs=right) if _is(tree, "*") and _number(right) == 1:
            return _ratio(side, _bare(left))
        case promql_parser.BinaryExpr(lhs=left, rhs=right) if _is(tree, "/") and _number(right) is None:
            lifted = _events(side, _bare(left), _bare(right))
            lifted.changed("events are counted now; the source averages ratios over time, whatever the traffic")
            return lifted
    lifted = Lifted()
    if (gauge := _averaged(tree)) is not None and side == "good":
        lifted.sli, lifted.by = {"probe": {"gauge": selector_text(gauge.selectors[0])}}, gauge.by
        return lifted
    text = printed(tree) if side == "bad" else f"1 - {_in_parentheses(tree)}"
    by = grouping(tree)
    if by is None:
        text = f"avg({text})"
        lifted.changed("one SLO a series was meant; all are averaged: write `by:` and group by its labels instead")
    _check_window([tree])
    lifted.changed("kept as a ratio: it is averaged over time, whatever the traffic")
    lifted.sli, lifted.by = {"query": {"bad_ratio": text}}, by or ()
    return lifted


def _events(side: str, events: promql_parser.Expr, total: promql_parser.Expr) -> Lifted:
    lifted = Lifted()
    if isinstance(events, promql_parser.Call) and events.func.name == "clamp_min":
        events = _bare(events.args[0])
    every = _counted(total, lifted)
    if isinstance(events, promql_parser.BinaryExpr) and _is(events, "-") and every is not None:
        whole, part = _counted(events.lhs, lifted), _counted(events.rhs, lifted)
        if whole is not None and part is not None and set(whole.selectors) == set(every.selectors):
            opposite = {"bad": "good", "good": "bad"}[side]
            return _of_counted(lifted, opposite, _Counted(part.selectors, whole.by), every)
    some = _counted(events, lifted)
    if some is not None and every is not None:
        return _of_counted(lifted, side, some, every)
    if (probe := _probe(side, events, total)) is not None:
        return probe
    return _kept(side, events, total)


def _of_counted(lifted: Lifted, side: str, some: _Counted, every: _Counted) -> Lifted:
    if some.by != every.by:
        lifted.mistaken(
            f"events grouped by {_labels(some.by)} are divided by events grouped by {_labels(every.by)}, "
            "which gives nothing; both are grouped alike now"
        )
    lifted.by = _free([label for label in some.by if label in every.by], (*some.selectors, *every.selectors), lifted)
    lifted.sli = _latency(lifted, side, some.selectors, every.selectors) or _of_counters(
        side, some.selectors, every.selectors
    )
    return lifted


def _labels(labels: tuple[str, ...]) -> str:
    return ", ".join(f"`{label}`" for label in labels) or "nothing"


def _of_counters(side: str, some: tuple[Selector, ...], every: tuple[Selector, ...]) -> Sli:
    """Two sums of counters; one metric with more matchers becomes `bad_if`."""
    pair = {"total": _listed(every), side: _listed(some)}
    if len(some) == len(every) == 1 and some[0].metric == every[0].metric:
        extra = [matcher for matcher in some[0].matchers if matcher not in every[0].matchers]
        missing = [matcher for matcher in every[0].matchers if matcher not in some[0].matchers]
        if side == "good" and len(extra) == 1:
            extra = [Matcher(extra[0].label, _INVERSE[extra[0].operator], extra[0].value)]
        elif side == "good":
            return {"ratio": pair}
        if extra and not missing:
            pair = {"total": selector_text(every[0]), "bad_if": matchers_text(tuple(extra))}
    return {"ratio": pair}


def _listed(selectors: tuple[Selector, ...]) -> str | list[str]:
    texts = [selector_text(selector) for selector in selectors]
    return texts[0] if len(texts) == 1 else texts


def _latency(lifted: Lifted, side: str, some: tuple[Selector, ...], every: tuple[Selector, ...]) -> Sli | None:
    """Observations at or below a bucket's bound, of all of the same histogram."""
    if len(some) != 1 or len(every) != 1 or not some[0].metric.endswith("_bucket"):
        return None
    bounds = [matcher for matcher in some[0].matchers if matcher.label == "le"]
    histogram = some[0].metric.removesuffix("_bucket")
    if len(bounds) != 1 or bounds[0].operator is not MatchOperator.EQUAL or bounds[0].value == "+Inf":
        return None
    matchers = tuple(matcher for matcher in some[0].matchers if matcher.label != "le")
    whole = every[0]
    if whole.metric != f"{histogram}_count" or set(matchers) != set(whole.matchers):
        return None
    try:
        bound = Decimal(bounds[0].value)
    except ArithmeticError:
        return None
    if side == "bad":
        lifted.mistaken(INVERTED)
    unit = unit_in(histogram)
    if unit is None:
        lifted.changed("the name of the histogram does not tell its unit: seconds are taken")
    at_most = bound_text(bound, unit or "s")
    sli: Sli = {"histogram": selector_text(Selector(histogram, matchers)), "at_most": at_most}
    if not histogram.endswith(_ENDS_WITH_UNIT):
        sli["unit"] = unit or "s"
    return {"latency": sli}


def unit_in(histogram: str) -> str | None:
    """The unit that the name of a histogram tells: `s`, `ms` or None."""
    known = _UNIT.search(histogram)
    return None if known is None else "s" if known[1] == "seconds" else "ms"


def bound_text(bound: Decimal, unit: str) -> str | Decimal:
    """A bound in `s` or `ms` as a duration where it is one of whole milliseconds, else the number itself."""
    length = bound * _IN_MILLISECONDS[unit]
    return str(Duration(int(length))) if length == int(length) and length > 0 else bound


def _without_infinity(selector: Selector) -> Selector:
    """`m_count` for `m_bucket{le="+Inf"}`, which is the same counter."""
    infinite = Matcher("le", MatchOperator.EQUAL, "+Inf")
    if not selector.metric.endswith("_bucket") or infinite not in selector.matchers:
        return selector
    matchers = tuple(matcher for matcher in selector.matchers if matcher != infinite)
    return Selector(selector.metric.removesuffix("_bucket") + "_count", matchers)


def _counted(tree: promql_parser.Expr, lifted: Lifted) -> _Counted | None:
    """The counters whose increases an expression adds up; None where it does anything else."""
    tree = _bare(tree)
    match tree:
        case promql_parser.BinaryExpr(lhs=left, rhs=right) if _is(tree, "or") and _is_filler(right):
            return _counted(left, lifted)  # a counter that is absent counts as 0 anyway
        case promql_parser.BinaryExpr(lhs=left, rhs=right) if _is(tree, ">") and _number(right) == 0:
            return _counted(left, lifted)  # nothing is divided by zero anyway
        case promql_parser.BinaryExpr(lhs=left, rhs=right) if _is(tree, "+"):
            one, other = _counted(left, lifted), _counted(right, lifted)
            if one is None or other is None or one.by != other.by:
                return None
            return _Counted(one.selectors + other.selectors, one.by)
        case promql_parser.AggregateExpr(op=op, expr=inner) if str(op) == "sum":
            by = grouping(tree)
            selector = None if by is None else _increase(_unfilled(_bare(inner)), lifted)
            return None if selector is None else _Counted((selector,), by or ())
        case promql_parser.Call():
            if (selector := _increase(tree, lifted)) is None:
                return None
            lifted.changed("one SLO a series was meant; all are added up: write `by:` with labels to keep them apart")
            return _Counted((selector,), ())
    return None


def _increase(tree: promql_parser.Expr, lifted: Lifted) -> Selector | None:
    """The counter of `rate(counter[$window])` or `increase(...)`."""
    if not isinstance(tree, promql_parser.Call) or tree.func.name not in {"rate", "increase"}:
        return None
    matrix = tree.args[0]
    if not isinstance(matrix, promql_parser.MatrixSelector):
        return None
    vector = matrix.vector_selector
    if vector.offset or vector.at or not vector.name or vector.matchers.or_matchers:
        return None
    if not is_window(matrix.range):
        lifted.mistaken("a fixed range stands where the window belongs, so every window saw the same ratio; it is gone")
    return _without_infinity(from_tree(vector))


def _averaged(tree: promql_parser.Expr) -> _Counted | None:
    """The gauge of `avg_over_time(gauge[$window])`, plain or averaged over series; as `_Counted`, with one selector."""
    by: tuple[str, ...] | None = ()
    if isinstance(tree, promql_parser.AggregateExpr) and str(tree.op) == "avg":
        by, tree = grouping(tree), _bare(tree.expr)
    selector = _over_time(tree, "avg_over_time")
    return None if selector is None or by is None else _Counted((selector,), by)


def _probe(side: str, events: promql_parser.Expr, total: promql_parser.Expr) -> Lifted | None:
    """A 0/1 gauge: the sum of its samples divided by their count."""
    whole = _summed(total, "count_over_time")
    if side == "bad" and isinstance(events, promql_parser.BinaryExpr) and _is(events, "-"):
        if _summed(events.lhs, "count_over_time") != whole:
            return None
        events = _bare(events.rhs)
    elif side == "bad":
        return None
    ones = _summed(events, "sum_over_time")
    if whole is None or ones != whole:
        return None
    return Lifted({"probe": {"gauge": selector_text(whole.selectors[0])}}, whole.by)


def _summed(tree: promql_parser.Expr, function: str) -> _Counted | None:
    tree = _bare(tree)
    by: tuple[str, ...] = ()
    if isinstance(tree, promql_parser.AggregateExpr) and str(tree.op) == "sum":
        found = grouping(tree)
        if found is None:
            return None
        tree, by = _bare(tree.expr), found
    selector = _over_time(tree, function)
    return None if selector is None else _Counted((selector,), by)


def _over_time(tree: promql_parser.Expr, function: str) -> Selector | None:
    """The selector of a function over `$window`."""
    if not isinstance(tree, promql_parser.Call) or tree.func.name != function:
        return None
    matrix = tree.args[0]
    if not isinstance(matrix, promql_parser.MatrixSelector) or not is_window(matrix.range):
        return None
    vector = matrix.vector_selector
    return None if vector.offset or vector.at or not vector.name else from_tree(vector)


def _kept(side: str, events: promql_parser.Expr, total: promql_parser.Expr) -> Lifted:
    """Both expressions as a `query`, grouped alike."""
    lifted = Lifted()
    _check_window([events, total])
    texts = [printed(tree) for tree in (events, total)]
    if _per_second(events) == _per_second(total) == 1:
        texts = [counted(text) for text in texts]  # both times the length of the window: the same ratio
    groups = {grouping(events), grouping(total)}
    written = groups.pop() if len(groups) == 1 else None
    nodes = [node for tree in (events, total) for node in walk(tree)]
    selectors = [from_tree(node) for node in nodes if isinstance(node, promql_parser.VectorSelector)]
    by = None if written is None else _free(written, selectors, lifted)
    if by is not None and by != written:
        grouped = f" by ({', '.join(by)}) " if by else ""
        texts = [f"sum{grouped}({text})" for text in texts]
    elif by is None:
        texts = [f"sum({text})" for text in texts]
        lifted.changed("the series are added up, as they are not grouped alike by labels that the source names")
    lifted.changed(KEPT)
    lifted.sli, lifted.by = {"query": {side: texts[0], "total": texts[1]}}, by or ()
    return lifted


def _per_second(tree: promql_parser.Expr) -> int | None:
    """The power of 1/s in the unit of an expression, as far as rates bring it in; None where its form does not tell."""
    tree = _bare(tree)
    match tree:
        case promql_parser.AggregateExpr(op=op, expr=inner) if str(op) in {"sum", "avg", "min", "max"}:
            return _per_second(inner)
        case promql_parser.BinaryExpr(lhs=left, rhs=right):
            one, other = _per_second(left), _per_second(right)
            if one is None or other is None:
                return None
            if str(tree.op) in {"*", "/"}:
                return one + other if _is(tree, "*") else one - other
            return one if one == other or (_is(tree, "or") and _is_filler(right)) else None
        case promql_parser.Call(func=function, args=arguments):
            if function.name in {"rate", "irate"}:
                return 1
            if function.name in {"clamp_min", "abs"}:
                return _per_second(arguments[0])
            return None if "rate(" in printed(tree) else 0
        case _:
            return None if "rate(" in printed(tree) else 0


def _free(labels: Iterable[str], selectors: Iterable[Selector], lifted: Lifted) -> tuple[str, ...]:
    """The labels of a grouping that no matcher fixes to one value."""
    fixed = {m.label for each in selectors for m in each.matchers if m.operator is MatchOperator.EQUAL}
    for label in labels:
        if label in fixed:
            lifted.changed(f"`{label}` is left out of `by`: a matcher lets one value of it through")
    return tuple(label for label in labels if label not in fixed)


def _check_window(trees: Iterable[promql_parser.Expr]) -> None:
    for tree in trees:
        if WINDOW not in printed(tree):
            raise PromqlError(
                "an expression has no window, so every window would see the same",
                f"put `[{WINDOW}]` where the window belongs",
            )


def _bare(tree: promql_parser.Expr) -> promql_parser.Expr:
    while isinstance(tree, promql_parser.ParenExpr):
        tree = tree.expr
    return tree


def _unfilled(tree: promql_parser.Expr) -> promql_parser.Expr:
    """Without `or vector(0)` around it."""
    if isinstance(tree, promql_parser.BinaryExpr) and _is(tree, "or") and _is_filler(tree.rhs):
        return _bare(tree.lhs)
    return tree


def _is_filler(tree: promql_parser.Expr) -> bool:
    """Whether an operand of `or` only stands for a number where there are no series."""
    match _bare(tree):
        case promql_parser.BinaryExpr(lhs=left, rhs=right) as product if _is(product, "*"):
            return any(_number(side) is not None for side in (left, right)) and any(
                _is_filler(side) for side in (left, right)
            )
        case promql_parser.Call(func=function):
            return function.name in {"vector", "absent", "absent_over_time"}
        case _:
            return False


def _is(tree: promql_parser.BinaryExpr, operator: str) -> bool:
    return str(tree.op) == operator


def _number(tree: promql_parser.Expr) -> float | None:
    tree = _bare(tree)
    return tree.val if isinstance(tree, promql_parser.NumberLiteral) else None


def _in_parentheses(tree: promql_parser.Expr) -> str:
    return f"({printed(tree)})"
