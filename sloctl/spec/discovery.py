"""Which files a run reads: those asked for, and the Platforms and Templates in the folders above them.

The folders above are searched up to the repository, so that one file alone, as in a pre-commit hook, means the
same as within a full run.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sloctl.diagnostics import Diagnostics, Place
from sloctl.spec.document import Document, Service, read_documents

NOTHING_FOUND: Final = "SLO047"
_SHARED: Final = re.compile(rb"^kind:\s*[\"']?(?:Platform|Template)\b", re.MULTILINE)
_SUFFIXES: Final = frozenset({".yaml", ".yml"})


@dataclass(frozen=True, slots=True)
class Selection:
    """The files of a run.

    Attributes:
        chosen: files that were asked for; `-` is standard input.
        shared: files in folders above that hold Platforms or Templates, of which only those are read.
    """

    chosen: tuple[str, ...]
    shared: tuple[str, ...]


def discover(paths: Iterable[str], found: Diagnostics, *, root: Path | None = None) -> Selection:
    """The files that `paths` (files, folders, patterns or `-`) stand for; a path that stands for none is an error."""
    chosen = _once(name for path in paths for name in _expanded(path, found))
    folders = {Path("x" if path == "-" else path).parent for path in chosen.values()}
    shared = _once(name for folder in sorted(folders) for name in _shared(folder, root))
    return Selection(
        tuple(sorted(chosen.values())), tuple(sorted(path for real, path in shared.items() if real not in chosen))
    )


def read_all(selection: Selection, found: Diagnostics) -> list[Document]:
    """Every document of a selection; what is wrong in them is in `found`."""
    documents = [document for path in selection.chosen for document in read_documents(path, found)]
    shared = (document for path in selection.shared for document in read_documents(path, found))
    return documents + [document for document in shared if not isinstance(document.spec, Service)]


def _expanded(path: str, found: Diagnostics) -> list[str]:
    if path == "-":
        return ["-"]
    folder = Path(path)
    if folder.is_dir():
        names = [str(file) for file in folder.rglob("*") if file.suffix in _SUFFIXES and not _hidden(file, folder)]
        help_ = "name a folder that holds .yaml files, or run `sloctl init` for a first one"
    elif folder.exists():
        return [path]
    else:
        names = [name for name in glob.iglob(path, recursive=True) if Path(name).is_file()]  # noqa: PTH207 - absolute patterns too
        help_ = "name an existing file, folder or pattern"
    if not names:
        what = "this folder holds no specification" if folder.is_dir() else "there is no such file or folder"
        found.error(NOTHING_FOUND, Place(path), what, help_)
    return names


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _once(paths: Iterable[str]) -> dict[str, str]:
    """Paths by what they really are, so that no file is read twice under two names."""
    found: dict[str, str] = {}
    for path in paths:
        found.setdefault(path if path == "-" else os.path.realpath(path), path)
    return found


def _shared(folder: Path, root: Path | None) -> Iterator[str]:
    """Files in `folder` and above it, up to the root, that hold something shared."""
    top = (root or _repository(folder.resolve())).resolve()
    while True:
        yield from (str(path) for path in sorted(folder.iterdir()) if _is_shared(path))
        if folder.resolve() == top or top not in folder.resolve().parents:
            return
        folder = folder.parent if folder.name not in {"", ".."} else folder / ".."


def _is_shared(path: Path) -> bool:
    return path.suffix in _SUFFIXES and path.is_file() and _SHARED.search(path.read_bytes()) is not None


def _repository(folder: Path) -> Path:
    """The nearest folder with a `.git`; without one, the working directory or, outside it, the folder itself."""
    for candidate in (folder, *folder.parents):
        if (candidate / ".git").exists():
            return candidate
    here = Path.cwd()
    return here if here == folder or here in folder.parents else folder
