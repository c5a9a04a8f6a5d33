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
from sloctl.language.document import Document, Service, read_documents
from sloctl.language.files import MAX_BYTES, RealPaths, unreadable

NOTHING_FOUND: Final = "SLO047"
_SHARED: Final = re.compile(rb"^kind:\s*[\"']?(?:Platform|Template)\b", re.MULTILINE)
_SUFFIXES: Final = (".yaml", ".yml")


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
    real = RealPaths()
    chosen = _once((name for path in paths for name in _expanded(path, found)), real)
    folders = {Path("x" if path == "-" else path).parent for path in chosen.values()}
    above = (file for folder in sorted(folders) for file in _files_above(folder, root, found))
    shared = _once((str(file) for file in above if real(str(file)) not in chosen and _is_shared(file, found)), real)
    return Selection(tuple(sorted(chosen.values())), tuple(sorted(shared.values())))


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
        names = list(_below(folder, found))
        help_ = "name a folder that holds .yaml files, or run `sloctl init` for a first one"
    elif _exists(folder):
        return [path]
    else:
        names = [name for name in glob.iglob(path, recursive=True) if Path(name).is_file()]  # noqa: PTH207 - absolute patterns too
        help_ = "name an existing file, folder or pattern"
    if not names:
        what = "this folder holds no specification" if folder.is_dir() else "there is no such file or folder"
        found.error(NOTHING_FOUND, Place(path), what, help_)
    return names


def _exists(path: Path) -> bool:
    """Whether there is anything at a path, readable or not."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True  # reading it says why it cannot be read
    return True


def _below(folder: Path, found: Diagnostics) -> Iterator[str]:
    """The specifications of a folder; one that cannot be listed is an error, because its alerts would be lost."""

    def report(problem: OSError) -> None:
        unreadable(problem, str(problem.filename), found, "folder")

    for here, folders, files in os.walk(folder, onerror=report):
        folders[:] = [name for name in folders if not name.startswith(".")]
        above = "" if here == "." else os.path.join(here, "")  # noqa: PTH118 - ten thousand names, as text
        yield from (above + name for name in files if name.endswith(_SUFFIXES) and not name.startswith("."))


def _once(paths: Iterable[str], real: RealPaths) -> dict[str, str]:
    """Paths by what they really are, so that no file is read twice under two names."""
    found: dict[str, str] = {}
    for path in paths:
        found.setdefault(real(path), path)
    return found


def _files_above(folder: Path, root: Path | None, found: Diagnostics) -> Iterator[Path]:
    """Files in `folder` and above it, up to the root, that may hold something shared."""
    top = (root or _repository(folder.resolve())).resolve()
    while True:
        yield from (path for path in _listed(folder, found) if path.suffix in _SUFFIXES)
        if folder.resolve() == top or top not in folder.resolve().parents:
            return
        folder = folder.parent if folder.name not in {"", ".."} else folder / ".."


def _listed(folder: Path, found: Diagnostics) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []  # the path that was asked for is an error of its own
    except OSError as problem:
        unreadable(problem, str(folder), found, "folder")
        return []


def _is_shared(path: Path, found: Diagnostics) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return _SHARED.search(file.read(MAX_BYTES)) is not None
    except OSError as problem:
        unreadable(problem, str(path), found)
        return False


def _repository(folder: Path) -> Path:
    """The nearest folder with a `.git`; without one, the working directory or, outside it, the folder itself."""
    for candidate in (folder, *folder.parents):
        if (candidate / ".git").exists():
            return candidate
    here = Path.cwd()
    return here if here == folder or here in folder.parents else folder
