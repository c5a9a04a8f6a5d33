"""Exit codes and words of the command line, as a user and a CI job see them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from sloctl.cli import cli, main

GOOD = """apiVersion: sloctl/v1
kind: Service
service: checkout
slos:
  - name: availability
    objective: 99.9%
    alerts: none
    sli: {ratio: {total: requests_total, bad: failures_total}}
"""


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slo-specs").mkdir()
    (tmp_path / "slo-specs" / "checkout.yaml").write_text(GOOD)
    monkeypatch.chdir(tmp_path)


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(list(words))
    out, err = capsys.readouterr()
    return code, out, err


def test_a_valid_folder_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("validate", capsys=capsys) == (0, "1 SLO of 1 service is valid.\n", "")


def test_findings_end_with_1_and_wrong_usage_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    Path("slo-specs/checkout.yaml").write_text(GOOD.replace("99.9%", "99.9"))
    assert run("validate", capsys=capsys)[0] == 1
    assert run("generate", "--only", "pager", capsys=capsys)[0] == 2
    assert run("frobnicate", capsys=capsys)[0] == 2


def test_a_warning_stops_only_a_strict_run(capsys: pytest.CaptureFixture[str]) -> None:
    Path("slo-specs/checkout.yaml").write_text(GOOD.replace("    alerts: none\n", ""))
    code, _, err = run("validate", capsys=capsys)
    assert code == 0
    assert "warning[SLO102]" in err
    assert run("validate", "--strict", capsys=capsys)[0] == 1


def test_an_output_that_cannot_be_written_ends_with_3_and_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    Path("rules").write_text("in the way")
    code, _, err = run("generate", capsys=capsys)
    assert code == 3
    assert err == "sloctl: rules is a file: sloctl writes into real folders only\n"
    assert Path("rules").read_text() == "in the way"


def test_a_bug_ends_with_70_and_says_how_to_report_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("sloctl.compiler.compile_specs", broken)
    code, _, err = run("validate", capsys=capsys)
    assert code == 70
    assert "this is a bug of sloctl's: ZeroDivisionError" in err
    assert "Traceback" not in err
    report = Path(err.split("report it with ")[1].split(",")[0])
    assert "ZeroDivisionError" in report.read_text()
    report.unlink()


def test_a_command_whose_extra_is_missing_ends_with_2_and_says_what_to_install() -> None:
    program = "import sys; sys.modules['sqlalchemy'] = None; import sloctl.cli; sloctl.cli.run()"
    ran = subprocess.run(
        [sys.executable, "-c", program, "canary", "verify"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert ran.stderr == "sloctl: this command needs more packages: pip install 'sloctl[canary]' (sqlalchemy)\n"


@pytest.mark.parametrize(
    ("module", "extra"), [("sloctl.history.tiles", "history"), ("sloctl.canary.judging", "canary")]
)
def test_the_smallest_extra_that_is_enough_is_named(module: str, extra: str) -> None:
    program = (
        "import sys; sys.modules['numpy'] = None; from sloctl import cli\n"
        f"try:\n    import {module}\nexcept ImportError as error:\n    print(cli._extra(error))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.stdout == f"{extra}\n", ran.stderr


def test_bad_specifications_leave_earlier_outputs_as_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("generate", capsys=capsys)[0] == 0
    before = {path: path.read_bytes() for path in Path("rules").rglob("*") if path.is_file()}
    Path("slo-specs/other.yaml").write_text(GOOD.replace("checkout", "other").replace("99.9%", "100%"))
    assert run("generate", capsys=capsys)[0] == 1
    assert {path: path.read_bytes() for path in Path("rules").rglob("*") if path.is_file()} == before


def test_one_changed_byte_makes_check_name_the_file_and_end_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    run("generate", capsys=capsys)
    file = Path("rules/prometheus/default/checkout.yaml")
    content = file.read_bytes()
    file.write_bytes(content.replace(b"0.001", b"0.002", 1))
    code, out, _ = run("generate", "--check", capsys=capsys)
    assert (code, out.splitlines()[0]) == (1, "changed: rules/prometheus/default/checkout.yaml")
    file.unlink()
    Path("rules/prometheus/default/mine.yaml").write_text("groups: []\n")
    assert run("generate", "--check", capsys=capsys)[1] == (
        "missing: rules/prometheus/default/checkout.yaml\nstray: rules/prometheus/default/mine.yaml\n"
    )


def test_specifications_come_from_standard_input_and_rules_go_to_standard_output(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(GOOD.encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    code, out, err = run("generate", "-", "-o", "-", capsys=capsys)
    assert (code, err) == (0, "")
    assert "# rules/prometheus/default/checkout.yaml\n" in out
    assert not Path("rules").exists()


def test_json_findings_can_be_read_by_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    Path("slo-specs/checkout.yaml").write_text(GOOD.replace("objective", "objctive"))
    findings = json.loads(run("validate", "--format", "json", capsys=capsys)[2])
    assert findings[0] == {
        "severity": "error",
        "code": "SLO016",
        "message": "unknown key `objctive`",
        "path": "slo-specs/checkout.yaml",
        "line": 6,
        "column": 5,
        "help": "did you mean `objective`?",
        "related": [],
    }


def test_text_of_a_specification_cannot_give_orders_to_a_terminal_or_to_github(
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = Path("slo-specs/a\x1b[31m\n::error:")
    folder.mkdir(parents=True)
    (folder / "x.yaml").write_text("kind: \u200bService\n")
    for form in ("text", "github"):
        err = run("validate", "--format", form, capsys=capsys)[2]
        assert "\x1b[31m" not in err
        assert not [line for line in err.splitlines() if line.startswith("::error:") and "x.yaml" not in line]


def test_a_platform_above_a_single_file_applies_as_in_a_full_run(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".git").mkdir()
    Path("slo-specs/platform.yaml").write_text("apiVersion: sloctl/v1\nkind: Platform\nname: shop\n")
    Path("slo-specs/deep").mkdir()
    Path("slo-specs/checkout.yaml").rename("slo-specs/deep/checkout.yaml")
    run("generate", "-o", "full", capsys=capsys)
    run("generate", "slo-specs/deep/checkout.yaml", "-o", "single", capsys=capsys)
    name = "rules/prometheus/shop/checkout.yaml"
    assert Path("full", name).read_bytes() == Path("single", name).read_bytes()


def test_the_module_runs_as_the_command() -> None:
    ran = subprocess.run([sys.executable, "-m", "sloctl", "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("sloctl, version ")


def test_help_shows_each_command_once_with_its_whole_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name, command in cli.commands.items():
        sentence = command.get_short_help_str(limit=200)
        assert f" {name} {sentence}" in shown
        assert sentence.endswith((".", "?"))
    assert "..." not in shown.partition("Options")[2]
