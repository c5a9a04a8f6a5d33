"""Build the wheel of a release into `dist/` and look into it: `make release`, or `python -m tools.release`.

What would make a bad release is said, and the exit code is 1: a change that is not committed, a version without its
entry in the changelog, a tag of that version on another commit, a wheel that holds less or more than the package.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from zipfile import ZipFile

ROOT: Final = Path(__file__).resolve().parent.parent
METADATA: Final = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")


def main() -> int:
    """Look, build and look again; the exit code."""
    version = project_version(ROOT)
    wheel = build(ROOT, ROOT / "dist")
    found = [*unready(ROOT, version), *junk(wheel, packaged(ROOT), version)]
    for finding in found:
        print(f"tools/release.py: {finding}", file=sys.stderr)
    if found:
        return 1
    print(f"{wheel.relative_to(ROOT)} is good. Publish it after: git tag -a v{version} -m 'sloctl {version}'")
    return 0


def project_version(root: Path) -> str:
    """The version that pyproject.toml names."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def unready(root: Path, version: str) -> Iterator[str]:
    """What has to be done in the repository before this version is released."""
    if changed := git(root, "status", "--porcelain").splitlines():
        yield f"these are not committed: {', '.join(line[3:] for line in changed)}"
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", changelog, re.MULTILINE)
    if not headings or not re.fullmatch(rf"{re.escape(version)} - \d{{4}}-\d\d-\d\d", headings[0]):
        yield f"write `## {version} - YYYY-MM-DD` above what CHANGELOG.md says of this version"
    tagged = git(root, "tag", "--list", f"v{version}", "--format", "%(objectname) %(*objectname)").split()
    if tagged and git(root, "rev-parse", "HEAD").strip() not in tagged:
        yield f"v{version} is another commit's tag: raise `version` in pyproject.toml"


def build(root: Path, folder: Path) -> Path:
    """Build the wheel into a folder, with the locked build backend; its path."""
    for old in folder.glob("*.whl"):
        old.unlink()
    uv = Path(sysconfig.get_path("scripts"), "uv")
    command = [uv, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir"]
    subprocess.run([str(word) for word in (*command, folder, root)], check=True)
    [wheel] = folder.glob("*.whl")
    return wheel


def packaged(root: Path) -> set[str]:
    """The files of the package, as git knows them."""
    return set(git(root, "ls-files", "--cached", "--others", "--exclude-standard", "sloctl").splitlines())


def junk(wheel: Path, package: set[str], version: str) -> Iterator[str]:
    """What a wheel holds beside the package and its metadata, and what of them it lacks."""
    with ZipFile(wheel) as archive:
        held = set(archive.namelist())
    wanted = package | {f"sloctl-{version}.dist-info/{name}" for name in METADATA}
    for name in sorted(held - wanted):
        yield f"{wheel.name} should not hold {name}"
    for name in sorted(wanted - held):
        yield f"{wheel.name} lacks {name}"


def git(root: Path, *words: str) -> str:
    """What git says."""
    return subprocess.run(["git", "-C", root, *words], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
