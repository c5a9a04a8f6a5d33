"""The server as a process: killed, stopped, reloaded, with a full disk, with slow callers, as two replicas."""

from __future__ import annotations

import os
import resource
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from sloctl.canary.audit.chain import Kind
from sloctl.canary.audit.store import Store
from sloctl.canary.server.auth import new_token, token_digest
from sloctl.cli import main
from testing import servers
from tests.canary.audit.conftest import KINDS, new_database
from tests.canary.server.conftest import ASKED
from tests.canary.source.test_look import SPEC
from tests.canary.stub import Answer, LiveStub, serving

pytestmark = pytest.mark.server


@dataclass
class Server:
    """A running `sloctl canary serve`."""

    url: str
    running: servers.Running
    client: httpx.Client

    def ask(self, **more: object) -> httpx.Response:
        return self.client.post(f"{self.url}/v1/canary/evaluate", json={**ASKED, **more})


@dataclass
class World:
    """Where servers are started: specifications, a Prometheus that answers, a store."""

    folder: Path
    stub: LiveStub
    prometheus: str
    store: str
    stack: ExitStack

    def start(self, *more: str) -> Server:
        return self.stack.enter_context(self.started(*more))

    @contextmanager
    def started(self, *more: str, authority: Path | None = None) -> Iterator[Server]:
        port = servers.free_port()
        verify = True if authority is None else ssl.create_default_context(cafile=authority)
        command = [sys.executable, "-m", "sloctl", "canary", "serve", self.folder / "pay.yaml", "--root", self.folder]
        command += ["--prometheus", self.prometheus, "--store", self.store, "--listen", f"127.0.0.1:{port}", *more]
        log = self.folder / f"{port}.log"
        with (
            servers.running("sloctl", command, log) as running,
            httpx.Client(timeout=servers.PATIENCE, verify=verify) as client,
        ):
            url = f"{'http' if authority is None else 'https'}://127.0.0.1:{port}"
            running.wait_for(lambda: servers.answers(client, f"{url}/readyz"), "it is ready")
            yield Server(url, running, client)


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/audit.db"


@pytest.fixture(params=KINDS)
def either(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/audit.db"
    return new_database(request.getfixturevalue("server"))


@contextmanager
def world_of(folder: Path, store: str) -> Iterator[World]:
    stub = LiveStub()
    (folder / "pay.yaml").write_text(SPEC, encoding="utf-8")
    with serving(stub) as url, ExitStack() as stack:
        yield World(folder, stub, url, store, stack)


@pytest.fixture
def world(tmp_path: Path, sqlite: str) -> Iterator[World]:
    with world_of(tmp_path, sqlite) as world:
        yield world


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, either: str) -> None:
    """Killed again and again under load: no acknowledged decision is lost, and the chain is whole."""
    acknowledged: set[str] = set()
    kills = 20 if either.startswith("sqlite") else 5
    with world_of(tmp_path, either) as world:
        for round_ in range(kills):
            with world.started() as server:
                before = len(acknowledged)
                writers = [
                    threading.Thread(target=hammer, args=(server, acknowledged, f"{round_}-{number}"))
                    for number in range(4)
                ]
                for writer in writers:
                    writer.start()
                servers.until(lambda: len(acknowledged) > before + round_ % 5)  # noqa: B023 - called at once
                server.running.process.kill()
                for writer in writers:
                    writer.join()
        store = Store.open(either)
        try:
            kept = {entry.id for page in pages(store) for entry in page}
            assert len(acknowledged) >= 2 * kills
            assert acknowledged <= kept
            assert store.verify().problems == ()
        finally:
            store.close()


def hammer(server: Server, acknowledged: set[str], name: str) -> None:
    """Ask about one release after the other until nobody answers."""
    with httpx.Client(timeout=servers.PATIENCE) as client:
        for number in range(10_000):
            asked = {**ASKED, "revision": f"r{name}-{number}"}
            try:
                response = client.post(f"{server.url}/v1/canary/evaluate", json=asked)
            except httpx.TransportError:
                return
            if server.running.process.poll() is not None:
                return  # whoever has this port now is another server
            assert response.status_code == 200, response.text
            acknowledged.add(response.json()["decision_id"])


