import subprocess
import sys
from pathlib import Path

import pytest

from testing.servers import ROOT
from tests.import_rules import PAGE, offences, page

HEAVY = {"pydantic", "promql_parser", "httpx", "rich", "jinja2"}


def test_every_import_follows_the_table() -> None:
    found = offences(ROOT / "sloctl")
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("module", "code", "offence"),
    [
        ("model/window.py", "import os\nimport pydantic", "2: model may not import pydantic"),
        ("model/window.py", "from sloctl.diagnostics import Diagnostics",
         "1: model may not import sloctl.diagnostics.Diagnostics"),
        ("model/window.py", "from ..language import reader", "1: model may not import sloctl.language.reader"),
        ("model/window.py", "def f():\n    from sloctl import language", "2: model may not import sloctl.language"),
        ("backends/prometheus/rules.py", "from sloctl.backends.grafana import panels",
         "1: backends.prometheus may not import sloctl.backends.grafana.panels"),
        ("backends/prometheus/rules.py", "import sloctl.language.document",
         "1: backends.prometheus may not import sloctl.language.document"),
        ("instrumentation/app.py", "from starlette.types import ASGIApp",
         "1: instrumentation may not import starlette.types.ASGIApp outside of a function"),
        ("instrumentation/app.py", "import opentelemetry.instrumentation.fastapi",
         "1: instrumentation may not import opentelemetry.instrumentation.fastapi outside of a function"),
        ("instrumentation/app.py", "from sloctl.language import reader",
         "1: instrumentation may not import sloctl.language.reader outside of a function"),
        ("canary/analysis/ratios.py", "from sloctl.canary.source import look",
         "1: canary.analysis may not import sloctl.canary.source.look"),
        ("canary/analysis/ratios.py", "import sqlalchemy", "1: canary.analysis may not import sqlalchemy"),
        ("canary/audit/store.py", "from sloctl.canary.analysis.verdict import Verdict",
         "1: canary.audit may not import sloctl.canary.analysis.verdict.Verdict"),
        ("cli/generate.py", "import pydantic", "1: cli may not import pydantic"),
        ("resolve.py", "import importlib\nimportlib.import_module(name)",
         "2: resolve may not import a module by a computed name"),
        ("__init__.py", "from sloctl import model", "1: sloctl may not import sloctl.model"),
        ("novelty.py", "", "1: no row of the import table covers sloctl.novelty; add one"),
    ],
)  # fmt: skip
def test_a_forbidden_import_is_named_with_its_line(tmp_path: Path, module: str, code: str, offence: str) -> None:
    write_module(tmp_path / "sloctl" / module, code)
    assert offences(tmp_path / "sloctl") == [f"sloctl/{module}:{offence}"]


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("model/window.py", "from sloctl.diagnostics import Place\nimport decimal"),
        ("model/window.py", "from sloctl.errors import SloctlError"),
        ("model/window.py", "from .quantities import Duration\nfrom sloctl.model.objective import Objective"),
        ("backends/prometheus/rules.py", "from sloctl.backends.backend import Backend"),
        ("backends/prometheus/rules.py", "from sloctl.model import catalogue"),
        ("backends/__init__.py", "from sloctl.backends.grafana import GRAFANA"),
        ("instrumentation/app.py", "def slo(): import starlette, sloctl.resolve"),
        ("instrumentation/app.py", "if TYPE_CHECKING:\n    from starlette.types import ASGIApp"),
        ("instrumentation/app.py", "from opentelemetry import trace"),
        ("cli/generate.py", "def generate():\n    import rich.table\n    from sloctl import compiler"),
    ],
)  # fmt: skip
def test_an_import_of_the_table_is_allowed(tmp_path: Path, module: str, code: str) -> None:
    write_module(tmp_path / "sloctl" / module, code)
    assert offences(tmp_path / "sloctl") == []


def write_module(file: Path, code: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(code)


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after the code."""
    script = f"import sys\n{code}\nprint('\\nLOADED', *sys.modules)"
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(finished.stdout.rpartition("LOADED")[2].split())


def test_importing_sloctl_loads_no_module_of_it() -> None:
    assert {name for name in loaded_by("import sloctl") if name.startswith("sloctl")} == {"sloctl"}


def test_help_loads_nothing_heavy() -> None:
    show_help = "from sloctl.cli import main\nsys.argv = ['sloctl', '--help']\nassert main() == 0"
    loaded = loaded_by(show_help)
    assert "sloctl.cli" in loaded
    assert loaded & HEAVY == set()


def test_the_architecture_page_shows_the_table() -> None:
    again = "run `python -m tests.import_rules` and commit docs/architecture.md"
    assert PAGE.read_text(encoding="utf-8") == page(), again
