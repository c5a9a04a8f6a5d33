"""The one client of a running Prometheus, Thanos or Mimir: typed answers or a named error, never half an answer."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

from sloctl.errors import OutsideError, SloctlError

MAX_BYTES: Final = 64 * 1024 * 1024
"""A larger answer is refused instead of filling the memory."""
RETRIED: Final = frozenset({502, 503})
_ANNOTATIONS: Final = ("PromQL info:", "PromQL warning:")
"""Remarks of the query engine on the query itself; every other warning means that a part of the data is missing."""


class PrometheusError(OutsideError):
    """Prometheus did not answer a query in full."""


class UnavailableError(PrometheusError):
    """It is down, slow, or answers something that is no answer."""


class PartialError(PrometheusError):
    """It says that a part of the data is missing."""


class RefusedError(PrometheusError):
    """It understood and refused: a bad query, or too many samples."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a server of the Prometheus API.

    Attributes:
        url: its address, with the path before `/api/v1` where there is one.
        token: a bearer token.
        tenant: value of the header `X-Scope-OrgID` of Mimir and Thanos.
        ca: certificates to trust instead of the system's.
        timeout: seconds for one query, all retries included.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    tenant: str | None = None
    ca: Path | None = None
    timeout: float = 5.0

    def __post_init__(self) -> None:
        try:
            url = httpx.URL(self.url)
        except httpx.InvalidURL as error:
            raise SloctlError(f"{self.url!r} is no URL; write http://host:9090") from error
        if url.scheme not in {"http", "https"} or not url.host:
            raise SloctlError(f"{self.url!r} is no URL of a Prometheus; write http://host:9090")


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of an instant vector."""

    labels: Mapping[str, str]
    time: float
    value: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of a native histogram: observations above `low`, up to `high`."""

    low: float
    high: float
    count: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """A sample of a native histogram."""

    time: float
    count: float
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """Samples of one series, in the order of time; `histograms` where it is a native histogram."""

    labels: Mapping[str, str]
    times: tuple[float, ...]
    values: tuple[float, ...]
    histograms: tuple[Histogram, ...] = ()


class Prometheus:
    """Queries against one server; use as a context manager.

    Raises:
        SloctlError: the address or the certificates cannot be used.
    """

    def __init__(self, access: Access, transport: httpx.BaseTransport | None = None) -> None:
        self.access = access
        headers = {"Accept": "application/json"}
        if access.token:
            headers["Authorization"] = f"Bearer {access.token}"
        if access.tenant:
            headers["X-Scope-OrgID"] = access.tenant
        self._client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(access.timeout, connect=min(1.0, access.timeout)),
            verify=_trusted(access.ca),
            trust_env=False,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def now(self) -> float:
        """The server's clock, Unix seconds."""
        found = self._ask("query", {"query": "time()"}, "scalar")
        return _number(found[1])

    def instant(self, query: str, at: float | None = None) -> list[Sample]:
        """The instant vector of an expression, now or at a Unix time.

        Raises:
            PrometheusError: there is no whole answer.
        """
        parameters = {"query": query} | ({} if at is None else {"time": _moment(at)})
        return [
            Sample(_labels(one), _number(one["value"][0]), _number(one["value"][1]))
            for one in _listed(self._ask("query", parameters, "vector"))
            if "value" in one
        ]

    def raw(self, selector: str, at: float) -> list[Series]:
        """The samples as they were scraped, of a selector with a range such as `m[5m]`.

        Raises:
            PrometheusError: there is no whole answer.
        """
        return _series(self._ask("query", {"query": selector, "time": _moment(at)}, "matrix"))

    def range(self, query: str, start: float, end: float, step: float) -> list[Series]:
        """An expression evaluated every `step` seconds.

        Raises:
            PrometheusError: there is no whole answer.
        """
        parameters = {"query": query, "start": _moment(start), "end": _moment(end), "step": f"{step:g}"}
        return _series(self._ask("query_range", parameters, "matrix"))

    def _ask(self, path: str, parameters: dict[str, str], kind: str) -> Any:
        """The result of one query.

        Thanos is asked to refuse partial answers; Prometheus and Mimir do not know the parameter and ignore it.
        """
        deadline = time.monotonic() + self.access.timeout
        form = {**parameters, "timeout": f"{self.access.timeout:g}s", "partial_response": "false"}
        body = self._read(f"{self.access.url.rstrip('/')}/api/v1/{path}", form, deadline)
        if body.get("status") != "success":
            raise RefusedError(f"Prometheus refused a query: {_shown(body.get('error'))}")
        if missing := [text for text in body.get("warnings") or () if not str(text).startswith(_ANNOTATIONS)]:
            raise PartialError(f"Prometheus says that its answer is partial: {_shown(missing[0])}")
        data = body.get("data")
        if not isinstance(data, dict) or data.get("resultType") != kind or not isinstance(data.get("result"), list):
            raise UnavailableError(f"{self.access.url} answered with something else than a {kind}")
        return data["result"]

    def _read(self, url: str, form: dict[str, str], deadline: float) -> dict[str, Any]:
        status, text = self._sent(url, form, deadline)
        if status in RETRIED and time.monotonic() < deadline:
            status, text = self._sent(url, form, deadline)
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict) or "status" not in body:
            raise UnavailableError(f"{self.access.url} answered {status} with something that is no Prometheus answer")
        if status >= 500:
            raise UnavailableError(f"{self.access.url} answered {status}: {_shown(body.get('error'))}")
        return body

    def _sent(self, url: str, form: dict[str, str], deadline: float) -> tuple[int, bytes]:
        try:
            with self._client.stream("POST", url, data=form) as response:
                return response.status_code, b"".join(_limited(response, self.access, deadline))
        except httpx.TimeoutException as error:
            raise UnavailableError(f"{self.access.url} did not answer within {self.access.timeout:g} s") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise UnavailableError(f"{self.access.url} cannot be reached: {_shown(error)}") from error