def pages(store: Store) -> Iterator[list[object]]:
    from sloctl.canary.audit.chain import Subject

    before = None
    while page := store.decisions(Subject("", ""), before=before, limit=500):
        yield page
        before = page[-1].sequence


def test_sigterm_lets_what_is_under_way_finish(world: World) -> None:
    looking, go_on, healthy = threading.Event(), threading.Event(), world.stub.body

    def held_up(query: str) -> Answer:
        looking.set()
        assert go_on.wait(servers.PATIENCE)
        return healthy(query)

    world.stub.body = held_up
    server = world.start("--drain", "3")
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(server.ask()))
    asking.start()
    assert looking.wait(servers.PATIENCE)
    server.running.process.terminate()
    with httpx.Client(timeout=servers.PATIENCE) as client:
        servers.until(lambda: client.get(f"{server.url}/readyz").status_code == 503)
        refused = client.post(f"{server.url}/v1/canary/evaluate", json=ASKED)
        assert (refused.status_code, refused.json()["error"]) == (503, "shutting_down")
    go_on.set()
    asking.join()
    assert answers[0].json()["verdict"] == "promote"
    assert server.running.process.wait(servers.PATIENCE) == 0


def test_sighup_takes_a_new_configuration_without_dropping_anybody(world: World) -> None:
    server = world.start()
    failed: list[str] = []
    digests: list[str] = []
    done = threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=servers.PATIENCE) as client:
            while not done.is_set():
                response = client.post(f"{server.url}/v1/canary/evaluate", json=ASKED)
                if response.status_code != 200:
                    failed.append(response.text)
                digests.append(response.json().get("config_digest"))

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for process in asking:
        process.start()
    for number, limit in enumerate(("0.4%", "0.3%"), 1):
        servers.until(lambda: len(set(digests)) == number)  # noqa: B023 - called at once
        write(world, limit, server)
    servers.until(lambda: len(set(digests)) == 3)
    write(world, "nonsense", server)
    bad = "sloctl_canary_configuration_reload_successful 0.0"
    servers.until(lambda: bad in server.client.get(f"{server.url}/metrics").text)
    done.set()
    for process in asking:
        process.join()
    assert failed == []
    assert len(set(digests)) == 3
    assert server.ask().json()["config_digest"] == digests[-1], "the last one has errors, so the one before stays"


def write(world: World, limit: str, server: Server) -> None:
    (world.folder / "pay.yaml").write_text(SPEC.replace("0.5%", limit), encoding="utf-8")
    os.kill(server.running.process.pid, signal.SIGHUP)


def test_a_full_disk_makes_the_server_unready_and_silent(world: World) -> None:
    server = world.start()
    assert server.ask().json()["verdict"] == "promote"
    pid = server.running.process.pid
    size = max(file.stat().st_size for file in world.folder.glob("audit.db*"))
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size // 4096 * 4096, resource.RLIM_INFINITY))
    for number in range(400):
        if (response := server.ask(revision=f"full-{number}")).status_code != 200:
            break
    assert (response.status_code, response.json()["error"]) == (503, "audit_unavailable")
    assert server.client.get(f"{server.url}/readyz").status_code == 503
    assert server.client.get(f"{server.url}/healthz").status_code == 200
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert server.client.get(f"{server.url}/readyz").status_code == 200
    assert server.ask(revision="full-no-more").status_code == 200
    assert main(["canary", "verify", "--store", world.store]) == 0


def test_the_counts_of_old_decisions_go_while_the_server_runs(world: World) -> None:
    first = world.start()
    decided = first.ask().json()["decision_id"]
    stop(first)

    def counts() -> bytes:
        store = Store.open(world.store)
        try:
            return store.find(Kind.DECISION, decided)[0].evidence
        finally:
            store.close()

    world.start()
    assert counts() != b""
    again = world.start("--keep-evidence", "1ms")
    servers.until(lambda: counts() == b"")
    assert again.ask().json()["decision_id"] == decided, "what was decided stays"
    assert main(["canary", "verify", "--store", world.store]) == 0


def stop(server: Server) -> None:
    server.running.process.terminate()
    server.running.process.wait(servers.PATIENCE)


