"""The pipeline: specifications to documents, to a catalogue, to artifacts, to bytes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sloctl.backends.backend import Backend
from sloctl.checks.table import run_checks
from sloctl.diagnostics import Diagnostics, Place
from sloctl.language.discovery import NOTHING_FOUND, Selection, discover, read_all
from sloctl.language.files import STDIN, RealPaths
from sloctl.model.artifact import Rendered
from sloctl.model.catalogue import Catalogue
from sloctl.rendering import render
from sloctl.resolve import resolve


@dataclass(frozen=True, slots=True)
class Compilation:
    """What one run found.

    Attributes:
        files: rendered one at a time as they are asked for, once; empty when there are errors.
        read: every specification that was read, named as `files` name theirs.
    """

    catalogue: Catalogue
    files: Iterator[Rendered]
    found: Diagnostics
    read: frozenset[str] = frozenset()


def compile_specs(
    paths: Iterable[str],
    backends: Iterable[Backend],
    *,
    root: Path | None = None,
    relative_to: Path = Path(),
    today: date | None = None,
) -> Compilation:
    """Compile the specifications at `paths` (files, folders, patterns or `-`; default `slo-specs`).

    Args:
        root: the folder above which no Platform is looked for; by default the repository's.
        relative_to: the output folder; manifests name specifications relative to it.
        today: see `load`.
    """
    found = Diagnostics()
    catalogue = load(paths, found, root=root, today=today)
    if found.errors:
        return Compilation(catalogue, iter(()), found)
    sources = _Sources(found.sources, relative_to)
    return Compilation(catalogue, _files(catalogue, tuple(backends), sources), found, sources.names())


def load(
    paths: Iterable[str],
    found: Diagnostics,
    *,
    root: Path | None = None,
    today: date | None = None,
    policy: str | None = None,
) -> Catalogue:
    """Read, resolve and check specifications; what is wrong is in `found`.

    Args:
        root: the folder above which no Platform is looked for; by default the repository's.
        today: for the one check that looks at the calendar; no artifact depends on it.
        policy: every SLO has this one, to see what it would do; see `resolve`.
    """
    paths = tuple(paths) or ("slo-specs",)
    selection = discover(paths, found, root=root)
    documents = read_all(selection, found)
    read = {document.path for document in documents}
    catalogue = resolve(documents, found, policy)
    if not found.errors and not any(catalogue.slos):
        _nothing_promised(paths, selection, read, found)
    run_checks(catalogue, found, today)
    return catalogue


def _nothing_promised(paths: tuple[str, ...], selection: Selection, read: set[str], found: Diagnostics) -> None:
    """No SLO at all is an error: it would take every alert away and look like success.

    Only files by name may hold nothing but Platforms and Templates, as after an edit in a pre-commit hook.
    """
    named = all(path == "-" or Path(path).is_file() for path in paths)
    if not named or read.isdisjoint(selection.chosen):
        help_ = "write a document of kind Service with `slos`, or run `sloctl init` for a first one"
        found.error(NOTHING_FOUND, Place(paths[0]), "there is no SLO here", help_)


def _files(catalogue: Catalogue, backends: tuple[Backend, ...], sources: _Sources) -> Iterator[Rendered]:
    for backend in backends:
        for artifact in backend.compile(catalogue):
            yield Rendered(artifact.path, render(artifact), sources.digests(artifact.sources))


class _Sources:
    """Digests of specifications, by a path that is the same from every working directory."""

    def __init__(self, texts: Mapping[str, str], relative_to: Path) -> None:
        self._texts = texts
        self._base = os.path.realpath(relative_to)
        self._real = RealPaths()
        self._folders: dict[str, str] = {}
        self._digests: dict[str, tuple[str, str]] = {}

    def names(self) -> frozenset[str]:
        return frozenset(map(self._name, self._texts))

    def digests(self, paths: Iterable[str]) -> dict[str, str]:
        return dict(sorted(self._digest(path) for path in paths))

    def _digest(self, path: str) -> tuple[str, str]:
        if path not in self._digests:
            self._digests[path] = (self._name(path), hashlib.sha256(self._texts[path].encode()).hexdigest())
        return self._digests[path]

    def _name(self, path: str) -> str:
        if path == STDIN:
            return path
        folder, name = os.path.split(self._real(path))
        if folder not in self._folders:
            self._folders[folder] = os.path.relpath(folder, self._base)
        above = self._folders[folder]
        return name if above == "." else f"{above}/{name}"
