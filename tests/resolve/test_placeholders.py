"""Placeholders of alert texts: all that are known are filled, and no other is accepted."""

from __future__ import annotations

import pytest

from sloctl.backends.table import BACKENDS
from sloctl.diagnostics import Diagnostics
from sloctl.language.document import parse_documents
from sloctl.language.texts import ALERT_PLACEHOLDERS
from sloctl.resolve import codes, resolve

SPEC = """apiVersion: sloctl/v1
kind: Platform
name: shop
runbook: https://runbooks.example.com
dashboards: {base_url: 'https://grafana.example.com'}
texts: {summary: "%s"}
---
apiVersion: sloctl/v1
kind: Service
service: web
%s
"""
OWN = "slos: [{name: ok, objective: 99.9%, by: [tenant], sli: {ratio: {total: a, bad: b}}}]"
FROM_TEMPLATE = """uses: [http]
---
apiVersion: sloctl/v1
kind: Template
name: http
slos: [{name: ok, objective: 99.9%, by: [tenant], sli: {ratio: {total: a, bad: b}}}]
"""


def resolved(text: str, slos: str = OWN) -> tuple[list[str], list[str]]:
    """The summaries of the tiers' alerts, and what is found under the code of placeholders."""
    found = Diagnostics()
    catalogue = resolve(parse_documents((SPEC % (text, slos)).encode(), "a.yaml", found), found)
    rules = [
        rule
        for backend in BACKENDS.values()
        for artifact in backend.compile(catalogue)
        for group in artifact.value.get("groups", ())
        for rule in group["rules"]
        if "BudgetBurn" in rule.get("alert", "")
    ]
    said = [finding.message for finding in found if finding.code == codes.PLACEHOLDER]
    return [rule["annotations"]["summary"] for rule in rules], said


@pytest.mark.parametrize("name", [*ALERT_PLACEHOLDERS, "tenant"])
def test_every_known_placeholder_is_filled(name: str) -> None:
    summaries, said = resolved(f"x ${name} y")
    assert said == []
    assert summaries
    assert not [text for text in summaries if f"${name} " in text.replace("{{ $value |", "")]


@pytest.mark.parametrize("slos", [OWN, FROM_TEMPLATE])
def test_a_label_of_by_is_known_wherever_it_is_written(slos: str) -> None:
    assert resolved("$tenant", slos)[1] == []
    assert resolved("$region", slos)[1] == ["unknown placeholder `$region`"]


def test_a_dollar_that_no_letter_follows_is_one() -> None:
    assert resolved("5$ or $5 or $$")[1] == []
