"""Who is told, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sloctl.diagnostics import Place
from sloctl.model.alerting import Severity


@dataclass(frozen=True, slots=True)
class Route:
    """Where a message goes: names, channels, addresses. Credentials are files named after them."""

    pagerduty: str | None = None
    slack: str | None = None
    email: str | None = None
    sns: str | None = None
    webhook: str | None = None


@dataclass(frozen=True, slots=True)
class OfficeHours:
    """When P3 is delivered. `days` are English weekday names; `start` and `end` are `HH:MM`."""

    days: tuple[str, ...]
    start: str
    end: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Team:
    """A team of a platform: one route a severity, further routes by name."""

    name: str
    severities: Mapping[Severity, Route]
    routes: Mapping[str, Route]
    office_hours: OfficeHours | None
    place: Place
    places: Mapping[str, Place] = field(default_factory=dict)
