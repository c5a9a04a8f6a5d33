"""promtool's rule engine: every test file in parallel, and what went wrong in the words of the proof."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from sloctl.errors import OutsideError
from sloctl.model.quantities import Duration
from sloctl.proof.proof import Case, Proof

OLDEST: Final = (2, 42)
_VERSION: Final = re.compile(r"version (\d+)\.(\d+)")
_FAILURE: Final = re.compile(r"^ +(?:name: .*,\n +)?(alertname|expr): (.*?), time: ([^,]+),", re.MULTILINE)


_LONGEST_WAIT: Final = 0.5
"""Seconds."""
_ENVIRONMENT: Final = os.environ | {"GOMAXPROCS": "1", "GOGC": "400"}
"""One core for each test, and memory for speed: there are as many tests at a time as cores."""


class _StoppedError(Exception):
    """Nothing runs any more, so nothing is proven."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What promtool said of one proof.

    Attributes:
        failures: one sentence per history that went otherwise; empty when proven.
    """

    proof: Proof
    failures: tuple[str, ...] = ()


class Promtool:
    """The program, found on PATH or in `.cache/debian/` of the folder it runs in.

    Raises:
        OutsideError: it is absent, too old, or does not answer.
    """

    def __init__(self, program: str | None = None) -> None:
        self.path = shutil.which(program) or program if program else _found()
        if os.sep in self.path:
            self.path = str(Path(self.path).resolve())  # it runs in the folder of each proof
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopped = False
        self._heard = SimpleQueue[Future[Outcome] | BaseException]()
        self._check_version()

    def _check_version(self) -> None:
        try:
            said = subprocess.run([self.path, "--version"], capture_output=True, text=True, timeout=30, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise OutsideError(f"{self.path} does not answer: {error}") from error
        found = _VERSION.search(said.stdout + said.stderr)
        if found is None:
            raise OutsideError(f"{self.path} --version does not name a version; is it Prometheus' promtool?")
        version = int(found[1]), int(found[2])
        if version < OLDEST:
            raise OutsideError(
                f"{self.path} is version {version[0]}.{version[1]}; sloctl test needs {OLDEST[0]}.{OLDEST[1]} or later"
            )

    def prove(self, proofs: Sequence[Proof], folder: Path, workers: int = 0) -> Iterator[Outcome]:
        """Every proof's outcome as soon as it is known, once for each program. Files are written below `folder`.

        Raises:
            BaseException: what `interrupt` was told; no promtool runs any more then.
        """
        pool = ThreadPoolExecutor(workers or os.cpu_count() or 1)
        try:
            for proof in proofs:
                pool.submit(self._proven, proof, folder).add_done_callback(self._heard.put)
            for _ in proofs:
                heard = self._next()
                if isinstance(heard, BaseException):
                    raise heard
                yield heard.result()
        finally:
            self._stop()
            pool.shutdown(cancel_futures=True)

    def _next(self) -> Future[Outcome] | BaseException:
        """What is heard next.

        A signal that comes in the instant before a wait, or to another thread, ends no wait: Python handles it
        afterwards. So no wait is long.
        """
        while True:
            with suppress(Empty):
                return self._heard.get(timeout=_LONGEST_WAIT)

    def interrupt(self, why: BaseException) -> None:
        """Let `prove` raise this instead of its next outcome; may be called at any moment, by a signal handler too."""
        self._heard.put(why)

    def _proven(self, proof: Proof, folder: Path) -> Outcome:
        if proof.refuted:
            return Outcome(proof, (proof.refuted,))
        tests = write(proof, folder)
        output = self._run(tests)
        if output is None:
            return Outcome(proof)
        return Outcome(proof, tuple(self._explained(proof, tests, output)))

    def _run(self, tests: Path) -> str | None:
        """None when all is as expected, else what promtool says."""
        with self._lock:
            if self._stopped:
                raise _StoppedError
            process = subprocess.Popen(
                [self.path, "test", "rules", tests.name],
                cwd=tests.parent,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,  # Ctrl-C ends us first, and we end it with all that it has started
                env=_ENVIRONMENT,
            )
            self._running.add(process)
        output, _ = process.communicate()
        with self._lock:
            self._running.discard(process)
        return None if process.returncode == 0 else output

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running:
                with suppress(ProcessLookupError):
                    if process.poll() is None:
                        os.killpg(process.pid, signal.SIGKILL)

    def _explained(self, proof: Proof, tests: Path, output: str) -> Iterator[str]:
        """Each history by itself, so that the sentence says which one, what was expected and what was seen."""
        told = False
        for number, case in enumerate(proof.cases):
            alone = write(proof, tests.parent, cases=[case], suffix=f"-failed-{number}")
            if (said := self._run(alone)) is not None:
                told = True
                yield self._sentence(proof, case, tests.parent, said)
        if not told:
            yield output.strip()

    def _sentence(self, proof: Proof, case: Case, folder: Path, output: str) -> str:
        alerts = [expected for expected in case.alerts if expected[2]]
        names = {name for _, name, _ in case.alerts}
        kind = _FAILURE.search(output)
        if not names or kind is None or kind[1] == "expr":
            return f"{case.name}: {_first_difference(output)}"
        (name,) = names
        expected = f"firing at {alerts[0][0]}" if alerts else "silent"
        seen = self._first_firing(proof, case, folder, name)
        if alerts and seen == str(alerts[0][0]):
            return f"{case.name}: {name} fires at {seen} as expected, but then: {_first_difference(output)}"
        return f"{case.name}: {name} expected {expected}, seen {'firing at ' + seen if seen else 'silent'}"

    def _first_firing(self, proof: Proof, case: Case, folder: Path, name: str) -> str:
        """The first evaluation at which the alert fires, or nothing."""
        last = max(at.milliseconds for at, _, _ in case.alerts)
        step = proof.every.milliseconds
        everywhere = [(Duration(at), name, ()) for at in range(0, last + 1, step)]
        probe = Case(case.name, case.interval, case.series, everywhere)
        output = self._run(write(proof, folder, cases=[probe], suffix="-seen"))
        found = _FAILURE.search(output or "")
        return found[3].replace("0s", "") if found and found[3].endswith("m0s") else (found[3] if found else "")


def _found() -> str:
    for candidate in sorted(Path(".cache/debian").glob("*/usr/bin/promtool")):
        return str(candidate.resolve())
    if found := shutil.which("promtool"):
        return found
    raise OutsideError(
        "no promtool on PATH. It comes with Prometheus 2.42 or later (`make prometheus` in this repository, "
        "`apt install prometheus`, or https://prometheus.io/download); then run `sloctl test` again"
    )


def write(proof: Proof, folder: Path, cases: Iterable[Case] | None = None, suffix: str = "") -> Path:
    """The rule file and the test file of a proof; the path of the latter. JSON is YAML."""
    stem = re.sub(r"[^A-Za-z0-9.]+", "-", proof.name)
    place = folder / stem
    place.mkdir(parents=True, exist_ok=True)
    group = {"name": stem, "interval": str(proof.every), "rules": list(proof.rules)}
    (place / "rules.json").write_text(json.dumps({"groups": [group]}, indent=1), encoding="utf-8")
    test = {
        "rule_files": ["rules.json"],
        "evaluation_interval": str(proof.every),
        "tests": [case.value() for case in (proof.cases if cases is None else cases)],
    }
    tests = place / f"test{suffix}.json"
    tests.write_text(json.dumps(test, indent=1), encoding="utf-8")
    return tests


def _first_difference(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip() and "Unit Testing" not in line]
    return " ".join(line for line in lines[:8] if line != "FAILED:")[:600]
