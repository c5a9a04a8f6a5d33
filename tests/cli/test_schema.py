"""The JSON Schema for editors is where they look for it, and is that of this version."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from sloctl.cli import main
from sloctl.diagnostics import Diagnostics
from sloctl.language.discovery import discover, read_all
from testing.servers import ROOT


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_it_is_written_beside_the_specifications() -> None:
    assert main(["schema"]) == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(Path("slo-specs/slo.schema.json").read_text()))


def test_it_is_printed_or_written_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "-o", "-"]) == 0
    printed = capsys.readouterr().out
    assert main(["schema", "-o", "a/b.json"]) == 0
    assert Path("a/b.json").read_text() == printed
    assert not Path("slo-specs").exists()


def test_check_writes_nothing_and_ends_with_1_where_it_differs(capsys: pytest.CaptureFixture[str]) -> None:
    file = Path("slo-specs/slo.schema.json")
    assert main(["schema", "--check"]) == 1
    assert capsys.readouterr().out == "missing: slo-specs/slo.schema.json\n"
    assert not file.exists()
    main(["schema"])
    assert main(["schema", "--check"]) == 0
    file.write_text("{}")
    capsys.readouterr()
    assert main(["schema", "--check"]) == 1
    assert capsys.readouterr().out == "changed: slo-specs/slo.schema.json\n"
    assert file.read_text() == "{}"


def test_the_shipped_one_is_up_to_date() -> None:
    assert main(["schema", "--check", "-o", str(ROOT / "slo-specs" / "slo.schema.json")]) == 0


def test_it_is_no_specification() -> None:
    main(["init"])
    found = Diagnostics()
    paths = {document.path for document in read_all(discover(["slo-specs"], found), found)}
    assert paths == {"slo-specs/platform.yaml", "slo-specs/my-service.yaml"}
    assert found.found == []
