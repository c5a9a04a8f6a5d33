"""Each `<case>.bad.yaml` is answered with the words of `<case>.txt`, as `sloctl validate` prints them."""

import io
import re
import shutil
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from tests.golden_files import differences

HERE = Path(__file__).parent
CASES = sorted(path.name.removesuffix(".bad.yaml") for path in HERE.glob("*.bad.yaml"))


def validated(file: str) -> str:
    """What `sloctl validate FILE` prints, on both channels, and its exit code as the last line."""
    from sloctl.cli import main

    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        exit_code = main(["validate", file])
    return f"{printed.getvalue().rstrip()}\nexit code: {exit_code}\n"


@pytest.mark.parametrize("case", CASES)
def test_a_bad_file_is_answered_in_these_words(
    case: str, update_golden: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(HERE / f"{case}.bad.yaml", tmp_path)  # alone: a Platform applies to its whole folder
    monkeypatch.chdir(tmp_path)  # so that places are bare file names
    printed = validated(f"{case}.bad.yaml").encode()
    expected = HERE / f"{case}.txt"
    if update_golden:
        expected.write_bytes(printed)
    assert re.search(rb" (error|warning|note)\[SLO\d{3}\]: ", printed), printed.decode()
    assert printed.endswith(b"\nexit code: %d\n" % (b" error[SLO" in printed)), printed.decode()
    assert expected.exists(), f"no {expected.name}; write it with: pytest --update-golden"
    if found := differences({expected.name: expected.read_bytes()}, {expected.name: printed}):
        pytest.fail(found, pytrace=False)


def test_each_text_belongs_to_a_bad_file() -> None:
    assert sorted(path.stem for path in HERE.glob("*.txt")) == CASES
