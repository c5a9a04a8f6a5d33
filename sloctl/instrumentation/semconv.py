"""Names and values of HTTP server spans, as OpenTelemetry's semantic conventions 1.2x for HTTP have them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_METHODS: Final = ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
METHODS: Final = {name: name for name in _METHODS}
OTHER_METHOD: Final = "_OTHER"
UNMATCHED: Final = "_unmatched"
# Websockets: a handshake that is closed before it is accepted is answered 403 (ASGI); RFC 6455, 7.4.1.
REFUSED: Final = 403
SWITCHING: Final = 101
INTERNAL_ERROR: Final = "1011"
ABNORMAL: Final = "1006"
_CLOSE_CODES: Final = frozenset(map(str, range(1000, 1016)))
OTHER_CODE: Final = "_other"
# Query parameters whose values sign requests or stand for a login; the conventions name the first four.
_SECRETS: Final = (
    "AWSAccessKeyId|Signature|sig|X-Goog-Signature|X-Amz-(?:Signature|Credential|Security-Token)|access_token|api_key"
)
_SECRET: Final = re.compile(rf"(?<![^?&])({_SECRETS})=[^&#]*", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """A query, or a whole URL, whose signatures are replaced by `REDACTED`."""
    return _SECRET.sub(r"\1=REDACTED", text)


def close_code(code: str) -> str:
    """The code of a client as a label: those of the standard; clients may send any."""
    return code if code in _CLOSE_CODES else OTHER_CODE


def error_type(status: int, error: BaseException | None) -> str | None:
    """As the conventions want it: the status that says so, or else the exception that broke the response off."""
    if status >= 500:
        return str(status)
    return None if error is None else type(error).__qualname__


def span_name(method: str, route: str | None) -> str:
    """`GET /users/{id}`; an unknown method is `HTTP`, an unknown route is left out."""
    known = METHODS.get(method, "HTTP")
    return f"{known} {route}" if route is not None and route != UNMATCHED else known


def request_attributes(scope: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a request beside its method, path and scheme."""
    attributes: dict[str, Any] = {"network.protocol.version": scope.get("http_version", "1.1")}
    if (method := scope.get("method", "GET")) not in METHODS:
        attributes["http.request.method_original"] = method
    if scope.get("query_string"):
        attributes["url.query"] = without_secrets(scope["query_string"].decode("latin-1"))
    if (server := scope.get("server")) is not None:
        attributes["server.address"] = server[0]
        if server[1] is not None:
            attributes["server.port"] = server[1]
    if (client := scope.get("client")) is not None:
        attributes["client.address"] = client[0]
        attributes["client.port"] = client[1]
    for name, value in scope["headers"]:
        if name == b"user-agent":
            attributes["user_agent.original"] = value.decode("latin-1")
            break
    return attributes


def response_attributes(status: int, route: str, error: BaseException | None) -> tuple[dict[str, Any], bool]:
    """What the response adds, and whether the span failed; `status` is 0 when there was no response."""
    attributes: dict[str, Any] = {}
    if status:
        attributes["http.response.status_code"] = status
    if route != UNMATCHED:
        attributes["http.route"] = route
    what = error_type(status, error)
    if what is not None:
        attributes["error.type"] = what
    return attributes, what is not None
