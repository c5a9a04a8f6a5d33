"""Verdicts as the webhook writes them: strict JSON, and a small part for Argo to keep."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from sloctl.canary.analysis.verdict import Verdict, as_json
from sloctl.canary.audit.chain import Entry

STATUSES: Final = {"promote": "SUCCEEDED", "rollback": "TERMINAL", "continue": "RUNNING"}
PAGES: Final = "/canary"
"""Where people look at pictures of the evidence."""
_LONGEST: Final = 200
_SHORT_ID: Final = 12


def body(verdict: Verdict, platform: str, revision: str, config: str) -> str:
    """What is recorded of a verdict: the answer without what the chain adds."""
    found = as_json(verdict)
    if (window := found["window"]) is not None:
        found["window"] = {**window, "start": moment(window["start"]), "end": moment(window["end"])}
    head = {"platform": platform, "revision": revision or None, "config_digest": config}
    return json.dumps({**found, **head}, allow_nan=False)


def answer(recorded: str, decision: Entry, public_url: str = "") -> dict[str, Any]:
    """The answer of a body that `body` wrote.

    Args:
        recorded: of this look, or of the decision itself.
        decision: the one in force.
        public_url: the server's address for people.
    """
    found: dict[str, Any] = {"advice": "", **json.loads(recorded)}
    evidence = f"{public_url}{PAGES}/decisions/{decision.id[:_SHORT_ID]}"
    argo = {
        "verdict": found["verdict"],
        "reason": _cut("; ".join([found["sentence"], *found["warnings"]])),
        "look": found["look"],
        "decision_id": decision.id[:_SHORT_ID],
        "evidence": evidence,
    }
    told = {"decision_id": decision.id, "evidence": evidence, "status": STATUSES[found["verdict"]]}
    return {**found, **told, "argo": argo}


def entry(recorded: Entry) -> dict[str, Any]:
    """An entry of the audit store for those who ask what was decided."""
    subject = recorded.subject
    return {
        "kind": recorded.kind,
        "id": recorded.id,
        "sequence": recorded.sequence,
        "at": moment(recorded.at / 1000),
        "platform": subject.platform,
        "service": subject.service,
        "canary": subject.canary,
        "stable": subject.stable,
        "revision": subject.revision,
        "verdict": recorded.verdict,
        "reason": recorded.reason,
        "caller": recorded.caller,
        "digest": recorded.digest,
        "details": json.loads(recorded.body),
    }


def moment(seconds: float) -> str:
    """Unix seconds as RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cut(sentence: str) -> str:
    return sentence if len(sentence) <= _LONGEST else f"{sentence[: _LONGEST - 1]}…"
