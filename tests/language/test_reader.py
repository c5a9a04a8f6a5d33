import io
import json
import os
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloctl.diagnostics import Diagnostics, Place
from sloctl.language.files import MAX_BYTES, read_file
from sloctl.language.reader import MAX_PROBLEMS, read_text
from sloctl.language.tree import Mapping, Sequence


def read(text: str | bytes) -> tuple[list[object], list[str]]:
    """The values of the documents, and the findings as `line:column code`."""
    found = Diagnostics()
    trees = read_text(text.encode() if isinstance(text, str) else text, "a.yaml", found)
    return [tree.value for tree in trees], [f"{each.place.line}:{each.place.column} {each.code}" for each in found]


def problem(text: str | bytes) -> tuple[str, str]:
    """Message and help of the only finding."""
    found = Diagnostics()
    read_text(text.encode() if isinstance(text, str) else text, "a.yaml", found)
    (only,) = found
    return only.message, only.help


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("False", False),
        ("7", 7),
        ("-7", -7),
        ("+7", 7),
        ("0", 0),
        ("99.95", Decimal("99.95")),
        ("1e3", Decimal("1e3")),
        (".5", Decimal("0.5")),
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("22:22", "22:22"),
        ("0777", "0777"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("2026-02-31", "2026-02-31"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("99.95%", "99.95%"),
        ('"7"', "7"),
        ("'null'", "null"),
        ("none", "none"),
        ("True story", "True story"),
        ("x{a='b'}", "x{a='b'}"),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(written: str, value: object) -> None:
    ((document,), findings) = read(f"key: {written}\n")
    assert document == {"key": value}
    assert type(document["key"]) is type(value)
    assert findings == []


def test_decimals_keep_every_digit() -> None:
    ((document,), _) = read("a: 0.1234567890123456789012345678901234567\n")
    assert document == {"a": Decimal("0.1234567890123456789012345678901234567")}


def test_all_documents_of_a_file_are_read() -> None:
    assert read("a: 1\n---\nb: 2\n---\n- c\n") == ([{"a": 1}, {"b": 2}, ["c"]], [])


def test_every_value_and_key_has_its_place() -> None:
    found = Diagnostics()
    (tree,) = read_text(b"a:\n  - b: {c: x, d: 'y'}\n  - |\n    text\n", "a.yaml", found)
    assert tree.place("a", 0, "b", "d") == Place("a.yaml", 2, 18)
    assert tree.key_place("a", 0, "b", "d") == Place("a.yaml", 2, 15)
    assert tree.place("a", 1) == Place("a.yaml", 3, 5)
    assert tree.place() == Place("a.yaml", 1, 1)


def test_an_unknown_path_is_placed_at_the_nearest_value_around_it() -> None:
    (tree,) = read_text(b"a:\n  b: {c: 1}\n", "a.yaml", Diagnostics())
    assert tree.place("a", "b", "x", "y") == Place("a.yaml", 2, 6)
    assert tree.place("a", 3) == Place("a.yaml", 2, 3)


def test_columns_count_characters_not_bytes() -> None:
    (tree,) = read_text("{ü: é, b: 1}".encode(), "a.yaml", Diagnostics())
    assert tree.place("b") == Place("a.yaml", 1, 11)


def test_a_duplicate_key_shows_both_places_and_keeps_the_first() -> None:
    found = Diagnostics()
    (tree,) = read_text(b"a: 1\nb: 2\na: 3\n", "a.yaml", found)
    (only,) = found
    assert (only.code, only.place.line) == ("SLO010", 3)
    assert [each.place for each in only.related] == [Place("a.yaml", 1, 1)]
    assert tree.value == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("a: &x 1\n", ["1:4 SLO008"]),
        ("a: *x\n", ["1:4 SLO008"]),
        ("a: &x [*x]\n", ["1:4 SLO008", "1:8 SLO008"]),
        ("a: {<<: {b: 1}}\n", ["1:5 SLO008"]),
        ("a: !!int 3\n", ["1:4 SLO009"]),
        ("a: !own [1]\n", ["1:4 SLO009"]),
        ("! a: 1\n", ["1:1 SLO009"]),
        ("%YAML 1.1\n---\na: 1\n", ["1:1 SLO009"]),
        ("1: a\n", ["1:1 SLO011"]),
        ("true: a\n", ["1:1 SLO011"]),
        ("? [a]\n: 1\n", ["1:3 SLO011"]),
        ("? {a: b}\n: {c: d}\n", ["1:3 SLO011"]),
        ("{: 1}\n", ["1:2 SLO005"]),
        ("?\n: 1\n", ["1:2 SLO011"]),
        (": 1\n", ["1:1 SLO005"]),
        (f"a: {'9' * 41}\n", ["1:4 SLO012"]),
        ("a: 1e13\n", ["1:4 SLO012"]),
        ("a: 1e-400000000000\n", ["1:4 SLO012"]),
        (f"a: {'9' * 5000}\n", ["1:4 SLO012"]),
        (f"a: '{'x' * 16385}'\n", ["1:4 SLO007"]),
        (f"a: '{'é' * 8193}'\n", ["1:4 SLO007"]),
        ('a: "\\0"\n', ["1:4 SLO004"]),
        ('a: "\\u202e"\n', ["1:4 SLO004"]),
        ('a: "\\x85"\n', ["1:4 SLO004"]),
        ('a: "\\ud800"\n', ["1:7 SLO005"]),
        ("a: \x00\n", ["1:4 SLO004"]),
        ("a: b\rc: d\n", ["1:5 SLO004"]),
        ("é: \u202e\n", ["1:4 SLO004"]),
        ("a: b\u2028\n", ["1:5 SLO004"]),
        ("a: \ufeffb\n", ["1:4 SLO004"]),
        ("a: \x7f\n", ["1:4 SLO004"]),
        ("[" * 33, ["1:33 SLO006"]),
        ("a: [", ["1:4 SLO005"]),
    ],
)
def test_what_is_refused_has_a_code_and_a_place(text: str, findings: list[str]) -> None:
    assert read(text)[1] == findings


