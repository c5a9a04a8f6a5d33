"""What a new user gets to begin with is valid, and nothing of theirs is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from sloctl.cli import main


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_first_specifications_are_valid_without_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 0
    capsys.readouterr()
    assert main(["validate", "--strict"]) == 0
    assert capsys.readouterr() == ("2 SLOs of 1 service are valid.\n", "")


def test_the_first_specifications_compile(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "specs"]) == 0
    assert main(["generate", "specs"]) == 0
    assert Path("rules/prometheus/my-platform/my-service.yaml").exists()


def test_editors_are_pointed_to_the_schema_beside_each_file() -> None:
    main(["init"])
    for name in ("platform.yaml", "my-service.yaml"):
        first = Path("slo-specs", name).read_text().splitlines()[0]
        assert first == "# yaml-language-server: $schema=slo.schema.json"
    assert Path("slo-specs/slo.schema.json").is_file()


@pytest.mark.parametrize("mine", ["platform.yaml", "other.yml", "team/other.yaml"])
def test_nothing_is_written_where_specifications_are(mine: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path("slo-specs", mine)
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    assert main(["init"]) == 1
    assert capsys.readouterr().err.startswith(f"sloctl: slo-specs/{mine} is there already: ")
    assert [path for path in Path().rglob("*") if path.is_file()] == [file]
    assert file.read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("slo-specs").write_text("mine")
    assert main(["init"]) == 1
    assert capsys.readouterr().err == "sloctl: slo-specs is a file: name a folder\n"


def test_a_disk_that_refuses_ends_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "/proc/specs"]) == 3
    assert capsys.readouterr().err.startswith("sloctl: cannot write /proc/specs/platform.yaml: ")
