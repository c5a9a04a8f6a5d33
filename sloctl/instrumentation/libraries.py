"""Spans of databases, caches, queues and clients, made by OpenTelemetry's own packages."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from sloctl.instrumentation import guard
from sloctl.instrumentation.runtime import Runtime, default_runtime

INSTRUMENTED: Final = "instrumented"
ALREADY: Final = "instrumented already"
_GROUP: Final = "opentelemetry_instrumentor"
# What answers requests has its span from `instrument_app`; httpx has `instrument_httpx`; the rest is no call at all.
_SERVERS: Final = (
    *("aiohttp-server", "asgi", "django", "falcon", "fastapi"),
    *("flask", "pyramid", "starlette", "tornado", "wsgi"),
)
_NO_CALLS: Final = ("asyncclick", "click", "jinja2", "logging", "structlog", "system_metrics")
_NOT_THESE: Final = frozenset((*_SERVERS, "httpx", "httpx2", *_NO_CALLS))


def instrument_libraries(runtime: Runtime | None = None, *, exclude: Iterable[str] = ()) -> dict[str, str]:
    """Have every instrumentation of OpenTelemetry that is installed make spans of its library's calls.

    They are children of the request's span, and have its `request.id` and `tenant.id`. Install what you use:
    `opentelemetry-instrumentation-redis`, `-sqlalchemy`, `-psycopg`, `-pymongo`, `-requests`, ... Call it before the
    first engine or client is made. Servers are left to `instrument_app`, httpx to `instrument_httpx`.

    Args:
        runtime: what `configure` returned; without it, what was configured last.
        exclude: names of instrumentations to leave out, such as `redis`.

    Returns:
        By name `instrumented`, `instrumented already` (by the agent), or why it is not; that is logged too.
    """
    # Its only switch to the stable names of attributes; read when the first library is instrumented.
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")
    chosen = runtime or default_runtime()
    left_out = _NOT_THESE | set(exclude)
    entries = {entry.name: entry for entry in entry_points(group=_GROUP) if entry.name not in left_out}
    outcomes = {name: _instrumented(entry, chosen) for name, entry in sorted(entries.items())}
    for name, outcome in outcomes.items():
        if outcome not in (INSTRUMENTED, ALREADY):
            guard.LOG.warning("%s has no spans: %s", name, outcome)
    return outcomes


def _instrumented(entry: EntryPoint, runtime: Runtime) -> str:
    try:
        instrumentor = entry.load()()
        if instrumentor.is_instrumented_by_opentelemetry:
            return ALREADY
        instrumentor.instrument(tracer_provider=runtime.provider, raise_exception_on_conflict=True)
    except Exception as error:  # noqa: BLE001 - somebody else's package; the service starts without its spans
        return f"{type(error).__name__}: {error}"
    return INSTRUMENTED
