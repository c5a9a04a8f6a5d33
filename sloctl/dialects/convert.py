"""Files of other tools to services of ours."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sloctl.diagnostics import Diagnostics, Place
from sloctl.dialects import grafana
from sloctl.dialects.draft import Dialect, Draft, factored
from sloctl.dialects.helm import is_chart, without_actions
from sloctl.dialects.source import Cursor, UnconvertibleError
from sloctl.dialects.table import DIALECTS
from sloctl.language.document import parse_documents
from sloctl.language.header import foreign_tool
from sloctl.language.lenient import read_foreign_text
from sloctl.language.tree import Mapping as Written
from sloctl.language.tree import Sequence, Tree
from sloctl.language.writing import yaml_text
from sloctl.resolve import resolve

_SHARED: Final = ("window", "alerts", "labels", "runbook")
"""What stands once at the service where all of its SLOs say the same."""
_HEAD: Final = """\
# Written by `sloctl import`; from here on it is yours. Budgets count events, and alerts wait at low traffic until
# the errors cannot be chance: `guard: none` on a tier is as the source was.
"""
_ORDER: Final = ("name", "description", "objective", "window", "sli", "by", "timeslices", "alerts", "runbook", "labels")


@dataclass(frozen=True, slots=True)
class Imported:
    """One service of the result.

    Attributes:
        service: its name.
        text: the document, with a comment for each note.
    """

    service: str
    text: str


def convert(texts: Mapping[str, bytes], found: Diagnostics, *, dialect: str | None = None) -> list[Imported]:
    """The services that files of other tools describe, by name; notes, mistakes and what cannot be had are in `found`.

    Args:
        texts: the files by path.
        dialect: what all of them are written in; each document tells by itself where this is None.
    """
    documents = [Cursor(tree) for path, text in texts.items() for tree in _read(path, text, found)]
    drafts = list[Draft]()
    for each, own in _by_dialect(documents, dialect, found):
        for make in each.slos(own):
            try:
                draft = make()
                _check(draft)
            except UnconvertibleError as problem:
                found.error("SLO303", problem.place, f"this SLO is not imported: {problem}", problem.help)
            else:
                drafts.append(draft)
    return [_written(service, slos) for service, slos in _services(drafts, found)]


def _read(path: str, text: bytes, found: Diagnostics) -> Iterator[Tree]:
    """The documents of a file; lists of documents are taken apart."""
    try:
        decoded = text.decode()
    except UnicodeDecodeError:
        decoded = ""  # the reader says where
    if is_chart(decoded):
        decoded, unread = without_actions(decoded)
        text = decoded.encode()
        for line in unread:
            found.note("SLO304", Place(path, line.line), f"this line of the chart is not read: {line.text}")
    for tree in read_foreign_text(text, path, found):
        yield from _documents(tree)


def _documents(tree: Tree) -> Iterator[Tree]:
    value = tree.value
    if isinstance(value, Written) and value.get("kind") == "List":
        value = value.get("items")
    if isinstance(value, Sequence):
        for item, mark in zip(value, value.marks, strict=True):
            yield Tree(tree.path, item, mark)
    elif isinstance(value, Written):
        yield tree


def _by_dialect(
    documents: list[Cursor], asked: str | None, found: Diagnostics
) -> Iterator[tuple[Dialect, list[Cursor]]]:
    """The documents of each dialect; one in none of them is an error."""
    owned = dict[str, list[Cursor]]()
    for document in documents:
        name = asked or _dialect_of(document)
        if name:
            owned.setdefault(name, []).append(document)
        else:
            known = ", ".join(DIALECTS)
            found.warning("SLO302", document.place, "this document is left out", f"`import` reads {known}")
    for name, own in owned.items():
        yield DIALECTS[name], own


def _dialect_of(document: Cursor) -> str:
    """The name of the dialect that a document is written in; empty for none."""
    head = document.value
    tool = foreign_tool(head) if isinstance(head, Written) else None
    if tool is not None:
        return tool.dialect
    return grafana.name if grafana.is_grafana(document) else ""


def _check(draft: Draft) -> None:
    """Whether the SLO is valid by itself.

    Raises:
        UnconvertibleError: it is not.
    """
    found = Diagnostics()
    documents = parse_documents(yaml_text(_document(draft.service, {}, [draft.value])).encode(), "-", found)
    resolve(documents, found)
    if found.errors:
        first = found.errors[0]
        raise UnconvertibleError(draft.place, f"{first.message} ({first.code})", first.help)


def _services(drafts: Iterable[Draft], found: Diagnostics) -> Iterator[tuple[str, list[Draft]]]:
    """The SLOs of each service, sorted; notes are reported, and a name that is taken gets a number."""
    services = dict[str, dict[str, Draft]]()
    for draft in drafts:
        slos = services.setdefault(draft.service, {})
        name = draft.value["name"]
        if name in slos:
            free = next(free for number in range(2, len(slos) + 3) if (free := f"{name}-{number}") not in slos)
            draft.changed(draft.place, f"`{name}` is called `{free}` now: {slos[name].place} has that name already")
            draft.value["name"] = name = free
        slos[name] = draft
        for note in draft.notes:
            (found.warning if note.is_mistake else found.note)(
                "SLO300" if note.is_mistake else "SLO301", note.place, note.text
            )
    for service in sorted(services):
        yield service, list(services[service].values())


def _written(service: str, drafts: list[Draft]) -> Imported:
    """A document: what all SLOs share stands at the service, notes stand above their SLO, mistakes first."""
    shared = factored([draft.value for draft in drafts], _SHARED)
    lines = _HEAD + yaml_text(_document(service, shared, [])).removesuffix("slos: []\n") + "slos:\n"
    for draft in drafts:
        for note in sorted(draft.notes, key=lambda note: not note.is_mistake):
            kind = "mistake in the source" if note.is_mistake else "changed"
            lines += f"  # {note.place}: {kind}: {note.text}\n"
        lines += textwrap.indent(yaml_text([_ordered(draft.value)]), "  ")
    return Imported(service, lines)


def _document(service: str, shared: Mapping[str, Any], slos: list[dict[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": "sloctl/v1", "kind": "Service", "service": service, **shared, "slos": slos}


def _ordered(slo: Mapping[str, Any]) -> dict[str, Any]:
    return {key: slo[key] for key in _ORDER if key in slo}
