"""Every bad file of the corpus has exactly the findings that its author expects.

The texts that users see are beside the files, rendered by the command line.
"""

import re
from pathlib import Path

import pytest

from sloctl.cli.pages import pages
from sloctl.diagnostics import Diagnostics
from sloctl.language.document import parse_documents

PAGES = {code: page for code, page in pages().items() if code < "SLO050"}
CORPUS = Path(__file__).parents[1] / "diagnostics"

# The codes of what the reader and the document layer find, sorted; later stages have findings of their own.
CODES = {
    "alias-bomb": "SLO008 SLO008 SLO008 SLO008 SLO008 SLO008 SLO008 SLO008 SLO014",
    "anchor-and-alias": "SLO008 SLO008",
    "api-version-missing": "SLO017",
    "api-version-unknown": "SLO015",
    "bidi-character": "SLO004",
    "boolean-as-word": "SLO020",
    "brackets": "SLO006",
    "buckets-do-not-rise": "SLO033",
    "burn-below-a-tenth": "SLO046",
    "by-label-twice": "SLO039",
    "check-needs-both": "SLO038",
    "check-of-both-kinds": "SLO038",
    "check-without-compared": "SLO038",
    "check-without-limit": "SLO038",
    "control-character-in-escape": "SLO004",
    "duplicate-key": "SLO010",
    "duration-in-words": "SLO023",
    "duration-order": "SLO023",
    "duration-without-unit": "SLO023 SLO023",
    "durations-too-long": "SLO046 SLO046 SLO046 SLO046 SLO046 SLO046 SLO046 SLO046 SLO046 SLO046 SLO046",
    "empty-file": "SLO013",
    "empty-list": "SLO019",
    "exponent": "SLO012",
    "freshness-of-both": "SLO032",
    "indentation": "SLO005",
    "key-of-another-tool": "SLO016 SLO016",
    "kind-missing": "SLO014",
    "kind-unknown": "SLO014",
    "label-value-is-a-number": "SLO026 SLO026",
    "latin-1": "SLO003",
    "list-as-key": "SLO011",
    "list-needed": "SLO019",
    "many-at-once": "SLO016 SLO020 SLO020 SLO021 SLO022 SLO023 SLO026",
    "mapping-needed": "SLO019",
    "max-series-zero": "SLO046",
    "merge-key": "SLO008",
    "name-missing": "SLO017",
    "name-too-long": "SLO021",
    "name-with-capitals": "SLO021 SLO021",
    "nested-mappings": "SLO006",
    "no-value": "SLO018 SLO018",
    "none-in-a-list": "SLO035",
    "not-a-mapping": "SLO014",
    "nul-byte": "SLO004",
    "number-as-key": "SLO011",
    "number-in-quotes": "SLO025",
    "number-of-5000-digits": "SLO012",
    "objective-0": "SLO040",
    "objective-100": "SLO040",
    "objective-in-quotes": "SLO022",
    "objective-without-sign": "SLO022",
    "office-hours-backwards": "SLO036",
    "openslo": "SLO015",
    "p1-to-chat-only": "SLO036",
    "policy-called-google": "SLO035",
    "promql-nested": "SLO028",
    "promql-operators": "SLO028",
    "promql-too-long": "SLO028",
    "python-tag": "SLO009 SLO019",
    "query-of-both-forms": "SLO032",
    "query-without-window": "SLO028",
    "rate-lower-case": "SLO024",
    "rate-without-time": "SLO024",
    "ratio-of-three": "SLO032",
    "ratio-without-bad": "SLO032",
    "reserved-label": "SLO030 SLO030",
    "route-to-nowhere": "SLO036",
    "runbook-javascript": "SLO027",
    "runbook-not-https": "SLO027",
    "runbook-placeholder": "SLO048",
    "runbook-with-password": "SLO027",
    "selector-read-as-mapping": "SLO026",
    "service-missing": "SLO017",
    "service-without-slo": "SLO041",
    "severity-is-no-word": "SLO021 SLO021 SLO026",
    "sli-empty": "SLO031",
    "sli-of-two-kinds": "SLO031",
    "slo-name-twice": "SLO039",
    "sloth": "SLO015",
    "step-deadline-before-hold": "SLO037",
    "step-without-hold": "SLO037",
    "steps-do-not-end": "SLO037",
    "steps-do-not-rise": "SLO037",
    "surrogate": "SLO005",
    "tab-indentation": "SLO005",
    "tag": "SLO009 SLO022",
    "template-action": "SLO029",
    "template-brings-nothing": "SLO041",
    "template-parameter-misplaced": "SLO045",
    "template-parameter-unknown": "SLO042",
    "template-parameter-unused": "SLO043",
    "text-after-quote": "SLO005",
    "text-too-long": "SLO007",
    "threshold-crossed": "SLO033",
    "threshold-units": "SLO033",
    "throughput-without-bound": "SLO033",
    "tier-also-over-longer": "SLO034",
    "tier-budget-left-with-over": "SLO034",
    "tier-of-two-limits": "SLO034",
    "tier-without-limit": "SLO034",
    "tier-without-over": "SLO034",
    "unclosed-bracket": "SLO005",
    "unclosed-quote": "SLO005",
    "unknown-key": "SLO016 SLO016",
    "unknown-key-in-tier": "SLO016",
    "unquoted-channel": "SLO018",
    "unquoted-channel-in-flow": "SLO005",
    "unquoted-matchers-in-flow": "SLO016",
    "unquoted-selector-in-flow": "SLO005",
    "unquoted-selector-in-list": "SLO005",
    "utf-16": "SLO003",
    "weekday-short": "SLO020",
    "window-under-a-day": "SLO046",
    "word-unknown": "SLO020 SLO020",
    "yaml-directive": "SLO009",
}

