"""Results of two versions: numbers within the tolerance, everything else exactly, and bad files by name and line."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloctl.cli import main
from sloctl.cli.canary_parity import compare, difference

TOLERANCE = Decimal("0.001")


class Parity:
    """`sloctl canary parity` on two files."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def __call__(self, old: str, new: str, *more: str, suffix: str = ".jsonl") -> tuple[int | str, str]:
        files = [self.folder / f"{name}{suffix}" for name in ("old", "new")]
        for file, text in zip(files, (old, new), strict=True):
            file.write_text(text, encoding="utf-8")
        code = main(["canary", "parity", *map(str, files), "--key", "id", *more])
        out, err = self.capsys.readouterr()
        return code, out + err


@pytest.fixture
def parity(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Parity:
    return Parity(tmp_path, capsys)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('{"id": 1, "total": 1000}', '{"id": 1, "total": 1000.9}', 0),
        ('{"id": 1, "total": 1000}', '{"id": 1, "total": 1001.1}', 1),
        ('{"id": 1, "total": NaN}', '{"id": 1, "total": NaN}', 0),
        ('{"id": 1, "total": NaN}', '{"id": 1, "total": 1}', 1),
        ('{"id": 1, "total": Infinity}', '{"id": 1, "total": Infinity}', 0),
        ('{"id": 1, "total": 0}', '{"id": 1, "total": 0.0}', 0),
        ('{"id": 1, "total": 0}', '{"id": 1, "total": 0.000001}', 1),
        ('{"id": 1, "total": 5}', '{"id": 1, "total": -5}', 1),
        ('{"id": 1, "kind": "a"}', '{"id": 1, "kind": "A"}', 1),
        ('{"id": 1, "paid": true}', '{"id": 1, "paid": 1}', 1),
        ('{"id": 1, "kind": null}', '{"id": 1}', 1),
        ('{"id": 1, "lines": [1, 2]}', '{"id": 1, "lines": [1, 2, 3]}', 1),
        ('{"id": 1, "a": {"b": 1000}}', '{"id": 1, "a": {"b": 1000.1}}', 0),
        ('{"id": 1}\n{"id": 2}', '{"id": 2}\n{"id": 1}', 0),
        ('{"id": 1}\n{"id": 2}', '{"id": 1}', 1),
        ("", "", 4),
    ],
)
def test_records_agree_or_not(parity: Parity, old: str, new: str, code: int) -> None:
    assert parity(old, new)[0] == code


def test_the_worst_differences_come_first(parity: Parity) -> None:
    old = '{"id": 1, "n": 100}\n{"id": 2, "n": 100}\n{"id": 3, "kind": "a"}\n{"id": 4, "n": 100}'
    new = '{"id": 1, "n": 101}\n{"id": 2, "n": 150}\n{"id": 3, "kind": "b"}\n{"id": 4, "n": 100}'
    code, text = parity(old, new, "--worst", "2")
    assert code == 1
    assert text.splitlines() == [
        "rollback (mismatch): 3 of 4 records do not match (75%)",
        "  3 kind: a -> b",
        "  2 n: 100 -> 150 (33.3%)",
    ]


def test_csv_compares_numbers_as_numbers_and_codes_as_codes(parity: Parity) -> None:
    assert parity("id,n,zip\n1,1.0,007\n", "id,n,zip\n1,1,007\n", suffix=".csv")[0] == 0
    assert parity("id,n,zip\n1,1.0,007\n", "id,n,zip\n1,1,7\n", suffix=".csv")[0] == 1
    assert parity("id,n\n1,nan\n", "id,n\n1,NaN\n", suffix=".csv")[0] == 0


def test_json_is_a_list_of_records(parity: Parity) -> None:
    assert parity('[{"id": 1}]', '[{"id": 1}]', suffix=".json")[0] == 0


@pytest.mark.parametrize(
    ("old", "suffix", "said"),
    [
        ('{"id": 1}\n{"id": 1}', ".jsonl", "old.jsonl:2:1: `id` '1' is there twice, first in line 1"),
        ('{"name": 1}', ".jsonl", "old.jsonl:1:1: the record has no `id`"),
        ('{"id": NaN}', ".jsonl", "old.jsonl:1:1: `id` is no text or number here"),
        ('{"id": [1]}', ".jsonl", "old.jsonl:1:1: `id` is no text or number here"),
        ('{"id": 1}\n{"id" 2}', ".jsonl", "old.jsonl:2:7: this is not JSON"),
        ("7", ".jsonl", "old.jsonl:1:1: a record is an object"),
        ('{"id": 1}', ".json", "a JSON file holds a list of records"),
        ("id,n\n1,2,3\n", ".csv", "old.csv:2:1: the row has not as many fields as the head"),
        ("[" * 100_000, ".json", "old.json:1:1: this is nested too deeply"),
        ("{}", ".txt", "`.txt` is none of them"),
    ],
)
def test_what_cannot_be_compared_is_told_with_its_place(parity: Parity, old: str, suffix: str, said: str) -> None:
    code, text = parity(old, old, suffix=suffix)
    assert code == 2
    assert said in text
    assert "Traceback" not in text


def test_a_file_that_is_no_text(parity: Parity, tmp_path: Path) -> None:
    file = tmp_path / "bin.jsonl"
    file.write_bytes(b"\xff\xfe\x00")
    assert main(["canary", "parity", str(file), str(file), "--key", "id"]) == 2
    assert "bin.jsonl:1:1: this is no UTF-8 text" in parity.capsys.readouterr().err


@pytest.mark.parametrize("numbers", ["0.1", "-1%", "x%", "NaN%"])
def test_a_tolerance_is_a_percentage(parity: Parity, numbers: str) -> None:
    code, text = parity('{"id": 1}', '{"id": 1}', f"--numbers={numbers}")
    assert (code, "is no percentage; write 0.1%" in text) == (2, True)


numbers = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6)


@pytest.mark.property
@given(numbers, numbers)
def test_the_difference_has_no_direction(old: Decimal, new: Decimal) -> None:
    assert difference(old, new) == difference(new, old) >= 0
    assert (difference(old, new) == 0) == (old == new)


def test_the_library_gives_the_numbers(tmp_path: Path) -> None:
    for name, value in (("old", 1), ("new", 2)):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"id": 1, "n": {value}}}')
    found = compare(tmp_path / "old.jsonl", tmp_path / "new.jsonl", "id", TOLERANCE)
    assert (found.records, found.mismatches, found.ratio, found.worst[0].by) == (1, 1, 1.0, 0.5)
