"""Selectors and matchers: from the user's text to the model, and back to text by one quoting printer."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import promql_parser

from sloctl.errors import PromqlError
from sloctl.model.quantities import Duration
from sloctl.model.selector import Matcher, MatchOperator, Selector
from sloctl.promql.parse import parse_nodes

_OPERATORS: Final = {
    "MatchOp.Equal": MatchOperator.EQUAL,
    "MatchOp.NotEqual": MatchOperator.NOT_EQUAL,
    "MatchOp.Re": MatchOperator.REGEX,
    "MatchOp.NotRe": MatchOperator.NOT_REGEX,
}
_ONLY_SELECTORS: Final = "sloctl adds functions, ranges and grouping itself; for anything else use `query`"


def parse_selector(text: str) -> Selector:
    """`name{label="value"}` as a selector.

    Raises:
        PromqlError: the text is something else, or has a range, an offset or `@`.
    """
    tree = parse_nodes(text)[0]
    if not isinstance(tree, promql_parser.VectorSelector):
        raise PromqlError("this is an expression where a selector is expected", _ONLY_SELECTORS)
    if tree.offset or tree.at:
        raise PromqlError("a selector has no `offset` and no `@`", _ONLY_SELECTORS)
    return from_tree(tree)


def from_tree(node: promql_parser.VectorSelector) -> Selector:
    """The name and matchers of a parsed selector."""
    assert node.name is not None
    return Selector(node.name, tuple(_matcher(matcher) for matcher in node.matchers.matchers))


@lru_cache(maxsize=1024)  # most SLOs of a platform call the same events bad
def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """The inside of a selector's braces, such as `code=~"5..", method="GET"`.

    Raises:
        PromqlError: the text is no list of matchers.
    """
    if text.lstrip().startswith("{"):
        raise PromqlError("matchers are written without braces", 'write code=~"5.."')
    example = 'write matchers such as code=~"5..", method="GET"'
    try:
        matchers = parse_selector(f"x{{{text}\n}}").matchers
    except PromqlError as error:
        raise PromqlError(str(error), error.help or example) from None
    if not matchers:
        raise PromqlError("there is no matcher here", example)
    return matchers


def _matcher(matcher: promql_parser.Matcher) -> Matcher:
    return Matcher(matcher.name, _OPERATORS[str(matcher.op)], matcher.value)


@lru_cache(maxsize=1024)
def quote(value: str) -> str:
    """A string literal of PromQL."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def one_of(names: Iterable[str]) -> str:
    """A pattern that matches these names of SLOs and nothing else."""
    return "|".join(sorted(names)).replace(".", r"\.")


@lru_cache(maxsize=64)
def matchers_text(matchers: tuple[Matcher, ...]) -> str:
    """Matchers as PromQL, without braces."""
    return ", ".join(f"{matcher.label}{matcher.operator}{quote(matcher.value)}" for matcher in matchers)


def selector_text(selector: Selector, range_: Duration | None = None, offset: Duration | None = None) -> str:
    """A selector as PromQL, with an optional range and offset."""
    text = _instant(selector)
    if range_ is not None:
        text += f"[{range_}]"
    return f"{text} offset {offset}" if offset else text


@lru_cache(maxsize=256)
def _instant(selector: Selector) -> str:
    """A selector without range and offset; few are written with many of these."""
    return f"{selector.metric}{{{matchers_text(selector.matchers)}}}" if selector.matchers else selector.metric


def label_selector(metric: str, labels: dict[str, str]) -> Selector:
    """A selector with one equality matcher a label."""
    return Selector(metric, tuple(Matcher(name, MatchOperator.EQUAL, value) for name, value in labels.items()))
