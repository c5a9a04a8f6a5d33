"""Routes that Alertmanager could not tell apart.

A route is found by the words of `severities` and its receiver by the names of platform, team and route. Two
severities with one word would both take the first route, and platform `a` with team `b-c` has the receivers of
platform `a-b` with team `c`. Choose another word or name.
"""

from __future__ import annotations

from typing import Final

from sloctl import conventions
from sloctl.conventions.inventory import receivers
from sloctl.diagnostics import Diagnostics, Place, Related
from sloctl.model.alerting import Severity
from sloctl.model.catalogue import Catalogue, Platform

CODE: Final = "SLO142"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """Words of severities differ within a platform, names of receivers within a run."""
    for platform in catalogue.platforms:
        _check_words(platform, found)
    first: dict[str, Place] = {}
    for platform in catalogue.platforms:
        for name, place in sorted((receiver.name, receiver.place) for receiver in receivers(platform)):
            other = first.setdefault(name, place)
            if other != place:
                message = f"two receivers would be called `{name}`"
                found.error(CODE, place, message, "rename the platform or the team", Related(other, "the other one"))


def _check_words(platform: Platform, found: Diagnostics) -> None:
    words: dict[str, Severity] = {}
    for severity in Severity:
        word = conventions.severity_word(platform, severity)
        other = words.setdefault(word, severity)
        if other is not severity:
            message = f"{other.value} and {severity.value} of platform `{platform.name}` are both called `{word}`"
            found.error(CODE, platform.place, message, "give each severity a word of its own in `severities`")
