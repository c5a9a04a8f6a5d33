"""The tables of the store, step by step: an older store is brought up to date when it is opened."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, inspect, text

from sloctl.canary.audit.chain import GENESIS
from sloctl.errors import SloctlError

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """CREATE TABLE entries (
            sequence BIGINT PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, at BIGINT NOT NULL,
            platform TEXT NOT NULL, service TEXT NOT NULL, canary TEXT NOT NULL, stable TEXT NOT NULL,
            revision TEXT NOT NULL, step BIGINT NOT NULL, verdict TEXT NOT NULL, reason TEXT NOT NULL,
            own TEXT NOT NULL, config TEXT NOT NULL, caller TEXT NOT NULL, body TEXT NOT NULL,
            evidence {binary} NOT NULL, previous TEXT NOT NULL, digest TEXT NOT NULL,
            UNIQUE (kind, id))""",
        "CREATE INDEX entries_of_service ON entries (platform, service, sequence)",
        "CREATE TABLE head (row_number BIGINT PRIMARY KEY, sequence BIGINT NOT NULL, digest TEXT NOT NULL)",
        f"INSERT INTO head VALUES (1, 0, '{GENESIS}')",  # noqa: S608 - our own constant
        "CREATE TABLE heartbeat (row_number BIGINT PRIMARY KEY, at BIGINT NOT NULL)",
        "INSERT INTO heartbeat VALUES (1, 0)",
    ),
    (
        "ALTER TABLE entries ADD COLUMN evidence_digest TEXT NOT NULL DEFAULT ''",
        "CREATE INDEX entries_of_release ON entries (platform, service, canary, revision, sequence)",
        "CREATE INDEX entries_of_verdict ON entries (platform, service, verdict, canary, revision)",
    ),
    ("CREATE INDEX entries_of_stable ON entries (platform, service, stable, at)",),
    ("CREATE INDEX entries_with_evidence ON entries (at, sequence) WHERE verdict <> '' AND evidence_digest = ''",),
)
"""Each step once, in order; a released step is never changed."""
_LOCK: Final = 0x510C71
"""Key of the advisory lock, so that replicas that start together migrate one after the other."""


def migrate(connection: Connection) -> None:
    """Bring the store up to date, within the caller's transaction.

    Raises:
        SloctlError: a newer sloctl has written it.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise SloctlError(f"the audit store has version {version}, this sloctl knows {len(MIGRATIONS)}; update sloctl")
    if version == len(MIGRATIONS):
        return
    binary = "BYTEA" if connection.dialect.name == "postgresql" else "BLOB"
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(text(statement.replace("{binary}", binary)))
    connection.execute(text("UPDATE schema_version SET version = :version"), {"version": len(MIGRATIONS)})


def _version(connection: Connection) -> int:
    if not inspect(connection).has_table("schema_version"):
        connection.execute(text("CREATE TABLE schema_version (version BIGINT NOT NULL)"))
        connection.execute(text("INSERT INTO schema_version VALUES (0)"))
    return int(connection.execute(text("SELECT version FROM schema_version")).scalar_one())
