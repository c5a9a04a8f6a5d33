"""A drill reaches the receiver of a real Alertmanager twice, and asks first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner

from sloctl.cli import cli, main
from testing import servers
from tests.backends.alertmanager.catalogues import ONE
from tests.conftest import program

pytestmark = pytest.mark.server
TOLD: list[dict[str, Any]] = []
BASE = """\
global: {{smtp_smarthost: 'localhost:25', smtp_from: a@example.com}}
route:
  receiver: theirs
receivers:
  - name: theirs
  - name: sink
    webhook_configs: [{{url: 'http://127.0.0.1:{port}/', send_resolved: true}}]
"""


class Sink(BaseHTTPRequestHandler):
    """Takes what Alertmanager sends."""

    def do_POST(self) -> None:
        TOLD.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """An Alertmanager whose page goes to the sink, a moment after it is sent."""
    program("prometheus-alertmanager")
    TOLD.clear()
    spec = ONE.replace("{pagerduty: web, slack: '#web-pages'}", "{receiver: sink, wakes: true}")
    (tmp_path / "spec.yaml").write_text(spec)
    with ExitStack() as stack:
        sink = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Sink))
        Thread(target=sink.serve_forever, daemon=True).start()
        stack.callback(sink.shutdown)
        (tmp_path / "base.yml").write_text(BASE.format(port=sink.server_address[1]))
        words = ["routes", "merge", str(tmp_path / "spec.yaml"), "--root", str(tmp_path)]
        merged = tmp_path / "alertmanager.yml"
        assert main([*words, "--base", str(tmp_path / "base.yml"), "-o", str(merged)]) == 0
        fast = merged.read_text().replace("group_wait: 10s", "group_wait: 0s").replace("_interval: 1m", "_interval: 1s")
        merged.write_text(fast)
        yield stack.enter_context(servers.alertmanager(merged)).url


def words(tmp_path: Path, url: str, *more: str) -> list[str]:
    specs = str(tmp_path / "spec.yaml")
    return ["drill", "api/ok", "--specs", specs, "--root", str(tmp_path), "--alertmanager", url, *more]


def test_it_fires_and_resolves_at_the_receiver(
    alertmanager: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(tmp_path, alertmanager, "--yes", "--for", "4s")) == 0
    servers.until(lambda: [one for one in TOLD if one["status"] == "resolved"] or None)
    assert TOLD[0]["status"] == "firing"
    [alert] = TOLD[0]["alerts"]
    assert alert["labels"]["drill"] == "true"
    assert alert["labels"]["severity"] == "P1"
    assert "this is a drill" in alert["annotations"]["summary"]
    assert "goes to sink (receiver sink)" in capsys.readouterr().out


def test_it_asks_first(alertmanager: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, words(tmp_path, alertmanager), input="n\n")
    assert "Wake them?" in done.output
    assert done.exit_code == 1
    assert TOLD == []


def test_what_cannot_be_tried_is_said(alertmanager: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(spec.read_text().replace("alerts: [google, {severity: P2, burn: 6, over: 14m}]", "alerts: none"))
    assert main(words(tmp_path, alertmanager, "--yes", "--severity", "P3")) == 1
    assert "has no alert of P3" in capsys.readouterr().err
    assert main(words(tmp_path, "http://127.0.0.1:1", "--yes", "--severity", "P2")) == 3
    assert main(["drill", "api/no", *words(tmp_path, alertmanager)[2:]]) == 2
