"""Putting the routes into somebody's `alertmanager.yml`, which Alertmanager cannot include from a second file.

Text is inserted and nothing else is touched: comments, order, quotes, line ends and blank lines of the base stay as
they are, byte for byte. What is inserted stands between two marker comments; a second merge removes it first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from sloctl.backends.alertmanager import base
from sloctl.backends.alertmanager.base import BaseError, refused
from sloctl.backends.alertmanager.routes import is_own_name

Fragment = Mapping[str, Sequence[Mapping[str, object]]]
ToYaml = Callable[[object], str]

BEGIN: Final = "# sloctl begin: written by `sloctl routes merge`, do not edit"
END: Final = "# sloctl end"
_IN_FLOW: Final = " (inline)"
_LINES: Final = re.compile(
    rf"^[ ]*{re.escape(BEGIN)}\r?\n.*?^[ ]*{re.escape(END)}(?:\r?\n|\Z)", re.MULTILINE | re.DOTALL
)
_INLINE: Final = re.compile(
    rf"\r?\n(?P<indent>[ ]*){re.escape(BEGIN + _IN_FLOW)}\r?\n.*?"
    rf"\r?\n(?P=indent){re.escape(END + _IN_FLOW)}\r?\n(?P=indent)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class _Insertion:
    """Text to be put in before the character `at` of the base."""

    at: int
    text: str


def merged(text: str, path: str, fragment: Fragment, to_yaml: ToYaml) -> str:
    """The base with the fragment in it.

    Args:
        text: the base, perhaps with an older fragment.
        path: its name, for messages.
        to_yaml: prints a value as YAML in block style.

    Raises:
        BaseError: the base does not parse, uses names of sloctl's, or lacks what the fragment needs.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    foreign = without(text)
    foreign += "" if foreign.endswith("\n") else newline
    root = base.read(foreign, path)
    _check(root, path, fragment)
    route = _route(root, path)
    writer = _Writer(foreign, path, newline, base.key_of(root, "route") or root, to_yaml)
    insertions = [
        writer.into(route, "routes", fragment["routes"]),
        *(
            writer.into(root, key, fragment[key])
            for key in ("receivers", "inhibit_rules", "time_intervals")
            if fragment[key]
        ),
    ]
    result = _applied(foreign, insertions)
    if without(result) != foreign:
        raise BaseError(f"{path}:1:1: the file cannot be kept as it is\n  help: write it in block style")
    _same_but_for_ours(root, base.read(result, path), path, fragment)
    return result


def without(text: str) -> str:
    """The base without what an earlier merge put in."""
    return _LINES.sub("", _INLINE.sub("", text))


def _applied(text: str, insertions: Sequence[_Insertion]) -> str:
    # from the back, so that places stay true; of two at one place the later one goes in first
    ordered = sorted(enumerate(insertions), key=lambda pair: (pair[1].at, pair[0]), reverse=True)
    for _, insertion in ordered:
        text = text[: insertion.at] + insertion.text + text[insertion.at :]
    return text


def _route(root: base.Mapping, path: str) -> base.Mapping:
    route = base.value_of(root, "route")
    if not isinstance(route, base.Mapping) or base.value_of(route, "receiver") is None:
        help_ = "write `route: {receiver: NAME}`; alerts that are not sloctl's go there"
        raise refused(path, route or root, "there is no root route with a receiver", help_)
    return route


