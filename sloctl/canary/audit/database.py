"""How the store is opened: SQLite in a file for one server, PostgreSQL for several replicas."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from sloctl.canary.audit.migrations import migrate
from sloctl.errors import OutsideError, SloctlError

WAIT: Final = 2
"""Seconds for a connection, for a lock and for one statement: somebody waits for the verdict."""
_LIMITS: Final = f"-c statement_timeout={WAIT}s -c lock_timeout={WAIT}s"


class StoreError(OutsideError):
    """The store cannot be read or written now."""


class Database:
    """Connections to one store; see `reading` and `writing`.

    Args:
        url: `sqlite:///audit.db` or `postgresql://user:password@host/name`; a path is a file of SQLite.
        create: whether a file of SQLite is made when it is not there.

    Raises:
        SloctlError: the URL is none, or a newer sloctl has written the store.
        StoreError: it cannot be opened.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        self._url = _parsed(url)
        self.name = self._url.render_as_string(hide_password=True)
        file = self._url.database
        if not create and self._url.get_backend_name() == "sqlite" and not (file and Path(file).exists()):
            raise StoreError(f"there is no audit store at {file}")
        self._engine = _engine(self._url)
        self._reader = self._engine  # SQLite's readers see one moment anyway
        if self._url.get_backend_name() == "postgresql":
            self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ")
        try:
            with self.writing() as connection:
                migrate(connection)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One moment of the store, whoever writes meanwhile.

        Raises:
            StoreError: the store does not answer.
        """
        with self._errors(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction that nobody else writes in; on disk when it ends.

        Raises:
            StoreError: the store cannot be written.
        """
        with self._errors(), self._engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    def compact(self) -> None:
        """Give the space of what was removed back to the disk; PostgreSQL's autovacuum reuses it by itself.

        Raises:
            StoreError: somebody else is using the file.
        """
        if self._url.get_backend_name() != "sqlite":
            return
        with self._errors():
            connection = self._engine.raw_connection()
            try:
                connection.cursor().execute("VACUUM")
            finally:
                connection.close()

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            cause = getattr(error, "orig", None) or error
            raise StoreError(f"the audit store {self.name} failed: {' '.join(str(cause).split())}") from error


def _parsed(url: str) -> URL:
    if "://" not in url:
        return URL.create("sqlite", database=url)
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise SloctlError("the store is no URL; write sqlite:///audit.db or postgresql://user@host/name") from error
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise SloctlError(f"the store is SQLite or PostgreSQL, not {parsed.get_backend_name()}")
    if parsed.get_backend_name() == "sqlite" and not parsed.database:
        raise SloctlError("the store needs a file; write sqlite:///audit.db")
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername == "postgresql" else parsed


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        limits: dict[str, Any] = {"connect_timeout": WAIT, "options": _LIMITS}
        return create_engine(url, pool_pre_ping=True, pool_size=16, pool_timeout=WAIT, connect_args=limits)
    engine = create_engine(url, pool_size=16, pool_timeout=WAIT, connect_args={"timeout": WAIT})
    event.listen(engine, "connect", _on_sqlite_connect)
    event.listen(engine, "begin", _on_sqlite_begin)
    return engine


def _on_sqlite_connect(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions begin where we say so
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")  # `verify` reads whatever is there
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _on_sqlite_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
