"""promtool's rule engine: every test file in parallel, and what went wrong in the words of the proof."""

from __future__ import annotations

import hashlib
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
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from sloctl.errors import OutsideError
from sloctl.model.quantities import ZERO, Duration
from sloctl.proof.known import digest
from sloctl.proof.proof import Case, Proof

OLDEST: Final = (2, 42)
_VERSION: Final = re.compile(r"version (\d+)\.(\d+)")
_BATCH: Final = 24
"""Files for one process: it takes as long to start as to read some of them."""
_VALUE: Final = re.compile(r"^ +expr: .*, time: ([^,]+),\n +exp: ?(.*)\n +got: ?(.*)$", re.MULTILINE)
_FAILURE: Final = re.compile(r"^ +(?:name: .*,\n +)?(alertname|expr): (.*?), time: ([^,]+),", re.MULTILINE)


_LONGEST_WAIT: Final = 0.5
"""Seconds."""
_ENVIRONMENT: Final = os.environ | {"GOMAXPROCS": "1", "GOGC": "400", "GOMEMLIMIT": "48MiB"}
"""One core for each process, and some memory for speed: there are as many at a time as cores."""


class _StoppedError(Exception):
    """Nothing runs any more, so nothing is proven."""


@dataclass(frozen=True, slots=True)
class ProofOutcome:
    """What promtool said of one proof.

    Attributes:
        failures: one sentence per history that went otherwise; empty when proven.
    """

    proof: Proof
    failures: tuple[str, ...] = ()


