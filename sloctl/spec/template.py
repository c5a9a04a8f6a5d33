"""Putting the values of parameters into a template."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from sloctl.diagnostics import Diagnostics, Place, Related
from sloctl.spec.document import Document, Slo, Template, TemplateBody
from sloctl.spec.problems import nearest, validated
from sloctl.spec.rollout import Canary
from sloctl.spec.tree import Absent, Key, Mapping, Sequence, Tree, Value
from sloctl.spec.values import shown

# These stand for something already, so that no parameter can have their names.
BUILT_IN: Final = frozenset(
    [
        "window",
        "canary",
        "stable",
        "service",
        "slo",
        "platform",
        "team",
        "objective",
        "burn",
        "over",
        "value",
        "budget_left",
        "time_to_exhaustion",
        "credits_at_risk",
        "runbook",
        "dashboard",
    ]
)

_PARAMETER: Final = re.compile(r"\$([a-zA-Z][a-zA-Z0-9_]*)")
_QUOTED: Final = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`[^`]*`")


@dataclass(frozen=True, slots=True)
class Instance:
    """What one use of a template brings to a service.

    Attributes:
        slos: its SLOs.
        canary: its canary, if it brings one.
        use: where the service names the template.
        tree: the template's values with the arguments put in.
    """

    slos: tuple[Slo, ...]
    canary: Canary | None
    use: Place
    tree: Tree

    def place(self, *keys: Key) -> Place:
        """Where a value was written: in the template, or as an argument. Paths begin with `slos` or `canary`."""
        return self.tree.place(*keys)

    def key_place(self, *keys: Key) -> Place:
        """Where the last key of this path is written in the template."""
        return self.tree.key_place(*keys)


def check_parameters(template: Document, found: Diagnostics) -> None:
    """Add a finding for each parameter that is unused, unknown, or stands where nothing can be put in."""
    assert isinstance(template.spec, Template)
    known = dict(template.spec.parameters or {})
    for name in BUILT_IN & known.keys():
        place = template.key_place("parameters", name)
        found.error("SLO042", place, f"`${name}` has a meaning of its own", "choose another name")
    used: set[str] = set()
    for path, text in _texts(template.tree):
        for name, can_stand in _names(text):
            used.add(name)
            _check_name(name, list(known), template.place(*path), found, can_stand=can_stand)
    for name in known.keys() - used:
        place = template.key_place("parameters", name)
        found.error("SLO043", place, f"the parameter `{name}` is not used", f"write `${name}`, or remove it")


def _check_name(name: str, known: list[str], place: Place, found: Diagnostics, *, can_stand: bool) -> None:
    if name in known and not can_stand:
        help_ = "a parameter is a whole value, or stands inside a quoted label value"
        found.error("SLO045", place, f"`${name}` cannot stand here", help_)
    elif name not in known and name not in BUILT_IN and can_stand:
        help_ = nearest(name, known) or "add it to `parameters`, or write `$` without a letter after it"
        found.error("SLO042", place, f"unknown parameter `${name}`", help_)


def _names(text: str) -> Iterator[tuple[str, bool]]:
    """The `$name`s of a text, and whether each is the whole value or inside quotes."""
    if whole := _PARAMETER.fullmatch(text):
        yield whole[1], True
        return
    inside = [match.span() for match in _QUOTED.finditer(text)]
    for match in _PARAMETER.finditer(text):
        yield match[1], any(start < match.start() < end for start, end in inside)


def _texts(tree: Tree) -> Iterator[tuple[tuple[Key, ...], str]]:
    """All texts below `slos` and `canary`, with their key paths."""
    assert isinstance(tree.value, Mapping)
    waiting: list[tuple[tuple[Key, ...], Value]] = [((), tree.value.only("slos", "canary"))]
    while waiting:
        path, value = waiting.pop()
        match value:
            case str():
                yield path, value
            case Mapping():
                waiting += [((*path, key), item) for key, item in value.items()]
            case Sequence():
                waiting += [((*path, index), item) for index, item in enumerate(value)]


def instantiate(template: Document, user: Document, index: int, found: Diagnostics) -> Instance | None:
    """What `uses[index]` of the Service `user` takes from `template`, or None after findings.

    Unknown and missing parameters, and whatever is wrong once the values are in, are added to `found`
    with the place in the template or of the argument, and the place of the use.
    """
    arguments = _arguments(template, user, index, found)
    if arguments is None:
        return None
    use = user.place("uses", index, "template")
    assert isinstance(template.tree.value, Mapping)
    putting = _Putting(arguments, template, use, found)
    body = putting.put(template.tree.value.only("slos", "canary"), ())
    tree = Tree(template.path, body, template.tree.mark, putting.origins)
    spec = validated(TemplateBody, tree, found, Related(use, "used here"))
    if spec is None or putting.failed:
        return None
    return Instance(spec.slos or (), spec.canary, use, tree)


@dataclass(frozen=True, slots=True)
class _Argument:
    value: Value
    place: Place


def _arguments(template: Document, user: Document, index: int, found: Diagnostics) -> dict[str, _Argument] | None:
    """The value of each parameter and where it is written; None after findings."""
    given = user.tree.find("uses", index, "with")
    names = set(given) if isinstance(given, Mapping) else set()
    parameters = template.tree.find("parameters")
    known = list(parameters) if isinstance(parameters, Mapping) else []
    for name in sorted(names.difference(known)):
        place = user.key_place("uses", index, "with", name)
        at = Related(template.place("name"), "the template")
        help_ = nearest(name, known) or "remove it"
        found.error("SLO042", place, f"the template has no parameter {shown(name)}", help_, at)
    arguments = {name: _argument(name, template, user, index, found) for name in known}
    complete = {name: argument for name, argument in arguments.items() if argument is not None}
    return complete if len(complete) == len(arguments) and names <= arguments.keys() else None


def _argument(name: str, template: Document, user: Document, index: int, found: Diagnostics) -> _Argument | None:
    path = ("uses", index, "with", name)
    value, place = user.tree.find(*path), user.place(*path)
    if isinstance(value, Absent):
        value, place = template.tree.find("parameters", name), template.place("parameters", name)
    if value is not None and not isinstance(value, Absent):
        return _Argument(value, place)
    needed = Related(template.key_place("parameters", name), "it has no default")
    message = f"the parameter `{name}` of the template has no value"
    found.error("SLO044", user.key_place(*path), message, f"write `with: {{{name}: ...}}`", needed)
    return None


@dataclass(slots=True)
class _Putting:
    """Puts arguments into a tree, and remembers where each whole value came from."""

    arguments: dict[str, _Argument]
    template: Document
    use: Place
    found: Diagnostics
    origins: dict[tuple[Key, ...], Place] = field(default_factory=dict)
    failed: bool = False

    def put(self, node: Value, path: tuple[Key, ...]) -> Value:
        match node:
            case str() if "$" in node:
                return self._put_into_text(node, path)
            case Mapping():
                return Mapping({key: self.put(item, (*path, key)) for key, item in node.items()}, node.marks)
            case Sequence():
                return Sequence([self.put(item, (*path, at)) for at, item in enumerate(node)], node.marks)
            case _:
                return node

    def _put_into_text(self, text: str, path: tuple[Key, ...]) -> Value:
        whole = _PARAMETER.fullmatch(text)
        if whole and whole[1] in self.arguments:
            argument = self.arguments[whole[1]]
            self.origins[path] = argument.place
            return argument.value
        return _QUOTED.sub(lambda quoted: self._put_into_quotes(quoted[0], path), text)

    def _put_into_quotes(self, quoted: str, path: tuple[Key, ...]) -> str:
        def value(match: re.Match[str]) -> str:
            argument = self.arguments.get(match[1])
            return match[0] if argument is None else self._escaped(match[1], argument, quoted[0], path)

        return _PARAMETER.sub(value, quoted)

    def _escaped(self, name: str, argument: _Argument, quote: str, path: tuple[Key, ...]) -> str:
        """An argument inside a quoted label value; only text and numbers can stand there."""
        match argument.value:
            case str():
                text = argument.value
            case Decimal():
                text = f"{argument.value:f}"
            case int() if not isinstance(argument.value, bool):
                text = str(argument.value)
            case other:
                return self._refuse(name, shown(other), argument.place, path)
        if quote != "`":
            return text.replace("\\", "\\\\").replace(quote, "\\" + quote).replace("\n", "\\n")
        return self._refuse(name, "a text with a backtick", argument.place, path) if "`" in text else text

    def _refuse(self, name: str, what: str, place: Place, path: tuple[Key, ...]) -> str:
        self.failed = True
        message = f"the parameter `{name}` stands inside a text and cannot be {what}"
        inside = Related(self.template.place(*path), "it stands here")
        self.found.error("SLO045", place, message, "write one text", inside, Related(self.use, "used here"))
        return ""
