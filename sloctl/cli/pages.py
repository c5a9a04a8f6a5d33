"""The pages of findings, which `sloctl explain CODE` prints."""

from __future__ import annotations

import re
import textwrap
from difflib import get_close_matches
from importlib import resources
from typing import Final, NamedTuple

import click

_WIDTH: Final = 88
_STAGES: Final = ("language", "resolve", "live", "dialects")
"""Packages with a `codes.md`; a check's page is its docstring."""
_PAGE: Final = re.compile(r"# (SLO\d+) (.+)\n\n((?:(?!# |```).*\n)+)(?:```yaml\n((?:(?!```).*\n)+)```\n)?")


class Page(NamedTuple):
    """What a code means, what to do, and how it looks when it is right."""

    title: str
    text: str
    example: str = ""


def page(subject: str) -> str:
    """What a finding's CODE, such as SLO101, means and what to do.

    Raises:
        click.BadParameter: there is no such finding.
    """
    known = pages()
    code = subject.upper()
    if code not in known:
        raise click.BadParameter(f"there is no finding {subject!r}; {_help(code, list(known))}", param_hint="CODE")
    return shown(code, known[code])


def pages() -> dict[str, Page]:
    """Every page by its code: of files, of what stands between documents, of the checks and of running data."""
    from sloctl.checks.table import PAGES

    found = {code: Page(*page) for code, page in PAGES.items()}
    for stage in _STAGES:
        text = resources.files(f"sloctl.{stage}").joinpath("codes.md").read_text(encoding="utf-8")
        found |= {page[1]: Page(page[2], page[3].strip(), (page[4] or "").rstrip()) for page in _PAGE.finditer(text)}
    return dict(sorted(found.items()))


def shown(code: str, page: Page) -> str:
    """A page as the terminal shows it: title, text in lines of 88, and an example as it is written."""
    paragraphs = [f"{code}: {page.title}", *page.text.split("\n\n")]
    if page.example:
        paragraphs.append(textwrap.indent(page.example, "    "))
    return "\n\n".join(
        paragraph if paragraph.startswith(" ") else textwrap.fill(paragraph, _WIDTH) for paragraph in paragraphs
    )


def _help(code: str, known: list[str]) -> str:
    near = get_close_matches(code, known, n=1, cutoff=0.7)
    return f"did you mean {near[0]}?" if near else f"codes are {known[0]} to {known[-1]}, as findings show them"
