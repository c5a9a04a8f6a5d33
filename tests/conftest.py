"""Fixtures that every test may use: golden trees, real servers, and the time spent by folder at the end."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import NoReturn

import pytest
from hypothesis import settings

from testing import servers
from tests.golden_files import differences, read_tree, rewrite

# The same examples each time, so that a red test stays red; `make fuzz` draws new ones. Without a time limit,
# because the tests are no benchmark.
settings.register_profile("default", derandomize=True, deadline=None)
settings.register_profile("fuzz", max_examples=5000, deadline=None, print_blob=True)
settings.load_profile("default")

# Started with `&` we ignore Ctrl-C, and so would the programs that we start; and SIGTERM stops them as Ctrl-C does.
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.default_int_handler)

TESTS = Path(__file__).parent
StartPrometheus = Callable[..., servers.Prometheus]
Promtool = Callable[..., subprocess.CompletedProcess[str]]
Golden = Callable[[str, Mapping[str, bytes]], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite expected files with what was produced")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the tests prove is not known to the user's own runs, nor the other way round."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether expected files are to be rewritten instead of compared."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def golden(update_golden: bool) -> Golden:
    """Compare a produced tree (path -> bytes) with `tests/golden/<case>/expected/`."""

    def check(case: str, produced: Mapping[str, bytes]) -> None:
        expected = TESTS / "golden" / case / "expected"
        if update_golden:
            rewrite(expected, produced)
        if found := differences(read_tree(expected), produced):
            pytest.fail(f"{found}\nif this is meant: pytest --update-golden", pytrace=False)

    return check


def program(name: str) -> Path:
    """A server's program. Its absence fails the test in CI and skips it elsewhere; `tools/unit-tests` wants none."""
    if os.environ.get("SLOCTL_UNIT_TESTS"):
        pytest.skip(f"{name} is needed")
    try:
        return servers.find_program(name)
    except servers.ServerError as missing:
        absent(str(missing))


def absent(message: str) -> NoReturn:
    """What a test needs is not there: it fails in CI and is skipped elsewhere."""
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture
def prometheus() -> Iterator[StartPrometheus]:
    """Start a real Prometheus, as `servers.prometheus`; it is stopped after the test."""
    program("prometheus")
    with ExitStack() as stack:

        def start(
            config: Mapping[str, object],
            rules: Sequence[Path] = (),
            flags: Sequence[str] = (),
            port: int | None = None,
        ) -> servers.Prometheus:
            return stack.enter_context(servers.prometheus(config, rules, flags, port))

        yield start


@pytest.fixture
def promtool() -> Promtool:
    """Run promtool with these words; returns the finished process with its exit code and output as text."""
    path = program("promtool")

    def run(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [path, *words],
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )

    return run


SECONDS: Counter[str] = Counter()
TESTS_RUN: Counter[str] = Counter()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up durations by folder; under xdist the reports of all workers arrive in the main process."""
    parts = PurePosixPath(report.nodeid.split("::")[0]).parts
    folder = "/".join(parts[:2]) if len(parts) > 2 else parts[0]
    SECONDS[folder] += report.duration
    TESTS_RUN[folder] += report.when == "call"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not SECONDS:
        return
    terminalreporter.section("time by test folder")
    for folder, seconds in SECONDS.most_common():
        terminalreporter.write_line(f"{seconds:8.2f} s  {TESTS_RUN[folder]:5} tests  {folder}")
    terminalreporter.write_line(f"{SECONDS.total():8.2f} s  {TESTS_RUN.total():5} tests  all, on all workers together")
