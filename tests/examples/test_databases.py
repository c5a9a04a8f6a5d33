"""Databases of one's own: they answer, and nothing of them is left."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest
import redis as redis_client

from testing import databases
from testing.databases import postgresql, redis
from testing.servers import ServerError, listens
from tests.conftest import program

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("temporary_folder")]


def test_redis_keeps_what_it_is_told_and_ends_with_its_block(tmp_path: Path) -> None:
    program("redis-server")
    with redis() as port:
        client = redis_client.Redis(port=port, decode_responses=True)
        client.xadd("events", {"x-request-id": "7a3216cb"})
        assert [fields for _, fields in client.xrange("events")] == [{"x-request-id": "7a3216cb"}]
        client.close()
    assert not listens(port)
    assert list(tmp_path.iterdir()) == []


def test_postgresql_keeps_what_it_is_told_and_ends_with_its_block(tmp_path: Path) -> None:
    for name in ("postgres", "initdb"):
        program(name)
    with postgresql() as address, psycopg.connect(address) as connection:
        connection.execute("CREATE TABLE events (id int)")
        connection.execute("INSERT INTO events VALUES (42)")
        assert connection.execute("SELECT id FROM events").fetchall() == [(42,)]
        port = connection.info.port
    assert not listens(port)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root runs PostgreSQL as somebody else")
def test_a_package_in_a_closed_folder_is_copied_for_the_user_who_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "home" / ".cache" / "postgresql"
    (package / "usr/bin").mkdir(parents=True)
    (package / "usr/bin/postgres").write_text("#!/bin/sh\n")
    (tmp_path / "home").chmod(0o700)
    monkeypatch.setattr(databases, "ROOT", tmp_path / "home")
    reachable = databases._reachable(package / "usr/bin/postgres", tmp_path, databases.NOBODY)
    assert reachable == tmp_path / "package/usr/bin/postgres"
    assert reachable.read_text() == "#!/bin/sh\n"
    monkeypatch.setattr(databases, "ROOT", tmp_path / "elsewhere")
    with pytest.raises(ServerError, match="cannot be run by nobody, and PostgreSQL refuses to run as root"):
        databases._reachable(package / "usr/bin/postgres", tmp_path, databases.NOBODY)


@pytest.mark.skipif(os.getuid() != 0, reason="only root runs PostgreSQL as somebody else")
def test_a_closed_temporary_folder_is_named_with_what_to_do(tmp_path: Path) -> None:
    for name in ("postgres", "initdb"):
        program(name)
    tmp_path.chmod(0o700)
    with pytest.raises(ServerError, match=f"nobody, who cannot enter {tmp_path}; set TMPDIR"), postgresql():
        pass
