"""The explicit table of backends."""

from __future__ import annotations

from typing import Final

from sloctl.backends.backend import Backend
from sloctl.backends.grafana.backend import GrafanaBackend
from sloctl.backends.prometheus.backend import PrometheusBackend

BACKENDS: Final[dict[str, Backend]] = {backend.name: backend for backend in (PrometheusBackend(), GrafanaBackend())}
