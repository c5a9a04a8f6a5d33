"""`sloctl check --deployed` tells a real Prometheus and a real Alertmanager that run what was compiled from others."""

from __future__ import annotations

from pathlib import Path

import pytest

from sloctl.cli import main
from testing import servers
from tests.backends.alertmanager.catalogues import ONE
from tests.conftest import StartPrometheus, program

pytestmark = pytest.mark.server
BASE = """\
global: {smtp_smarthost: 'localhost:25', smtp_from: a@example.com}
route: {receiver: theirs}
receivers: [{name: theirs}]
"""


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    (tmp_path / "spec.yaml").write_text(ONE)
    assert main(["generate", str(tmp_path / "spec.yaml"), "--root", str(tmp_path), "-o", str(tmp_path)]) == 0
    return tmp_path


@pytest.fixture
def server(specs: Path, prometheus: StartPrometheus) -> servers.Prometheus:
    rules = [rule for rule in (specs / "rules" / "prometheus").rglob("*.yaml") if "manifest" not in rule.name]
    one = prometheus({"global": {"scrape_interval": "1s"}}, rules)
    one.wait_for(one.rules, "rules")
    return one


def check(specs: Path, url: str, *words: str) -> int:
    return main(["check", str(specs / "spec.yaml"), "--root", str(specs), "--deployed", "--prometheus", url, *words])


def test_what_was_compiled_is_what_runs(
    specs: Path, server: servers.Prometheus, capsys: pytest.CaptureFixture[str]
) -> None:
    code = check(specs, server.url)
    assert code == 0, capsys.readouterr()
    assert "runs what the specifications compile to" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("objective: 99.9%", "objective: 99%", "annotation objective expected 99%, seen 99.9%"),
        ("name: ok", "name: other", "the rule files have no group"),
        ("name: ok", "name: other", "is loaded and no specification compiles to it"),
        ("burn: 6, over: 14m", "burn: 6, over: 28m", "no rule"),
    ],
)
def test_what_has_changed_since_is_named(
    before: str, after: str, said: str, specs: Path, server: servers.Prometheus, capsys: pytest.CaptureFixture[str]
) -> None:
    (specs / "spec.yaml").write_text(ONE.replace(before, after))
    assert check(specs, server.url) == 1
    found = capsys.readouterr()
    assert said in found.out
    assert "between the specifications and" in found.err


def test_a_server_without_rules_has_none_of_them(
    specs: Path, prometheus: StartPrometheus, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(specs, prometheus({}).url) == 1
    assert "the rule files have no group" in capsys.readouterr().out


def test_routes_are_compared_with_what_alertmanager_has_loaded(
    specs: Path, server: servers.Prometheus, capsys: pytest.CaptureFixture[str]
) -> None:
    program("prometheus-alertmanager")
    (specs / "base.yml").write_text(BASE)
    merged = specs / "alertmanager.yml"
    words = ["routes", "merge", str(specs / "spec.yaml"), "--root", str(specs), "--base", str(specs / "base.yml")]
    assert main([*words, "-o", str(merged)]) == 0
    with servers.alertmanager(merged) as alertmanager:
        assert check(specs, server.url, "--alertmanager", alertmanager.url) == 0, capsys.readouterr()
    with servers.alertmanager(specs / "base.yml") as alertmanager:
        assert check(specs, server.url, "--alertmanager", alertmanager.url) == 1
    assert "has no routes of sloctl" in capsys.readouterr().out
    assert check(specs, server.url, "--alertmanager", "http://127.0.0.1:1") == 3
