"""Which files a run reads: those asked for, and the Platforms and Templates in the folders above them.

The folders above are searched up to the repository, so that one file alone, as in a pre-commit hook, means the
same as within a full run.

A link may lead to anything in the root and nowhere else: whoever may propose a change of the specifications does not
get to see other files of the machine that validates them.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sloctl.diagnostics import Diagnostics, Place
from sloctl.language.document import Document, Service, read_documents
from sloctl.language.files import MAX_BYTES, RealPaths, leaves, unreadable

NOTHING_FOUND: Final = "SLO047"
_SHARED: Final = re.compile(rb"^kind:\s*[\"']?(?:Platform|Template)\b", re.MULTILINE)
_SUFFIXES: Final = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Selection:
    """The files of a run.

    Attributes:
        chosen: files that were asked for; `-` is standard input.
        shared: files in folders above that hold Platforms or Templates, of which only those are read.
        tops: the real folder that each file lies in, links or not.
    """

    chosen: tuple[str, ...]
    shared: tuple[str, ...]
    tops: Mapping[str, str]


def discover(paths: Iterable[str], found: Diagnostics, *, root: Path | None = None) -> Selection:
    """The files that `paths` (files, folders, patterns or `-`) stand for; a path that stands for none is an error."""
    real, tops = RealPaths(), dict[str, str]()
    for path in paths:
        top = _top(path, root)
        tops |= {name: top for name in _expanded(path, found, real, top) if name not in tops}
    chosen = _once(tops, real)
    folders = {Path("x" if path == "-" else path).parent for path in chosen.values()}
    for folder in sorted(folders):
        top = os.path.realpath(root or _repository(folder.resolve()))
        tops |= {str(file): top for file in _files_above(folder, Path(top), found) if str(file) not in tops}
    above = (path for path in tops if real(path) not in chosen and _is_shared(Path(path), found))
    shared = _once(above, real)
    return Selection(tuple(sorted(chosen.values())), tuple(sorted(shared.values())), tops)


def read_all(selection: Selection, found: Diagnostics) -> list[Document]:
    """Every document of a selection; what is wrong in them is in `found`."""
    tops = selection.tops
    documents = [document for path in selection.chosen for document in read_documents(path, found, tops[path])]
    shared = (document for path in selection.shared for document in read_documents(path, found, tops[path]))
    return documents + [document for document in shared if not isinstance(document.spec, Service)]


def _top(path: str, root: Path | None) -> str:
    """The real folder that a path and all that it stands for may not leave.

    It is the root; else the repository we are in, or the working directory, for whatever is written as below it; else
    that of the path itself, in which a link to a folder is nobody's repository.
    """
    if root is not None:
        return os.path.realpath(root)
    here = _repository(Path.cwd())
    fixed = Path(os.path.abspath(re.split(r"[*?[]", path, maxsplit=1)[0]))  # noqa: PTH100 - links as they are written
    if fixed.is_relative_to(here):
        return str(here)
    folder = fixed if fixed.is_dir() else fixed.parent
    above = (folder, *folder.parents)
    return os.path.realpath(
        next((parent for parent in above if (parent / ".git").exists() and not parent.is_symlink()), folder)
    )


def _expanded(path: str, found: Diagnostics, real: RealPaths, top: str) -> list[str]:
    if path == "-":
        return ["-"]
    folder = Path(path)
    if _exists(folder) and leaves(path, os.path.realpath(folder), top, found):
        return []
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
    return [name for name in names if not leaves(name, real(name), top, found)]


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


def _files_above(folder: Path, top: Path, found: Diagnostics) -> Iterator[Path]:
    """Files in `folder` and above it, up to the real folder `top`, that may hold something shared."""
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
