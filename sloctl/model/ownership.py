"""Who is told, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sloctl.diagnostics import Place
from sloctl.model.alerting import Severity

WAKING: Final = ("pagerduty", "opsgenie", "victorops", "pushover", "sns")
"""What wakes somebody by itself; anything else does where a person says so."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a message goes: names, channels, addresses. Credentials are files named after them.

    Attributes:
        receiver: a receiver that the Alertmanager configuration has already, instead of all others.
        wakes: somebody says that a chat, a webhook or that receiver wakes a person.
    """

    pagerduty: str | None = None
    opsgenie: str | None = None
    victorops: str | None = None
    pushover: str | None = None
    sns: str | None = None
    slack: str | None = None
    msteams: str | None = None
    telegram: str | None = None
    discord: str | None = None
    webex: str | None = None
    email: str | None = None
    webhook: str | None = None
    receiver: str | None = None
    wakes: bool = False


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

    def named(self, name: str) -> Route | None:
        """The route of a severity, or a further one, by its name."""
        severities = {severity.value: route for severity, route in self.severities.items()}
        return {**self.routes, **severities}.get(name)