def test_several_problems_of_a_file_are_found_at_once() -> None:
    _, findings = read("a: &x 1\nb: !t 2\n1: c\na: 4\n")
    assert findings == ["1:4 SLO008", "2:4 SLO009", "3:1 SLO011", "4:1 SLO010"]


def test_what_is_refused_does_not_swallow_what_follows() -> None:
    values, findings = read("? [a, {b: c}]\n: {d: e}\nf: *x\ng: [1]\n")
    assert findings == ["1:3 SLO011", "3:4 SLO008"]
    assert isinstance(values[0], Mapping)
    assert list(values[0]) == ["f", "g"]
    assert values[0]["g"] == [1]


def test_two_hundred_kilobytes_of_brackets_are_an_error_and_not_a_crash() -> None:
    assert read("[" * 200_000)[1] == ["1:33 SLO006"]
    assert read("x: 1\ny: " + "[é, " * 5_000)[1] == ["2:128 SLO006"]
    assert read("y: [{a: " + "[" * 5_000 + "]" * 5_000 + "}]")[1] == ["1:38 SLO006"]
    assert read("{a: " * 50_000)[1] == ["1:129 SLO006"]
    assert read("- " * 100_000)[1] == ["1:65 SLO006"]


def test_thirty_two_levels_are_allowed() -> None:
    assert read("[" * 32 + "]" * 32)[1] == []


def test_an_alias_bomb_is_refused_before_it_expands() -> None:
    bomb = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))
    _, findings = read(bomb)
    assert {finding.split()[1] for finding in findings} == {"SLO008"}


def test_a_file_of_more_than_one_mebibyte_is_refused() -> None:
    assert read(b"a: " + b"x" * MAX_BYTES) == ([], ["1:1 SLO002"])


def test_a_file_of_too_many_values_is_refused() -> None:
    assert read("- a\n" * 100_001)[1] == ["100000:3 SLO002"]


def test_reading_stops_after_a_thousand_problems() -> None:
    _, findings = read("- &a 1\n" * 5000)
    assert len(findings) == MAX_PROBLEMS + 1
    assert findings[-1] == "1000:3 SLO049"


def test_bytes_that_are_not_utf_8_are_placed() -> None:
    assert read("a: é\nbé: ".encode() + b"\xff\n") == ([], ["2:5 SLO003"])
    assert problem(b"a: \xe9")[0] == "byte 0xE9 is not UTF-8"


def test_utf_16_is_named() -> None:
    assert problem("a: b".encode("utf-16")) == ("the file is UTF-16", "save it as UTF-8")


def test_a_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    found = Diagnostics()
    (tree,) = read_text(b"\xef\xbb\xbfa: b\r\nc: |\r\n  d\r\n  e\r\n", "a.yaml", found)
    assert tree.value == {"a": "b", "c": "d\ne\n"}
    assert tree.place("c") == Place("a.yaml", 2, 4)
    assert found.sources["a.yaml"] == "a: b\nc: |\n  d\n  e\n"


