"""Which part of the traffic carries a burn: `sloctl why` on synthetic incidents with a known cause.

A service has 20 routes, 12 pods, 40 tenants; version and zone follow from the pod and the method from the route.
In each world some traffic fails at a rate drawn between 2 and 90 %, so that at least 15 requests fail for it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from bench.rows import Row
from bench.rules_server import Server, promtool
from sloctl.diagnostics import Diagnostics
from sloctl.history.scan import Traffic, causes, scanned
from sloctl.history.tiles import Flags, Floats
from sloctl.language.document import parse_documents
from sloctl.live.why import Burn, why
from sloctl.prometheus import PrometheusClient
from sloctl.resolve import resolve

LABELS: Final = ("method", "pod", "route", "tenant", "version", "zone")
CAUSES: Final = (
    ("route",),
    ("pod",),
    ("version",),
    ("zone",),
    ("tenant",),
    ("route", "version"),
    ("route", "tenant"),
)
_ROUTES, _PODS, _TENANTS = 20, 12, 40
_WORLDS: Final = 40
_LEAST: Final = 15
_BEFORE: Final = 6


class World:
    """A service with its traffic, before anything is wrong."""

    def __init__(self, seed: int, requests: int) -> None:
        self.draw = draw = np.random.default_rng([seed, requests])
        method_of = draw.integers(0, 3, _ROUTES)
        routes, tenants = draw.dirichlet(np.full(_ROUTES, 0.5)), draw.dirichlet(np.full(_TENANTS, 0.4))
        grid = np.indices((_ROUTES, _PODS, _TENANTS)).reshape(3, -1)
        route, pod, tenant = grid
        share = routes[route] * tenants[tenant] / _PODS
        self.total_before, self.total = draw.poisson(share * requests * _BEFORE), draw.poisson(share * requests)
        self.codes = np.column_stack([method_of[route], pod, route, tenant, pod >= _PODS - 3, pod % 3]).astype(np.int64)
        self.base = np.clip(draw.lognormal(np.log(5e-4), 1.0, _ROUTES)[route], 0, 0.02)

    def inside(self, cause: Mapping[str, int]) -> Flags:
        """The series of a cause."""
        found = np.ones(len(self.codes), np.bool_)
        for label, value in cause.items():
            found &= self.codes[:, LABELS.index(label)] == value
        return found

    def hit(self, labels: tuple[str, ...]) -> tuple[dict[str, int], Floats]:
        """A cause of this form, and the error ratio of each series then."""
        while True:
            cause = {label: int(self.draw.choice(self.codes[:, LABELS.index(label)])) for label in labels}
            if "version" in cause:
                cause["version"] = 1
            strength = float(np.exp(self.draw.uniform(np.log(0.02), np.log(0.9))))
            inside = self.inside(cause)
            if self.total[inside].sum() * (strength - self.base[inside].mean()) >= _LEAST:
                return cause, np.where(inside, np.maximum(self.base, strength), self.base)

    def traffic(self, ratio: Floats) -> Traffic:
        """What a Prometheus would know of it."""
        bad = self.draw.binomial(self.total, ratio).astype(np.float64)
        bad_before = self.draw.binomial(self.total_before, self.base).astype(np.float64)
        seen = (self.total + self.total_before) > 0
        values = tuple(tuple(str(value) for value in range(int(column.max()) + 1)) for column in self.codes.T)
        numbers = (bad, self.total.astype(np.float64), bad_before, self.total_before.astype(np.float64))
        return Traffic(LABELS, values, self.codes[seen], *(each[seen] for each in numbers))


def _is(found: Mapping[str, str], cause: Mapping[str, int]) -> bool:
    return dict(found) == {label: str(value) for label, value in cause.items()}


def first_is_right(labels: tuple[str, ...], requests: int, worlds: int = _WORLDS) -> float:
    """How often the first answer is the cause, and nothing but the cause."""
    right = 0
    for seed in range(worlds):
        world = World(seed, requests)
        cause, ratio = world.hit(labels)
        found = causes(world.traffic(ratio))
        right += bool(found) and _is(found[0].labels, cause)
    return right / worlds


def named_where_all_are_hit(requests: int, worlds: int = _WORLDS) -> float:
    """How often a part is named although everything fails alike."""
    named = 0
    for seed in range(worlds):
        world = World(seed, requests)
        named += bool(causes(world.traffic(np.maximum(world.base, 0.05))))
    return named / worlds


def both_are_named(requests: int, worlds: int = _WORLDS) -> float:
    """How often two independent causes, a route and a tenant, are both named."""
    both = 0
    for seed in range(worlds):
        world = World(seed, requests)
        (one, first), (other, second) = world.hit(("route",)), world.hit(("zone",))
        found = causes(world.traffic(np.maximum(first, second)))
        both += all(any(_is(part.labels, cause) for part in found) for cause in (one, other))
    return both / worlds


_SPEC: Final = """apiVersion: sloctl/v1
kind: Service
service: api
scrape_interval: 2m
slos:
  - name: ok
    objective: 99.9%
    sli: {ratio: {total: 'requests_total{job="api"}', bad_if: 'code="500"'}}
