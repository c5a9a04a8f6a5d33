"""`sloctl routes` as a user and a CI job see it: words, exit codes, and files that stay as they were."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sloctl.cli import main
from tests.backends.alertmanager.catalogues import ONE
from tests.conftest import program

BASE = """\
global: {smtp_smarthost: 'm:25', smtp_from: a@example.com}
route:
  receiver: ops   # all
receivers:
  - name: ops
"""


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slo-specs").mkdir()
    (tmp_path / "slo-specs" / "api.yaml").write_text(ONE)
    (tmp_path / "alertmanager.yml").write_text(BASE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(list(words))
    out, err = capsys.readouterr()
    return code, out, err


def test_merge_prints_and_leaves_the_base_alone(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run("routes", "merge", "--base", "alertmanager.yml", capsys=capsys)
    assert (code, err) == (0, "")
    assert "receiver: ops   # all" in out
    assert Path("alertmanager.yml").read_text() == BASE


def test_merge_into_itself_twice_says_that_nothing_changed(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("routes", "merge", "--base", "alertmanager.yml", "-o", "alertmanager.yml")
    assert run(*words, capsys=capsys) == (0, "wrote alertmanager.yml\n", "")
    once = Path("alertmanager.yml").read_bytes()
    assert run(*words, capsys=capsys) == (0, "alertmanager.yml is up to date.\n", "")
    assert Path("alertmanager.yml").read_bytes() == once


@pytest.mark.parametrize("bad", ["  - name: slo-x\n", "route: [\n", "\xff"])
def test_a_bad_base_leaves_the_previous_file_as_it_was(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("alertmanager.yml").write_bytes((BASE + bad).encode("latin-1"))
    Path("merged.yml").write_text("previous")
    code, _, err = run("routes", "merge", "--base", "alertmanager.yml", "-o", "merged.yml", capsys=capsys)
    assert code == 1
    assert re.match(r"sloctl: alertmanager\.yml:\d+:\d+: ", err)
    assert Path("merged.yml").read_text() == "previous"
    assert sorted(path.name for path in Path().iterdir()) == ["alertmanager.yml", "merged.yml", "slo-specs"]


def test_bad_specifications_leave_the_previous_file_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    Path("slo-specs/api.yaml").write_text(ONE.replace("team: web", "team: wbe"))
    Path("merged.yml").write_text("previous")
    code, _, err = run("routes", "merge", "--base", "alertmanager.yml", "-o", "merged.yml", capsys=capsys)
    assert code == 1
    assert "`wbe` is not a team of platform `shop`" in err
    assert Path("merged.yml").read_text() == "previous"


def test_test_shows_the_receivers_of_every_alert(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run("routes", "test", capsys=capsys)
    assert code == 0
    assert "shop  ApiOkBudgetBurnP1Over1h  P1 -> slo-shop-web-P1\n" in out
    assert "shop  SloctlWatchdog  - -> slo-shop-watchdog\n" in out
    assert out.endswith(
        "10 alerts reach their receivers; amtool is not on PATH, so only sloctl's own matcher judged.\n"
    )


@pytest.mark.server
def test_test_asks_amtool_and_keeps_what_was_tested(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(program("amtool").parent))
    code, out, _ = run("routes", "test", "--base", "alertmanager.yml", "--keep", "kept", capsys=capsys)
    assert code == 0
    assert "amtool accepts the file and agrees on all" in out
    assert "receiver: ops   # all" in Path("kept/alertmanager.yml").read_text()


def test_test_says_where_it_cannot_keep_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run("routes", "test", "--keep", "alertmanager.yml/kept", capsys=capsys)
    assert code == 3
    assert err.endswith("sloctl: cannot write to alertmanager.yml/kept: Not a directory\n")


def test_test_without_teams_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    Path("slo-specs/api.yaml").write_text(ONE.partition("---\n")[2])
    code, _, err = run("routes", "test", capsys=capsys)
    assert code == 1
    assert err.endswith("sloctl: no platform says where alerts go: write `teams` in a Platform\n")


def test_diff_names_the_routes_whose_incidents_change(capsys: pytest.CaptureFixture[str]) -> None:
    run("routes", "merge", "--base", "alertmanager.yml", "-o", "old.yml", capsys=capsys)
    run("generate", capsys=capsys)
    same = ("routes", "diff", "old.yml", "rules/alertmanager/routes.yaml")
    assert run(*same, capsys=capsys) == (0, "Every open incident keeps its identity.\n", "")
    Path("slo-specs/api.yaml").write_text(ONE.replace("team: web\n", "team: web\nseverities: {P1: page}\n"))
    run("routes", "merge", "--base", "alertmanager.yml", "-o", "new.yml", capsys=capsys)
    code, out, err = run("routes", "diff", "old.yml", "new.yml", capsys=capsys)
    assert code == 1
    assert out.startswith("slo-shop-web-P1 is reached by ")
    assert "1 routes would stay open" in err
