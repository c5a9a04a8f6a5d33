"""Shells complete commands, options and paths."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = [sys.executable, "-c", "import sys; sys.argv[0] = 'sloctl'; from sloctl.cli import run; run()"]


def completed(words: str, word: int) -> list[str]:
    """What bash is told for the word at a position, as `kind,value`."""
    environment = {"_SLOCTL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(word)}
    done = subprocess.run(SCRIPT, env=os.environ | environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("bash", "complete -o nosort -F _sloctl_completion sloctl"),
        ("zsh", "#compdef sloctl"),
        ("fish", "complete --no-files --command sloctl"),
    ],
)
def test_each_shell_gets_its_script(shell: str, line: str) -> None:
    environment = os.environ | {"_SLOCTL_COMPLETE": f"{shell}_source"}
    done = subprocess.run(SCRIPT, env=environment, capture_output=True, text=True, check=True)
    assert line in done.stdout


def test_commands_options_and_paths_are_completed() -> None:
    assert completed("sloctl va", 1) == ["plain,validate"]
    assert completed("sloctl generate --che", 2) == ["plain,--check"]
    assert completed("sloctl validate --format ", 3) == ["plain,text", "plain,json", "plain,github"]
    assert completed("sloctl validate slo-sp", 2) == ["file,slo-sp"]
