"""The one client of a running Prometheus, Thanos or Mimir.

Whatever is not a complete answer raises: a server that is away, an error page, a partial result. Nobody decides on
half of the data.
"""

from __future__ import annotations

import copy
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeVar

import httpx
import orjson

from sloctl.errors import OutsideError

T = TypeVar("T")
_TOO_MUCH: Final = re.compile(r"too many|too large|limit|exceed|maximum")
"""In a refusal by the engine: with less at once it would answer."""
# Annotations of the query engine, not of missing data.
_ENGINE_REMARKS: Final = ("PromQL info:", "PromQL warning:")
_MOST_BYTES: Final = 64 * 1024 * 1024


class Fault(Enum):
    """Why there is no answer."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    BROKEN = "broken"
    PARTIAL = "partial"
    TOO_MUCH = "too much"


class PrometheusError(OutsideError):
    """Prometheus gave no complete answer.

    Attributes:
        fault: what sort of trouble it is.
    """

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of an instant query; `time` is in Unix seconds."""

    labels: Mapping[str, str]
    value: float
    time: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """One sample of a native histogram; `buckets` are (lower bound, upper bound, observations)."""

    time: float
    count: float
    buckets: tuple[tuple[float, float, float], ...]


class Series(NamedTuple):
    """One series of a range query: Unix seconds in rising order, and the values then; or native histograms."""

    labels: Mapping[str, str]
    times: tuple[float, ...]
    values: tuple[float, ...]
    histograms: tuple[Histogram, ...] = ()

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """Pairs of time and value."""
        return tuple(zip(self.times, self.values, strict=True))


@dataclass(frozen=True, slots=True)
class FlatSeries:
    """One series as it is read fastest: Unix seconds and values in turn, in rising order of time."""

    labels: Mapping[str, str]
    numbers: list[float]


def without_password(url: str) -> str:
    """An address as it may be shown: with asterisks for the user, the password and whatever stands there instead."""
    return re.sub(r"^([A-Za-z]*://)?.*@", r"\1***@", url, count=1, flags=re.DOTALL)