def test_documents_before_broken_yaml_are_kept_and_the_broken_one_is_not() -> None:
    values, findings = read("a: 1\n---\nb: [\n")
    assert values == [{"a": 1}]
    assert findings == ["3:4 SLO005"]


SELECTOR = "put the whole selector in single quotes: 'name{label=\"value\"}'"
CHANNEL = "a `#` begins a comment: put the channel in quotes, such as '#alerts'"


@pytest.mark.parametrize(
    ("text", "help_"),
    [
        ('a: [up{job="x"}]\n', SELECTOR),
        (
            '{a: {total: up{job=~"x"}, bad: y}}\n',
            SELECTOR,
        ),
        ("slack: [#alerts]\n", CHANNEL),
        ("{slack: #alerts}\n", CHANNEL),
        ("a:\n\t- b\n", "indent with spaces"),
        ("a: @x\n", "put the text in quotes"),
        ("a: `x`\n", "put the text in quotes"),
        ('a: "x\n', "close the quote that begins here"),
        (
            "a: b: c\n",
            "check the indentation of this line and the one above; put a text that contains `: ` in quotes",
        ),
    ],
)
def test_broken_yaml_says_what_to_write(text: str, help_: str) -> None:
    assert problem(text)[1] == help_


def test_a_fifo_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    found = Diagnostics()
    assert read_file(str(path), found) is None
    assert [each.message for each in found] == ["this is a pipe, socket or device, not a file"]


def test_devices_folders_and_missing_files_are_refused(tmp_path: Path) -> None:
    found = Diagnostics()
    for path in ("/dev/zero", str(tmp_path), str(tmp_path / "none"), "a\0b"):
        assert read_file(path, found) is None
    assert {each.place.path: each.message for each in found} == {
        "/dev/zero": "this is a pipe, socket or device, not a file",
        str(tmp_path): "this is a folder, not a file",
        str(tmp_path / "none"): "the file cannot be read: no such file or directory",
        "a\0b": "the file cannot be read: not a path",
    }


def test_an_unreadable_file_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1")

    def refuse(*_: object) -> int:  # root can read everything, so the permission is simulated
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    found = Diagnostics()
    assert read_file(str(path), found) is None
    assert [each.message for each in found] == ["the file cannot be read: permission denied"]


def test_standard_input_is_read_for_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a: 1")))
    assert read_file("-", Diagnostics()) == b"a: 1"


def test_only_a_little_more_than_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"x" * (3 * MAX_BYTES))
    text = read_file(str(path), Diagnostics())
    assert text is not None
    assert len(text) == MAX_BYTES + 1


# What YAML is made of, so that random sequences reach deep into the grammar.
PIECES = st.sampled_from(
    [
        *(
            "a",
            "b: ",
            ": ",
            "- ",
            "\n",
            "  ",
            "{",
            "}",
            "[",
            "]",
            ",",
            "'",
            '"',
            "|",
            ">",
            "&x ",
            "*x",
            "!t ",
        ),
        *(
            "? ",
            "#",
            "<<",
            "---\n",
            "...\n",
            "%YAML 1.1\n",
            "1",
            "1e5",
            "~",
            "\\",
            "\\0",
            "\t",
            "é",
            "true",
            "@",
        ),
        *("\u202e", "\x00", "\ufeff"),
    ]
)


@settings(max_examples=400)
@given(st.lists(PIECES, max_size=40).map("".join))
def test_no_text_raises_and_every_finding_lies_within_the_file(text: str) -> None:
    found = Diagnostics()
    read_text(text.encode(), "a.yaml", found)
    lines = text.replace("\r\n", "\n").split("\n")
    for each in found:
        assert each.code.startswith("SLO0")
        assert each.message
        assert 1 <= each.place.line <= len(lines) + 1
        assert each.place.column >= 1


@settings(max_examples=400)
@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    read_text(data, "a.yaml", Diagnostics())


TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200)
@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4))
def test_json_that_another_program_writes_is_read_back_equal(value: dict[str, object]) -> None:
    found = Diagnostics()
    (tree,) = read_text(json.dumps(value).encode(), "a.yaml", found)
    assert list(found) == []
    assert tree.value == value


def test_lists_and_mappings_are_plain_ones_for_everybody_else() -> None:
    ((document,), _) = read("a: [1, {b: 2}]\n")
    assert isinstance(document, dict)
    assert isinstance(document["a"], list)
    assert isinstance(document["a"], Sequence)
