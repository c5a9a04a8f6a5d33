"""Outputs are written as a whole or not at all, and every difference has a name."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sloctl.artifacts import MANIFEST, Change, Drift, OutputTarget, compare, write
from sloctl.errors import OutsideError
from sloctl.model.artifact import Rendered

OWNED = ("rules/prometheus",)
SPEC = "slo-specs/a.yaml"


def file(name: str, content: str = "x\n", *specs: str) -> Rendered:
    return Rendered(f"rules/prometheus/{name}", content.encode(), dict.fromkeys(specs or [SPEC], "0" * 64))


def at(output: Path, *read: str, owned: tuple[str, ...] = OWNED) -> OutputTarget:
    return OutputTarget(output, owned, frozenset(read))


def tree(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_first_run_writes_everything_and_a_second_one_nothing(tmp_path: Path) -> None:
    files = [file("p/a.yaml"), file("p/b.yaml")]
    assert write(files, at(tmp_path)).written == ["rules/prometheus/p/a.yaml", "rules/prometheus/p/b.yaml"]
    again = write(files, at(tmp_path))
    assert (again.written, again.unchanged) == ([], ["rules/prometheus/p/a.yaml", "rules/prometheus/p/b.yaml"])


def test_the_manifest_names_each_file_its_digest_and_its_specifications(tmp_path: Path) -> None:
    write([file("a.yaml", "hello\n")], at(tmp_path))
    assert json.loads((tmp_path / "rules" / MANIFEST).read_text()) == {
        "files": {
            "rules/prometheus/a.yaml": {
                "sha256": "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
                "specs": {"slo-specs/a.yaml": "0" * 64},
            }
        }
    }


def test_a_failure_half_way_leaves_everything_as_it_was(tmp_path: Path) -> None:
    write([file("a.yaml", "old\n")], at(tmp_path))
    before = tree(tmp_path)

    def breaking() -> Iterator[Rendered]:
        yield file("a.yaml", "new\n")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write(breaking(), at(tmp_path))
    assert tree(tmp_path) == before


def test_changed_missing_and_stray_files_are_named(tmp_path: Path) -> None:
    write([file("a.yaml"), file("b.yaml"), file("c.yaml")], at(tmp_path))
    (tmp_path / "rules/prometheus/a.yaml").write_text("y\n")
    (tmp_path / "rules/prometheus/b.yaml").unlink()
    assert compare([file("a.yaml"), file("b.yaml")], at(tmp_path)).drift == [
        Drift(Change.CHANGED, "rules/prometheus/a.yaml", b"y\n", b"x\n"),
        Drift(Change.MISSING, "rules/prometheus/b.yaml", b"", b"x\n"),
        Drift(Change.STRAY, "rules/prometheus/c.yaml"),
    ]


def test_comparing_writes_nothing(tmp_path: Path) -> None:
    compare([file("a.yaml")], at(tmp_path))
    assert tree(tmp_path) == {}


def test_stray_files_stay_unless_pruned(tmp_path: Path) -> None:
    write([file("a.yaml"), file("b.yaml")], at(tmp_path))
    assert write([file("a.yaml")], at(tmp_path)).stray == ["rules/prometheus/b.yaml"]
    assert write([file("a.yaml")], at(tmp_path), prune=True).removed == ["rules/prometheus/b.yaml"]
    assert set(tree(tmp_path)) == {"rules/prometheus/a.yaml", f"rules/{MANIFEST}"}


def test_folders_of_other_backends_and_their_manifest_entries_are_left_alone(tmp_path: Path) -> None:
    write([Rendered("rules/alertmanager/routes.yaml", b"r\n", {})], at(tmp_path, owned=("rules/alertmanager",)))
    write([file("a.yaml")], at(tmp_path), prune=True)
    entries = json.loads((tmp_path / "rules" / MANIFEST).read_text())["files"]
    assert set(entries) == {"rules/alertmanager/routes.yaml", "rules/prometheus/a.yaml"}


def test_a_symbolic_link_is_never_written_through(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "rules").symlink_to(outside)
    with pytest.raises(OutsideError, match="symbolic link"):
        write([file("a.yaml")], at(tmp_path / "out"))
    assert tree(outside) == {}


def test_a_second_writer_is_told_to_wait(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        with pytest.raises(OutsideError, match="another `sloctl generate`"):
            write([file("a.yaml")], at(tmp_path))
    finally:
        os.close(folder)


def test_what_a_killed_run_left_is_cleaned_up(tmp_path: Path) -> None:
    (tmp_path / ".sloctl-staging-dead").mkdir()
    write([file("a.yaml")], at(tmp_path))
    assert not list(tmp_path.glob(".sloctl-staging-*"))


def test_what_was_edited_by_hand_is_not_pruned(tmp_path: Path) -> None:
    write([file("a.yaml"), file("b.yaml"), file("c.yaml")], at(tmp_path))
    (tmp_path / "rules/prometheus/b.yaml").write_text("mine\n")
    (tmp_path / "rules/prometheus/d.yaml").write_text("mine as well\n")
    done = write([file("a.yaml")], at(tmp_path), prune=True)
    assert (done.removed, done.stray) == (
        ["rules/prometheus/c.yaml"],
        ["rules/prometheus/b.yaml", "rules/prometheus/d.yaml"],
    )


def test_folders_that_pruning_empties_go_as_well_but_the_owned_one_stays(tmp_path: Path) -> None:
    write([file("old/a.yaml")], at(tmp_path))
    write([], at(tmp_path), prune=True)
    assert not (tmp_path / "rules/prometheus/old").exists()
    assert (tmp_path / "rules/prometheus").is_dir()


@pytest.fixture
def two_services(tmp_path: Path) -> Path:
    """Two specifications, a file of each, and one that comes from both."""
    (tmp_path / "slo-specs").mkdir()
    for name in ("a", "b"):
        (tmp_path / f"slo-specs/{name}.yaml").write_text("spec")
    both = ("slo-specs/a.yaml", "slo-specs/b.yaml")
    files = [file("a.yaml", "a\n", both[0]), file("b.yaml", "b\n", both[1]), file("_shared.yaml", "ab\n", *both)]
    write(files, at(tmp_path, *both))
    return tmp_path


PART = [file("a.yaml", "a, new\n", "slo-specs/a.yaml"), file("_shared.yaml", "a\n", "slo-specs/a.yaml")]
OTHERS = ["rules/prometheus/_shared.yaml", "rules/prometheus/b.yaml"]


def test_a_run_on_one_specification_writes_its_own_files_and_leaves_the_others_alone(two_services: Path) -> None:
    done = write(PART, at(two_services, "slo-specs/a.yaml"), prune=True)
    assert (done.written, done.left_alone, done.removed) == (["rules/prometheus/a.yaml"], OTHERS, [])
    written = tree(two_services / "rules/prometheus")
    assert written == {"a.yaml": "a, new\n", "b.yaml": "b\n", "_shared.yaml": "ab\n"}


def test_after_a_run_on_one_specification_the_manifest_still_knows_the_others(two_services: Path) -> None:
    write(PART, at(two_services, "slo-specs/a.yaml"))
    entries = json.loads((two_services / "rules" / MANIFEST).read_text())["files"]
    assert set(entries["rules/prometheus/_shared.yaml"]["specs"]) == {"slo-specs/a.yaml", "slo-specs/b.yaml"}
    assert set(entries) == {*OTHERS, "rules/prometheus/a.yaml"}


def test_comparing_one_specification_judges_its_own_files_only(two_services: Path) -> None:
    comparison = compare(PART, at(two_services, "slo-specs/a.yaml"))
    assert [difference.path for difference in comparison.drift] == ["rules/prometheus/a.yaml"]
    assert comparison.left_alone == OTHERS


def test_files_of_a_specification_that_is_gone_are_stray_for_every_run(two_services: Path) -> None:
    (two_services / "slo-specs/b.yaml").unlink()
    done = write(PART, at(two_services, "slo-specs/a.yaml"), prune=True)
    assert (done.left_alone, done.removed) == ([], ["rules/prometheus/b.yaml"])
    assert tree(two_services / "rules/prometheus")["_shared.yaml"] == "a\n"


@pytest.mark.parametrize(
    "manifest", ["", "[]", "{", '{"files": {"x": 3}}', '{"files": {"x": {"specs": 1, "sha256": ""}}}']
)
def test_a_broken_manifest_is_written_anew(tmp_path: Path, manifest: str) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / MANIFEST).write_text(manifest)
    write([file("a.yaml")], at(tmp_path))
    assert set(json.loads((tmp_path / "rules" / MANIFEST).read_text())["files"]) == {"rules/prometheus/a.yaml"}


def test_a_linked_file_is_refused_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_text("mine\n")
    (tmp_path / "out/rules/prometheus").mkdir(parents=True)
    (tmp_path / "out/rules/prometheus/a.yaml").symlink_to(outside)
    with pytest.raises(OutsideError, match=r"a\.yaml is a symbolic link"):
        write([file("a.yaml")], at(tmp_path / "out"))
    assert outside.read_text() == "mine\n"


def test_a_pipe_in_the_place_of_a_file_does_not_hang(tmp_path: Path) -> None:
    (tmp_path / "rules/prometheus").mkdir(parents=True)
    os.mkfifo(tmp_path / "rules/prometheus/a.yaml")
    for judge in (write, compare):
        with pytest.raises(OutsideError, match="is a pipe, socket or device"):
            judge([file("a.yaml")], at(tmp_path))


def test_a_folder_in_the_place_of_a_file_and_a_file_in_that_of_a_folder_are_told(tmp_path: Path) -> None:
    (tmp_path / "rules/prometheus/a.yaml").mkdir(parents=True)
    (tmp_path / "rules/prometheus/p").write_text("")
    with pytest.raises(OutsideError, match=r"a\.yaml is a folder"):
        write([file("a.yaml")], at(tmp_path))
    with pytest.raises(OutsideError, match="p is a file"):
        write([file("p/a.yaml")], at(tmp_path))


def test_no_path_leaves_the_output_folder(tmp_path: Path) -> None:
    for path in ("/etc/x", "rules/../../x", ""):
        with pytest.raises(AssertionError):
            write([Rendered(path, b"", {})], at(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_a_disk_that_fails_at_the_last_file_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write([file("a.yaml", "old\n")], at(tmp_path))
    before = tree(tmp_path)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutsideError, match="No space left on device"):
        write([file("a.yaml", "new\n"), file("b.yaml")], at(tmp_path))
    assert tree(tmp_path) == before
