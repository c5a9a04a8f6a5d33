"""What was proven is known in the next run; what is not as it was written counts for nothing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sloctl.proof.known import Known, cache_folder, digest

KEY = digest(["a proof"])


def linked(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


SPOILED: dict[str, Callable[[Path], object]] = {
    "edited": lambda file: file.write_text(file.read_text().replace("proven", "edited")),
    "cut off": lambda file: file.write_text(file.read_text()[:-9]),
    "empty": lambda file: file.write_text(""),
    "another form": lambda file: file.write_text("[]"),
    "no text": lambda file: file.write_bytes(b"\xff\xfe"),
    "writable by others": lambda file: file.chmod(0o666),
    "a link": linked,
    "of another digest": lambda file: file.rename(file.with_name(digest(["another"]))),
    "deeply nested": lambda file: file.write_text("[" * 100_000),
}


@pytest.mark.parametrize("how", list(SPOILED))
def test_what_is_not_as_it_was_written_is_not_known(tmp_path: Path, how: str) -> None:
    known = Known(tmp_path)
    known.keep(KEY, "proven")
    assert known.text(KEY) == "proven"
    SPOILED[how](tmp_path / KEY)
    assert known.text(KEY) is None
    assert known.text(digest(["another"])) is None
    known.keep(KEY, "proven")
    assert known.text(KEY) == "proven"


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for known in (Known(None), Known(tmp_path / "file" / "below")):
        known.keep(KEY, "proven")
        known.forget_unused()
        assert known.text(KEY) is None


def test_the_folder_is_where_the_user_has_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "sloctl/proofs"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home/.cache/sloctl/proofs"


def test_many_runs_at_once_keep_whole_files(tmp_path: Path) -> None:
    known, text = Known(tmp_path), "proven " * 10_000

    def run(number: int) -> str | None:
        known.keep(KEY, text)
        return known.text(digest([str(number)])) or known.text(KEY)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(run, range(64))) == {text}
    assert [file.name for file in tmp_path.iterdir()] == [KEY]


def test_borders_of_parts_count() -> None:
    assert digest(["ab", "c"]) != digest(["a", "bc"])
