"""Console blocks of Markdown pages: what is typed, and what is then to be seen.

    ```console
    $ sloctl validate slo-specs
    3 files, no findings
    $ sloctl generate --check \\
    > --only prometheus
    ...
    ```

Lines that begin with `$ ` are commands, `> ` continues one that ends in a backslash or holds a here-document, and the
lines below are its output. A line `...` stands for any number of lines, `...` inside a line for any text. A
command must succeed, unless the next one is `$ echo $?`. A block below `<!-- not run: reason -->` is not run.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^(?P<indent> *)```console\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run:(?P<reason>[^\n]*?)-->\s*\Z")
SHOW_EXIT_CODE = "echo $?"


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a block, the line of the page where it stands, and the output it should have."""

    line: int
    text: str
    expected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """One console block; `not_run` is the reason why it is skipped, None when it is run."""

    line: int
    commands: tuple[Command, ...]
    not_run: str | None


def blocks(page: str) -> Iterator[Block]:
    """The console blocks of a page, in order.

    Raises:
        ValueError: a block does not begin with a command.
    """
    for match in FENCE.finditer(page):
        line = page.count("\n", 0, match.start()) + 1
        skipped = NOT_RUN.search(page, 0, match.start())
        body = [text.removeprefix(match["indent"]) for text in match["body"].splitlines()]
        yield Block(line, tuple(commands(body, line + 1)), skipped["reason"].strip() if skipped else None)


def commands(lines: Sequence[str], first_line: int) -> Iterator[Command]:
    """The commands of a block's lines, each with its expected output."""
    if not lines or not lines[0].startswith("$ "):
        raise ValueError(f"line {first_line}: a console block begins with a command: `$ ...`")
    starts = [index for index, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        text, output = lines[start].removeprefix("$ "), list(lines[start + 1 : end])
        while (text.endswith("\\") or "<<" in text) and output and output[0].startswith("> "):
            text += "\n" + output.pop(0).removeprefix("> ")
        yield Command(first_line + start, text, tuple(output))


def matches(expected: Sequence[str], actual: Sequence[str]) -> bool:
    """Whether the output is the expected one, `...` standing for anything."""
    patterns = (
        r"(?:.*\n)*" if line.strip() == "..." else ".*".join(map(re.escape, line.rstrip().split("..."))) + r"\n"
        for line in expected
    )
    return re.fullmatch("".join(patterns), "".join(f"{line.rstrip()}\n" for line in actual)) is not None


def run(block: Block, folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Run a block's commands in a folder; yields a complaint for each that did something else."""
    exit_code = 0
    for position, command in enumerate(block.commands):
        finished = subprocess.run(
            ["bash", "-c", f"(exit {exit_code})\n{command.text}"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        exit_code = finished.returncode
        following = block.commands[position + 1 : position + 2]
        told = any(after.text == SHOW_EXIT_CODE for after in following)
        actual = finished.stdout.splitlines()
        if not matches(command.expected, actual) or (exit_code and not told):
            yield complaint(command, actual, exit_code)


def complaint(command: Command, actual: Sequence[str], exit_code: int) -> str:
    return "\n".join(
        [
            f"line {command.line}: $ {command.text}",
            "expected:",
            *(f"    {line}" for line in command.expected),
            f"printed (exit code {exit_code}):",
            *(f"    {line}" for line in actual),
        ]
    )
