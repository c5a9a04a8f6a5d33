"""`sloctl generate` against kills, full disks, other generators, and every order and place it may be run in."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sloctl.cli import main
from testing.servers import ROOT
from tests.golden_files import read_tree

SPECS = ROOT / "tests" / "golden" / "ratios" / "spec"
SLOCTL = [sys.executable, "-m", "sloctl"]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(SPECS, tmp_path / "slo-specs" / "shop")
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(list(words))
    out, err = capsys.readouterr()
    return code, out, err


def test_200_kills_leave_no_half_file_and_the_next_run_converges(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.artifacts.killed_runs", tmp_path, "200", "20260417"]
    found = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=1800).stdout)
    assert found.pop("interrupted") > 20, "the kills came at moments when nothing was being written"
    assert found == {}


def test_a_full_disk_ends_with_3_and_leaves_everything_as_it_was(workplace: Path) -> None:
    subprocess.run([*SLOCTL, "generate"], check=True, capture_output=True)
    before = read_tree(workplace / "rules")
    spec = workplace / "slo-specs" / "shop" / "web.yaml"
    spec.write_text(spec.read_text().replace("99.9%", "99.8%"))
    small = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); "
    script = f"{small} import sys; from sloctl.cli import main; sys.exit(main(['generate']))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (3, "sloctl: cannot write below .: File too large")
    assert read_tree(workplace / "rules") == before
    assert not list(workplace.glob(".sloctl-*"))


def test_an_output_that_cannot_be_written_ends_with_3(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run("generate", "-o", "/proc/sloctl", capsys=capsys)
    assert code == 3
    assert err.splitlines()[-1].startswith("sloctl: cannot write below /proc/sloctl: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_output_ends_with_3(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workplace / "out").mkdir(mode=0o555)
    code, _, err = run("generate", "-o", "out", capsys=capsys)
    assert (code, err.splitlines()[-1]) == (3, "sloctl: cannot write below out: Permission denied")


def test_a_linked_output_is_refused_with_3(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workplace / "elsewhere").mkdir()
    (workplace / "rules").symlink_to("elsewhere")
    code, _, err = run("generate", capsys=capsys)
    assert (code, err.splitlines()[-1]) == (3, "sloctl: rules is a symbolic link: sloctl writes into real folders only")
    assert not list((workplace / "elsewhere").iterdir())


def test_of_16_generators_at_once_each_writes_everything_or_nothing(workplace: Path) -> None:
    subprocess.run([*SLOCTL, "generate", "-o", "alone"], check=True, capture_output=True)
    command = [*SLOCTL, "generate", "-o", "out"]
    started = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(16)]
    ended = [(process.communicate()[1].decode(), process.returncode) for process in started]
    codes = [code for _, code in ended]
    assert 0 in codes
    assert set(codes) <= {0, 3}
    assert all("wait until it is done" in said for said, code in ended if code == 3)
    assert read_tree(workplace / "out") == read_tree(workplace / "alone")


def test_check_shows_the_lines_that_differ(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("generate", capsys=capsys)[0] == 0
    rules = workplace / "rules/prometheus/shop/web.yaml"
    rules.write_text(
        rules.read_text().replace("interval: 1m", "interval: 9m", 1).replace("# Written", "# \x1b[31mWritten")
    )
    code, out, err = run("generate", "--check", capsys=capsys)
    assert (code, err.splitlines()[-1]) == (1, "Run `sloctl generate` and commit what it writes.")
    lines = out.splitlines()
    assert lines[0] == "changed: rules/prometheus/shop/web.yaml"
    assert "-    interval: 9m" in lines
    assert "+    interval: 1m" in lines
    assert "\x1b" not in out, "what stands in a file never reaches the terminal as it is"


def test_the_diff_of_a_check_is_bounded(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("generate", capsys=capsys)[0] == 0
    rules = workplace / "rules/prometheus/shop/web.yaml"
    rules.write_text("".join(f"# {line}\n" for line in rules.read_text().splitlines()))
    out = run("generate", "--check", capsys=capsys)[1].splitlines()
    assert out[-1] == "  (more than 60 lines differ)"
    assert len(out) == 62


SECOND = """apiVersion: sloctl/v1
kind: Service
service: cart
slos:
  - {name: availability, objective: 99.9%, sli: {ratio: {total: requests_total, bad: failures_total}}}
"""


def test_a_run_on_one_file_says_what_it_leaves_alone(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workplace / "slo-specs/shop/cart.yaml").write_text(SECOND)
    assert run("generate", capsys=capsys)[0] == 0
    before = read_tree(workplace / "rules")
    web = "slo-specs/shop/web.yaml"
    code, out, err = run("generate", web, "--only", "prometheus", "--prune", capsys=capsys)
    assert (code, out) == (0, "1 file is up to date.\n")
    # the alerts about the rules themselves name every service of the platform
    left = "rules/prometheus/_sloctl.yaml and 1 others, which come from specifications that this run did not read"
    assert err.splitlines()[-1] == f"left alone: {left}"
    assert read_tree(workplace / "rules") == before
    assert run("generate", web, "--check", capsys=capsys)[:2] == (0, "Everything is up to date.\n")


def test_a_changed_service_is_written_by_a_run_on_its_file_alone(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cart = workplace / "slo-specs/shop/cart.yaml"
    cart.write_text(SECOND)
    assert run("generate", capsys=capsys)[0] == 0
    cart.write_text(SECOND.replace("99.9%", "99.5%"))
    assert run("generate", "slo-specs/shop/cart.yaml", "--check", capsys=capsys)[0] == 1
    assert run("generate", "slo-specs/shop/cart.yaml", capsys=capsys)[1] == "wrote rules/prometheus/shop/cart.yaml\n"
    assert run("generate", "--check", capsys=capsys)[:2] == (0, "Everything is up to date.\n")


def test_a_removed_specification_leaves_stray_files_that_pruning_removes(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cart = workplace / "slo-specs/shop/cart.yaml"
    cart.write_text(SECOND)
    assert run("generate", capsys=capsys)[0] == 0
    cart.unlink()
    assert "stray: rules/prometheus/shop/cart.yaml\n" in run("generate", "--check", capsys=capsys)[1]
    assert "--prune removes it" in run("generate", capsys=capsys)[2]
    assert "removed rules/prometheus/shop/cart.yaml\n" in run("generate", "--prune", capsys=capsys)[1]
    assert run("generate", "--check", capsys=capsys)[0] == 0


def test_order_hash_seed_locale_zone_and_folder_change_no_byte(tmp_path: Path) -> None:
    outputs = set()
    for seed, locale, zone in ((0, "C", "UTC"), (1, "C.UTF-8", "Asia/Kolkata"), (77, "POSIX", "America/St_Johns")):
        base = tmp_path / str(seed)
        names = sorted(path.name for path in SPECS.glob("*.yaml"))
        random.Random(seed).shuffle(names)
        for name in names:  # in this order in the folder as well
            (base / "slo-specs").mkdir(parents=True, exist_ok=True)
            shutil.copy(SPECS / name, base / "slo-specs" / name)
        folder = base / "in" / "a" / "folder" if seed else base
        folder.mkdir(parents=True, exist_ok=True)
        paths = [os.path.relpath(base / "slo-specs" / name, folder) for name in names]
        environment = os.environ | {"PYTHONHASHSEED": str(seed), "LC_ALL": locale, "TZ": zone}
        command = [*SLOCTL, "generate", *paths, "-o", os.path.relpath(base, folder)]
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        outputs.add(tuple(sorted(read_tree(base / "rules").items())))
    assert len(outputs) == 1
