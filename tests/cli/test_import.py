"""`sloctl import` loses nothing: neither a note, nor an SLO in silence, nor a file that is there."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from sloctl.cli import main

SLOTH = """
version: prometheus/v1
service: shop
slos:
  - name: availability
    objective: 99.9
    sli:
      events:
        error_query: sum(rate(requests_total{code=~"5.."}[{{.window}}]))
        total_query: sum(rate(requests_total[{{.window}}]))
"""
BROKEN = SLOTH.replace("service: shop", "service: pay").replace("99.9", "100")


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old").mkdir()
    Path("old/shop.yaml").write_text(SLOTH)


def test_a_folder_becomes_valid_specifications(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "old", "-o", "specs"]) == 0
    assert capsys.readouterr() == ("wrote specs/shop.yaml\n", "")
    assert main(["validate", "specs"]) == 0


def test_without_a_folder_it_is_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SLOTH.encode())))
    assert main(["import", "-"]) == 0
    shown, _ = capsys.readouterr()
    assert "service: shop\nslos:\n  - name: availability\n" in shown


def test_nothing_is_overwritten_and_then_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    Path("old/a.yaml").write_text(SLOTH.replace("service: shop", "service: a"))
    Path("specs").mkdir()
    Path("specs/shop.yaml").write_text("mine")
    assert main(["import", "old", "-o", "specs"]) == 1
    assert "specs/shop.yaml is there already" in capsys.readouterr().err
    assert [file.name for file in Path("specs").iterdir()] == ["shop.yaml"]


def test_what_converts_is_written_and_what_does_not_fails_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    Path("old/pay.yaml").write_text(BROKEN)
    assert main(["import", "old", "-o", "specs", "--notes", "notes.txt"]) == 1
    assert Path("specs/shop.yaml").exists()
    assert "old/pay.yaml:5:5: error[SLO303]" in capsys.readouterr().err
    assert "error[SLO303]" in Path("notes.txt").read_text()


def test_strict_writes_nothing_where_anything_changes(capsys: pytest.CaptureFixture[str]) -> None:
    Path("old/shop.yaml").write_text(SLOTH.replace("service: shop", "service: myShop"))
    assert main(["import", "old", "-o", "specs", "--strict"]) == 1
    assert "note[SLO301]: `myShop` is called `my-shop` now" in capsys.readouterr().err
    assert not Path("specs").exists()


def test_a_folder_without_slos_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    Path("old/shop.yaml").write_text("a: 1\n")
    assert main(["import", "old"]) == 1
    assert "there is no SLO of sloth, pyrra, openslo, nobl9, grafana in old" in capsys.readouterr().err


def test_validate_names_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "old", "--root", "."]) == 1
    assert "`sloctl import old/shop.yaml` writes that from it" in capsys.readouterr().err
