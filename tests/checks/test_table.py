"""All checks together."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from sloctl.checks import table
from sloctl.compiler import load
from sloctl.diagnostics import Diagnostics
from testing.servers import ROOT

GOOD = [ROOT / "slo-specs", ROOT / "examples" / "demo" / "slo-specs", ROOT / "tests" / "golden" / "ratios" / "spec"]


@pytest.mark.parametrize("folder", GOOD, ids=str)
def test_good_specifications_are_not_disturbed(folder: Path) -> None:
    found = Diagnostics()
    load([str(folder)], found, today=date(2026, 1, 1))
    assert list(found) == []


def test_every_module_of_the_folder_is_in_the_table() -> None:
    folder = Path(table.__file__).parent
    others = {"__init__", "check", "grouped", "selectors", "table"}
    modules = {path.stem for path in folder.glob("*.py")} - others
    assert modules == {
        module.__name__.rpartition(".")[2] for module in (*table.CHECKS, table.secret, table.calendar_table)
    }
    assert len(table.PAGES) == len(modules)


def test_a_thousand_slos_with_one_wrong_policy_are_one_finding(tmp_path: Path) -> None:
    head = "apiVersion: sloctl/v1\nkind: {}\n"
    platform = head.format("Platform") + "name: shop\nalerts: [{severity: P2, burn: 14.4, over: 1h}]\n"
    sli = "{ratio: {total: a_total, bad: b_total}}"
    slos = "".join(f"  - {{name: s{number}, objective: 90%, sli: {sli}}}\n" for number in range(1000))
    (tmp_path / "a.yaml").write_text(f"{platform}---\n{head.format('Service')}service: web\nslos:\n{slos}")
    found = Diagnostics()
    load([str(tmp_path)], found)
    (finding,) = found
    assert finding.message.startswith("this tier of web-s0 and 999 other SLOs can never fire: burn 14.4 at 90% asks")
