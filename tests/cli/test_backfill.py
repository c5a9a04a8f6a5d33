"""`sloctl backfill`: a script on standard output, findings on standard error, or an error that says what to write."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sloctl.cli import main

SPEC = """
apiVersion: sloctl/v1
kind: Service
service: api
slos:
  - {name: ok, objective: 99.9%, window: 7d, sli: {ratio: {total: requests_total, bad_if: 'code="500"'}}, alerts: none}
"""
PROMETHEUS = ["--prometheus", "http://localhost:9090"]


@pytest.fixture
def spec(tmp_path: Path) -> str:
    (tmp_path / "spec.yaml").write_text(SPEC)
    return str(tmp_path / "spec.yaml")


def test_the_script_covers_the_window_up_to_three_hours_ago(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backfill", spec, *PROMETHEUS]) == 0
    lines = capsys.readouterr().out.splitlines()
    start, end = (next(int(line.split("=")[1]) for line in lines if line.startswith(name)) for name in ("start", "end"))
    ago = datetime.now(UTC) - timedelta(hours=3)
    assert end == pytest.approx(ago.timestamp(), abs=60)
    assert end - start == 7 * 86400


def test_the_script_is_one_that_a_shell_can_read(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backfill", spec, *PROMETHEUS]) == 0
    ran = subprocess.run(["sh", "-n"], input=capsys.readouterr().out, text=True, capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_script_refuses_a_folder_that_is_not_prometheus_data(
    spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backfill", spec, *PROMETHEUS]) == 0
    words = ["sh", "-s", str(tmp_path)]
    ran = subprocess.run(words, input=capsys.readouterr().out, text=True, capture_output=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr == f"backfill: {tmp_path} is no data folder of Prometheus: it has no wal/\n"


def test_a_password_stays_out_of_the_script_which_takes_it_from_the_environment(
    spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backfill", spec, "--prometheus", "http://user:hunter2@localhost:9090"]) == 0
    script = capsys.readouterr().out
    assert "hunter2" not in script
    words = ["sh", "-s", str(tmp_path)]
    without = subprocess.run(words, input=script, text=True, capture_output=True, check=False)
    assert "PROMETHEUS_URL: set it to http://***@localhost:9090 with its password" in without.stderr
    there = {**os.environ, "PROMETHEUS_URL": "http://user:hunter2@localhost:9090"}
    ran = subprocess.run(words, input=script, text=True, capture_output=True, check=False, env=there)
    assert ran.stderr == f"backfill: {tmp_path} is no data folder of Prometheus: it has no wal/\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--end", "2999-01-01"], "younger samples may still be in Prometheus' head"),
        (["--start", "2026-01-02", "--end", "2026-01-01"], "it must be before the end, 2026-01-01T00:00:00Z"),
        (["--start", "yesterday"], "does not match the formats"),
    ],
)
def test_moments_that_cannot_be_are_refused(
    spec: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backfill", spec, *PROMETHEUS, *words]) == 2
    assert message in capsys.readouterr().err


def test_a_wrong_specification_gives_no_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC.replace("99.9%", "100%"))
    assert main(["backfill", str(tmp_path / "spec.yaml"), *PROMETHEUS]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "spec.yaml:6:" in err
