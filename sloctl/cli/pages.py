"""The pages of findings, which `sloctl explain CODE` prints."""

from __future__ import annotations

import textwrap
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from sloctl.language.codes import Page

_WIDTH: Final = 88


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
    from sloctl.checks.table import PAGES as OF_CHECKS
    from sloctl.language.codes import PAGES as OF_DOCUMENTS
    from sloctl.language.codes import Page
    from sloctl.live.data import PAGES as OF_DATA
    from sloctl.resolve.codes import PAGES as BETWEEN_DOCUMENTS

    others = {code: Page(*page) for code, page in (OF_CHECKS | OF_DATA).items()}
    return dict(sorted((OF_DOCUMENTS | BETWEEN_DOCUMENTS | others).items()))


def shown(code: str, page: Page) -> str:
    """A page as the terminal shows it: title, text in lines of 88, and an example as it is written."""
    paragraphs = [f"{code}: {page.title}", *page.text.split("\n\n")]
    if page.example:
        paragraphs.append(textwrap.indent(page.example, "    "))
    return "\n\n".join(one if one.startswith(" ") else textwrap.fill(one, _WIDTH) for one in paragraphs)


def _help(code: str, known: list[str]) -> str:
    near = get_close_matches(code, known, n=1, cutoff=0.7)
    return f"did you mean {near[0]}?" if near else f"codes are {known[0]} to {known[-1]}, as findings show them"
