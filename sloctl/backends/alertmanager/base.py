"""Somebody else's `alertmanager.yml`, read with the place of every value and never written by a YAML library.

PyYAML reads YAML 1.1, as Alertmanager does. Its pure scanner is used: it ends in an exception where libyaml's
would end the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

import yaml

from sloctl.backends.alertmanager.tree import RouteNode, read_matchers
from sloctl.errors import SloctlError
from sloctl.model.selector import Matcher, MatchOperator

Node: TypeAlias = yaml.Node
Mapping: TypeAlias = yaml.MappingNode
Sequence: TypeAlias = yaml.SequenceNode

_MOST: Final = 4 * 1024 * 1024


class BaseError(SloctlError):
    """A configuration that cannot be used; its message begins with the place."""


def refused(path: str, node: Node, message: str, help_: str) -> BaseError:
    """The error about a node."""
    return BaseError(f"{path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}: {message}\n  help: {help_}")


def read(text: str, path: str) -> Mapping:
    """The root mapping of a configuration.

    Raises:
        BaseError: it does not parse, or is no mapping.
    """
    if len(text) > _MOST:
        raise BaseError(f"{path}:1:1: the file is larger than 4 MiB\n  help: is this an Alertmanager configuration?")
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        why = " ".join(part for part in (error.context, error.problem) if part)
        line = text.splitlines()[mark.line].strip() if mark and mark.line < len(text.splitlines()) else ""
        if "{%" in line or "{{" in line:
            raise BaseError(
                f"{path}:{place}: `{line[:60]}` is a template\n  help: merge into what it renders to"
            ) from None
        raise BaseError(f"{path}:{place}: the file is no YAML: {why}\n  help: {_AMTOOL}") from None
    except (yaml.YAMLError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error).split("\n", maxsplit=1)[0]
        raise BaseError(f"{path}:1:1: the file is no YAML: {why}\n  help: {_AMTOOL}") from None
    if len(documents) == 1 and (wrapped := _wrapper(documents[0])) is not None:
        where, what = wrapped
        message = f"this is {what}, with Alertmanager's configuration under `{where}`"
        raise refused(path, documents[0], message, "take that out into a file, merge into it, and put it back")
    if len(documents) != 1 or not isinstance(documents[0], Mapping):
        raise BaseError(f"{path}:1:1: one mapping is needed, with `route` and `receivers`\n  help: {_AMTOOL}")
    _no_key_twice(documents[0], path)
    return documents[0]


_WRAPPERS: Final = (
    (("alertmanager_config",), "a configuration of Mimir"),
    (("alertmanager", "config"), "values of kube-prometheus-stack"),
    (("stringData", "alertmanager.yaml"), "a Secret of Kubernetes"),
    (("data", "alertmanager.yaml"), "a Secret of Kubernetes, in base64"),
    (("config", "route"), "values of the chart of Alertmanager"),
    (("spec", "route"), "an AlertmanagerConfig of the Prometheus operator"),
)
"""Where people keep a configuration within another file."""


def _wrapper(root: Node) -> tuple[str, str] | None:
    """The key that holds the configuration, and what the file is; None for a plain one."""
    for keys, what in _WRAPPERS:
        node: Node | None = root
        for key in keys:
            node = value_of(node, key)
        if node is not None and value_of(root, "route") is None:
            return ".".join(key for key in keys if key != "route"), what
    return None


_AMTOOL: Final = "`amtool check-config` must accept the file before anything is merged into it"


def _no_key_twice(mapping: Mapping, path: str) -> None:
    """Alertmanager refuses them; PyYAML would take the last."""
    for node in _nodes(mapping, set()):
        seen = set[str]()
        for key, _ in node.value if isinstance(node, Mapping) else ():
            if not isinstance(key, yaml.ScalarNode):
                help_ = "if this is a template, such as `{{ password }}`, merge into what it renders to"
                raise refused(path, key, "a key is a text, not a mapping or a list", help_)
            if key.value in seen and key.value != "<<":
                raise refused(path, key, f"the key `{key.value}` is there twice", "keep one of them")
            seen.add(str(key.value))


def _nodes(node: Node, seen: set[int]) -> Iterator[Node]:
    """Every node once, however many aliases name it."""
    if id(node) in seen:
        return
    seen.add(id(node))
    yield node
    match node:
        case yaml.MappingNode():
            children = [child for pair in node.value for child in pair]
        case yaml.SequenceNode():
            children = node.value
        case _:
            children = []
    for child in children:
        yield from _nodes(child, seen)


def value_of(mapping: Node | None, key: str) -> Node | None:
    """The value of a key, or None."""
    if not isinstance(mapping, Mapping):
        return None
    return next((value for name, value in mapping.value if name.value == key), None)


def key_of(mapping: Mapping, key: str) -> Node | None:
    """The key itself, or None."""
    return next((name for name, _ in mapping.value if name.value == key), None)


def items(node: Node | None) -> list[Node]:
    """The items of a list; nothing for anything else."""
    return list(node.value) if isinstance(node, Sequence) else []


def plain(node: Node) -> object:
    """A node as plain data; every scalar is text."""
    match node:
        case yaml.MappingNode():
            return {str(key.value): plain(value) for key, value in node.value}
        case yaml.SequenceNode():
            return [plain(item) for item in node.value]
        case _:
            return str(node.value)


def read_routes(text: str, path: str) -> RouteNode | None:
    """The route of sloctl's in a configuration or of a generated `routes.yaml`; None where there is none.

    Raises:
        BaseError: the file cannot be read.
    """
    root = read(text, path)
    lists = items(value_of(value_of(root, "route"), "routes")) or items(value_of(root, "routes"))
    routes = (_route(node, path) for node in lists)
    return next((route for route in routes if any(matcher.label == "sloctl" for matcher in route.matchers)), None)


def _route(node: Node, path: str) -> RouteNode:
    """A route with what decides where an alert goes, and what its incident is called."""
    matchers = matchers_of(node, path, "matchers", "match", "match_re")
    receiver, continue_ = value_of(node, "receiver"), value_of(node, "continue")
    return RouteNode(
        matchers=matchers,
        receiver=None if receiver is None else str(receiver.value),
        group_by=tuple(str(item.value) for item in items(value_of(node, "group_by"))),
        continue_=continue_ is not None and continue_.value == "true",
        routes=tuple(_route(child, path) for child in items(value_of(node, "routes"))),
    )


def matchers_of(node: Node, path: str, key: str, equals: str, patterns: str) -> tuple[Matcher, ...]:
    """The matchers of a route or a side of an inhibit rule: under `key`, or under the two older keys.

    Raises:
        BaseError: one of them is none.
    """
    written = value_of(node, key)
    texts = items(written) if isinstance(written, Sequence) else [written] if written is not None else []
    found = list[Matcher]()
    for text in texts:
        try:
            found += read_matchers(str(text.value))
        except SloctlError as error:
            raise refused(path, text, str(error), _AMTOOL) from None
    for older, operator in ((equals, MatchOperator.EQUAL), (patterns, MatchOperator.REGEX)):
        mapping = value_of(node, older)
        pairs = mapping.value if isinstance(mapping, Mapping) else ()
        found += [Matcher(str(name.value), operator, str(value.value)) for name, value in pairs]
    return tuple(found)


def default_receiver(text: str, path: str) -> str:
    """The receiver of the root route."""
    node = value_of(value_of(read(text, path), "route"), "receiver")
    return "" if node is None else str(node.value)
