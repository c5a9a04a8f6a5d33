"""The container is built of what was chosen: a base image by its digest, packages by their hashes."""

from __future__ import annotations

import re

from testing.servers import ROOT

FILE = (ROOT / "examples/argo-rollouts/Containerfile").read_text(encoding="utf-8")


def instructions(word: str) -> list[str]:
    return re.findall(rf"^{word} (.*)$", FILE, re.MULTILINE)


def test_the_base_image_is_named_by_its_digest() -> None:
    [digest] = instructions("ARG")
    assert re.fullmatch(r"PYTHON_DIGEST=sha256:[0-9a-f]{64}", digest)
    assert [image.split()[0].rpartition("@")[2] for image in instructions("FROM")] == ["${PYTHON_DIGEST}"] * 2


def test_whatever_pip_fetches_is_checked_by_its_hash() -> None:
    commands = [command for line in instructions("RUN") for command in line.split(" && ") if command.startswith("pip")]
    assert len(commands) == 4
    for command in commands:
        assert "--require-hashes" in command or {"--no-deps", "--no-index"} <= set(command.split()), command


def test_the_lock_has_a_hash_for_each_package() -> None:
    lock = (ROOT / "requirements/canary.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^\S+==.*(?:\n +--hash=sha256:[0-9a-f]{64}.*)+", lock, re.MULTILINE)
    assert len(pins) == len(re.findall("==", re.sub(r"'[^']*'", "", re.sub(r" ;.*", "", lock)))) > 30
