"""The audit store: what is appended, and what later looks need to know of it.

It is the only thing that the server remembers. Entries are appended one after the other, whatever the number of
replicas: the head's row is locked until the entry is on disk. Nothing is ever updated but that head, and evidence that
is pruned.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from sqlalchemy import Connection, text

from sloctl.canary.audit.chain import GENESIS, Entry, Kind, Subject, Verified
from sloctl.canary.audit.database import Database, StoreError
from sloctl.errors import SloctlError

MOST_PROBLEMS: Final = 20
_NEVER: Final = 2**62
_CHUNK: Final = 500
_PRUNED_AT_ONCE: Final = 50
"""Few, so that nobody who decides waits for long."""
_SUBJECT: Final = tuple(field.name for field in fields(Subject))
_OWN: Final = tuple(field.name for field in fields(Entry) if field.name != "subject")
_COLUMNS: Final = ", ".join(_OWN + _SUBJECT)
_INSERT: Final = f"INSERT INTO entries ({_COLUMNS}) VALUES ({', '.join(f':{name}' for name in _OWN + _SUBJECT)})"  # noqa: S608
_SELECT: Final = f"SELECT {_COLUMNS} FROM entries"  # noqa: S608 - names of our own columns
_RELEASE: Final = "platform = :platform AND service = :service AND canary = :canary AND revision = :revision"


@dataclass(frozen=True, slots=True)
class ReleaseState:
    """What earlier looks have left of one release.

    Attributes:
        rolled_back: the decision that rolled it back; it stays.
        first_at: Unix milliseconds of its first decision.
        step: the step that was asked about last.
        steps_began: Unix milliseconds of the first decision at each step.
        approved: whether a person has approved it.
        promoted: how many other deployments of the service were promoted.
        other_until: Unix milliseconds of the last decision about another deployment with the same version in it, as
            canary or as stable, before this one's first; None for none.
    """

    rolled_back: Entry | None = None
    first_at: int | None = None
    step: int | None = None
    steps_began: tuple[tuple[int, int], ...] = ()
    approved: bool = False
    promoted: int = 0
    other_until: int | None = None


@dataclass(frozen=True, slots=True)
class GroupMember:
    """Where another service of the same group stands.

    Attributes:
        rolled_back: its first rollback since a moment.
        latest: its last decision.
        promoted_step: the highest step at which that release's own verdict was promote; -1 for none.
    """

    rolled_back: Entry | None
    latest: Entry | None
    promoted_step: int


class Store:
    """Reads and appends; every method may raise `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Store:
        """The store at a URL; see `Database`."""
        return cls(Database(url, create=create))

    def close(self) -> None:
        """Close its connections."""
        self._database.close()

    def decide(self, draft: Entry, evidence: Callable[[], bytes], configuration: bytes) -> Entry:
        """The decision in force: the last one of the release when nothing has changed, else this one, now on disk.

        Args:
            draft: the decision without `id` and `evidence`.
            evidence: makes what the decision rests on, when it is to be kept.
            configuration: evidence of the configuration entry that `draft.config` names.
        """
        with self._database.reading() as connection:
            latest = _latest(connection, draft.subject)
        if latest is not None and _same(latest, draft):
            return latest
        draft = replace(draft, evidence=evidence())
        with self._database.writing() as connection:
            _lock(connection)
            latest = _latest(connection, draft.subject)  # another replica may have been faster
            if latest is not None and _same(latest, draft):
                return latest
            known = "SELECT 1 FROM entries WHERE kind = :kind AND id = :id"
            if not _all(connection, known, kind=Kind.CONFIGURATION.value, id=draft.config):
                named = Subject(draft.subject.platform, draft.subject.service)
                config = Entry(Kind.CONFIGURATION.value, draft.config, draft.at, named, evidence=configuration)
                _append(connection, config)
            return _append(connection, replace(draft, id=_decision_id(draft, latest)))

    def approve(self, subject: Subject, by: str, caller: str) -> Entry:
        """Record that a person approves a deployment; `subject.revision` is its revision or the canary's hash.

        Raises:
            SloctlError: no such deployment was ever judged.
        """
        now = _now()
        body = json.dumps({"by": by, "caller": caller})
        identity = hashlib.sha256(f"{subject}\0{by}\0{now}".encode()).hexdigest()
        with self._database.writing() as connection:
            _lock(connection)
            seen = "SELECT DISTINCT revision, canary FROM entries WHERE kind = 'decision' AND platform = :platform"
            seen += " AND service = :service ORDER BY revision DESC"
            found = {name for row in _all(connection, seen, **_where(subject)) for name in row if name}
            if subject.revision not in found:
                known = f"; judged were {', '.join(sorted(found)[:8])}" if found else ""
                raise SloctlError(f"no deployment of {subject.service} with revision {subject.revision}{known}")
            return _append(connection, Entry(Kind.APPROVAL.value, identity, now, subject, caller=by, body=body))

    def release_state(self, subject: Subject, enough: int = 1) -> ReleaseState:
        """What earlier looks have left of a release.

        Args:
            enough: so many promoted deployments are counted at most.
        """
        decided = f"kind = 'decision' AND {_RELEASE}"
        back = f"{_SELECT} WHERE {decided} AND verdict = 'rollback' ORDER BY sequence LIMIT 1"
        back_too = "MAX(CASE verdict WHEN 'rollback' THEN 1 ELSE 0 END) AS rolled_back"
        steps = f"""SELECT step, MIN(at) AS began, MAX(sequence) AS latest, {back_too}
            FROM entries WHERE {decided} GROUP BY step ORDER BY step"""  # noqa: S608
        others = """SELECT
            (SELECT COUNT(*) FROM entries WHERE kind = 'approval' AND verdict = '' AND platform = :platform
                AND service = :service AND revision IN (:canary, :revision) AND revision <> '') AS approvals,
            (SELECT COUNT(*) FROM (SELECT DISTINCT canary, revision FROM entries WHERE kind = 'decision'
                AND platform = :platform AND service = :service AND verdict = 'promote'
                AND NOT (canary = :canary AND revision = :revision) LIMIT :enough) AS deployments) AS promoted,
            (SELECT MAX(at) FROM entries WHERE kind = 'decision' AND platform = :platform AND service = :service
                AND canary = :canary AND revision <> :revision AND at < :first) AS as_canary,
            (SELECT MAX(at) FROM entries WHERE kind = 'decision' AND platform = :platform AND service = :service
                AND stable = :canary AND revision <> :revision AND at < :first) AS as_stable"""
        where = _where(subject)
        with self._database.reading() as connection:
            seen = _all(connection, steps, **where)
            first = min((int(step.began) for step in seen), default=None)
            before = _NEVER if first is None else first
            ((approvals, promoted, *other),) = _all(connection, others, first=before, enough=enough, **where)
            return ReleaseState(
                rolled_back=_one(connection, back, **where) if any(step.rolled_back for step in seen) else None,
                first_at=first,
                step=int(max(seen, key=lambda step: step.latest).step) if seen else None,
                steps_began=tuple((int(step.step), int(step.began)) for step in seen),
                approved=int(approvals) > 0,
                promoted=int(promoted),
                other_until=max((int(at) for at in other if at is not None), default=None),
            )

    def group_member(self, platform: str, service: str, since: int) -> GroupMember:
        """Where another service of the group stands; rollbacks count from `since`, in Unix milliseconds."""
        subject = Subject(platform, service)
        of_service = "kind = 'decision' AND platform = :platform AND service = :service"
        back = f"{_SELECT} WHERE {of_service} AND verdict = 'rollback' AND at >= :since ORDER BY sequence LIMIT 1"
        last = f"{_SELECT} WHERE {of_service} ORDER BY sequence DESC LIMIT 1"
        ready = f"SELECT MAX(step) FROM entries WHERE kind = 'decision' AND {_RELEASE} AND own = 'promote'"  # noqa: S608
        with self._database.reading() as connection:
            latest = _one(connection, last, **_where(subject))
            promoted = None
            if latest is not None:
                promoted = _all(connection, ready, **_where(latest.subject))[0][0]
            rolled_back = _one(connection, back, since=since, **_where(subject))
        return GroupMember(rolled_back, latest, -1 if promoted is None else int(promoted))

    def decisions(self, subject: Subject, *, before: int | None = None, limit: int = 50) -> list[Entry]:
        """Decisions and approvals, newest first; empty values of `subject` match all."""
        asked = {name: value for name, value in _where(subject).items() if value}
        conditions = ["kind IN ('decision', 'approval')", *(f"{name} = :{name}" for name in asked)]
        if before is not None:
            conditions.append("sequence < :before")
        query = f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY sequence DESC LIMIT :limit"
        with self._database.reading() as connection:
            return [_entry(row) for row in _all(connection, query, before=before or 0, limit=limit, **asked)]

    def find(self, kind: Kind, identity: str) -> list[Entry]:
        """The entries whose ID begins so."""
        query = f"{_SELECT} WHERE kind = :kind AND substr(id, 1, :length) = :id ORDER BY sequence LIMIT 2"
        with self._database.reading() as connection:
            found = _all(connection, query, kind=kind.value, id=identity, length=len(identity))
        return [_entry(row) for row in found]

    def check_writable(self) -> None:
        """Write something that is no entry."""
        with self._database.writing() as connection:
            connection.execute(text("UPDATE heartbeat SET at = :now"), {"now": _now()})

    def prune(self, before: int, *, compact: bool = True) -> int:
        """Remove the evidence of decisions before a moment in Unix milliseconds; returns of how many.

        Who decided what and when stays, and the chain is whole; such a decision cannot be made again any more.

        Args:
            compact: whether the disk gets the space back, for which nobody may be using the store; later entries fill
                it otherwise.
        """
        old = (
            f"{_SELECT} WHERE verdict <> '' AND evidence_digest = '' AND at < :before"  # as the index has it
            f" AND (at, sequence) > (:at, :sequence) ORDER BY at, sequence LIMIT {_PRUNED_AT_ONCE}"
        )
        gone = "UPDATE entries SET evidence = :evidence, evidence_digest = :evidence_digest WHERE sequence = :sequence"
        at, sequence, pruned = 0, 0, 0
        while True:
            with self._database.writing() as connection:
                rows = _all(connection, old, before=before, at=at, sequence=sequence)
                for entry in map(_entry, rows):
                    values = {
                        name: getattr(entry.pruned(), name) for name in ("evidence", "evidence_digest", "sequence")
                    }
                    connection.execute(text(gone), values)
                    pruned += bool(entry.evidence)
            if not rows:
                break
            at, sequence = rows[-1].at, rows[-1].sequence
        if compact:
            self._database.compact()
        return pruned

    def verify(self, anchor: str | None = None) -> Verified:
        """Read the whole chain and compare every digest.

        Args:
            anchor: a head of earlier; without it in the chain, entries were removed from its end or all rewritten.
        """
        problems: list[str] = []
        anchored = anchor in {None, GENESIS}
        previous, sequence = GENESIS, 0
        with self._database.reading() as connection:
            head = _all(connection, "SELECT sequence, digest FROM head")
            for row in _rows(connection):
                sequence, previous = _check(row, sequence, previous, problems)
                anchored = anchored or previous == anchor
        if len(head) != 1 or tuple(head[0]) != (sequence, previous):
            problems.append(f"the head says that the chain ends elsewhere than at entry {sequence}")
        if not anchored:
            problems.append(f"the head {anchor} is not in the chain")
        return Verified(sequence, previous, tuple(problems[:MOST_PROBLEMS]))


def _rows(connection: Connection) -> Iterator[Any]:
    """Every row, a part at a time, in the order of the table's key."""
    last: object = None
    while True:
        where = "" if last is None else "WHERE sequence > :last"
        query = f"{_SELECT} {where} ORDER BY sequence LIMIT {_CHUNK}"
        rows = _all(connection, query, **({} if last is None else {"last": last}))
        yield from rows
        if len(rows) < _CHUNK:
            return
        last = rows[-1].sequence


def _check(row: Any, sequence: int, previous: str, problems: list[str]) -> tuple[int, str]:
    """The number and digest that the next entry must follow."""
    number = sequence + 1
    try:
        entry = _entry(row)
        computed = entry.computed_digest()
    except (TypeError, ValueError):
        problems.append(f"entry {number} holds values of another kind")
        return number, str(row.digest)
    if entry.sequence != number:
        problems.append(f"entry {number} is missing: after {sequence} comes {entry.sequence}")
    if entry.previous != previous:
        problems.append(f"entry {entry.sequence} does not follow the one before it")
    if entry.digest != computed or (entry.evidence and entry.evidence_digest):
        problems.append(f"entry {entry.sequence} was changed")
    return entry.sequence, entry.digest


def _lock(connection: Connection) -> None:
    """Nobody else appends until the transaction ends; SQLite has locked the whole file already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT sequence FROM head WHERE row_number = 1 FOR UPDATE"))


def _append(connection: Connection, entry: Entry) -> Entry:
    sequence, digest = _all(connection, "SELECT sequence, digest FROM head WHERE row_number = 1")[0]
    placed = entry.chained(int(sequence) + 1, str(digest))
    connection.execute(text(_INSERT), {name: getattr(placed, name) for name in _OWN} | _where(placed.subject))
    moved = {"sequence": placed.sequence, "digest": placed.digest}
    connection.execute(text("UPDATE head SET sequence = :sequence, digest = :digest WHERE row_number = 1"), moved)
    return placed


def _same(latest: Entry, draft: Entry) -> bool:
    """Whether a draft decides what is in force already."""
    return _decided(latest) == _decided(draft)


def _decided(entry: Entry) -> tuple[object, ...]:
    return entry.subject.stable, entry.step, entry.verdict, entry.reason, entry.own, entry.config


def _decision_id(draft: Entry, latest: Entry | None) -> str:
    """The same on every replica that follows the same chain: when it was written and who asked are no part of it."""
    before = "" if latest is None else latest.id
    evidence = hashlib.sha256(draft.evidence).hexdigest()
    values = [before, *_where(draft.subject).values(), *_decided(draft), draft.body, evidence]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def _latest(connection: Connection, subject: Subject) -> Entry | None:
    query = f"{_SELECT} WHERE kind = 'decision' AND {_RELEASE} ORDER BY sequence DESC LIMIT 1"
    return _one(connection, query, **_where(subject))


def _one(connection: Connection, query: str, **values: object) -> Entry | None:
    found = _all(connection, query, **values)
    return _entry(found[0]) if found else None


def _all(connection: Connection, query: str, **values: object) -> Sequence[Any]:
    return connection.execute(text(query), values).all()


def _entry(row: Any) -> Entry:
    values = row._mapping
    subject = Subject(*(values[name] for name in _SUBJECT))
    own = {name: values[name] for name in _OWN}
    return Entry(subject=subject, **{**own, "evidence": bytes(own["evidence"])})


def _where(subject: Subject) -> dict[str, str]:
    return {name: getattr(subject, name) for name in _SUBJECT}


def _now() -> int:
    return time.time_ns() // 1_000_000


__all__ = ["GroupMember", "ReleaseState", "Store", "StoreError"]