@pytest.mark.xdist_group("postgresql")
def test_replicas_on_one_store_give_one_decision_and_one_chain(
    tmp_path: Path, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = new_database(server)
    with world_of(tmp_path, url) as world:
        replicas = [world.start(), world.start()]
        found: list[list[dict[str, object]]] = [[], []]
        barrier = threading.Barrier(2)

        def ask(number: int) -> None:
            for revision in range(15):
                barrier.wait()
                found[number].append(replicas[number].ask(revision=str(revision)).json())

        asking = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
        for process in asking:
            process.start()
        for process in asking:
            process.join()
        for left, right in zip(*found, strict=True):
            assert left["decision_id"] == right["decision_id"]
        assert len({str(answer["decision_id"]) for answer in found[0]}) == 15
        assert main(["canary", "verify", "--store", url]) == 0
        assert capsys.readouterr().out.startswith("16 entries, every one as it was written")


@pytest.mark.xdist_group("postgresql")
def test_a_database_that_goes_away_and_comes_back(tmp_path: Path, server: str) -> None:
    from sqlalchemy import create_engine, text

    url = new_database(server)
    with world_of(tmp_path, url) as world:
        one = world.start()
        assert one.ask().status_code == 200
        engine = create_engine(server.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
        name = url.rpartition("/")[2]
        with engine.connect() as connection:
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :n"), {"n": name}
            )
            response = one.ask()
            assert (response.status_code, response.json()["error"]) == (503, "audit_unavailable")
            assert name not in response.text
            assert one.client.get(f"{one.url}/readyz").status_code == 503
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
        engine.dispose()
        assert one.ask().status_code == 200
        assert one.client.get(f"{one.url}/readyz").status_code == 200


def test_nobody_else_can_be_served_without_tokens(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["canary", "serve", str(world.folder), "--prometheus", world.prometheus, "--store", world.store]
    assert main([*words, "--listen", "0.0.0.0:1"]) == 1
    assert "--tokens" in capsys.readouterr().err


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that signs itself, and its key."""
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*words, "-keyout", key, "-out", cert], check=True, capture_output=True, timeout=servers.PATIENCE)
    return cert, key


def test_https_with_a_certificate_that_is_renewed_while_it_runs(world: World) -> None:
    cert, key = certificate(world.folder, "first")
    other, other_key = certificate(world.folder, "second")
    with world.started("--tls-cert", str(cert), "--tls-key", str(key), authority=cert) as server:
        assert server.ask().json()["verdict"] == "promote"
        address = ("127.0.0.1", httpx.URL(server.url).port or 0)

        def shown() -> str:
            return ssl.get_server_certificate(address, timeout=servers.PATIENCE)

        assert shown() == (first := cert.read_text())
        cert.write_bytes(b"no certificate")
        os.kill(server.running.process.pid, signal.SIGHUP)
        servers.until(lambda: "certificate is not good" in server.running.log.read_text())
        assert shown() == first
        cert.write_bytes(other.read_bytes())
        key.write_bytes(other_key.read_bytes())
        os.kill(server.running.process.pid, signal.SIGHUP)
        servers.until(lambda: shown() == other.read_text())


def test_new_tokens_are_valid_and_old_ones_are_not_without_a_restart(world: World) -> None:
    tokens = world.folder / "tokens"
    secrets = [new_token() for _ in range(3)]

    def valid(*these: str) -> None:
        tokens.write_text("".join(f"argo evaluate sha256:{token_digest(each)}\n" for each in these))

    valid(secrets[0])
    with world.started("--tokens", str(tokens)) as server:

        def statuses() -> list[int]:
            headers = ({"Authorization": f"Bearer {each}"} for each in secrets)
            url = f"{server.url}/v1/canary/evaluate"
            return [server.client.post(url, json=ASKED, headers=each).status_code for each in headers]

        assert statuses() == [200, 401, 401]
        for now, wanted in ((secrets[:2], [200, 200, 401]), (secrets[1:2], [401, 200, 401])):
            valid(*now)
            os.kill(server.running.process.pid, signal.SIGHUP)
            servers.until(lambda: statuses() == wanted)  # noqa: B023 - called at once


def test_specifications_with_errors_are_not_served(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    (world.folder / "pay.yaml").write_text(SPEC.replace("0.5%", "half"), encoding="utf-8")
    words = ["canary", "serve", str(world.folder), "--prometheus", world.prometheus, "--store", world.store]
    assert main(words) == 1
    assert "pay.yaml:" in capsys.readouterr().err
