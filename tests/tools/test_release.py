"""What would make a bad release is found before it is one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from zipfile import ZipFile

import pytest

from tools.release import METADATA, junk, unready

PACKAGE = {"sloctl/__init__.py", "sloctl/py.typed"}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that is ready to release 1.2.0."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "somebody@example.com")
    git(tmp_path, "init", "--quiet")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.0 - 2026-11-26\n\n- This.\n\n## 1.1.0 - 2026-01-01\n")
    commit(tmp_path)
    return tmp_path


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", folder, *words], check=True)


def commit(folder: Path) -> None:
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "a change")


def test_a_repository_that_is_ready_has_no_findings_before_and_after_its_tag(repository: Path) -> None:
    assert list(unready(repository, "1.2.0")) == []
    git(repository, "tag", "-a", "v1.2.0", "-m", "sloctl 1.2.0")
    assert list(unready(repository, "1.2.0")) == []


def test_a_tag_of_another_commit_is_found(repository: Path) -> None:
    git(repository, "tag", "-a", "v1.2.0", "-m", "sloctl 1.2.0")
    commit(repository)
    assert list(unready(repository, "1.2.0")) == [
        "v1.2.0 is another commit's tag: raise `version` in pyproject.toml"
    ]  # fmt: skip


def test_what_is_not_committed_is_named(repository: Path) -> None:
    (repository / "new.py").touch()
    assert list(unready(repository, "1.2.0")) == ["these are not committed: new.py"]


@pytest.mark.parametrize("version", ["1.1.0", "1.2", "1.3.0"])
def test_the_changelog_begins_with_the_version(repository: Path, version: str) -> None:
    [finding] = unready(repository, version)
    assert finding == f"write `## {version} - YYYY-MM-DD` above what CHANGELOG.md says of this version"


def wheel(folder: Path, names: set[str]) -> Path:
    path = folder / "sloctl-1.2.0-py3-none-any.whl"
    with ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return path


def test_a_wheel_holds_the_package_and_its_metadata_and_nothing_else(tmp_path: Path) -> None:
    good = PACKAGE | {f"sloctl-1.2.0.dist-info/{name}" for name in METADATA}
    assert list(junk(wheel(tmp_path, good), PACKAGE, "1.2.0")) == []
    bad = wheel(tmp_path, good - {"sloctl/py.typed"} | {"tests/conftest.py"})
    assert list(junk(bad, PACKAGE, "1.2.0")) == [
        f"{bad.name} should not hold tests/conftest.py",
        f"{bad.name} lacks sloctl/py.typed",
    ]