@dataclass(frozen=True, slots=True)
class _Writer:
    """Finds where lists begin in one base, and writes in its style."""

    text: str
    path: str
    newline: str
    parent: base.Node
    to_yaml: ToYaml

    def into(self, mapping: base.Mapping, key: str, items: Sequence[Mapping[str, object]]) -> _Insertion:
        """The items at the head of the list `key`, which is made where it is missing."""
        name, value = base.key_of(mapping, key), base.value_of(mapping, key)
        if name is None or value is None:
            return self._new_key(mapping, key, items)
        if isinstance(value, base.Sequence) and value.flow_style:
            return self._flow(value.start_mark, [_json(item) for item in items], more=bool(value.value))
        if isinstance(value, base.Sequence):
            indent = value.start_mark.column
        elif value.tag == "tag:yaml.org,2002:null" and value.value == "" and not mapping.flow_style:
            indent = name.start_mark.column + 2
        else:
            raise refused(self.path, value, f"`{key}` is no list", f"write `{key}: []`")
        return self._lines(self._next_line(name), indent, self.to_yaml(items))

    def _new_key(self, mapping: base.Mapping, key: str, items: Sequence[Mapping[str, object]]) -> _Insertion:
        """Where no comment is cut off from what it is about: below `route:`, or at the end of the file."""
        if mapping.flow_style:
            written = [f"{json.dumps(key)}: [{', '.join(_json(item) for item in items)}]"]
            return self._flow(mapping.start_mark, written, more=bool(mapping.value))
        column = mapping.start_mark.column
        at = self._next_line(self.parent) if key == "routes" else len(self.text)
        return self._lines(at, column, self.to_yaml({key: items}))

    def _lines(self, at: int, indent: int, written: str) -> _Insertion:
        lines = [BEGIN, *written.rstrip("\n").split("\n"), END]
        block = "".join(f"{' ' * indent if line else ''}{line}{self.newline}" for line in lines)
        return _Insertion(at, block)

    def _flow(self, mark: yaml.Mark, items: list[str], *, more: bool) -> _Insertion:
        """Comments may stand inside brackets, on lines of their own that are indented deeper than the key."""
        line = self.text.rfind("\n", 0, mark.index) + 1
        indent = " " * (len(self.text[line : mark.index]) - len(self.text[line : mark.index].lstrip(" ")) + 2)
        content = ", ".join(items) + ("," if more else "")
        lines = ["", BEGIN + _IN_FLOW, content, END + _IN_FLOW, ""]
        return _Insertion(mark.index + 1, f"{self.newline}{indent}".join(lines))

    def _next_line(self, node: base.Node) -> int:
        end = self.text.find("\n", node.end_mark.index)
        return len(self.text) if end < 0 else end + 1


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _check(root: base.Mapping, path: str, fragment: Fragment) -> None:
    help_ = "rename it: names that begin with `slo-` are sloctl's, and a merge replaces only what it marked itself"
    for key in ("receivers", "time_intervals", "mute_time_intervals"):
        for item in base.items(base.value_of(root, key)):
            name = base.value_of(item, "name")
            if name is not None and is_own_name(str(name.value)):
                raise refused(path, name, f"`{name.value}` has a name of sloctl's", help_)
    for item in base.items(base.value_of(base.value_of(root, "route"), "routes")):
        for node in _named_receivers(item):
            if is_own_name(str(node.value)):
                raise refused(path, node, f"this route leads to `{node.value}`, a receiver of sloctl's", help_)
    _check_theirs(root, path, fragment)
    _check_details(root, path)
    _check_mail(root, path, fragment)


def _check_theirs(root: base.Mapping, path: str, fragment: Fragment) -> None:
    """A receiver that a route names as the base's own is there."""
    receivers = base.value_of(root, "receivers")
    names = [str(name.value) for item in base.items(receivers) if (name := base.value_of(item, "name")) is not None]
    for wanted in dict.fromkeys(_receivers_of(fragment["routes"])):
        if not is_own_name(wanted) and wanted not in names:
            help_ = (
                f"write one of {', '.join(f'`{name}`' for name in names)} as `receiver` of the route, or add it here"
            )
            raise refused(path, receivers or root, f"there is no receiver `{wanted}`, which a route names", help_)


def _receivers_of(routes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for route in routes:
        if "receiver" in route:
            yield str(route["receiver"])
        yield from _receivers_of(route.get("routes", ()))


def _named_receivers(route: base.Node) -> list[base.Node]:
    name = base.value_of(route, "receiver")
    below = [name for child in base.items(base.value_of(route, "routes")) for name in _named_receivers(child)]
    return ([name] if name is not None else []) + below


def _check_details(root: base.Mapping, path: str) -> None:
    """Alertmanager 0.25 refuses the whole file for one nested detail."""
    for receiver in base.items(base.value_of(root, "receivers")):
        for config in base.items(base.value_of(receiver, "pagerduty_configs")):
            details = base.value_of(config, "details")
            for key, value in details.value if isinstance(details, base.Mapping) else ():
                if not isinstance(value, yaml.ScalarNode):
                    message = f"the PagerDuty detail `{key.value}` is nested"
                    raise refused(path, value, message, "write one text; Alertmanager 0.25 takes no other")


def _check_mail(root: base.Mapping, path: str, fragment: Fragment) -> None:
    settings = base.value_of(root, "global")
    missing = [key for key in ("smtp_smarthost", "smtp_from") if base.value_of(settings, key) is None]
    if missing and any("email_configs" in receiver for receiver in fragment["receivers"]):
        help_ = f"add `{missing[0]}` to `global`, as for any mail of Alertmanager's"
        raise refused(path, settings or root, f"teams get e-mail, but `global` has no `{missing[0]}`", help_)


def _same_but_for_ours(before: base.Mapping, after: base.Mapping, path: str, fragment: Fragment) -> None:
    """The proof of a merge: taking our items away again leaves what was there, by value."""
    lists = {"receivers": ("receivers",), "inhibit_rules": ("inhibit_rules",), "time_intervals": ("time_intervals",)}
    left = base.plain(after)
    for kind, keys in {"routes": ("route", "routes"), **lists}.items():
        _take(left, base.plain(before), keys, len(fragment[kind]))
    if left != base.plain(before):
        raise BaseError(f"{path}:1:1: the file is written in a way that cannot be merged\n  help: use block style")


def _take(left: Any, before: Any, keys: tuple[str, ...], count: int) -> None:
    """Remove the first items of a list, and the list where there was none before."""
    for key in keys[:-1]:
        left, before = left[key], before[key]
    if not count:
        return
    rest = left.pop(keys[-1])[count:]
    if rest or keys[-1] in before:
        left[keys[-1]] = rest or before[keys[-1]]
