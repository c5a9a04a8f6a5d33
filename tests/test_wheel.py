"""The wheel alone, in an environment that holds only what it requires, outside of any checkout."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import packages_distributions
from pathlib import Path

import click
import pytest
from packaging.utils import canonicalize_name

from sloctl.cli import EXTRAS, cli
from testing.servers import ROOT
from tests.import_rules import imports
from tests.project import PROJECT, brought_by
from tools.release import build, junk, packaged

pytestmark = pytest.mark.xdist_group("wheel")  # one environment serves all
CANARY = """
canary:
  steps: [{weight: 5%, hold: 10m}, {weight: 100%}]
  checks: [{name: errors, slo: availability, error_rate: 1%}]
"""
ID = "5ca2f4b6854f09a13ea3e949fc07209f"
MAIL = "global: {smtp_smarthost: 'mail.example.com:25', smtp_from: slo@example.com}\n"
FILES = {
    "alertmanager.yml": MAIL + "route: {receiver: default}\nreceivers: [{name: default}]\n",
    "log.jsonl": json.dumps(
        {
            "timestamp": "2026-01-01T00:00:00Z",
            "severity": "INFO",
            "message": "paid",
            "service.name": "pay",
            "request.id": ID,
        }
    ),
    "old.jsonl": '{"id": 1, "price": 2}\n',
    "new.jsonl": '{"id": 1, "price": 2}\n',
    "promtool": "#!/bin/sh\necho 'promtool, version 2.53.0 (branch: x)'\n",  # passes everything
}
MISSING = "this command needs more packages: pip install 'sloctl[canary]'"
COMMANDS = {
    "init other": (0, "wrote other/platform.yaml"),
    "validate": (0, "2 SLOs of 1 service are valid."),
    "show": (0, "availability"),
    "generate -o output": (0, "wrote output/dashboards/my-platform/overview.json"),
    "generate --check": (0, "Everything is up to date."),
    "explain my-service/availability": (0, "99.9% over 30d"),
    "diff slo-specs slo-specs": (0, "Nothing changes for the person on call."),
    "schema --check": (0, "is up to date"),
    "test --promtool ./promtool": (0, "8 of 8 tiers proven"),
    "status --prometheus PROMETHEUS": (3, "has no rules of sloctl"),
    "backtest --prometheus PROMETHEUS": (2, "this command needs more packages: pip install 'sloctl[history]'"),
    "backfill --prometheus PROMETHEUS --remote-write PROMETHEUS": (
        2,
        "this command needs more packages: pip install 'sloctl[history]'",
    ),
    "check --deployed --prometheus PROMETHEUS": (1, "the rule files have no group"),
    "discover --prometheus PROMETHEUS": (0, "0 services, 0 SLOs."),
    "drill my-service/availability --yes --alertmanager http://127.0.0.1:1": (3, "does not take the alert"),
    "export openslo": (0, "apiVersion: openslo/v1"),
    "import slo-specs": (1, "there is no SLO of sloth"),
    "templates": (0, "std/istio"),
    "why my-service/availability --prometheus PROMETHEUS": (
        2,
        "this command needs more packages: pip install 'sloctl[history]'",
    ),
    "try --prometheus PROMETHEUS": (0, "my-service/availability"),
    "preview dashboards/my-platform/overview.json -o page.html --prometheus PROMETHEUS": (0, "page.html"),
    "routes merge --base alertmanager.yml": (0, "receivers:"),
    "routes test": (0, "15 alerts reach their receivers"),
    "routes diff rules/alertmanager/routes.yaml rules/alertmanager/routes.yaml": (0, "keeps its identity"),
    f"trace {ID} --logs log.jsonl": (0, "pay"),
    "canary token argo": (0, "argo evaluate sha256:"),
    "canary parity old.jsonl new.jsonl --key id": (0, "promote"),
    "canary evaluate --service my-service --canary a --stable b --prometheus PROMETHEUS": (2, MISSING),
    "canary serve --prometheus PROMETHEUS": (2, MISSING),
    "canary history my-service": (2, MISSING),
    "canary approve my-service --revision 1 --by somebody": (2, MISSING),
    "canary verify": (2, MISSING),
    "canary prune --evidence-older-than 90d": (2, MISSING),
    "canary backtest --service my-service --prometheus PROMETHEUS": (2, MISSING),
}


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, a folder with specifications, and a Prometheus that knows nothing."""

    environment: Path
    folder: Path
    prometheus: str

    def run(self, name: str, *words: str) -> tuple[int, str]:
        """Run a program of the environment in the folder; its exit code and what it says."""
        ran = subprocess.run(
            [self.environment / "bin" / name, *words],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "COLUMNS": "200", "LC_ALL": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        return ran.returncode, ran.stdout

    def sloctl(self, line: str) -> tuple[int, str]:
        """Run a command line of sloctl's."""
        return self.run("sloctl", *line.replace("PROMETHEUS", self.prometheus).split())


class Empty(BaseHTTPRequestHandler):
    """A Prometheus without a series."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        kind = "matrix" if self.path.endswith("query_range") else "vector"
        body = json.dumps({"status": "success", "data": {"resultType": kind, "result": []}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """The wheel in an environment that holds the locked versions of the base installation and nothing else."""
    environment = tmp_path_factory.mktemp("environment")
    uv = Path(sysconfig.get_path("scripts"), "uv")
    install = [uv, "pip", "install", "--quiet", "--no-config", "--python", environment]
    base = ROOT / "requirements" / "base.txt"
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, environment], check=True)
    subprocess.run([*install, "--require-hashes", "-r", base], check=True)
    subprocess.run([*install, "--no-deps", wheel], check=True)
    folder = tmp_path_factory.mktemp("outside")
    for name, content in FILES.items():
        (folder / name).write_text(content)
    (folder / "promtool").chmod(0o755)
    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            made = Installed(environment, folder, f"http://127.0.0.1:{server.server_port}")
            assert made.sloctl("init")[0] == 0
            with (folder / "slo-specs" / "my-service.yaml").open("a") as service:
                service.write(CANARY)
            code, said = made.sloctl("generate")
            assert code == 0, said
            yield made
        finally:
            server.shutdown()
            thread.join()


def test_it_holds_the_package_and_nothing_else(wheel: Path) -> None:
    assert list(junk(wheel, packaged(ROOT), PROJECT["version"])) == []


def leaves(group: click.Group, before: str = "") -> Iterator[str]:
    """The commands of a group and of the groups in it, as they are typed."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, f"{before}{name} ")
        else:
            yield f"{before}{name}"


def test_each_command_is_run_below() -> None:
    untried = [command for command in leaves(cli) if not any(f"{line} ".startswith(f"{command} ") for line in COMMANDS)]
    assert untried == []


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_works_or_says_which_extra_it_needs(line: str, installed: Installed) -> None:
    code, said = installed.sloctl(line)
    expected, words = COMMANDS[line]
    assert (code, words in said) == (expected, True), said


def test_its_version_is_that_of_the_project(installed: Installed) -> None:
    assert installed.sloctl("--version") == (0, f"sloctl, version {PROJECT['version']}\n")


@pytest.mark.parametrize(
    "statement",
    [
        "from sloctl.instrumentation import configure",
        "import sloctl.instrumentation.boto",
        "import sloctl.instrumentation.carriers",
    ],
)
def test_the_instrumentation_says_which_extra_it_needs(statement: str, installed: Installed) -> None:
    code, said = installed.run("python", "-c", statement)
    assert code == 1
    assert re.search(
        r"^ImportError: [\w.]+ needs more packages: pip install 'sloctl\[instrumentation\]' \(.*\)$", said, re.M
    )


def foreign() -> set[str]:
    """The packages of others that sloctl imports anywhere, as they are imported."""
    found = set()
    for file in (ROOT / "sloctl").rglob("*.py"):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found |= {name.name.split(".")[0] for name in imports(tree, module, is_package=file.name == "__init__.py")}
    return found - {"sloctl", *sys.stdlib_module_names}


def test_what_the_environment_lacks_is_in_the_table_of_extras(installed: Installed) -> None:
    absent = "import sys; from importlib.util import find_spec; print(*[n for n in sys.argv[1:] if not find_spec(n)])"
    code, said = installed.run("python", "-c", absent, *sorted(foreign() | set(EXTRAS)))
    assert code == 0, said
    # the frameworks and clients of a service are its own: no extra brings what it hands in
    brought = {requirement.name for requirement in brought_by("all")}
    assert {name for name in said.split() if distributions(name) & brought} == set(EXTRAS)


def distributions(package: str) -> set[str]:
    """The names under which an index has what is imported as this."""
    return {canonicalize_name(name) for name in packages_distributions().get(package, [])}


@pytest.mark.parametrize(("package", "extra"), EXTRAS.items())
def test_the_extra_that_is_named_brings_the_package(package: str, extra: str) -> None:
    assert distributions(package) & {requirement.name for requirement in brought_by(extra)}
