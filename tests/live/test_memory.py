"""A server that keeps less than a window is told of before the budget forgets."""

from __future__ import annotations

from pathlib import Path

import pytest

from sloctl.cli import main
from tests.conftest import StartPrometheus

SPEC = """apiVersion: sloctl/v1
kind: Service
service: web
window: 30d
alerts: none
slos:
  - {name: a, objective: 99%, sli: {probe: {gauge: up}}}
  - {name: b, objective: 99%, window: 15d, sli: {probe: {gauge: up}}}
  - {name: c, objective: 99%, window: {calendar: quarter, time_zone: UTC}, sli: {probe: {gauge: up}}}
  - {name: d, objective: 99%, sli: {probe: {gauge: up}}}
"""


@pytest.mark.server
@pytest.mark.parametrize("flags", [(), ("--storage.tsdb.retention.time=100d",)], ids=["default", "long"])
def test_what_a_server_cannot_hold_is_told_once_where_it_is_written(
    tmp_path: Path, prometheus: StartPrometheus, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]
) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    server = prometheus({}, flags=flags)
    main(["validate", str(tmp_path / "spec.yaml"), "--prometheus", server.url])
    err = capsys.readouterr().err
    assert err.count("SLO207") == (0 if flags else 2)
    if not flags:
        assert "spec.yaml:4:9: warning[SLO207]: the server forgets after 15d, and a window of 30d needs more" in err
        assert "start Prometheus with `--storage.tsdb.retention.time=33d`" in err
        assert "warning[SLO207]: the server forgets after 15d, and a window of 92d1h needs more" in err
