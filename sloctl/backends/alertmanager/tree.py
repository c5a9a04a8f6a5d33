"""A routing tree as Alertmanager understands it: matching, and the keys that incidents hang on.

Facts from Alertmanager 0.25: `dispatch/route.go` (matching, keys), `pkg/labels` (matchers), `notify/notify.go`
(hash of a group's key).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sloctl.errors import SloctlError
from sloctl.model.selector import Matcher, MatchOperator

ROOT: Final = "{}"
"""Key of the root route, which has no matchers."""

_WRITTEN: Final = re.compile(
    r'\s*(?:"((?:[^"\\]|\\.)+)"|([a-zA-Z_][a-zA-Z0-9_]*))\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^"\s,{}]*))\s*'
)
"""A matcher, its name in quotes where it has other characters, as in the UTF-8 mode."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]+")
_ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a route waits for more alerts, for changes, and until it says the same again."""

    group_wait: str
    group_interval: str
    repeat_interval: str

    def value(self) -> dict[str, str]:
        """As Alertmanager's keys."""
        return {
            "group_wait": self.group_wait,
            "group_interval": self.group_interval,
            "repeat_interval": self.repeat_interval,
        }


@dataclass(frozen=True, slots=True)
class RouteNode:
    """One node. What is None or empty is inherited, except time intervals."""

    matchers: tuple[Matcher, ...]
    receiver: str | None = None
    group_by: tuple[str, ...] = ()
    continue_: bool = False
    timing: Timing | None = None
    time_intervals: tuple[str, ...] = ()
    routes: tuple[RouteNode, ...] = ()

    def value(self) -> dict[str, object]:
        """As Alertmanager's keys, the short ones before the children."""
        value: dict[str, object] = {"matchers": [written_matcher(matcher) for matcher in self.matchers]}
        if self.receiver:
            value["receiver"] = self.receiver
        if self.continue_:
            value["continue"] = True
        if self.group_by:
            value["group_by"] = list(self.group_by)
        if self.timing:
            value |= self.timing.value()
        if self.time_intervals:
            value["active_time_intervals"] = list(self.time_intervals)
        if self.routes:
            value["routes"] = [route.value() for route in self.routes]
        return value


@dataclass(frozen=True, slots=True)
class MatchedRoute:
    """A route as seen from the root, with what it inherits.

    Attributes:
        receiver: None is the base's default receiver.
        key: the matchers from the root down to it, as Alertmanager writes them.
    """

    route: RouteNode
    receiver: str | None
    key: str
    group_by: tuple[str, ...]

    def incident(self, labels: Mapping[str, str]) -> str:
        """PagerDuty's dedup_key of an alert that takes this route: 64 hexadecimal digits."""
        group = ", ".join(f"{name}={_go_quoted(labels[name])}" for name in sorted(self.group_by) if name in labels)
        return hashlib.sha256(f"{self.key}:{{{group}}}".encode()).hexdigest()


def matched(route: RouteNode, labels: Mapping[str, str], above: MatchedRoute | None = None) -> list[MatchedRoute]:
    """The routes that an alert takes from here: the deepest that match, in order; none when this one does not."""
    if not all(matches(matcher, labels) for matcher in route.matchers):
        return []
    here = _below(route, above)
    found: list[MatchedRoute] = []
    for child in route.routes:
        below = matched(child, labels, here)
        found += below
        if below and not child.continue_:
            break
    return found or [here]


def all_routes(route: RouteNode, above: MatchedRoute | None = None) -> Iterator[MatchedRoute]:
    """This route and all below it."""
    here = _below(route, above)
    yield here
    for child in route.routes:
        yield from all_routes(child, here)


def _below(route: RouteNode, above: MatchedRoute | None) -> MatchedRoute:
    return MatchedRoute(
        route=route,
        receiver=route.receiver or (above.receiver if above else None),
        key=f"{above.key if above else ROOT}/{matchers_key(route.matchers)}",
        group_by=route.group_by or (above.group_by if above else ()),
    )


def matches(matcher: Matcher, labels: Mapping[str, str]) -> bool:
    """Whether a label set fulfils a matcher; an absent label is an empty one."""
    try:
        return matcher.matches(labels.get(matcher.label, ""))
    except re.error as error:
        message = f"the regular expression {matcher.value!r} of a route cannot be read: {error}"
        raise SloctlError(message) from None


def matchers_key(matchers: tuple[Matcher, ...]) -> str:
    """Matchers as Alertmanager writes them in keys: sorted, without blanks."""
    ordered = sorted(matchers, key=lambda matcher: (matcher.label, matcher.value, matcher.operator.value))
    return "{" + ",".join(matcher_text(matcher) for matcher in ordered) + "}"


def written_matcher(matcher: Matcher) -> str:
    """A matcher as people write it: without quotes where it needs none."""
    plain = _PLAIN.fullmatch(matcher.value)
    return f"{matcher.label}{matcher.operator.value}{matcher.value}" if plain else matcher_text(matcher)


def matcher_text(matcher: Matcher) -> str:
    """A matcher as Alertmanager prints it."""
    escaped = matcher.value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    return f'{matcher.label}{matcher.operator.value}"{escaped}"'


def read_matchers(text: str) -> tuple[Matcher, ...]:
    """Matchers as one text: one, or several between commas, in braces or not.

    Raises:
        SloctlError: it is none.
    """
    inside = text.strip()
    if inside.startswith("{") and inside.endswith("}"):
        inside = inside[1:-1]
    found, at = list[Matcher](), 0
    while at < len(inside) or not found:
        one = _WRITTEN.match(inside, at)
        if one is None or (one.end() < len(inside) and inside[one.end()] != ","):
            raise SloctlError(f'`{text}` is no matcher of Alertmanager\'s; write one such as severity="P1"')
        named, plain, operator, quoted, bare = one.groups()
        value = bare if quoted is None else _unescaped(quoted)
        found.append(Matcher(plain if named is None else _unescaped(named), MatchOperator(operator), value))
        at = one.end() + 1
    return tuple(found)


def _unescaped(quoted: str) -> str:
    return _ESCAPED.sub(lambda escaped: "\n" if escaped[1] == "n" else escaped[1], quoted)


def equal(**labels: str) -> tuple[Matcher, ...]:
    """One equality matcher a label."""
    return tuple(Matcher(name, MatchOperator.EQUAL, value) for name, value in labels.items())


def _go_quoted(value: str) -> str:
    """Go's %q of printable text."""
    return json.dumps(value, ensure_ascii=False)
