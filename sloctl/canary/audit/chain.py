"""One entry of the chain, and what ties it to the one before.

Each entry's digest covers all of its values and the digest of the entry before, so whoever changes, removes or
reorders one has to rewrite all that follow, and the head with them (Haber & Stornetta, *How to time-stamp a digital
document*, Journal of Cryptology 1991). Keep the head that `sloctl canary verify` prints elsewhere, and even that shows.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

GENESIS: Final = "0" * 64
"""Digest before the first entry."""


class Kind(Enum):
    """What an entry is."""

    DECISION = "decision"
    APPROVAL = "approval"
    CONFIGURATION = "configuration"


@dataclass(frozen=True, slots=True)
class Subject:
    """The deployment that an entry is about; `revision` is the Rollout's, empty where none was sent."""

    platform: str
    service: str
    canary: str = ""
    stable: str = ""
    revision: str = ""

    @classmethod
    def of(cls, service: str, canary: str = "", revision: str = "") -> Subject:
        """The deployment of a `service` or `platform/service`."""
        platform, _, name = service.rpartition("/")
        return cls(platform, name, canary, revision=revision)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, as it is stored.

    Attributes:
        sequence: 1 for the first, without gaps.
        id: of the decision, approval or configuration; 64 hexadecimal digits.
        at: Unix milliseconds of the moment it was written.
        step: index of the rollout's step; -1 where there is none.
        verdict, reason: what was answered; empty for other kinds.
        own: the service's own verdict, before its group's.
        config: digest of the configuration that was in force.
        caller: name of the token that asked, or the person that approved.
        body: JSON.
        evidence: compressed JSON: of a decision its counts, of a configuration the service.
        previous: digest of the entry before.
        digest: of this entry.
        evidence_digest: of evidence that was pruned; empty while it is there.
    """

    kind: str
    id: str
    at: int
    subject: Subject
    step: int = -1
    verdict: str = ""
    reason: str = ""
    own: str = ""
    config: str = ""
    caller: str = ""
    body: str = "{}"
    evidence: bytes = b""
    sequence: int = 0
    previous: str = ""
    digest: str = ""
    evidence_digest: str = ""

    def pruned(self) -> Entry:
        """The same without its evidence; its digest stays what it is."""
        return replace(self, evidence=b"", evidence_digest=_digest(self.evidence)) if self.evidence else self

    def chained(self, sequence: int, previous: str) -> Entry:
        """The same at its place in the chain."""
        placed = replace(self, sequence=sequence, previous=previous)
        return replace(placed, digest=placed.computed_digest())

    def computed_digest(self) -> str:
        """What `digest` must be."""
        subject = self.subject
        values = [
            *(self.sequence, self.kind, self.id, self.at),
            *(subject.platform, subject.service, subject.canary, subject.stable, subject.revision),
            *(self.step, self.verdict, self.reason, self.own, self.config, self.caller),
            *(self.body, self.evidence_digest or _digest(self.evidence), self.previous),
        ]
        return _digest(json.dumps(values).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class Verified:
    """What is wrong with a chain.

    Attributes:
        entries: how many were read.
        head: digest of the last one.
        problems: in words, the first ones.
    """

    entries: int
    head: str
    problems: tuple[str, ...]