"""
_SERIES: Final = 10_000
_MINUTES: Final = 90
_BURN: Final = 20
"""Minutes; the hour before it is what it is compared with."""


def _history(now: int) -> Iterator[str]:
    """Ten thousand series of a service; one route of one version fails for the last twenty minutes."""
    yield "# TYPE requests_total unknown\n"
    for number in range(_SERIES // 2):
        labels = f'job="api",route="/{number % 50}",version="v{number % 2}",pod="{number // 50}"'
        hit = number % 50 == 7
        for code, share in (("200", 1.0), ("500", 0.001)):
            for minute in range(0, _MINUTES + 1, 2):
                burned = max(minute - (_MINUTES - _BURN), 0) * (60 if hit and code == "500" else 0)
                value = minute * 120 * share + burned
                at = now - (_MINUTES - minute) * 60
                yield f'requests_total{{{labels},code="{code}"}} {value:.1f} {at}\n'
    yield "# EOF\n"


def live_rows() -> Iterator[Row]:
    """What an answer costs on a real Prometheus with ten thousand series."""
    with tempfile.TemporaryDirectory() as name, Server(Path(name), {}) as server:
        folder, now = Path(name), int(time.time()) // 60 * 60
        (folder / "history.om").write_text("".join(_history(now)))
        promtool("tsdb", "create-blocks-from", "openmetrics", "--quiet", "history.om", server.data, cwd=folder)
        server.start()
        found = Diagnostics()
        catalogue = resolve(parse_documents(_SPEC.encode(), "api.yaml", found), found)
        asked = _Counting(server.url, timeout=60)
        [slo] = catalogue.slos
        burn = Burn(now - _BURN * 60, now)
        why(catalogue, slo, asked, burn)  # the server reads its blocks for the first time
        asked.count, began = 0, time.perf_counter()
        answer = why(catalogue, slo, asked, burn)
        seconds = time.perf_counter() - began
        asked.close()
    right = bool(answer.parts) and dict(answer.parts[0].labels) == {"route": "/7"}
    yield Row(f"{_SERIES} series on a real Prometheus: the cause is named", float(right), at_least=1)
    yield Row("seconds for that answer", seconds, at_most=1)
    yield Row("queries for that answer, besides the one that looks for the burn", asked.count, at_most=7)


class _Counting(PrometheusClient):
    """Counts its questions."""

    count = 0

    def _ask(self, path: str, parameters: Mapping[str, str]) -> bytes:
        self.count += 1
        return super()._ask(path, parameters)


def rows() -> Iterator[Row]:
    """Every figure that needs no server."""
    for labels in CAUSES:
        right = first_is_right(labels, 20_000)
        yield Row(f"first answer right, {' + '.join(labels)}, 20 000 requests", right, at_least=0.95)
    for labels in CAUSES[:5]:
        yield Row(f"first answer right, {labels[0]}, 2 000 requests", first_is_right(labels, 2_000), at_least=0.95)
    for requests in (2_000, 20_000, 200_000):
        named = named_where_all_are_hit(requests)
        yield Row(f"a part named where all are hit alike, {requests} requests", named, at_most=0.03)
    yield Row("two causes both named, 20 000 requests", both_are_named(20_000), at_least=0.95)
    world = World(1, 200_000)
    traffic = world.traffic(world.hit(("route", "version"))[1])
    began = time.process_time()
    scanned(traffic)
    yield Row(f"CPU seconds of one ranking of {len(traffic.codes)} series", time.process_time() - began, at_most=0.1)
