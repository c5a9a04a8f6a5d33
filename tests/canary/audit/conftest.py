"""Stores on SQLite and on a real PostgreSQL: the same tests on both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from sloctl.canary.audit.store import Store
from testing.databases import postgresql
from tests.conftest import program

KINDS = ["sqlite", pytest.param("postgresql", marks=[pytest.mark.server, pytest.mark.xdist_group("postgresql")])]


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of one PostgreSQL for the session. Its absence fails the tests in CI and skips them elsewhere."""
    program("postgres")
    with postgresql() as url:
        yield url


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/audit.db"
    return new_database(request.getfixturevalue("server"))


def new_database(server: str) -> str:
    """The URL of an empty database."""
    name = f"audit_{uuid4().hex}"
    engine = create_engine(server.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.removesuffix("postgres") + name


OpenStore = Callable[[], Store]


@pytest.fixture
def open_store(url: str) -> Iterator[OpenStore]:
    """Opens the store, as often as there are replicas."""
    with ExitStack() as stack:

        def opened() -> Store:
            store = Store.open(url)
            stack.callback(store.close)
            return store

        yield opened


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    return open_store()
