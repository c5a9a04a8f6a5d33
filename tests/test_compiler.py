"""Whole specifications compile to whole trees of files; the files are a function of the specifications alone."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from sloctl.artifacts import MANIFEST
from sloctl.backends.table import BACKENDS
from sloctl.compiler import compile_specs
from tests.conftest import TESTS, Golden, Promtool
from tests.golden_files import read_tree

GOLDEN = TESTS / "golden"
CASES = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())


def compiled(spec: Path) -> dict[str, bytes]:
    compilation = compile_specs([str(spec)], [BACKENDS[name] for name in ("prometheus", "alertmanager", "argo")])
    assert compilation.found.errors == []
    return {file.path: file.content for file in compilation.files}


@pytest.mark.parametrize("case", CASES)
def test_a_specification_compiles_to_the_expected_tree(case: str, golden: Golden) -> None:
    golden(case, compiled(GOLDEN / case / "spec"))


@pytest.mark.server
@pytest.mark.parametrize("case", CASES)
def test_promtool_accepts_every_expected_rule_file_without_a_lint_finding(case: str, promtool: Promtool) -> None:
    files = sorted((GOLDEN / case / "expected" / "rules" / "prometheus").rglob("*.yaml"))
    assert files
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", *files)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.server
def test_promtool_accepts_the_shipped_rules_without_a_lint_finding(promtool: Promtool) -> None:
    files = sorted((TESTS.parent / "rules" / "prometheus").rglob("*.yaml"))
    assert files
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", *files)
    assert checked.returncode == 0, checked.stdout


def test_the_shipped_rules_are_what_the_shipped_specifications_compile_to() -> None:
    shipped = {f"rules/{path}": content for path, content in read_tree(TESTS.parent / "rules").items()}
    made = compiled(TESTS.parent / "slo-specs")
    assert {path: content for path, content in shipped.items() if not path.endswith(MANIFEST)} == made


def test_the_order_of_files_hash_seeds_locale_and_folder_change_no_byte(tmp_path: Path) -> None:
    specs = sorted(str(path) for path in (GOLDEN / "ratios" / "spec").glob("*.yaml"))
    outputs = set()
    for seed in ("0", "1", "77"):
        random.Random(seed).shuffle(specs)
        output, folder = tmp_path / seed / "out", tmp_path / seed / "elsewhere"
        folder.mkdir(parents=True)
        environment = os.environ | {"PYTHONHASHSEED": seed, "LC_ALL": "C", "TZ": "Asia/Kolkata"}
        subprocess.run(
            [sys.executable, "-m", "sloctl", "generate", *specs, "-o", output], cwd=folder, env=environment, check=True
        )
        tree = read_tree(output / "rules" / "prometheus")
        outputs.add(tuple(sorted(tree.items())))
    assert len(outputs) == 1
