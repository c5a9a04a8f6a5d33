"""Putting the values of parameters into a template."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal

from sloctl.diagnostics import Diagnostics, Place, Related
from sloctl.language.document import Document, Slo, TemplateBody
from sloctl.language.parameters import QUOTED
from sloctl.language.problems import did_you_mean, validated
from sloctl.language.refusals import shown
from sloctl.language.rollout import Canary
from sloctl.language.texts import PLACEHOLDER
from sloctl.language.tree import Absent, Key, Mapping, Sequence, Tree, YamlValue
from sloctl.promql.limits import is_closed


@dataclass(frozen=True, slots=True)
class Instance:
    """What one use of a template brings to a service.

    Attributes:
        slos: its SLOs.
        canary: its canary, if it brings one.
        use: where the service names the template.
        tree: the template's values with the arguments put in, and the place of each, there or in the template.
    """

    slos: tuple[Slo, ...]
    canary: Canary | None
    use: Place
    tree: Tree


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
    value: YamlValue
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
        help_ = did_you_mean(name, known) or "remove it"
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

    def put(self, node: YamlValue, path: tuple[Key, ...]) -> YamlValue:
        match node:
            case str() if "$" in node:
                return self._put_into_text(node, path)
            case Mapping():
                return Mapping({key: self.put(item, (*path, key)) for key, item in node.items()}, node.marks)
            case Sequence():
                return Sequence([self.put(item, (*path, at)) for at, item in enumerate(node)], node.marks)
            case _:
                return node

    def _put_into_text(self, text: str, path: tuple[Key, ...]) -> YamlValue:
        whole = PLACEHOLDER.fullmatch(text)
        if whole and whole[1] in self.arguments:
            argument = self.arguments[whole[1]]
            self.origins[path] = argument.place
            return argument.value
        return QUOTED.sub(lambda quoted: self._put_into_quotes(quoted[0], path), text)

    def _put_into_quotes(self, quoted: str, path: tuple[Key, ...]) -> str:
        if not is_closed(quoted):
            return quoted

        def value(match: re.Match[str]) -> str:
            argument = self.arguments.get(match[1])
            return match[0] if argument is None else self._escaped(match[1], argument, quoted[0], path)

        return PLACEHOLDER.sub(value, quoted)

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
