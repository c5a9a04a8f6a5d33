"""What is in force: the services, who may ask, and where Prometheus is. Read at the start and again on SIGHUP."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from sloctl.canary.recording import service_bytes, service_digest
from sloctl.canary.server.auth import Tokens
from sloctl.canary.server.metrics import ServerMetrics
from sloctl.errors import SloctlError
from sloctl.model.canary import Canary
from sloctl.model.catalogue import Catalogue, Service
from sloctl.prometheus import PrometheusClient

LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JudgeableService:
    """A service with a canary.

    Attributes:
        packed: what the analysis reads of it; see `recording.service_bytes`.
        digest: of that, as it is in answers.
        group: the other services that are released together with it.
    """

    platform: str
    service: Service
    canary: Canary
    packed: bytes
    digest: str
    group: tuple[Service, ...] = ()


@dataclass(frozen=True, slots=True)
class Configuration:
    """One state of the configuration; a new one takes its place as a whole."""

    services: tuple[JudgeableService, ...]
    tokens: Tokens
    prometheus: PrometheusClient
    _by_name: dict[str, list[JudgeableService]] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for each in self.services:
            for name in (each.service.name, f"{each.platform}/{each.service.name}"):
                self._by_name.setdefault(name, []).append(each)

    def find(self, name: str) -> list[JudgeableService]:
        """The services of this name, or of `platform/name`; several where platforms share a name."""
        return self._by_name.get(name, [])


def judgeable(catalogue: Catalogue) -> Iterable[JudgeableService]:
    """Every service with a canary.

    Raises:
        SloctlError: there is none.
    """
    found = [
        (platform.name, service, service.canary)
        for platform in catalogue.platforms
        for service in platform.services
        if service.canary is not None
    ]
    if not found:
        raise SloctlError("no service has a `canary`; write one, see docs/canary.md")
    groups: dict[tuple[str, str | None], list[Service]] = {}
    for platform, service, canary in found:
        groups.setdefault((platform, canary.group), []).append(service)
    for platform, service, canary in found:
        others = groups[platform, canary.group] if canary.group is not None else []
        group = tuple(other for other in others if other is not service)
        packed = service_bytes(service)
        yield JudgeableService(platform, service, canary, packed, f"sha256:{service_digest(packed)}", group)


class CurrentConfiguration:
    """The configuration in force.

    Args:
        load: reads it from the disk; raises `SloctlError` when it is not good.
    """

    def __init__(self, load: Callable[[], Configuration], metrics: ServerMetrics) -> None:
        self._load, self._metrics = load, metrics
        self.current = load()
        self._loaded()

    def reload(self) -> bool:
        """Take a new configuration, or keep the last good one; returns whether it is new."""
        try:
            fresh = self._load()
        except SloctlError as error:
            self._metrics.reloaded.set(0)
            LOG.error("the configuration is not good, so the last one stays in force: %s", error)  # noqa: TRY400
            return False
        self.current = fresh
        self._loaded()
        LOG.info("the configuration was read again: %d services", len(fresh.services))
        return True

    def _loaded(self) -> None:
        self._metrics.reloaded.set(1)
        self._metrics.loaded_at.set(time.time())
