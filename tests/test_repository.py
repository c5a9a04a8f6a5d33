"""What a repository tells people and GitHub: forms by programs we did not write, links that lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

from testing.servers import ROOT

GITHUB = ROOT / ".github"
SCHEMAS = {
    ".github/workflows/test.yml": "github-workflows",
    ".github/ISSUE_TEMPLATE/config.yml": "github-issue-config",
    ".github/ISSUE_TEMPLATE/bug.yml": "github-issue-forms",
    ".github/ISSUE_TEMPLATE/idea.yml": "github-issue-forms",
}
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")
FILE = re.compile(r"`((?:[a-z_]+/)+[a-z_.-]*|\.?[a-zA-Z_-]+\.(?:md|toml|yaml|yml))`")
TARGET = re.compile(r"`make ([a-z][a-z-]*)")
PAGES = ("CONTRIBUTING.md", "SECURITY.md", ".github/PULL_REQUEST_TEMPLATE.md")


def scripts() -> Path:
    return Path(sysconfig.get_path("scripts"))


def test_every_form_for_github_is_checked_below() -> None:
    assert {str(path.relative_to(ROOT)) for path in GITHUB.rglob("*.yml")} == set(SCHEMAS)


@pytest.mark.parametrize(("path", "schema"), SCHEMAS.items())
def test_github_understands_it(path: str, schema: str) -> None:
    command = [scripts() / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", ROOT / path]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_the_workflow_runs_what_exists_on_the_pythons_that_are_supported() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8"))["jobs"]
    matrix = jobs["versions"]["strategy"]["matrix"]["target"]
    assert set(matrix) <= targets()
    assert ".ci/run" in jobs["test"]["steps"][-1]["run"]
    [pythons] = [step["with"]["python-version"].split() for step in jobs["versions"]["steps"] if "with" in step]
    classifiers = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert pythons == re.findall(r'"Programming Language :: Python :: (3\.\d+)"', classifiers)


def hooks(path: str) -> dict[str, dict[str, object]]:
    """The hooks of a pre-commit file by their name."""
    document = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    found = document if isinstance(document, list) else [hook for repo in document["repos"] for hook in repo["hooks"]]
    return {hook["id"]: hook for hook in found}


def test_the_hooks_of_this_repository_are_valid_and_their_programs_are_there() -> None:
    command = [sys.executable, "-m", "pre_commit", "validate-config", ROOT / ".pre-commit-config.yaml"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for hook in hooks(".pre-commit-config.yaml").values():
        folder, program = str(hook["entry"]).split()[0].rsplit("/", 1)
        assert (folder, (scripts() / program).is_file()) == (".venv/bin", True)


def test_our_own_hooks_are_those_that_we_offer() -> None:
    offered, used = hooks(".pre-commit-hooks.yaml"), hooks(".pre-commit-config.yaml")
    for name, hook in offered.items():
        assert used[name]["entry"] == f".venv/bin/{hook['entry']}"
        assert used[name]["files"] == hook["files"]


@pytest.mark.parametrize("page", PAGES)
def test_links_files_and_targets_of_a_page_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = {*LINK.findall(text), *FILE.findall(text)}
    assert sorted(name for name in named if not (ROOT / name).exists()) == []
    assert {target for target in TARGET.findall(text) if target not in targets()} == set()
