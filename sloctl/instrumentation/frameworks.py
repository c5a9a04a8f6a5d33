"""Where each framework is entered, and how it says which route answered and which exception it swallowed.

`instrument_app` finds an application in `FRAMEWORKS` by the name of its class, so that none of them is imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from sloctl.instrumentation.callers import Scope
from sloctl.instrumentation.context import current
from sloctl.instrumentation.exchange import Entrance
from sloctl.instrumentation.middleware import ContextMiddleware
from sloctl.instrumentation.routes import local_path
from sloctl.instrumentation.runtime import Runtime
from sloctl.instrumentation.semconv import UNMATCHED
from sloctl.instrumentation.stamps import stamp_exception
from sloctl.instrumentation.wsgi import ENVIRON, WsgiContextMiddleware

Settings = dict[str, Any]
_NOT_FOUND: Final = 404


def entered(app: Any, runtime: Runtime, settings: Settings) -> Any:
    """The application to serve, wrapped where its framework is entered.

    Raises:
        TypeError: it is of no framework that is known.
        ValueError: it is instrumented already.
    """
    names = {f"{base.__module__}.{base.__qualname__}" for base in type(app).__mro__}
    enter = next((enter for name, enter in FRAMEWORKS.items() if name in names), None)
    if enter is None:
        kind = type(app).__name__
        raise TypeError(
            f"{kind} is no application of a framework that is known; wrap it in ContextMiddleware (ASGI) or "
            "WsgiContextMiddleware (WSGI)"
        )
    return enter(app, runtime, settings)


def _refuse_twice(entry: Any) -> None:
    if isinstance(entry, (ContextMiddleware, WsgiContextMiddleware)):
        raise ValueError("the application is instrumented already; call instrument_app once")  # noqa: TRY004


def _flask(app: Any, runtime: Runtime, settings: Settings) -> Any:
    from flask import got_request_exception

    _refuse_twice(app.wsgi_app)
    app.wsgi_app = WsgiContextMiddleware(app.wsgi_app, runtime, routes=_FlaskRoutes(app), **settings)
    got_request_exception.connect(_swallowed, app)
    return app


class _FlaskRoutes:
    """The rules of an application."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def template(self, scope: Scope, status: int) -> str:
        environ = scope[ENVIRON]
        request = environ.get("werkzeug.request")
        rule = getattr(request, "url_rule", None)
        if rule is None and not (request is not None and status == _NOT_FOUND):
            rule = self._matching(environ)
        return UNMATCHED if rule is None else str(rule.rule)

    def _matching(self, environ: Any) -> Any:
        """The rule of a path that was answered before routing, or with a method that it does not have."""
        from werkzeug.exceptions import MethodNotAllowed, NotFound
        from werkzeug.routing import RequestRedirect

        adapter = self._app.url_map.bind_to_environ(environ)
        try:
            return adapter.match(return_rule=True)[0]
        except MethodNotAllowed as refused:
            return adapter.match(return_rule=True, method=next(iter(refused.valid_methods or ())))[0]
        except (NotFound, RequestRedirect):
            return None

    def serves(self, path: str) -> bool:
        return any(rule.rule == path for rule in self._app.url_map.iter_rules())


def _django_wsgi(app: Any, runtime: Runtime, settings: Settings) -> Any:
    return WsgiContextMiddleware(app, runtime, routes=_DjangoRoutes(app), **settings)


def _django_asgi(app: Any, runtime: Runtime, settings: Settings) -> Any:
    return ContextMiddleware(app, runtime, routes=_DjangoRoutes(app), **settings)


class _DjangoRoutes:
    """The URL patterns of a project, as its handler resolves them."""

    def __init__(self, handler: Any) -> None:
        from django.core.signals import got_request_exception

        resolve = handler.resolve_request

        def resolved(request: Any) -> Any:
            match = resolve(request)
            if (context := current()) is not None:
                context.route = f"/{match.route}"
            return match

        handler.resolve_request = resolved
        got_request_exception.connect(_swallowed, dispatch_uid="sloctl")

    def template(self, scope: Scope, status: int) -> str:
        return UNMATCHED if status == _NOT_FOUND else _django_match(local_path(scope))

    def serves(self, path: str) -> bool:
        return _django_match(path) != UNMATCHED


def _django_match(path: str) -> str:
    from django.urls import Resolver404, resolve

    try:
        return f"/{resolve(path).route}"
    except Resolver404:
        return UNMATCHED


def _swallowed(_sender: Any = None, exception: BaseException | None = None, **_: Any) -> None:
    """A framework makes a response of an exception: Flask's signal says which, Django's is sent while it is handled."""
    error = exception or sys.exc_info()[1]
    context = current()
    if context is not None and error is not None:
        context.error = error
        stamp_exception(error)


def _litestar(app: Any, runtime: Runtime, settings: Settings) -> Any:
    async def noted(error: Exception, _scope: Any) -> None:
        _swallowed(exception=error)

    _refuse_twice(app.asgi_handler)
    app.asgi_handler = ContextMiddleware(app.asgi_handler, runtime, routes=_LitestarRoutes(app), **settings)
    app.after_exception.append(noted)
    return app


class _LitestarRoutes:
    """The routes of an application; Litestar leaves the template in the scope."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def template(self, scope: Scope, _status: int) -> str:
        return str(scope.get("path_template") or UNMATCHED)

    def serves(self, path: str) -> bool:
        return any(route.path == path for route in self._app.routes)


def _aiohttp(app: Any, runtime: Runtime, settings: Settings) -> Any:
    from sloctl.instrumentation import aiohttp_server

    metrics_path = settings.pop("metrics_path")
    entrance = Entrance(runtime, routes=aiohttp_server.AiohttpRoutes(app), **settings)
    aiohttp_server.install(app, entrance, metrics_path)
    return app


FRAMEWORKS: Final[dict[str, Callable[[Any, Runtime, Settings], Any]]] = {
    "flask.app.Flask": _flask,
    "django.core.handlers.wsgi.WSGIHandler": _django_wsgi,
    "django.core.handlers.asgi.ASGIHandler": _django_asgi,
    "litestar.app.Litestar": _litestar,
    "aiohttp.web_app.Application": _aiohttp,
}
