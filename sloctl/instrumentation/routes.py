"""The template of the route that answered, such as `/v1/users/{id}`, found after the call.

The framework leaves the matched route in the scope. Its own path lacks the prefix of the router or the mounted app
that it was included in, so the route tree is walked once and each leaf is filed under its whole templates. Only a
leaf that is reachable in several ways is matched by the path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from sloctl.instrumentation.semconv import UNMATCHED

_PARAMETER: Final = re.compile(r"\{([^}:]*)[^}]*\}")
NOT_FOUND: Final = 404
MAX_DEPTH: Final = 16
MAX_UNKNOWN: Final = 100

Scope = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """A route template and how paths that it matches look."""

    text: str
    pattern: re.Pattern[str]
    methods: frozenset[str] | None


class RouteTable:
    """Templates of an application's routes; read again when a route appears that was not there before."""

    def __init__(self, app: Any = None) -> None:
        self._app = app
        self._by_leaf: dict[int, tuple[PathTemplate, ...]] = {}
        self._leaves: list[object] = []  # keeps them alive, so that no id is used twice
        self._unknown: dict[int, object] = {}
        self._all: tuple[PathTemplate, ...] | None = None  # until they are read

    def template(self, scope: Scope, status: int) -> str:
        """The template of the route that handled this scope, or `_unmatched`.

        An answer that was given before routing (401, 429 or 503 of a middleware, a preflight) belongs to the route
        that the path matches.
        """
        found = self._by_leaf.get(id(scope.get("route"))) or self._of_leaf(scope)
        if found:
            return found[0].text if len(found) == 1 else _matching(found, scope)
        if status == NOT_FOUND and "router" in scope:
            return UNMATCHED  # by the application's own routing
        return _matching(self._read() if self._all is None else self._all, scope)

    def _of_leaf(self, scope: Scope) -> tuple[PathTemplate, ...]:
        leaf = scope.get("endpoint")
        if leaf is None:
            return ()
        return self._by_leaf.get(id(leaf)) or self._read_again(scope)

    def serves(self, path: str) -> bool:
        """Whether some route has exactly this path."""
        if self._all is None:
            self._read()
        return any(template.text == path for templates in self._by_leaf.values() for template in templates)

    def _read_again(self, scope: Scope) -> tuple[PathTemplate, ...]:
        """Routes may be added while running: a leaf that is not known yet costs one walk of the tree."""
        for leaf in (scope.get("route"), scope.get("endpoint")):
            if leaf is None or id(leaf) in self._unknown or len(self._unknown) >= MAX_UNKNOWN:
                continue
            self._read()
            if (found := self._by_leaf.get(id(leaf))) is not None:
                return found
            self._unknown[id(leaf)] = leaf
        return ()

    def _read(self) -> tuple[PathTemplate, ...]:
        by_leaf: dict[int, list[PathTemplate]] = {}
        self._leaves = []
        leaves = list(_walk(getattr(self._app, "routes", ()), "", {}, 0))
        self._all = tuple(leaf.template for leaf in leaves)
        for leaf in leaves:
            for served in leaf.objects:
                known = by_leaf.setdefault(id(served), [])
                if all(leaf.template.text != other.text for other in known):
                    known.append(leaf.template)
                self._leaves.append(served)
        self._by_leaf = {key: tuple(templates) for key, templates in by_leaf.items()}
        return self._all


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A route that answers; any of its objects may be what the framework leaves in the scope."""

    template: PathTemplate
    objects: tuple[object, ...]


def _walk(routes: Iterable[Any], prefix: str, holes: Mapping[str, str], depth: int) -> Iterator[_Leaf]:
    """Every leaf of the route tree; a mounted app without routes of its own is one."""
    if depth > MAX_DEPTH:
        return
    for route in routes:
        included = getattr(route, "effective_route_contexts", None)  # FastAPI's included routers since 0.137
        if included is not None:
            yield from _walk(included(), prefix, holes, depth + 1)
            continue
        shown = getattr(route, "starlette_route", None) or route
        path = getattr(shown, "path_format", None) or getattr(shown, "path", None) or ""
        holes_here = {**holes, **_holes(shown)}
        if below := _routes_below(shown):
            yield from _walk(below, prefix + path.removesuffix("/{path}"), holes_here, depth + 1)
        else:
            yield _leaf(route, shown, prefix + path, holes_here)


def _holes(route: Any) -> dict[str, str]:
    """What the parameters of a route match: `{id:int}` matches digits only."""
    found = {
        name: getattr(each, "regex", None) for name, each in (getattr(route, "param_convertors", None) or {}).items()
    }
    return {name: regex for name, regex in found.items() if isinstance(regex, str)}


def _leaf(route: Any, shown: Any, text: str, holes: Mapping[str, str]) -> _Leaf:
    methods = getattr(shown, "methods", None)
    template = PathTemplate(text or "/", _compiled(text or "/", holes), frozenset(methods) if methods else None)
    endpoint = getattr(shown, "endpoint", None) or getattr(shown, "app", None)
    objects = (getattr(route, "original_route", None), route, shown, endpoint)
    return _Leaf(template, tuple(served for served in objects if served is not None))


def _routes_below(route: Any) -> list[Any]:
    """The routes of a mounted app, also where middleware is wrapped around it."""
    for _ in range(MAX_DEPTH):
        if routes := getattr(route, "routes", None):
            return list(routes)
        route = getattr(route, "app", None)
        if route is None:
            break
    return []


def _compiled(template: str, holes: Mapping[str, str]) -> re.Pattern[str]:
    """A pattern for the paths of a template; `{path}` at its end may hold slashes."""
    texts = _PARAMETER.split(template)  # text, name, text, name, text
    pattern = re.escape(texts[0])
    for name, text in zip(texts[1::2], texts[2::2], strict=True):
        any_of = ".*" if name == "path" and not text else "[^/]+"
        pattern += f"(?:{holes.get(name, any_of)}){re.escape(text)}"
    return re.compile(pattern)


def _matching(templates: tuple[PathTemplate, ...], scope: Scope) -> str:
    path = local_path(scope)
    matching = [template for template in templates if template.pattern.fullmatch(path)]
    allowing = [
        template for template in matching if template.methods is None or scope.get("method") in template.methods
    ]
    return next((template.text for template in (*allowing, *matching)), UNMATCHED)


def local_path(scope: Scope) -> str:
    """The path below the prefix that a proxy or `--root-path` added; servers put that into `path` or leave it out."""
    path: str = scope["path"]
    root: str = scope.get("app_root_path", scope.get("root_path", "")).rstrip("/")
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        return path[len(root) :] or "/"
    return path