class PrometheusClient:
    """Queries over HTTP.

    Attributes:
        url: the address without its password, to be shown.
        tenant: whose samples are asked for.

    Args:
        url: address of the API's parent, such as `http://prometheus:9090` or `https://mimir/prometheus`.
        token: bearer token.
        tenant: value of `X-Scope-OrgID` (Mimir) and `THANOS-TENANT`.
        ca: file with the certificates to trust, instead of the system's.
        timeout: seconds for one whole query.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        tenant: str | None = None,
        ca: str | None = None,
        timeout: float = 30,
    ) -> None:
        self._address = url.rstrip("/")
        self.url = without_password(self._address)
        self.tenant = tenant
        # To compress an answer costs Prometheus more than all the rest of a query.
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if tenant:
            headers |= {"X-Scope-OrgID": tenant, "THANOS-TENANT": tenant}
        self._timeout = timeout
        try:
            self._http = httpx.Client(headers=headers, verify=ca or True, trust_env=False)
        except OSError as error:  # an SSLError is one
            raise PrometheusError(Fault.REFUSED, f"{ca} holds no certificates: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def within(self, seconds: float) -> PrometheusClient:
        """The same client, over the same connections, whose queries take at most so long as well."""
        hurried = copy.copy(self)
        hurried._timeout = round(min(self._timeout, seconds), 3)
        return hurried

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def query(self, promql: str, at: float | None = None) -> tuple[Sample, ...]:
        """The instant vector of an expression, now or at a moment in Unix seconds; a scalar has no labels.

        Raises:
            PrometheusError: there is no complete answer.
        """
        data = self._result("query", {"query": promql} | ({} if at is None else {"time": f"{at:.3f}"}))
        match data.get("resultType"):
            case "vector":
                return self._read(lambda: tuple(_sample(row["metric"], row["value"]) for row in data["result"]))
            case "scalar":
                return self._read(lambda: (_sample({}, data["result"]),))
            case other:
                raise PrometheusError(Fault.BROKEN, f"{self.url} answered {other} where a vector was asked for")

    def query_range(self, promql: str, start: float, end: float, step: float) -> tuple[Series, ...]:
        """The values of an expression from `start` to `end` (Unix seconds), one each `step` seconds.

        Raises:
            PrometheusError: there is no complete answer.
        """
        bounds = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        data = self._result("query_range", {"query": promql} | bounds)
        return self._matrix(data)

    def samples(self, selector: str, length: str, at: float) -> tuple[Series, ...]:
        """The raw samples of a selector in the `length` (such as `10m`) that ends at a moment.

        Raises:
            PrometheusError: there is no complete answer.
        """
        return self._matrix(self._result("query", {"query": f"{selector}[{length}]", "time": f"{at:.3f}"}))

    def flat_samples(self, selector: str, length: str, at: float) -> tuple[FlatSeries, ...]:
        """As `samples`, for many of them; what is no number is left out.

        Raises:
            PrometheusError: there is no complete answer; `Fault.TOO_MUCH` where less at once may be answered.
        """
        return self._flat("query", {"query": f"{selector}[{length}]", "time": f"{at:.3f}"})

    def flat_range(self, promql: str, start: float, end: float, step: float) -> tuple[FlatSeries, ...]:
        """As `query_range`, for many points; what is no number is left out.

        Raises:
            PrometheusError: as `flat_samples`.
        """
        bounds = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        return self._flat("query_range", {"query": promql} | bounds)

    def _flat(self, path: str, parameters: Mapping[str, str]) -> tuple[FlatSeries, ...]:
        # Thanos: raw samples, not those of a downsampled block, as far as it has them
        content = self._ask(path, {**parameters, "max_source_resolution": "0s"})
        numbers = list[list[float]]()
        try:
            skeleton = _without_values(content, numbers)
        except ValueError:  # a sample that JSON has no number for
            skeleton = None
        if skeleton is None:
            return self._flattened(self._data(content))
        data = self._data(skeleton)
        is_matrix = isinstance(data, dict) and data.get("resultType") == "matrix"
        rows = data.get("result") if is_matrix else None
        if not isinstance(rows, list) or len(rows) != len(numbers):
            return self._flattened(self._data(content))
        return self._read(
            lambda: tuple(FlatSeries(row["metric"], found) for row, found in zip(rows, numbers, strict=True))
        )

    def _flattened(self, data: Any) -> tuple[FlatSeries, ...]:
        if not isinstance(data, dict):
            raise PrometheusError(Fault.BROKEN, f"{self.url} answered without a result")
        series = ((one, [point for point in one.points if math.isfinite(point[1])]) for one in self._matrix(data))
        return tuple(FlatSeries(one.labels, [part for point in points for part in point]) for one, points in series)

    def _matrix(self, data: Mapping[str, Any]) -> tuple[Series, ...]:
        if data.get("resultType") != "matrix":
            raise PrometheusError(Fault.BROKEN, f"{self.url} answered {data.get('resultType')} instead of a matrix")
        return self._read(lambda: tuple(series_of(row) for row in data["result"]))

    def _result(self, path: str, parameters: Mapping[str, str]) -> Mapping[str, Any]:
        data = self.get(path, parameters)
        if not isinstance(data, dict):
            raise PrometheusError(Fault.BROKEN, f"{self.url} answered without a result")
        return data

    def _read(self, read: Callable[[], T]) -> T:
        """What `read` makes of an answer, which may have any form."""
        try:
            return read()
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise PrometheusError(Fault.BROKEN, f"{self.url} answered with a result of another form") from error

    def get(self, path: str, parameters: Mapping[str, str]) -> Any:
        """`data` of an endpoint below `/api/v1/`.

        Raises:
            PrometheusError: there is no complete answer.
        """
        return self._data(self._ask(path, parameters))

    def send(self, url: str, content: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        """Post something to another address of the same service, with the same token and tenant; status and body.

        Raises:
            PrometheusError: there is no answer.
        """
        shown = without_password(url)
        try:
            answer = self._http.post(url, content=content, headers=dict(headers), timeout=self._timeout)
        except httpx.TimeoutException as error:
            raise PrometheusError(Fault.TIMEOUT, f"{shown} did not answer within {self._timeout:g} s") from error
        except httpx.InvalidURL as error:
            raise PrometheusError(Fault.UNREACHABLE, f"{shown} is no address") from error
        except httpx.HTTPError as error:
            raise PrometheusError(Fault.UNREACHABLE, f"{shown} cannot be reached: {error}") from error
        return answer.status_code, answer.text

    def _data(self, content: bytes) -> Any:
        try:
            body = orjson.loads(content)  # a canary's samples are large, and somebody waits
        except ValueError as error:
            raise PrometheusError(Fault.BROKEN, f"{self.url} answered something that is not JSON") from error
        if not isinstance(body, dict) or body.get("status") not in {"success", "error"}:
            raise PrometheusError(Fault.BROKEN, f"{self.url} answered something that is not Prometheus' API")
        if body["status"] == "error":
            raise PrometheusError(_fault(body), f"{self.url} refused the query: {body.get('error', 'no reason given')}")
        self._check_complete(body)
        return body.get("data")

    def _ask(self, path: str, parameters: Mapping[str, str]) -> bytes:
        seconds = self._timeout
        if seconds <= 0:
            raise PrometheusError(Fault.TIMEOUT, f"no time is left to ask {self.url}")
        form = dict(parameters) | {"timeout": f"{int(seconds * 1000)}ms", "partial_response": "false"}
        url, deadline = f"{self._address}/api/v1/{path}", time.monotonic() + seconds
        limits = httpx.Timeout(seconds, connect=min(5, seconds))
        try:
            status, content = self._received(self._http.build_request("POST", url, data=form, timeout=limits), deadline)
            if status == httpx.codes.METHOD_NOT_ALLOWED:
                get = self._http.build_request("GET", url, params=form, timeout=limits)
                status, content = self._received(get, deadline)
        except httpx.TimeoutException as error:
            raise PrometheusError(Fault.TIMEOUT, f"{self.url} did not answer within {seconds:g} s") from error
        except httpx.InvalidURL as error:  # its message quotes pieces of the address
            raise PrometheusError(Fault.UNREACHABLE, f"{self.url} is no address") from error
        except httpx.HTTPError as error:
            raise PrometheusError(Fault.UNREACHABLE, f"{self.url} cannot be reached: {error}") from error
        if status == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
            raise PrometheusError(Fault.TOO_MUCH, f"{self.url} answered HTTP {status}")
        if status >= httpx.codes.INTERNAL_SERVER_ERROR or httpx.codes.is_redirect(status):
            raise PrometheusError(Fault.BROKEN, f"{self.url} answered HTTP {status}")
        if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND}:
            raise PrometheusError(Fault.REFUSED, f"{self.url} answered HTTP {status}")
        return content

    def _received(self, request: httpx.Request, deadline: float) -> tuple[int, bytes]:
        """Status and whole body of the answer; neither a slow nor an endless one keeps us."""
        answer = self._http.send(request, stream=True)
        try:
            return answer.status_code, b"".join(self._pieces(answer, deadline))
        finally:
            answer.close()

    def _pieces(self, answer: httpx.Response, deadline: float) -> Iterator[bytes]:
        size = 0
        for piece in answer.iter_bytes():
            size += len(piece)
            if size > _MOST_BYTES:
                raise PrometheusError(Fault.TOO_MUCH, f"{self.url} answered more than 64 MiB; narrow the selectors")
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("too slow", request=answer.request)
            yield piece

    def _check_complete(self, body: Mapping[str, Any]) -> None:
        missing = [text for text in body.get("warnings") or () if not str(text).startswith(_ENGINE_REMARKS)]
        if missing:
            raise PrometheusError(Fault.PARTIAL, f"{self.url} gave a part of the answer only: {missing[0]}")


def _fault(body: Mapping[str, Any]) -> Fault:
    """Why a server refuses."""
    kind = body.get("errorType")
    if kind == "execution" and _TOO_MUCH.search(str(body.get("error", ""))):
        return Fault.TOO_MUCH
    return Fault.TIMEOUT if kind == "timeout" else Fault.REFUSED


def _without_values(content: bytes, numbers: list[list[float]]) -> bytes | None:
    """An answer's JSON without the samples of its series, which become flat lists: several times as fast as pairs.

    Returns:
        None where there are histograms.

    Raises:
        ValueError: a sample is no number.
    """
    if b'"histograms":' in content:
        return None
    pieces, at = list[bytes](), 0
    while (begin := content.find(_VALUES, at)) >= 0:
        inside = begin + len(_VALUES)
        end = content.find(b"]]", inside)
        if end < 0:
            return None
        numbers.append(orjson.loads(b"[" + content[inside:end].translate(None, b'[]"') + b"]"))
        pieces.append(content[at:begin] + b'"values":[]')
        at = end + 2
    return b"".join((*pieces, content[at:]))


_VALUES: Final = b'"values":[['


def series_of(one: Mapping[str, Any]) -> Series:
    """A series of an answer's JSON."""
    found = one.get("values") or ()
    times, values = tuple([float(time) for time, _ in found]), tuple([float(value) for _, value in found])
    histograms = tuple(_histogram(*pair) for pair in one["histograms"]) if "histograms" in one else ()
    return Series(dict(one["metric"]), times, values, histograms)


def _histogram(time: float, sample: Mapping[str, Any]) -> Histogram:
    buckets = ((float(low), float(high), float(count)) for _, low, high, count in sample.get("buckets", ()))
    return Histogram(float(time), float(sample["count"]), tuple(buckets))


def _sample(labels: Mapping[str, str], value: tuple[float, str]) -> Sample:
    return Sample(labels, float(value[1]), float(value[0]))
