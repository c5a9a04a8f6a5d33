"""What is decided is kept, in one order, and every change of it is found."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url

from sloctl.canary.audit.chain import GENESIS, Entry, Subject
from sloctl.canary.audit.store import Store, StoreError
from sloctl.errors import SloctlError
from tests.canary.audit.conftest import OpenStore

PAY = Subject("shop", "pay", "7ddf8", "5c577", "3")
CONFIGURATION = b"configuration"


def draft(subject: Subject = PAY, at: int = 1_000, **more: object) -> Entry:
    values: dict[str, object] = {
        "kind": "decision",
        "id": "",
        "at": at,
        "subject": subject,
        "step": 0,
        "verdict": "continue",
        "reason": "holding",
        "own": "continue",
        "config": "sha256:c",
        "caller": "argo",
        "body": '{"sentence": "so far"}',
        "evidence": b"counts",
    }
    return Entry(**{**values, **more})  # type: ignore[arg-type]


def decide(store: Store, **more: object) -> Entry:
    made = draft(**more)  # type: ignore[arg-type]
    return store.decide(made, lambda: made.evidence, CONFIGURATION)


def test_a_decision_is_written_once_while_it_holds(store: Store) -> None:
    first = decide(store)
    assert decide(store, at=2_000, body="{}", evidence=b"more") == first
    changed = decide(store, reason="insufficient_evidence")
    assert changed.id != first.id
    again = decide(store)
    assert again.id not in {first.id, changed.id}, "it holds again, which is another decision"
    assert [decision.id for decision in store.decisions(PAY)] == [again.id, changed.id, first.id]


@pytest.mark.parametrize(
    "what", [{"step": 1}, {"verdict": "rollback"}, {"own": "promote"}, {"config": "sha256:d"}, {"reason": "no_data"}]
)
def test_what_makes_another_decision(store: Store, what: dict[str, object]) -> None:
    first = decide(store)
    assert decide(store, **what).id != first.id


def test_everything_comes_back_as_it_was_written(store: Store) -> None:
    written = decide(store, body='{"sentence": "größer als 5 %\\u0000"}', evidence=bytes(range(256)))
    assert store.decisions(PAY) == [written]
    assert [decision.evidence for decision in store.decisions(Subject("", "pay"))] == [bytes(range(256))]


def test_what_a_release_has_behind_it(store: Store) -> None:
    assert store.release_state(PAY).first_at is None
    decide(store, at=1_000)
    decide(store, at=2_000, verdict="promote", own="promote")
    decide(store, at=3_000, step=1)
    state = store.release_state(PAY)
    assert (state.first_at, state.step, state.steps_began) == (1_000, 1, ((0, 1_000), (1, 3_000)))
    assert (state.rolled_back, state.approved, state.promoted) == (None, False, 0)
    other = replace(PAY, canary="8ffff", revision="4")
    assert store.release_state(other).promoted == 1
    back = decide(store, at=4_000, verdict="rollback")
    assert store.release_state(PAY).rolled_back == back
    assert store.release_state(other).rolled_back is None
    assert store.release_state(replace(PAY, revision="5")).rolled_back is None


def test_a_mate_is_seen_by_its_last_release(store: Store) -> None:
    decide(store, verdict="rollback", at=500)
    newer = replace(PAY, canary="9aaaa", revision="4")
    decide(store, subject=newer, own="promote", reason="group", at=1_000)
    member = store.group_member("shop", "pay", since=600)
    assert (member.rolled_back, member.promoted_step) == (None, 0)
    assert member.latest is not None
    assert member.latest.subject == newer
    rolled_back = store.group_member("shop", "pay", since=400).rolled_back
    assert rolled_back is not None
    assert rolled_back.at == 500
    assert store.group_member("shop", "book", since=0).latest is None


def test_an_approval_needs_a_deployment(store: Store) -> None:
    revision = Subject("shop", "pay", revision="3")
    with pytest.raises(SloctlError, match="no deployment of pay with revision 3"):
        store.approve(revision, "Ada", "cli")
    decide(store)
    with pytest.raises(SloctlError, match="judged were 3, 7ddf8"):
        store.approve(replace(revision, revision="4"), "Ada", "cli")
    store.approve(revision, "Ada", "cli")
    assert store.release_state(PAY).approved
    assert not store.release_state(replace(PAY, revision="4", canary="9")).approved
    assert store.decisions(Subject("", "pay"))[0].caller == "Ada"


def test_the_canary_s_hash_names_a_deployment_without_revision(store: Store) -> None:
    bare = replace(PAY, revision="")
    decide(store, subject=bare)
    store.approve(Subject("shop", "pay", revision=bare.canary), "Ada", "cli")
    assert store.release_state(bare).approved


def test_replicas_that_decide_the_same_have_one_decision(open_store: OpenStore) -> None:
    replicas = [open_store() for _ in range(4)]
    found: list[str] = []
    barrier = threading.Barrier(len(replicas))

    def look(store: Store) -> None:
        for number in range(10):
            barrier.wait()
            found.append(decide(store, reason=f"reason-{number}").id)

    threads = [threading.Thread(target=look, args=(store,)) for store in replicas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    assert len(set(found)) == 10
    verified = replicas[0].verify()
    assert (verified.entries, verified.problems) == (11, ()), "ten decisions and one configuration"


def test_many_writers_make_one_chain(open_store: OpenStore) -> None:
    replicas = [open_store() for _ in range(2)]
    acknowledged: set[str] = set()

    def look(store: Store, writer: int) -> None:
        for number in range(15):
            acknowledged.add(decide(store, subject=replace(PAY, revision=f"{writer}-{number}")).id)

    threads = [threading.Thread(target=look, args=(replicas[writer % 2], writer)) for writer in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = {decision.id for decision in replicas[0].decisions(Subject("", ""), limit=500)}
    assert len(acknowledged) == 90
    assert kept == acknowledged
    assert replicas[0].verify().problems == ()


def test_a_chain_is_whole_while_it_grows(open_store: OpenStore) -> None:
    writer, reader = open_store(), open_store()
    thread = threading.Thread(
        target=lambda: [decide(writer, subject=replace(PAY, revision=str(number))) for number in range(80)]
    )
    thread.start()
    looks = 0
    while thread.is_alive():
        assert reader.verify().problems == ()
        looks += 1
    thread.join()
    assert looks > 2
    assert reader.verify().entries == 81


def test_an_empty_store_is_in_order(store: Store) -> None:
    assert store.verify() == store.verify(GENESIS)
    assert store.verify().problems == ()


@pytest.fixture
def intruder(url: str, store: Store) -> Iterator[Connection]:
    """A connection that changes what is written, after some entries."""
    for number in range(8):
        decide(store, reason=f"reason-{number}", evidence=bytes([number]) * 20)
    store.approve(Subject("shop", "pay", revision="3"), "Ada", "cli")
    engine = _engine(url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        quick = {"options": "-c synchronous_commit=off"}
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"), connect_args=quick, isolation_level="AUTOCOMMIT"
        )
    engine = create_engine(parsed, isolation_level="AUTOCOMMIT")
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    return engine


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("DELETE FROM entries WHERE sequence = 4", "entry 4 is missing"),
        ("DELETE FROM entries WHERE sequence = 10", "ends elsewhere"),
        ("DELETE FROM entries", "ends elsewhere"),
        ("DELETE FROM head", "ends elsewhere"),
        ("UPDATE entries SET verdict = 'promote' WHERE sequence = 5", "entry 5 was changed"),
        ("UPDATE entries SET sequence = sequence + 100 WHERE sequence > 5", "entry 6 is missing"),
        ("UPDATE entries SET sequence = CASE sequence WHEN 2 THEN -3 ELSE -2 END WHERE sequence IN (2, 3)", "missing"),
        ("UPDATE head SET sequence = 9", "ends elsewhere"),
    ],
)
def test_what_was_changed_is_found(store: Store, intruder: Connection, change: str, found: str) -> None:
    assert store.verify().problems == ()
    intruder.execute(text(change))
    assert any(found in problem for problem in store.verify().problems)


def test_entries_that_change_places_are_found(store: Store, intruder: Connection) -> None:
    for old, new in ((3, 0), (4, 3), (0, 4)):
        intruder.execute(text("UPDATE entries SET sequence = :new WHERE sequence = :old"), {"new": new, "old": old})
    assert "entry 3 does not follow the one before it" in store.verify().problems


def test_a_chain_that_was_cut_and_closed_again_lacks_an_earlier_head(store: Store, intruder: Connection) -> None:
    head = store.verify().head
    last = intruder.execute(text("SELECT digest FROM entries WHERE sequence = 9")).scalar_one()
    intruder.execute(text("DELETE FROM entries WHERE sequence = 10"))
    intruder.execute(text("UPDATE head SET sequence = 9, digest = :digest"), {"digest": last})
    assert store.verify().problems == (), "a chain alone cannot know of what came after its end"
    assert store.verify(head).problems == (f"the head {head} is not in the chain",)


COLUMNS = [field.name for field in (*fields(Entry), *fields(Subject)) if field.name != "subject"]
HEAD = ["sequence", "digest"]


def test_every_single_byte_counts(store: Store, intruder: Connection) -> None:
    """A byte of any value of any entry, or of the head, changed at random: found each time."""
    chance = random.Random(11)
    unseen, left = [], 1_000 if intruder.dialect.name == "sqlite" else 200
    while left:
        number = chance.randint(1, 10)
        of_entry = "entries", chance.choice(COLUMNS), f"sequence = {number}"
        table, column, where = of_entry if chance.random() < 0.95 else ("head", chance.choice(HEAD), "row_number = 1")
        before = intruder.execute(text(f"SELECT {column} FROM {table} WHERE {where}")).scalar_one()
        if (after := _one_byte_changed(before, chance)) is None:
            continue
        left -= 1
        update = f"UPDATE {table} SET {column} = :value WHERE "
        intruder.execute(text(update + where), {"value": after})
        if not store.verify().problems:
            unseen.append((table, column, number, before, after))
        back = f"sequence = {after}" if (table, column) == ("entries", "sequence") else where
        intruder.execute(text(update + back), {"value": before})
    assert unseen == []
    assert store.verify().problems == ()


def _one_byte_changed(value: object, chance: random.Random) -> object:
    """The value with one byte changed; None for an empty one."""
    match value:
        case int():
            return value ^ (1 << chance.randrange(5, 40))
        case str():
            at = chance.randrange(len(value)) if value else 0
            other = chance.choice([char for char in "0123456789abcdef-{}" if value and char != value[at]] or [""])
            return f"{value[:at]}{other}{value[at + 1 :]}" if value else None
        case bytes() | memoryview():
            raw = bytearray(value)
            if not raw:
                return None
            raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
            return bytes(raw)
        case _:
            raise AssertionError(type(value))


def test_text_that_is_no_text_is_found(store: Store, intruder: Connection) -> None:
    if intruder.dialect.name != "sqlite":
        pytest.skip("PostgreSQL refuses such text itself")
    intruder.execute(text("UPDATE entries SET body = CAST(x'ff00fe' AS TEXT) WHERE sequence = 3"))
    intruder.execute(text("UPDATE entries SET at = 'noon' WHERE sequence = 4"))
    problems = store.verify().problems
    assert "entry 3 was changed" in problems
    assert any("entry 4" in problem for problem in problems)


def test_a_store_of_a_newer_sloctl_is_left_alone(store: Store, url: str) -> None:
    engine = _engine(url)
    with engine.connect() as connection:
        connection.execute(text("UPDATE schema_version SET version = 99"))
    engine.dispose()
    with pytest.raises(SloctlError, match="update sloctl"):
        Store.open(url)


def test_replicas_may_start_together(url: str) -> None:
    found: list[int] = []

    def start() -> None:
        store = Store.open(url)
        found.append(len(store.verify().problems))
        store.close()

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [0] * 6


def test_a_full_disk_is_an_error_and_loses_nothing(store: Store, url: str) -> None:
    if not url.startswith("sqlite"):
        pytest.skip("how a full disk is told is SQLite's")
    kept = decide(store)
    store.check_writable()
    with store._database.writing() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    event.listen(store._database._engine, "begin", lambda connection: _limit(connection, pages))
    with pytest.raises(StoreError, match="full"):
        decide(store, verdict="promote", evidence=bytes(100_000))
    assert [decision.id for decision in store.decisions(PAY)] == [kept.id]
    assert store.verify().problems == ()


def _limit(connection: Connection, pages: int) -> None:
    connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")


def test_errors_keep_the_password() -> None:
    with pytest.raises(StoreError) as error:
        Store.open("postgresql://sloctl:very-secret@127.0.0.1:9/audit")
    assert "very-secret" not in str(error.value)


@pytest.mark.parametrize("bad", ["mysql://localhost/audit", "nonsense://", "sqlite://"])
def test_what_is_no_store(bad: str) -> None:
    with pytest.raises(SloctlError):
        Store.open(bad)


def test_old_evidence_can_go_and_the_chain_stays(store: Store) -> None:
    old, new = decide(store, at=1_000), decide(store, at=2_000, reason="no_data")
    head = store.verify().head
    assert store.prune(2_000) == 1
    assert store.prune(2_000) == 0
    found = {entry.id: entry for entry in store.decisions(PAY)}
    assert (found[old.id].evidence, found[new.id].evidence) == (b"", b"counts")
    assert found[old.id].digest == old.digest
    assert (store.verify().head, store.verify().problems) == (head, ())
    assert decide(store, at=3_000).previous == head


def test_pruning_looks_at_nothing_that_is_younger(tmp_path: Path) -> None:
    """A server does it again and again, while decisions wait for their turn to be written."""
    found = Store.open(str(tmp_path / "audit.db"))
    try:
        run: list[str] = []
        with found._database.reading() as connection:
            connection.connection.driver_connection.set_trace_callback(run.append)
        found.prune(2_000)
        asked = next(text for text in run if text.startswith("SELECT") and "evidence_digest = ''" in text)
        with found._database.reading() as connection:
            steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}").all()
        [step] = steps
        assert step[-1].startswith("SEARCH entries USING INDEX entries_with_evidence ")
    finally:
        found.close()


def test_pruning_by_hand_or_with_another_digest_is_found(store: Store) -> None:
    decide(store)
    with store._database.writing() as connection:
        connection.execute(
            text("UPDATE entries SET evidence_digest = :digest WHERE kind = 'decision'"), {"digest": "0" * 64}
        )
    assert store.verify().problems == ("entry 2 was changed",)
