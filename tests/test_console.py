import os
from pathlib import Path

import pytest

from tests.console import Block, Command, blocks, matches, run

PAGE = """\
# Page

```console
$ echo one \\
> two
one two
$ true
```

<!-- not run: needs a cluster -->
```console
$ kubectl apply
```

```sh
$ not a console block
```

1. In a list:

   ```console
   $ echo listed
   listed
   ```
"""


def complaints(page: str, folder: Path) -> list[str]:
    return [said for block in blocks(page) for said in run(block, folder, os.environ)]


def test_blocks_are_read_with_their_lines_and_reasons() -> None:
    assert list(blocks(PAGE)) == [
        Block(3, (Command(4, "echo one \\\ntwo", ("one two",)), Command(7, "true", ())), None),
        Block(11, (Command(12, "kubectl apply", ()),), "needs a cluster"),
        Block(21, (Command(22, "echo listed", ("listed",)),), None),
    ]


def test_a_block_without_a_command_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2: a console block begins with a command"):
        list(blocks("```console\nsloctl\n```\n"))


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ([], []),
        (["a"], ["a  "]),
        (["took ... s"], ["took 1.5 s"]),
        (["..."], []),
        (["a", "...", "z"], ["a", "b", "c", "z"]),
        (["a.c (x)"], ["a.c (x)"]),
    ],
)
def test_output_that_matches(expected: list[str], actual: list[str]) -> None:
    assert matches(expected, actual)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ([], ["a"]),
        (["a"], []),
        (["a.c"], ["abc"]),
        (["took ... s"], ["took 1.5 s", "more"]),
        (["took ... s"], ["took", "1 s"]),
        (["a", "...", "z"], ["a", "b"]),
    ],
)
def test_output_that_does_not_match(expected: list[str], actual: list[str]) -> None:
    assert not matches(expected, actual)


def test_a_command_that_prints_something_else_is_shown_with_both(tmp_path: Path) -> None:
    assert complaints("```console\n$ echo b\na\n```\n", tmp_path) == [
        "line 2: $ echo b\nexpected:\n    a\nprinted (exit code 0):\n    b"
    ]


def test_a_failure_counts_unless_the_page_shows_the_exit_code(tmp_path: Path) -> None:
    assert complaints("```console\n$ (exit 3)\n$ true\n```\n", tmp_path)
    assert complaints("```console\n$ (exit 3)\n$ echo $?\n4\n```\n", tmp_path)
    assert complaints("```console\n$ (exit 3)\n$ echo $?\n3\n```\n", tmp_path) == []


def test_commands_of_a_page_work_on_the_same_files(tmp_path: Path) -> None:
    assert complaints("```console\n$ echo a > file\n```\n```console\n$ cat file\na\n```\n", tmp_path) == []
