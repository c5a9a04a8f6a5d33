"""Catalogues for proofs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sloctl.compiler import load
from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Platform, Slo
from sloctl.proof.promtool import Promtool, ProofOutcome
from sloctl.proof.proof import Proof
from tests.conftest import program

Prove = Callable[..., list[ProofOutcome]]
Written = Callable[..., tuple[Platform, Slo]]

SPEC = """
apiVersion: sloctl/v1
kind: Service
service: api
slos:
  - name: ok
    objective: 99.9%
    sli: {sli}
    alerts: {alerts}
"""
RATIO = "{ratio: {total: 'requests_total{job=\"api\"}', bad_if: 'code=~\"5..\"'}}"
FINFLOW = (
    "[{severity: P1, burn: 14.2, over: 5m}, {severity: P2, burn: 6, over: 14m}, {severity: P3, burn: 3, over: 30m}]"
)


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """The one SLO of a specification."""

    def write(sli: str = RATIO, alerts: str = FINFLOW, more: str = "") -> tuple[Platform, Slo]:
        file = tmp_path / "spec.yaml"
        file.write_text(SPEC.format(sli=sli, alerts=alerts) + more)
        found = Diagnostics()
        catalogue = load([str(file)], found)
        assert found.errors == []
        (platform,) = catalogue.platforms
        (slo,) = platform.slos
        return platform, slo

    return write


@pytest.fixture
def prove(tmp_path: Path) -> Prove:
    path = str(program("promtool"))

    def run(proofs: list[Proof], *, explains: bool = True) -> list[ProofOutcome]:
        wanted = [proof for proof in proofs if proof.is_run]
        return list(Promtool(path, explains=explains).prove(wanted, tmp_path / "proofs", workers=2))

    return run
