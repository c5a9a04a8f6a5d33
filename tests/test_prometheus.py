"""The client takes complete answers only; everything else has a name."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sloctl.cli import main
from sloctl.prometheus import Fault, PrometheusClient, PrometheusError, without_password
from testing.servers import ROOT
from tests.conftest import StartPrometheus

VECTOR = '{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[5,"1.5"]}]}%s}'


SPEC = """
apiVersion: sloctl/v1
kind: Service
service: web
slos:
  - {name: ok, objective: 99%, alerts: none, sli: {ratio: {total: a_total, bad_if: 'code=~"5.."'}}}
canary:
  steps: [{weight: 5%, hold: 9m}, {weight: 100%}]
  checks: [{name: errors, slo: ok, error_rate: 1%}]
"""


class Stub(ThreadingHTTPServer):
    """Answers every request with one status and body, after a delay; remembers the headers."""

    status, body, delay = 200, VECTOR % "", 0.0
    seen: dict[str, str]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        stub = self.server
        assert isinstance(stub, Stub)
        stub.seen = dict(self.headers)
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(stub.delay)
        self.send_response(stub.status)
        self.send_header("Content-Length", str(len(stub.body)))
        self.end_headers()
        self.wfile.write(stub.body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def client(stub: Stub, **options: str | float) -> PrometheusClient:
    return PrometheusClient(f"http://127.0.0.1:{stub.server_port}/", **options)  # type: ignore[arg-type]


def test_a_vector_has_labels_values_and_times(stub: Stub) -> None:
    with client(stub) as prometheus:
        [sample] = prometheus.query("x", at=5)
    assert (sample.labels, sample.value, sample.time) == ({"a": "b"}, 1.5, 5)


def test_token_and_tenant_are_sent(stub: Stub) -> None:
    with client(stub, token="secret", tenant="team") as prometheus:
        prometheus.query("x")
    assert stub.seen["Authorization"] == "Bearer secret"
    assert stub.seen["X-Scope-OrgID"] == "team"


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (200, "<html>log in</html>", Fault.BROKEN),
        (200, "[]", Fault.BROKEN),
        (200, '{"status":"success","data":{"resultType":"matrix","result":[]}}', Fault.BROKEN),
        (200, VECTOR % ',"warnings":["store gateway is away"]', Fault.PARTIAL),
        (400, '{"status":"error","errorType":"bad_data","error":"parse error"}', Fault.REFUSED),
        (503, '{"status":"error","errorType":"timeout","error":"late"}', Fault.BROKEN),
        (401, "", Fault.REFUSED),
        (302, "", Fault.BROKEN),
    ],
)
def test_what_is_no_complete_answer_has_a_name(stub: Stub, status: int, body: str, fault: Fault) -> None:
    stub.status, stub.body = status, body
    with client(stub) as prometheus, pytest.raises(PrometheusError) as caught:
        prometheus.query("x")
    assert caught.value.fault is fault


def test_a_remark_of_the_engine_is_not_missing_data(stub: Stub) -> None:
    stub.body = VECTOR % ',"warnings":["PromQL info: metric might not be a counter"]'
    with client(stub) as prometheus:
        assert len(prometheus.query("x")) == 1


def test_a_server_that_is_late_or_away_has_a_name(stub: Stub) -> None:
    stub.delay = 1
    with client(stub, timeout=0.2) as prometheus, pytest.raises(PrometheusError) as late:
        prometheus.query("x")
    assert late.value.fault is Fault.TIMEOUT
    with PrometheusClient("http://127.0.0.1:1") as nobody, pytest.raises(PrometheusError) as away:
        nobody.query("x")
    assert away.value.fault is Fault.UNREACHABLE


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://localhost:9090/prometheus", "http://localhost:9090/prometheus"),
        ("http://user:hunter2@localhost:9090", "http://***@localhost:9090"),
        ("https://hunter2@localhost", "https://***@localhost"),
        ("http://user:hunter2@hunter2://@localhost", "http://***@localhost"),
        ("user:hunter2@localhost:9090", "***@localhost:9090"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["validate", "spec.yaml"],
        ["preview", "board.json", "-o", "page.html"],
        ["canary", "evaluate", "spec.yaml", "--service", "web", "--canary", "a", "--stable", "b"],
        ["canary", "evaluate", "spec.yaml", "--service", "web", "--canary", "a", "--stable", "b", "--format", "json"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(
    "address",
    [
        "http://user:hunter2@127.0.0.1:1",
        "http://hunter2@127.0.0.1:1",
        "http://user:hunter2@127.0.0.1:port",
        "http://user:hunter2/@127.0.0.1:1",
        "gopher://user:hunter2@127.0.0.1:1",
        "user:hunter2@127.0.0.1:1",
    ],
)
def test_no_command_shows_the_password_of_an_address(
    words: list[str], address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("board.json").symlink_to(ROOT / "dashboards/finflow/overview.json")
    Path("spec.yaml").write_text(SPEC)
    assert main([*words, "--prometheus", address]) in {1, 2, 3}
    out, err = capsys.readouterr()
    written = "".join(path.read_text() for path in tmp_path.glob("*.html"))
    assert "hunter2" not in out + err + written


@pytest.mark.server
def test_a_real_prometheus_answers_instant_range_and_raw_queries(prometheus: StartPrometheus) -> None:
    server = prometheus({"global": {"scrape_interval": "1s"}, "scrape_configs": []})
    with PrometheusClient(server.url) as real:
        now = time.time()
        assert [sample.value for sample in real.query("vector(2)")] == [2]
        assert [sample.value for sample in real.query("scalar(vector(3))")] == [3]
        assert [len(series.points) for series in real.query_range("vector(1)", now - 60, now, 30)] == [3]
        assert real.samples("up", "5m", now) == ()
        with pytest.raises(PrometheusError, match="refused the query"):
            real.query("sum(")
