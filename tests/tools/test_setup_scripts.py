"""What `make` says and does on machines that differ from ours, played with fake programs on PATH."""

import shutil
import subprocess
from pathlib import Path

import pytest

from testing.servers import ROOT

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


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("mosquitto", "mosquitto version 2.0.11"),
        ("redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1"),
        ("postgres", "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"),
    ],
)
def test_the_version_of_each_program_is_read(machine: Path, name: str, answer: str) -> None:
    install(machine, name, f"echo '{answer}'")
    assert run(machine, "tools/debian-package", name, "2.0", name) == (0, "")
    assert run(machine, "tools/debian-package", name, "16.0", name)[0] == 1


def test_a_program_that_debian_splits_is_unpacked_from_both_packages_and_started_with_its_libraries(
    machine: Path,
) -> None:
    """`redis-server` is a link to a program of `redis-tools`, which here runs only with a library beside it."""
    for name in ("cp", "chmod", "echo", "grep", "ls", "mv", "tr"):
        (machine / "bin" / name).symlink_to(shutil.which(name) or name)
    install(machine, "apt-get", 'for last; do :; done; echo "$last" > "${last}_1.deb"')
    program = 'case $LD_LIBRARY_PATH in *-linux-gnu*) echo "Redis server v=7.0.15 sha=0" ;; *) exit 127 ;; esac'
    install(
        machine,
        "dpkg",
        f"""
        case $1 in
        -s) exit 1 ;;
        -f) case $(cat "$2") in redis-tools) echo 'libjemalloc2 (>= 3.5.0)' ;; esac; exit 0 ;;
        esac
        mkdir -p "$3/usr/bin" "$3/usr/lib/x86_64-linux-gnu"
        case $(cat "$2") in
        redis-server) ln -s redis-check-rdb "$3/usr/bin/redis-server" ;;
        redis-tools) printf '%s\n' '#!/bin/sh' '{program}' > "$3/usr/bin/redis-check-rdb"
            chmod +x "$3/usr/bin/redis-check-rdb" ;;
        libjemalloc2) : > "$3/usr/lib/x86_64-linux-gnu/libjemalloc.so.2" ;;
        esac""",
    )
    (machine / "bin" / "ln").symlink_to(shutil.which("ln") or "ln")
    code, said = run(machine, "tools/debian-package", "redis-server+redis-tools", "6.0", "redis-server")
    assert (code, said) == (0, "Downloading Debian's redis-server (not installed, nothing is started)\n")
    unpacked = machine / ".cache/debian/redis-server"
    assert (unpacked / "usr/lib/x86_64-linux-gnu/libjemalloc.so.2").exists()
    assert run(machine, str(unpacked / "usr/bin/redis-server"), "--version") == (0, "Redis server v=7.0.15 sha=0\n")


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
    assert run(machine, "tools/virtual-environment", "python3") == (
        1,
        "tools/virtual-environment: Python 3.9.2 is too old: sloctl needs 3.11 or later. Run: make PYTHON=python3.11\n",
    )


def test_a_missing_python_is_named_with_what_to_do(machine: Path) -> None:
    code, said = run(machine, "tools/virtual-environment", "python3")
    assert code == 1
    assert "no python3 here; install Python 3.11 or later" in said


def test_without_root_a_python_without_venv_is_one_line_to_run(machine: Path) -> None:
    (machine / "bin" / "id").unlink()
    install(machine, "id", "echo 1000")
    install(machine, "sudo", "echo 'sudo: a password is required' >&2; exit 1")
    install(machine, "apt-get", "exit 0")
    answer = 'case "$2" in *-venv*) echo python3.11-venv ;; *ensurepip*) exit 1 ;; esac'
    install(machine, "python3", answer)
    assert run(machine, "tools/virtual-environment", "python3") == (
        1,
        "tools/virtual-environment: python3 has no ensurepip. Run this as root, then make again: "
        "apt-get install python3.11-venv\n",
    )
