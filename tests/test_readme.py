"""The pages' commands do what the pages say; see `tests/console.py` for how to write them."""

import os
import re
import shutil
import sysconfig
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testing.servers import ROOT
from tests.console import Block, blocks, run

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
NEEDED = ("slo-specs", "rules", "dashboards", "examples")  # what the commands work on, copied for each page
MAKE = re.compile(r"^make\b")
TARGET = re.compile(r"^([a-z][-a-z]*):", re.MULTILINE)


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A copy of what a user has, so that a page may write files."""
    for name in NEEDED:
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    """A plain terminal of 100 columns with the project's own programs first."""
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(home), "COLUMNS": "100", "TERM": "dumb", "LC_ALL": "C.UTF-8"}


def page_blocks(page: Path) -> list[Block]:
    return list(blocks(page.read_text(encoding="utf-8")))


def make_words(page: Path) -> Iterator[tuple[int, str]]:
    """Each target that a page's `make` commands name, with its line."""
    for block in page_blocks(page):
        for command in block.commands:
            if MAKE.match(command.text):
                words = command.text.split()[1:]
                yield from ((command.line, word) for word in words if "=" not in word and word[0] != "-")


def without_make(block: Block) -> Block:
    """The block without its `make` commands: `make test` inside a test would never end."""
    return replace(block, commands=tuple(c for c in block.commands if not MAKE.match(c.text)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_do_what_it_says(page: Path, workplace: Path) -> None:
    found = [
        f"{page.relative_to(ROOT)}, {said}"
        for block in page_blocks(page)
        if block.not_run is None
        for said in run(without_make(block), workplace, environment(workplace))
    ]
    if found:
        pytest.fail("\n\n".join(found), pytrace=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_block_that_is_not_run_says_why(page: Path) -> None:
    silent = [block.line for block in page_blocks(page) if block.not_run == ""]
    assert not silent, f"{page.name}: write <!-- not run: reason --> above the blocks of lines {silent}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_commands_name_targets_that_exist(page: Path) -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    unknown = [f"line {line}: make {word}" for line, word in make_words(page) if word not in targets]
    assert not unknown, f"{page.name}: {unknown}"
