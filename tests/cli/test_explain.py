"""`sloctl explain CODE` prints the page of every finding there can be."""

from __future__ import annotations

import re

import pytest

from sloctl.cli import main
from sloctl.cli.pages import pages
from sloctl.diagnostics import Diagnostics
from sloctl.language.document import parse_documents
from sloctl.language.reader import read_text
from sloctl.language.tree import Mapping
from testing.servers import ROOT


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(list(words))
    out, err = capsys.readouterr()
    return code, out, err


def test_a_page_has_a_title_text_in_short_lines_and_its_example_as_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = run("explain", "SLO110", capsys=capsys)
    assert (code, err) == (0, "")
    title, _, text = out.partition("\n\n")
    assert title == "SLO110: `bad` that only narrows `total`"
    assert "`bad` is for errors that are another metric." in text
    assert """\n    ratio: {total: 'http_requests_total{job="checkout"}', bad_if: 'code=~"5.."'}\n""" in text
    assert max(map(len, out.splitlines())) <= 88


def test_small_letters_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "slo022", capsys=capsys) == run("explain", "SLO022", capsys=capsys)


@pytest.mark.parametrize(
    ("written", "help_"),
    [
        ("SLO022x", "did you mean SLO022?"),
        ("SLO9999", "codes are SLO001 to SLO305, as findings show them"),
        ("\x1b[31m", "there is no SLO"),
    ],
)
def test_an_unknown_code_is_wrong_usage_with_help(written: str, help_: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run("explain", written, capsys=capsys)
    assert (code, out) == (2, "")
    assert help_ in err
    assert "\x1b" not in err


def test_every_code_in_the_sources_has_a_page_and_every_page_a_code() -> None:
    sources = (ROOT / "sloctl").rglob("*.py")
    written = {
        code
        for path in sources
        if path.name not in {"explain.py", "pages.py"}
        for code in re.findall(r'"(SLO\d{3})"', path.read_text())
    }
    assert written == set(pages())


@pytest.mark.parametrize("code", pages())
def test_pages_are_whole_sentences_and_their_titles_are_not(code: str) -> None:
    page = pages()[code]
    assert page.title
    assert not page.title.endswith(".")
    prose = [each for each in page.text.split("\n\n") if not each.startswith(" ")]
    assert prose
    assert all(each.endswith((".", ":")) for each in prose)


EXAMPLES = {code: page.example for code, page in pages().items() if page.example}


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_is_a_part_of_a_specification_that_has_no_such_finding(code: str) -> None:
    found = Diagnostics()
    (tree,) = read_text(EXAMPLES[code].encode(), "a.yaml", found)
    assert isinstance(tree.value, Mapping)
    service = f"apiVersion: sloctl/v1\nkind: Service\nservice: a\n{EXAMPLES[code]}\n"
    parse_documents(service.encode(), "a.yaml", found)
    assert code not in {finding.code for finding in found}


@pytest.mark.parametrize("code", pages())
def test_every_page_is_printed(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run("explain", code, capsys=capsys)
    assert (status, err) == (0, "")
    assert out.startswith(f"{code}: {pages()[code].title}"[:80])
