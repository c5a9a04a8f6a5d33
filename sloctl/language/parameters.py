"""The parameters of a template: where they may stand, and whether all are known and used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sloctl.diagnostics import Diagnostics, Place
from sloctl.language.problems import did_you_mean
from sloctl.language.texts import ALERT_PLACEHOLDERS, PLACEHOLDER
from sloctl.language.tree import Key, Mapping, Sequence, Tree, YamlValue
from sloctl.promql.limits import STRING, is_closed

# These stand for something where a template declares no parameter of the name.
BUILT_IN: Final = frozenset(("window", "canary", "stable", *ALERT_PLACEHOLDERS))

QUOTED: Final = re.compile(STRING)


def check_parameters(template: Tree, found: Diagnostics) -> None:
    """Add a finding for each parameter that is unused, unknown, or stands where nothing can be put in."""
    parameters = template.find("parameters")
    known = list(parameters) if isinstance(parameters, Mapping) else []
    used: set[str] = set()
    for path, text in _texts(template):
        for name, can_stand in _names(text):
            used.add(name)
            _check_name(name, known, template.place(*path), found, can_stand=can_stand)
    for name in sorted(set(known) - used):
        place = template.key_place("parameters", name)
        found.error("SLO043", place, f"the parameter `{name}` is not used", f"write `${name}`, or remove it")


def _check_name(name: str, known: list[str], place: Place, found: Diagnostics, *, can_stand: bool) -> None:
    if name in known and name not in BUILT_IN and not can_stand:
        help_ = "a parameter is a whole value, or stands inside a quoted label value"
        found.error("SLO045", place, f"`${name}` cannot stand here", help_)
    elif name not in known and name not in BUILT_IN and can_stand:
        help_ = did_you_mean(name, known) or "add it to `parameters`, or write `$` without a letter after it"
        found.error("SLO042", place, f"unknown parameter `${name}`", help_)


def _names(text: str) -> Iterator[tuple[str, bool]]:
    """The `$name`s of a text, and whether each is the whole value or inside quotes."""
    if whole := PLACEHOLDER.fullmatch(text):
        yield whole[1], True
        return
    inside = [match.span() for match in QUOTED.finditer(text) if is_closed(match[0])]
    for match in PLACEHOLDER.finditer(text):
        yield match[1], any(start < match.start() < end for start, end in inside)


def _texts(tree: Tree) -> Iterator[tuple[tuple[Key, ...], str]]:
    """All texts below `slos` and `canary`, with their key paths."""
    assert isinstance(tree.value, Mapping)
    waiting: list[tuple[tuple[Key, ...], YamlValue]] = [((), tree.value.only("slos", "canary"))]
    while waiting:
        path, value = waiting.pop()
        match value:
            case str():
                yield path, value
            case Mapping():
                waiting += [((*path, key), item) for key, item in value.items()]
            case Sequence():
                waiting += [((*path, index), item) for index, item in enumerate(value)]
