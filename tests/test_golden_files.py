from pathlib import Path

from tests.golden_files import differences, read_tree, rewrite


def write(folder: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def test_the_same_tree_has_no_differences(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": b"a: 1\n", "deep/b.yaml": b"\xff\n"})
    assert differences(read_tree(tmp_path), {"a.yaml": b"a: 1\n", "deep/b.yaml": b"\xff\n"}) == ""


def test_a_changed_line_is_shown_with_its_file(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": b"a: 1\nb: 2\n"})
    assert differences(read_tree(tmp_path), {"a.yaml": b"a: 1\nb: 3\n"}).splitlines() == [
        "--- expected/a.yaml", "+++ produced/a.yaml", "@@ -1,3 +1,3 @@", " a: 1", "-b: 2", "+b: 3", " ",
    ]  # fmt: skip


def test_a_line_end_alone_is_a_difference_that_can_be_seen(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": b"a: 1\n"})
    assert "+a: 1\\r" in differences(read_tree(tmp_path), {"a.yaml": b"a: 1\r\n"})
    assert differences(read_tree(tmp_path), {"a.yaml": b"a: 1"})


def test_missing_and_stray_files_are_named_even_when_empty(tmp_path: Path) -> None:
    write(tmp_path, {"gone.yaml": b""})
    found = differences(read_tree(tmp_path), {"new.yaml": b""})
    assert "not produced: gone.yaml" in found
    assert "not expected: new.yaml" in found


def test_rewriting_leaves_exactly_the_produced_files(tmp_path: Path) -> None:
    write(tmp_path, {"gone.yaml": b"", "a.yaml": b"old"})
    rewrite(tmp_path, {"a.yaml": b"new", "deep/b.yaml": b"b"})
    assert read_tree(tmp_path) == {"a.yaml": b"new", "deep/b.yaml": b"b"}
