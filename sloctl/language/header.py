"""What a document says it is."""

from __future__ import annotations

from typing import Final, NamedTuple

from sloctl.diagnostics import Diagnostics
from sloctl.language.problems import did_you_mean
from sloctl.language.refusals import shown
from sloctl.language.tree import REFUSED, Mapping, Tree

API_VERSION: Final = "sloctl/v1"
KINDS: Final = ("Platform", "Service", "Template")

_BEGIN: Final = "begin the document with `apiVersion: sloctl/v1` and `kind: Service`"


class Foreign(NamedTuple):
    """Another tool: how the version of its documents begins, its title, and its name where `sloctl import` reads it."""

    start: str
    title: str
    dialect: str = ""


_FOREIGN: Final = (
    Foreign("openslo", "OpenSLO", "openslo"),
    Foreign("sloth", "Sloth", "sloth"),
    Foreign("prometheus/v1", "Sloth", "sloth"),
    Foreign("pyrra", "Pyrra", "pyrra"),
    Foreign("n9/", "Nobl9", "nobl9"),
    Foreign("monitoring.coreos.com", "Prometheus operator"),
)


def foreign_tool(head: Mapping) -> Foreign | None:
    """The other tool whose version a document has."""
    version = str(head.get("apiVersion") or head.get("version"))
    return next((foreign for foreign in _FOREIGN if version.startswith(foreign.start)), None)


def checked_kind(tree: Tree, found: Diagnostics) -> str | None:
    """The document's kind, or None after a finding about its `apiVersion` or `kind`."""
    head = tree.value
    if not isinstance(head, Mapping):
        if head is not REFUSED:
            found.error("SLO014", tree.place(), f"a document is a mapping, not {shown(head)}", _BEGIN)
        return None
    if _is_foreign(tree, head, found):
        return None
    kind = head.get("kind")
    if kind in KINDS:
        return str(kind)
    if "kind" not in head:
        found.error("SLO014", tree.place(), "`kind` is missing", f"add `kind: {_guess(head)}`")
    elif kind is not REFUSED:
        help_ = did_you_mean(str(kind), list(KINDS)) or "write `Platform`, `Service` or `Template`"
        given = "an empty one" if kind is None else shown(kind)
        found.error("SLO014", tree.place("kind"), f"{given} is no kind of document", help_)
    return None


def _is_foreign(tree: Tree, head: Mapping, found: Diagnostics) -> bool:
    """Whether it is written in another language or version; a missing `apiVersion` is found with the rest."""
    key = "version" if "version" in head and "apiVersion" not in head else "apiVersion"
    version = head.get(key)
    if key not in head or version in (API_VERSION, None, REFUSED):
        return False
    if (tool := foreign_tool(head)) is not None:
        command = f"; `sloctl import {tree.path}` writes that from it" if tool.dialect else ""
        message, help_ = f"this is a document of {tool.title}", f"sloctl reads `apiVersion: {API_VERSION}`{command}"
    elif key == "version":
        return False
    else:
        message, help_ = f"unknown apiVersion {shown(version)}", f"write `apiVersion: {API_VERSION}`"
    found.error("SLO015", tree.place(key), message, help_)
    return True


def _guess(head: Mapping) -> str:
    if "parameters" in head:
        return "Template"
    return "Service" if "service" in head or "slos" in head else "Platform"
