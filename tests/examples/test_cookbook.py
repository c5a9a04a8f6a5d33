"""docs/cookbook.md: every entry compiles without a finding, and what no template proves is proven here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sloctl.cli import main
from testing.servers import ROOT
from tests.conftest import program
from tests.discovery.test_std import PLATFORM

ENTRIES = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "cookbook.md").read_text(), re.DOTALL)


def write_entries(entries: list[str], folder: Path) -> str:
    (folder / "platform.yaml").write_text(PLATFORM)
    for number, entry in enumerate(entries):
        (folder / f"{number}.yaml").write_text(entry)
    return str(folder)


def test_every_entry_is_valid_without_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(ENTRIES) >= 14
    specs = write_entries(ENTRIES, tmp_path)
    assert main(["validate", specs, "--root", specs, "--strict"]) == 0, capsys.readouterr().err


def test_every_entry_without_a_template_is_proven(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program("promtool")
    specs = write_entries([entry for entry in ENTRIES if "template:" not in entry], tmp_path)
    assert main(["test", specs, "--root", specs]) == 0, capsys.readouterr().out
    assert " 0 failed" in capsys.readouterr().out
