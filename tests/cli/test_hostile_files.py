"""Files and folders that nobody wants: the command line ends with a sentence, soon, and in little memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.measured import measured
from sloctl.cli import main
from sloctl.diagnostics import Diagnostics
from sloctl.language.files import read_file

GOOD = """apiVersion: sloctl/v1
kind: Service
service: checkout
slos:
  - {name: ok, objective: 99.9%, alerts: none, sli: {ratio: {total: a_total, bad: b_total}}}
"""
PLATFORM = "apiVersion: sloctl/v1\nkind: Platform\nname: shop\n"
MIB = 1024 * 1024


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main(list(words))
    out, err = capsys.readouterr()
    return code, out + err


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("form", ["text", "json", "github"])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.mkdir(), "this folder holds no specification"),
        (os.mkfifo, "this is a pipe, socket or device, not a file"),
        (lambda path: path.symlink_to("/dev/zero"), "so it is not read"),
        (lambda path: path.symlink_to(path), "the file cannot be read: too many levels of symbolic links"),
        (lambda path: path.symlink_to("nowhere"), "the file cannot be read: no such file or directory"),
        (lambda path: None, "there is no such file or folder"),
        (lambda path: path.write_text(""), "there is no SLO here"),
        (lambda path: path.write_bytes(b"\xff\xfea"), "the file is UTF-16"),
        (lambda path: path.write_bytes(b"a: " + b"x" * MIB), "the file is larger than 1 MiB"),
    ],
)
def test_what_is_no_specification_is_a_finding(
    make: Callable[[Path], object], said: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make(Path("a.yaml"))
    code, printed = run("validate", "a.yaml", "--format", form, capsys=capsys)
    assert code == 1
    assert said in printed


def test_a_pipe_or_a_dead_link_in_a_folder_is_named_and_the_others_are_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("specs").mkdir()
    Path("specs/good.yaml").write_text(GOOD.replace("99.9%", "99.9"))
    os.mkfifo("specs/pipe.yaml")
    Path("specs/gone.yaml").symlink_to("nowhere")
    code, printed = run("validate", "specs", capsys=capsys)
    assert code == 1
    for place in ("specs/good.yaml:5", "specs/pipe.yaml:1:1", "specs/gone.yaml:1:1"):
        assert place in printed


def test_a_pattern_without_a_file_and_a_folder_without_specifications_are_findings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("specs/.hidden").mkdir(parents=True)
    Path("specs/.hidden/a.yaml").write_text(GOOD)
    Path("specs/.b.yaml").write_text(GOOD)
    Path("specs/readme.txt").write_text(GOOD)
    for path in ("specs", "specs/*.yaml", "nowhere", "specs/**/x.yaml"):
        code, printed = run("generate", path, "-o", "out", capsys=capsys)
        assert (code, "SLO047" in printed) == (1, True), path
    assert not Path("out").exists()


def test_a_folder_that_promises_nothing_is_a_finding_and_a_named_platform_is_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("specs").mkdir()
    Path("specs/platform.yaml").write_text(PLATFORM)
    assert run("validate", "specs", capsys=capsys)[0] == 1
    assert run("validate", "specs/platform.yaml", capsys=capsys) == (0, "0 SLOs of 0 services are valid.\n")
    Path("specs/empty.yaml").write_text("# nothing\n")
    assert run("validate", "specs/empty.yaml", capsys=capsys)[0] == 1  # the Platform was not asked for


def test_a_folder_that_cannot_be_listed_is_a_finding(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("specs/closed").mkdir(parents=True)
    Path("specs/a.yaml").write_text(GOOD)
    Path("specs/closed/b.yaml").write_text(GOOD.replace("checkout", "cart"))
    listed = os.scandir

    def refuse(path: str) -> object:  # root can list everything, so the permission is simulated
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refuse)
    code, printed = run("generate", "specs", "-o", "out", capsys=capsys)
    assert code == 1
    assert "specs/closed:1:1: error[SLO001]: the folder cannot be read: permission denied" in printed
    assert not Path("out").exists()


def _nested_mappings() -> str:
    return "{a: " * 200_000


def _many_wrong_slos() -> str:
    return GOOD + "".join(f"  - {{name: s{number}, objctive: 99}}\n" for number in range(25_000))


def _many_good_slos() -> str:
    slo = "  - {{name: s{}, objective: 99.9%, alerts: none, sli: {{ratio: {{total: a_total, bad: b_total}}}}}}\n"
    return GOOD + "".join(slo.format(number) for number in range(6_000))


def _many_keys() -> str:
    return GOOD + "".join(f"key{number}: 1\n" for number in range(50_000))


def _many_references() -> str:
    return GOOD + "".join(f"  - {{name: s{number}, objective: 99%, sli: nonee}}\n" for number in range(20_000))


def _long_regex() -> str:
    return GOOD.replace("a_total", "'a_total{x=~\"" + "(a?){30}" * 200 + "\"}'")


HOSTILE = {
    "brackets": lambda: "[" * 200_000,
    "nested mappings": _nested_mappings,
    "one line": lambda: "a: '" + "x" * (MIB - 10) + "'",
    "colons": lambda: ":" * (MIB - 10),
    "dashes": lambda: "- " * (MIB // 2 - 10),
    "documents": lambda: "---\n" * (MIB // 4 - 10),
    "quotes": lambda: "'" * (MIB - 10),
    "comments": lambda: "#\n" * (MIB // 2 - 10),
    "bidi": lambda: "\u202e" * (MIB // 3 - 10),
    "many wrong SLOs": _many_wrong_slos,
    "many keys": _many_keys,
    "many references to nothing": _many_references,
    "long regular expression": _long_regex,
    "many good SLOs": _many_good_slos,
    "PromQL": lambda: GOOD.replace("a_total", "'" + "(" * 8_000 + "'"),
    "operators": lambda: GOOD.replace("a_total", "'" + "a+" * 8_000 + "a'"),
}


VALID = {"long regular expression", "many good SLOs"}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_megabyte_of_anything_is_answered_within_256_mib(kind: str) -> None:
    Path("a.yaml").write_text(HOSTILE[kind]()[: MIB - 1], encoding="utf-8")
    done = measured([sys.executable, "-m", "sloctl", "validate", "a.yaml"])
    assert done.exit_code == (kind not in VALID), done.said[-500:]
    assert ("a.yaml:" in done.said) == (kind not in VALID)
    assert "bug" not in done.said
    assert done.memory <= 256, f"{done.memory:.0f} MiB"
    assert done.cpu < 60


SECRET = "secret_of_the_machine: [\n"


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a text that is none of ours, beside a repository that we are in."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/a.yaml").write_text(SECRET)
    (tmp_path / "repository/.git").mkdir(parents=True)
    (tmp_path / "repository/slo-specs").mkdir()
    (tmp_path / "repository/slo-specs/good.yaml").write_text(GOOD)
    monkeypatch.chdir(tmp_path / "repository")
    return tmp_path / "outside"


READING = [
    ["validate"],
    ["validate", "slo-specs/*.yaml", "slo-specs/*/*.yaml"],
    ["validate", "slo-specs/a.yaml"],
    ["validate", "../repository/slo-specs"],
    ["validate", "--root", "."],
    ["validate", "--format", "json"],
    ["generate"],
    ["show"],
    ["explain"],
    ["diff", "slo-specs", "slo-specs"],
    ["backfill", "--prometheus", "http://localhost:1", "--remote-write", "http://localhost:1"],
    ["backtest", "--prometheus", "http://localhost:1"],
    ["routes", "test"],
    ["canary", "evaluate", "--service", "a", "--canary", "b", "--stable", "c", "--prometheus", "http://localhost:1"],
    ["canary", "serve", "--prometheus", "http://localhost:1"],
]


@pytest.mark.parametrize("words", READING, ids=" ".join)
@pytest.mark.parametrize("link", ["slo-specs/a.yaml", "slo-specs/folder", "slo-specs"])
def test_a_link_that_leaves_the_repository_is_refused_and_never_quoted(
    outside: Path, link: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if link == "slo-specs":
        Path("slo-specs/good.yaml").unlink()
        Path("slo-specs").rmdir()
    Path(link).symlink_to(outside / "a.yaml" if link.endswith(".yaml") else outside)
    code, printed = run(*words, capsys=capsys)
    assert "secret" not in printed
    if words[-1].endswith("*.yaml") or link != "slo-specs/folder":  # a walk does not go through links to folders
        assert code in {1, 2}
        assert f"this leads out of {Path.cwd()}, so it is not read" in printed


def test_a_link_that_leads_elsewhere_in_the_repository_is_read(
    outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("shared").mkdir()
    Path("shared/platform.yaml").write_text(PLATFORM)
    Path("slo-specs/platform.yaml").symlink_to("../shared/platform.yaml")
    Path("linked").symlink_to("slo-specs")
    assert run("validate", "linked", capsys=capsys) == (0, "1 SLO of 1 service is valid.\n")


def test_a_folder_above_both_may_be_named_as_the_root(outside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (outside / "a.yaml").write_text(GOOD.replace("checkout", "cart"))
    Path("slo-specs/a.yaml").symlink_to(outside / "a.yaml")
    assert run("validate", "--root", "..", capsys=capsys) == (0, "2 SLOs of 2 services are valid.\n")


def test_a_platform_above_that_is_a_link_out_of_the_repository_is_refused(
    outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (outside / "a.yaml").write_text("kind: Platform\n" + SECRET)
    Path("platform.yaml").symlink_to(outside / "a.yaml")
    code, printed = run("validate", capsys=capsys)
    assert (code, "secret" in printed) == (1, False)
    assert "platform.yaml:1:1: error[SLO001]: this leads out of" in printed


def test_what_is_named_outside_of_the_repository_has_a_root_of_its_own(
    outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where a ConfigMap is mounted, whose files are links within their folder; links out of it are refused."""
    (outside / "a.yaml").write_text(GOOD)
    (outside / "b.yaml").symlink_to("a.yaml")
    assert run("validate", str(outside), capsys=capsys) == (0, "1 SLO of 1 service is valid.\n")
    (outside / "b.yaml").unlink()
    (outside / "b.yaml").symlink_to("/proc/self/environ")
    code, printed = run("validate", str(outside), capsys=capsys)
    assert (code, printed.count("error[")) == (1, 1)
    assert f"this leads out of {outside}, so it is not read" in printed


def test_a_repository_beyond_a_link_is_no_root(outside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (outside / ".git").mkdir()
    (outside / "folder").mkdir()
    Path("slo-specs/folder").symlink_to(outside)
    for path in ("slo-specs/*/a.yaml", "slo-specs/folder", "slo-specs/folder/a.yaml"):
        for here in (path, str(Path(path).absolute())):
            code, printed = run("validate", here, capsys=capsys)
            assert (code, "secret" in printed) == (1, False)


def test_a_file_that_becomes_a_link_after_it_was_looked_at_is_refused(outside: Path) -> None:
    found, here = Diagnostics(), str(Path.cwd())
    Path("slo-specs/good.yaml").unlink()
    Path("slo-specs/good.yaml").symlink_to(outside / "a.yaml")
    assert read_file("slo-specs/good.yaml", found, here) is None
    assert [finding.message for finding in found] == [f"this leads out of {here}, so it is not read"]