FOREIGN_WORDS = re.compile(r"\b(str|int|dict|tuple|NoneType|Decimal|pydantic|validat\w*|input|literal)\b|object at 0x")


@pytest.mark.parametrize("case", sorted(CODES))
def test_a_bad_file_has_exactly_these_findings(case: str) -> None:
    found = Diagnostics()
    parse_documents((CORPUS / f"{case}.bad.yaml").read_bytes(), case, found)
    assert sorted(each.code for each in found) == CODES[case].split()


@pytest.mark.parametrize("case", sorted(CODES))
def test_findings_speak_of_the_file_and_say_what_to_write(case: str) -> None:
    found = Diagnostics()
    text = (CORPUS / f"{case}.bad.yaml").read_bytes()
    parse_documents(text, case, found)
    lines = found.sources.get(case, "").split("\n")
    for each in found:
        assert each.help
        assert not FOREIGN_WORDS.search(each.message + each.help)
        assert each.message.isprintable()
        assert each.help.isprintable()
        assert each.place.line <= len(lines)
        assert each.place.column <= len(lines[each.place.line - 1]) + 1


def test_every_code_of_the_corpus_has_a_page_and_every_page_but_these_a_case() -> None:
    used = {code for codes in CODES.values() for code in codes.split()}
    elsewhere = {
        "SLO001",  # test_reader: FIFOs, devices and missing files are no files of a corpus
        "SLO002",  # test_reader: more than 1 MiB
        "SLO047",  # test_main: folders and patterns without a file
        "SLO044",  # test_template: needs a service that uses the template
        "SLO049",  # test_reader, test_document: more findings than anybody reads
    }
    assert used | elsewhere == set(PAGES)
    assert not used & elsewhere


def test_every_code_in_the_sources_has_a_page() -> None:
    sources = Path(__file__).parents[2] / "sloctl" / "language"
    written = {code for path in sources.glob("*.py") for code in re.findall(r'"(SLO\d{3})"', path.read_text())}
    assert written == set(PAGES)


def test_pages_are_whole_sentences() -> None:
    for page in PAGES.values():
        assert page.text.endswith(".")
        assert not page.title.endswith(".")
