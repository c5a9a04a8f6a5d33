"""Outputs are written as a whole or not at all, and every difference has a name."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sloctl.artifacts import MANIFEST, Change, Drift, compare, write
from sloctl.errors import OutsideError
from sloctl.model.artifact import Rendered

OWNED = ("rules/prometheus",)


def file(name: str, content: str = "x\n") -> Rendered:
    return Rendered(f"rules/prometheus/{name}", content.encode(), {"slo-specs/a.yaml": "0" * 64})


def tree(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_first_run_writes_everything_and_a_second_one_nothing(tmp_path: Path) -> None:
    files = [file("p/a.yaml"), file("p/b.yaml")]
    assert write(files, tmp_path, OWNED).written == ["rules/prometheus/p/a.yaml", "rules/prometheus/p/b.yaml"]
    again = write(files, tmp_path, OWNED)
    assert (again.written, again.unchanged) == ([], ["rules/prometheus/p/a.yaml", "rules/prometheus/p/b.yaml"])


def test_the_manifest_names_each_file_its_digest_and_its_specifications(tmp_path: Path) -> None:
    write([file("a.yaml", "hello\n")], tmp_path, OWNED)
    assert json.loads((tmp_path / "rules" / MANIFEST).read_text()) == {
        "files": {
            "rules/prometheus/a.yaml": {
                "sha256": "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
                "specs": {"slo-specs/a.yaml": "0" * 64},
            }
        }
    }


def test_a_failure_half_way_leaves_everything_as_it_was(tmp_path: Path) -> None:
    write([file("a.yaml", "old\n")], tmp_path, OWNED)
    before = tree(tmp_path)

    def breaking() -> Iterator[Rendered]:
        yield file("a.yaml", "new\n")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write(breaking(), tmp_path, OWNED)
    assert tree(tmp_path) == before


def test_changed_missing_and_stray_files_are_named(tmp_path: Path) -> None:
    write([file("a.yaml"), file("b.yaml"), file("c.yaml")], tmp_path, OWNED)
    (tmp_path / "rules/prometheus/a.yaml").write_text("y\n")
    (tmp_path / "rules/prometheus/b.yaml").unlink()
    assert compare([file("a.yaml"), file("b.yaml")], tmp_path, OWNED) == [
        Drift(Change.CHANGED, "rules/prometheus/a.yaml"),
        Drift(Change.MISSING, "rules/prometheus/b.yaml"),
        Drift(Change.STRAY, "rules/prometheus/c.yaml"),
    ]


def test_comparing_writes_nothing(tmp_path: Path) -> None:
    compare([file("a.yaml")], tmp_path, OWNED)
    assert tree(tmp_path) == {}


def test_stray_files_stay_unless_pruned(tmp_path: Path) -> None:
    write([file("a.yaml"), file("b.yaml")], tmp_path, OWNED)
    assert write([file("a.yaml")], tmp_path, OWNED).stray == ["rules/prometheus/b.yaml"]
    assert write([file("a.yaml")], tmp_path, OWNED, prune=True).removed == ["rules/prometheus/b.yaml"]
    assert set(tree(tmp_path)) == {"rules/prometheus/a.yaml", f"rules/{MANIFEST}"}


def test_folders_of_other_backends_and_their_manifest_entries_are_left_alone(tmp_path: Path) -> None:
    write([Rendered("rules/alertmanager/routes.yaml", b"r\n", {})], tmp_path, ("rules/alertmanager",))
    write([file("a.yaml")], tmp_path, OWNED, prune=True)
    entries = json.loads((tmp_path / "rules" / MANIFEST).read_text())["files"]
    assert set(entries) == {"rules/alertmanager/routes.yaml", "rules/prometheus/a.yaml"}


def test_a_symbolic_link_is_never_written_through(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "rules").symlink_to(outside)
    with pytest.raises(OutsideError, match="symbolic link"):
        write([file("a.yaml")], tmp_path / "out", OWNED)
    assert tree(outside) == {}


def test_a_second_writer_is_told_to_wait(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        with pytest.raises(OutsideError, match="another `sloctl generate`"):
            write([file("a.yaml")], tmp_path, OWNED)
    finally:
        os.close(folder)


def test_what_a_killed_run_left_is_cleaned_up(tmp_path: Path) -> None:
    (tmp_path / ".sloctl-staging-dead").mkdir()
    write([file("a.yaml")], tmp_path, OWNED)
    assert not list(tmp_path.glob(".sloctl-staging-*"))
