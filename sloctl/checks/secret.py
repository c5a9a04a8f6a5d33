"""Something that looks like a secret.

Specifications are read by everybody, and what they say becomes rules, dashboards and messages. Credentials are
files whose names stand in the specification: `pagerduty: checkout` means the key in the file `checkout`. A webhook
whose link is its password belongs into such a file as well.

A secret that was committed is known: replace it where it is used, not only here. Findings show it as asterisks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sloctl.diagnostics import Diagnostics, Place

CODE: Final = "SLO115"

# What it is, words of which one must occur (looked for first, because that is fast), and how it looks; where the
# expression has a group, the group alone is secret.
_KINDS: Final = tuple(
    (what, words, re.compile(expression))
    for what, words, expression in (
        ("an access key of AWS", ("AKIA", "ASIA"), r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
        ("a token of GitHub", ("gh", "github_pat_"), r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,})"),
        ("a token of GitLab", ("glpat-",), r"\bglpat-[\w-]{20,}"),
        ("a token of Slack", ("xox", "xapp-"), r"\b(?:xox[a-z]|xapp)-[\w-]{10,}"),
        (
            "a webhook of Slack",
            ("hooks.slack",),
            r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/([\w/-]{8,})",
        ),
        ("a webhook of Discord", ("discord",), r"discord(?:app)?\.com/api/webhooks/([\w/-]{20,})"),
        ("a webhook of Microsoft Teams", ("webhook",), r"office(?:365)?\.com/webhook(?:b2)?/([\w@/-]{20,})"),
        ("an integration key of PagerDuty", ("events.",), r"events\.(?:eu\.)?pagerduty\.com/\w+/([0-9a-z]{32})"),
        (
            "an integration key of PagerDuty",
            ("pagerduty",),
            r"\bpagerduty[\"']?\s*:\s*[\"']?((?=[a-z]*[0-9])(?=[0-9]*[a-z])[0-9a-z]{32})\b",
        ),
        ("a key of Google", ("AIza",), r"\bAIza[\w-]{35}"),
        ("a key of Stripe", ("_live_",), r"\b[prs]k_live_[A-Za-z0-9]{16,}"),
        ("a token of Grafana", ("gls", "glc_"), r"\b(?:glsa|glc)_[A-Za-z0-9+/=_]{20,}"),
        ("a JSON web token", ("eyJ",), r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}(?:\.[\w-]*)?"),
        ("a private key", ("PRIVATE KEY",), r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*"),
        ("an authorization header", ("earer ", "asic "), r"\b(?:[Bb]earer|[Bb]asic) ([\w.~+/-]{20,}=*)"),
        ("a password in a link", ("://",), r"://[^/\s:@'\"]+:([^/\s@'\"]+)@"),
        (
            "a token in a link",
            ("?", "&"),
            r"[?&](?:access_?token|api_?key|auth|password|secret|sig|signature|token)=([^&\s'\"$]{8,})",
        ),
    )
)


def check(found: Diagnostics) -> None:
    """No text of a specification, comments included, looks like a secret."""
    for path, text in found.sources.items():
        for what, start, _ in secrets(text):
            before = text[:start]
            place = Place(path, before.count("\n") + 1, start - before.rfind("\n"))
            help_ = "put it into a file named after what it is for, and replace it where it is used: it is known now"
            found.error(CODE, place, f"this looks like {what}", help_)


def secrets(text: str) -> Iterator[tuple[str, int, int]]:
    """What looks like a secret: what it is, where it begins and where it ends."""
    for what, words, expression in _KINDS:
        if any(word in text for word in words):
            for match in expression.finditer(text):
                yield what, *match.span(match.lastindex or 0)


def masked(text: str) -> str:
    """The same text, of the same length, with asterisks for secrets."""
    characters = list(text)
    for _, start, end in secrets(text):
        characters[start:end] = "*" * (end - start)
    return "".join(characters)
