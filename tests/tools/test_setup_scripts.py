"""What `make` says and does on machines that differ from ours, played with fake programs on PATH."""

import shutil
import subprocess
from pathlib import Path

import pytest

from examples.servers import ROOT

ORDINARY = ("sh", "cat", "dirname", "head", "id", "mkdir", "mktemp", "rm", "sed", "sort", "tail")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A project with its scripts, and a `bin` folder that is all there is on PATH."""
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    (tmp_path / "bin").mkdir()
    for name in ORDINARY:
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    return tmp_path


def install(machine: Path, name: str, script: str) -> None:
    program = machine / "bin" / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def run(machine: Path, *words: str) -> tuple[int, str]:
    finished = subprocess.run(
        words,
        cwd=machine,
        env={"PATH": str(machine / "bin")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return finished.returncode, finished.stdout + finished.stderr


@pytest.mark.parametrize("version", ["2.42.0+ds", "2.100.1", "3.14.0"])
def test_good_programs_on_path_are_used_and_nothing_is_downloaded(machine: Path, version: str) -> None:
    install(machine, "prometheus", f"echo 'prometheus, version {version} (branch: x)'")
    assert run(machine, "tools/debian-package", "prometheus", "2.42", "prometheus") == (0, "")
    assert not (machine / ".cache").exists()


@pytest.mark.parametrize("answer", ["prometheus, version 2.9.2 (branch: x)", "a video game, with aliens", ""])
def test_an_old_or_other_program_of_that_name_is_not_used(machine: Path, answer: str) -> None:
    install(machine, "prometheus", f"echo '{answer}'")
    code, said = run(machine, "tools/debian-package", "prometheus", "2.42", "prometheus", "promtool")
    assert code == 1
    assert said == (
        "tools/debian-package: no apt-get here; install prometheus 2.42 or later, "
        "so that these are on PATH: prometheus promtool\n"
    )


def test_a_download_that_fails_shows_why_and_leaves_nothing(machine: Path) -> None:
    install(machine, "apt-get", "echo 'E: Unable to locate package prometheus'; exit 100")
    install(machine, "dpkg", "exit 1")
    code, said = run(machine, "tools/debian-package", "prometheus", "2.42", "prometheus")
    assert code == 1
    assert "E: Unable to locate package prometheus" in said
    assert "apt cannot download prometheus; check the network" in said
    assert list((machine / ".cache" / "debian").iterdir()) == []


def test_an_old_python_is_named_with_what_to_do(machine: Path) -> None:
    install(machine, "python3", 'case "$1" in --version) echo Python 3.9.2 ;; *) exit 1 ;; esac')
    assert run(machine, "tools/virtual-environment", "python3", "-e", ".") == (
        1,
        "tools/virtual-environment: Python 3.9.2 is too old: sloctl needs 3.11 or later. Run: make PYTHON=python3.11\n",
    )


def test_a_missing_python_is_named_with_what_to_do(machine: Path) -> None:
    code, said = run(machine, "tools/virtual-environment", "python3", "-e", ".")
    assert code == 1
    assert "no python3 here; install Python 3.11 or later" in said


def test_without_root_a_python_without_venv_is_one_line_to_run(machine: Path) -> None:
    (machine / "bin" / "id").unlink()
    install(machine, "id", "echo 1000")
    install(machine, "sudo", "echo 'sudo: a password is required' >&2; exit 1")
    install(machine, "apt-get", "exit 0")
    answer = 'case "$2" in *-venv*) echo python3.11-venv ;; *ensurepip*) exit 1 ;; esac'
    install(machine, "python3", answer)
    assert run(machine, "tools/virtual-environment", "python3", "-e", ".") == (
        1,
        "tools/virtual-environment: python3 has no ensurepip. Run this as root, then make again: "
        "apt-get install python3.11-venv\n",
    )