def _limited(response: httpx.Response, access: Access, deadline: float) -> Iterator[bytes]:
    size = 0
    for piece in response.iter_bytes():
        size += len(piece)
        if size > MAX_BYTES:
            raise RefusedError(f"an answer is larger than {MAX_BYTES >> 20} MiB; narrow the selectors")
        if time.monotonic() > deadline:
            raise UnavailableError(f"{access.url} did not answer within {access.timeout:g} s")
        yield piece


def _trusted(ca: Path | None) -> Any:
    import ssl

    if ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca))
    except (OSError, ssl.SSLError) as error:
        raise SloctlError(f"{ca} holds no certificates: {error}") from error


def _series(result: Sequence[Any]) -> list[Series]:
    found = []
    for one in _listed(result):
        pairs = one.get("values") or ()
        found.append(
            Series(
                _labels(one),
                tuple(_number(pair[0]) for pair in pairs),
                tuple(_number(pair[1]) for pair in pairs),
                tuple(_histogram(pair[0], pair[1]) for pair in one.get("histograms") or ()),
            )
        )
    return found


def _histogram(moment: object, value: Mapping[str, Any]) -> Histogram:
    buckets = (
        Bucket(_number(low), _number(high), _number(count)) for _, low, high, count in value.get("buckets") or ()
    )
    return Histogram(_number(moment), _number(value["count"]), tuple(buckets))


def _listed(result: object) -> list[dict[str, Any]]:
    if isinstance(result, list) and all(isinstance(one, dict) for one in result):
        return result
    raise UnavailableError("Prometheus answered with a result of another form")


def _labels(one: Mapping[str, Any]) -> dict[str, str]:
    metric = one.get("metric")
    if not isinstance(metric, dict):
        raise UnavailableError("Prometheus answered with a series that has no labels")
    return {str(name): str(value) for name, value in metric.items()}


def _number(value: object) -> float:
    """A number as the API writes it: JSON numbers for times, text for values, `NaN` and `+Inf` among them."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan


def _moment(at: float) -> str:
    return f"{at:.3f}"


def _shown(value: object) -> str:
    """Foreign text, short and on one line."""
    return " ".join(str(value or "it gives no reason").split())[:200]
