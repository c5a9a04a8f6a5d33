"""The template of the route that answered, such as `/v1/users/{id}`, found after the call.

The framework leaves the matched route in the scope. Its own path lacks the prefix of the router or the mounted app
that it was included in, so the route tree is walked once and each leaf is filed under its whole templates. Only a
leaf that is reachable in several ways is matched by the path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from sloctl.instrumentation.semconv import UNMATCHED

_PARAMETER: Final = re.compile(r"\{[^}]*\}")
MAX_DEPTH: Final = 16
MAX_UNKNOWN: Final = 100

Scope = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True)
class Template:
    """A route template and how paths that it matches look."""

    text: str
    pattern: re.Pattern[str]
    methods: frozenset[str] | None


class RouteTable:
    """Templates of an application's routes; read again when a route appears that was not there before."""

    def __init__(self, app: Any = None) -> None:
        self._app = app
        self._by_leaf: dict[int, tuple[Template, ...]] = {}
        self._leaves: list[object] = []  # keeps them alive, so that no id is used twice
        self._unknown: dict[int, object] = {}

    def template(self, scope: Scope) -> str:
        """The template of the route that handled this scope, or `_unmatched`."""
        leaf = scope.get("route")
        found = self._by_leaf.get(id(leaf)) if leaf is not None else None
        if found is None:
            leaf = scope.get("endpoint")
            if leaf is None:
                return UNMATCHED
            found = self._by_leaf.get(id(leaf))
            if found is None:
                found = self._read_again(scope)
        if len(found) == 1:
            return found[0].text
        return _matching(found, scope)

    def serves(self, path: str) -> bool:
        """Whether some route has exactly this path."""
        if not self._by_leaf:
            self._read()
        return any(template.text == path for templates in self._by_leaf.values() for template in templates)

    def _read_again(self, scope: Scope) -> tuple[Template, ...]:
        """Routes may be added while running: a leaf that is not known yet costs one walk of the tree."""
        for leaf in (scope.get("route"), scope.get("endpoint")):
            if leaf is None or id(leaf) in self._unknown or len(self._unknown) >= MAX_UNKNOWN:
                continue
            self._read()
            if (found := self._by_leaf.get(id(leaf))) is not None:
                return found
            self._unknown[id(leaf)] = leaf
        return ()

    def _read(self) -> None:
        by_leaf: dict[int, list[Template]] = {}
        self._leaves = []
        for leaf in _walk(getattr(self._app, "routes", ()), "", 0):
            for one in leaf.objects:
                known = by_leaf.setdefault(id(one), [])
                if all(leaf.template.text != other.text for other in known):
                    known.append(leaf.template)
                self._leaves.append(one)
        self._by_leaf = {key: tuple(templates) for key, templates in by_leaf.items()}


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A route that answers; any of its objects may be what the framework leaves in the scope."""

    template: Template
    objects: tuple[object, ...]


def _walk(routes: Iterable[Any], prefix: str, depth: int) -> Iterator[_Leaf]:
    """Every leaf of the route tree; a mounted app without routes of its own is one."""
    if depth > MAX_DEPTH:
        return
    for route in routes:
        included = getattr(route, "effective_route_contexts", None)  # FastAPI's included routers since 0.137
        if included is not None:
            yield from _walk(included(), prefix, depth + 1)
            continue
        shown = getattr(route, "starlette_route", None) or route
        path = getattr(shown, "path_format", None) or getattr(shown, "path", None) or ""
        if below := _routes_below(shown):
            yield from _walk(below, prefix + path.removesuffix("/{path}"), depth + 1)
        else:
            yield _leaf(route, shown, prefix + path)


def _leaf(route: Any, shown: Any, text: str) -> _Leaf:
    methods = getattr(shown, "methods", None)
    template = Template(text or "/", _compiled(text or "/"), frozenset(methods) if methods else None)
    endpoint = getattr(shown, "endpoint", None) or getattr(shown, "app", None)
    objects = (getattr(route, "original_route", None), route, shown, endpoint)
    return _Leaf(template, tuple(one for one in objects if one is not None))


def _routes_below(route: Any) -> list[Any]:
    """The routes of a mounted app, also where middleware is wrapped around it."""
    for _ in range(MAX_DEPTH):
        if routes := getattr(route, "routes", None):
            return list(routes)
        route = getattr(route, "app", None)
        if route is None:
            break
    return []


def _compiled(template: str) -> re.Pattern[str]:
    """A pattern for the paths of a template; `{path}` at its end may hold slashes."""
    parts = _PARAMETER.split(template)
    last = len(parts) - 2
    holes = [".*" if index == last and parts[-1] == "" else "[^/]+" for index in range(len(parts) - 1)]
    pattern = "".join(re.escape(part) + hole for part, hole in zip(parts, [*holes, ""], strict=True))
    return re.compile(pattern)


def _matching(templates: tuple[Template, ...], scope: Scope) -> str:
    path = scope.get("path", "")
    root = scope.get("app_root_path", scope.get("root_path", ""))
    if root and path.startswith(root):
        path = path[len(root) :]
    matching = [template for template in templates if template.pattern.fullmatch(path)]
    allowing = [one for one in matching if one.methods is None or scope.get("method") in one.methods]
    return next((one.text for one in (*allowing, *matching)), UNMATCHED)
