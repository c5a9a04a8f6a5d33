"""What a thousand SLOs cost as dashboards: CPU time, and the size of the largest file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench.rows import Row
from sloctl.backends.grafana.backend import GrafanaBackend
from sloctl.backends.grafana.kubernetes import KubernetesDashboards
from sloctl.backends.prometheus.backend import PrometheusBackend
from sloctl.compiler import compile_specs
from sloctl.model.catalogue import Catalogue, Service
from sloctl.rendering import render

SPECS = Path(__file__).resolve().parent.parent / "slo-specs"
SLOS = 1000
MEBIBYTE = 1024 * 1024


def thousand() -> Catalogue:
    """One platform whose services and SLOs are RouteMesh's, again and again under new names."""
    catalogue = compile_specs([str(SPECS)], []).catalogue
    platform = next(platform for platform in catalogue.platforms if platform.name == "routemesh")
    services: list[Service] = []
    count = 0
    while count < SLOS:
        for service in platform.services:
            name = f"{service.name}-{len(services)}"
            slos = tuple(replace(slo, service=name) for slo in service.slos)[: SLOS - count]
            services.append(replace(service, name=name, slos=slos))
            count += len(slos)
            if count == SLOS:
                break
    return replace(catalogue, platforms=(replace(platform, services=tuple(services)),))


def rows() -> Iterator[Row]:
    """Seven dashboards of one platform with a thousand SLOs, beside the rules of the same SLOs."""
    catalogue = thousand()
    began = time.process_time()
    files = {artifact.path: render(artifact) for artifact in GrafanaBackend().compile(catalogue)}
    seconds = time.process_time() - began
    began = time.process_time()
    for artifact in PrometheusBackend().compile(catalogue):
        render(artifact)
    rules = time.process_time() - began
    maps = [render(artifact) for artifact in KubernetesDashboards().compile(catalogue)]
    yield Row("1000 SLOs as dashboards, s of CPU time", seconds, at_most=3)
    yield Row("1000 SLOs as dashboards, times the rules of the same SLOs", seconds / rules, at_most=1)
    yield Row("largest dashboard of 1000 SLOs, MiB", max(map(len, files.values())) / MEBIBYTE, at_most=1)
    yield Row("largest ConfigMap of 1000 SLOs, MiB", max(map(len, maps)) / MEBIBYTE, at_most=1)
    yield Row("dashboards of a platform", len(files), at_least=7)
