"""Route templates, as the metrics' labels need them: whole, and few."""

import subprocess
import sys
from typing import Any

import pytest

from testing.servers import ROOT
from tests.conftest import absent
from tests.instrumentation import routed

OLD = ROOT / ".cache" / "oldest-fastapi"


@pytest.mark.parametrize(("path", "expected"), routed.EXPECTED)
def test_the_template_of(path: str, expected: tuple[str, int]) -> None:
    assert routed.counted(path) == expected


def test_the_same_on_the_oldest_fastapi_that_is_supported() -> None:
    if not OLD.exists():
        absent("`make test` installs it into .cache/oldest-fastapi")
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.instrumentation.routed"],
        env={"PYTHONPATH": str(OLD)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.startswith("FastAPI 0.115.")


def test_routes_added_while_running_are_found() -> None:
    assert routed.counted_after_adding_a_route() == ("/later/{z}", 200)


def test_unknown_endpoints_cost_no_memory() -> None:
    from sloctl.instrumentation import routes

    table = routes.RouteTable(None)
    scopes: list[Any] = [{"endpoint": object(), "path": "/"} for _ in range(1000)]
    assert {table.template(scope, 200) for scope in scopes} == {"_unmatched"}
    assert len(table._unknown) == routes.MAX_UNKNOWN