class Promtool:
    """The program, found on PATH or in `.cache/debian/` of the folder it runs in.

    Args:
        program: another one.
        explains: what failed is run again, so that it is told what was expected and what was seen.

    Raises:
        OutsideError: it is absent, too old, or does not answer.
    """

    def __init__(self, program: str | None = None, *, explains: bool = True) -> None:
        self._explains = explains
        self.path = shutil.which(program) or program if program else _found()
        if os.sep in self.path:
            self.path = str(Path(self.path).resolve())  # it runs in the folder of each proof
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopped = False
        self._heard = SimpleQueue[Future[list[ProofOutcome]] | BaseException]()
        self._check_version()

    def _check_version(self) -> None:
        try:
            said = subprocess.run([self.path, "--version"], capture_output=True, text=True, timeout=30, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise OutsideError(f"{self.path} does not answer: {error}") from error
        found = _VERSION.search(said.stdout + said.stderr)
        self.version = said.stdout + said.stderr
        if found is None:
            raise OutsideError(f"{self.path} --version does not name a version; is it Prometheus' promtool?")
        version = int(found[1]), int(found[2])
        if version < OLDEST:
            raise OutsideError(
                f"{self.path} is version {version[0]}.{version[1]}; sloctl test needs {OLDEST[0]}.{OLDEST[1]} or later"
            )

    @cached_property
    def identity(self) -> str:
        """The digest of the program's version and file."""
        try:
            with Path(self.path).open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise OutsideError(f"cannot read {self.path}: {error.strerror or error}") from error
        return digest([self.version, content])

    def key(self, proof: Proof) -> str:
        """The digest of all that the outcome of a proof follows from."""
        return digest([self.identity, proof.refuted, *contents(proof)])

    def prove(self, proofs: Sequence[Proof], folder: Path, workers: int = 0) -> Iterator[ProofOutcome]:
        """Every proof's outcome as soon as its batch's are known, once for each program. Files are written to `folder`.

        Raises:
            BaseException: what `interrupt` was told; no promtool runs any more then.
        """
        workers = workers or os.cpu_count() or 1
        batches = _batches(proofs, workers)
        pool = ThreadPoolExecutor(workers)
        try:
            for batch in batches:
                pool.submit(self._proven, batch, folder).add_done_callback(self._heard.put)
            for _ in batches:
                heard = self._next()
                if isinstance(heard, BaseException):
                    raise heard
                yield from heard.result()
        finally:
            self._stop()
            pool.shutdown(cancel_futures=True)

    def _next(self) -> Future[list[ProofOutcome]] | BaseException:
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

    def _proven(self, batch: Sequence[Proof], folder: Path) -> list[ProofOutcome]:
        """What one process says of many proofs; those that fail are looked at again, each by itself."""
        outcomes = [ProofOutcome(proof, (proof.refuted,)) for proof in batch if proof.refuted]
        tests = {write(proof, folder): proof for proof in batch if not proof.refuted}
        failed = self._failed(folder, list(tests)) if tests else {}
        for path, proof in tests.items():
            failures = tuple(self._explained(proof, path, failed[path])) if path in failed else ()
            outcomes.append(ProofOutcome(proof, failures))
        return outcomes

    def _failed(self, folder: Path, tests: Sequence[Path]) -> dict[Path, str]:
        """What promtool says of each file of which it does not say that all is as expected."""
        names = {str(path.relative_to(folder)): path for path in tests}
        if (output := self._run(folder, *names)) is None:
            return {}
        said = dict.fromkeys(names, "")
        for part in output.split("Unit Testing:  ")[1:]:
            name, _, rest = part.partition("\n")
            said[name] = rest
        return {path: said[name] for name, path in names.items() if said[name].strip() != "SUCCESS"}

    def _run(self, folder: Path, *tests: str) -> str | None:
        """None when all is as expected, else what promtool says."""
        with self._lock:
            if self._stopped:
                raise _StoppedError
            process = subprocess.Popen(
                [self.path, "test", "rules", *tests],
                cwd=folder,
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
        if not self._explains:
            yield _first_difference(output)
            return
        told = False
        for number, case in enumerate(proof.cases):
            alone = write(proof, tests.parent.parent, cases=[case], suffix=f"-failed-{number}")
            if (said := self._run(alone.parent, alone.name)) is not None:
                told = True
                yield from self._sentences(proof, case, tests.parent.parent, said)
        if not told:
            yield _first_difference(output)

    def _sentences(self, proof: Proof, case: Case, folder: Path, output: str) -> Iterator[str]:
        """One for each alert that fires at another moment than it should, else one about the first difference."""
        wrong = dict.fromkeys(name for kind, name, _ in _FAILURE.findall(output) if kind == "alertname")
        for name in wrong:
            firing = [at for at, alert, seen in case.alerts if alert == name and seen]
            expected = f"firing at {firing[0]}" if firing else "silent"
            found = self._first_firing(proof, case, folder, name)
            if firing and found == str(firing[0]):
                yield f"{case.name}: {name} fires at {found} as expected, but then: {_first_difference(output, name)}"
            else:
                yield f"{case.name}: {name} expected {expected}, seen {'firing at ' + found if found else 'silent'}"
        if not wrong:
            yield f"{case.name}: {_decided(case, output) or _first_difference(output)}"

    def _first_firing(self, proof: Proof, case: Case, folder: Path, name: str) -> str:
        """The first evaluation at which the alert fires, or nothing."""
        last = max(at.milliseconds for at, _, _ in case.alerts)
        step = proof.every.milliseconds
        everywhere = [(Duration(at), name, ()) for at in range(0, last + 1, step)]
        probe = write(proof, folder, cases=[replace(case, alerts=everywhere, values=())], suffix="-seen")
        found = _FAILURE.search(self._run(probe.parent, probe.name) or "")
        return str(_moment(found[3])) if found else ""


def _decided(case: Case, output: str) -> str:
    """The first moment at which a condition does not decide as it must, or nothing."""
    for at, expected, seen in _VALUE.findall(output):
        if words := case.shown.get(_moment(at)):
            meant, found = ("silent" if sample.strip() == "nil" else "firing" for sample in (expected, seen))
            return f"{words}: expected {meant}, seen {found if found != meant else f'{found} with another value'}"
    return ""


def _moment(text: str) -> Duration:
    """A moment as promtool writes it: `1w`, `1h30m` or `1h0m0s`."""
    lengths = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
    return Duration(sum(int(count) * lengths[unit] for count, unit in re.findall(r"(\d+)(ms|[smhdw])", text)))


def _batches(proofs: Sequence[Proof], workers: int) -> list[list[Proof]]:
    """Proofs of about the same cost, enough in each that starting a process costs little, the dearest first."""
    size = max(1, min(_BATCH, -(-len(proofs) // (4 * workers))))
    ordered = sorted(proofs, key=_evaluations, reverse=True)
    count = -(-len(ordered) // size)
    return [ordered[number::count] for number in range(count)]


def _evaluations(proof: Proof) -> int:
    """How many rules promtool evaluates, roughly."""
    last = (max((at for at, *_ in (*case.alerts, *case.values)), default=ZERO) for case in proof.cases)
    return sum(1 + at.milliseconds // proof.every.milliseconds for at in last) * len(proof.rules)


def _found() -> str:
    for candidate in sorted(Path(".cache/debian").glob("*/usr/bin/promtool")):
        return str(candidate.resolve())
    if found := shutil.which("promtool"):
        return found
    raise OutsideError(
        "no promtool on PATH. It comes with Prometheus 2.42 or later (`make prometheus` in this repository, "
        "`apt install prometheus`, or https://prometheus.io/download); then run `sloctl test` again"
    )


def contents(proof: Proof, cases: Iterable[Case] | None = None) -> tuple[str, str]:
    """The rule file and the test file of a proof. JSON is YAML."""
    group = {"name": _stem(proof), "interval": str(proof.every), "rules": list(proof.rules)}
    test = {
        "rule_files": ["rules.json"],
        "evaluation_interval": str(proof.every),
        "tests": [case.value() for case in (proof.cases if cases is None else cases)],
    }
    return json.dumps({"groups": [group]}, indent=1), json.dumps(test, indent=1)


def write(proof: Proof, folder: Path, cases: Iterable[Case] | None = None, suffix: str = "") -> Path:
    """Write both files of a proof; the path of the test file."""
    rules, test = contents(proof, cases)
    place = folder / _stem(proof)
    place.mkdir(parents=True, exist_ok=True)
    (place / "rules.json").write_text(rules, encoding="utf-8")
    tests = place / f"test{suffix}.json"
    tests.write_text(test, encoding="utf-8")
    return tests


def _stem(proof: Proof) -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "-", proof.name.replace("/", "."))


def _first_difference(output: str, about: str = "") -> str:
    """The first thing that promtool says, or the first about an alert."""
    said = output[max(0, output.find(f"alertname: {about},")) :] if about else output
    lines = [line.strip() for line in said.splitlines() if line.strip() and "Unit Testing" not in line]
    return " ".join(line for line in lines[:8] if line != "FAILED:")[:600]
