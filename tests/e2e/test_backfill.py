"""`sloctl backfill` into a real Prometheus: blocks by its promtool, and remote write."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.rules_server import Server, promtool
from sloctl.cli import main
from testing import servers
from testing.servers import Prometheus
from tests.conftest import program

START = 1767225600  # 2026-01-01
HOURS = 6
END = START + HOURS * 3600
SPEC = """
apiVersion: sloctl/v1
kind: Service
service: api
runbook: https://runbooks.example.com/api
slos:
  - {name: ok, objective: 90%, window: 1d, sli: {ratio: {total: requests_total, bad_if: 'code="500"'}}}
  - name: codes
    objective: 90%
    window: {calendar: month, time_zone: Asia/Kolkata}
    by: [code]
    max_series: 5
    sli: {ratio: {total: requests_total, bad_if: 'code=~"5.."'}}
  - {name: pool, objective: 99%, window: 1d, sli: {saturation: {used: used, capacity: capacity, at_most: 80%}}}
"""
SPAN = ["--start", "2026-01-01", "--end", "2026-01-01T06:00:00Z"]
OK = '{slo="api-ok"}'
BROKEN = """#!/bin/sh
[ "$1" = --version ] && echo "promtool, version 2.53.0 (x)" && exit
echo no >&2
exit 1
"""


def history() -> str:
    """30 requests each 30 s; after three hours an error series is born with 4 errors, which grow by 6."""
    lines = []
    for scrape in range(HOURS * 120):
        moment = START + 30 * scrape + 7
        lines.append(f'up{{job="a",instance="i"}} 1 {moment}')
        lines.append(f'requests_total{{job="a",instance="i",code="200"}} {30 * scrape} {moment}')
        lines.append(f'used{{job="a",instance="i"}} {5 if scrape < 360 else 9} {moment}')
        lines.append(f'capacity{{job="a",instance="i"}} 10 {moment}')
        if scrape >= 360:
            lines.append(f'requests_total{{job="a",instance="i",code="500"}} {4 + 6 * (scrape - 360)} {moment}')
    return "\n".join([*lines, "# EOF", ""])


def with_history(folder: Path) -> None:
    program("prometheus")
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "history.om").write_text(history())
    promtool("tsdb", "create-blocks-from", "openmetrics", folder / "history.om", folder / "data")


def check(server: Prometheus) -> list[float | None]:
    """Hold what is recorded to what happened; the numbers, for a second look."""
    counts = [
        f"{function}_over_time({name}{OK}[1d])"
        for name in ("slo:sli_errors:increase1m", "slo:sli_total:increase1m", "slo:sli_error:ratio_increase6h")
        for function in ("sum", "count")
    ]
    found = [server.value(count, END) for count in counts]
    errors, total = found[0], found[2]
    assert errors == 4 + 6 * 359
    # the first tile ends after the first sample
    assert found[1] == found[3] == HOURS * 60
    rolled, all_rolled = (
        server.value(f"sum_over_time(slo:sli_{kind}:increase4m{OK}[1d])", END) for kind in ("errors", "total")
    )
    assert errors is not None
    assert total is not None
    assert rolled is not None
    assert all_rolled is not None
    assert errors - 5 * 12 <= rolled <= errors  # all but the roll-up that is not complete
    consumed = server.value(f"slo:error_budget_consumed:ratio_increase1d{OK}", END)
    at = server.value(f"timestamp(slo:error_budget_consumed:ratio_increase1d{OK})", END)
    since = server.value(f"slo:measured_since:timestamp_seconds{OK}", END)
    assert at is not None
    assert since == START
    assert consumed == pytest.approx(rolled / (0.1 * all_rolled) * (at - START) / 86_400)
    assert server.value(f"slo:objective:info{OK}", END) == 0.9
    # the month in Kolkata began five and a half hours before
    period = 1767205800
    assert server.value("slo:period_start:timestamp_seconds", END) == period
    of_500 = server.value(f'sum_over_time(slo:sli_errors:increase4m{{code="500", period="{period}"}}[1d])', END)
    assert of_500 == rolled
    assert server.value('slo:error_budget_consumed:ratio_period{code="200"}', END) == 0
    # what is a value and no count is asked of the server
    assert server.value("slo:sli_value:last", END) == 0.9
    bad = server.value('sum_over_time(slo:sli_errors:increase1m{slo="api-pool"}[1d])', END)
    assert bad == HOURS * 30
    return [*found, rolled, consumed, bad]


@pytest.mark.server
def test_the_past_is_recorded_to_the_event_and_a_second_run_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_history(tmp_path)
    command = ["backfill", str(tmp_path / "spec.yaml"), *SPAN, "--promtool", str(program("promtool"))]
    with Server(tmp_path, {}) as server:
        server.start()
        words = ["--prometheus", server.url, "--data", str(server.data)]
        assert main([*command, *words]) == 0
        assert " samples of 3 SLOs in 0.25 days; Prometheus shows them within a minute" in capsys.readouterr().out
        assert not list(server.data.glob("sloctl-backfill-*"))
        first = check(server.restart())
        assert main([*command, *words]) == 0
        assert capsys.readouterr().out.startswith("0 samples of 3 SLOs")
        assert check(server.restart()) == first


@pytest.mark.server
def test_the_same_past_goes_by_remote_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_history(tmp_path)
    flags = ("--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=100y")
    config = {"storage": {"tsdb": {"out_of_order_time_window": "50y"}}}
    with servers.prometheus(config, flags=flags, data=tmp_path / "data") as server:
        command = ["backfill", str(tmp_path / "spec.yaml"), *SPAN, "--prometheus", server.url]
        assert main([*command, "--remote-write", f"{server.url}/api/v1/write"]) == 0
        assert "shows them now" in capsys.readouterr().out
        check(server)


@pytest.mark.server
def test_a_receiver_that_takes_no_old_samples_is_named_with_what_to_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_history(tmp_path)
    flags = ("--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=100y")
    with servers.prometheus({}, flags=flags, data=tmp_path / "data") as server:
        command = ["backfill", str(tmp_path / "spec.yaml"), *SPAN, "--prometheus", server.url]
        assert main([*command, "--remote-write", f"{server.url}/api/v1/nowhere"]) == 3
        assert "answered HTTP 404" in capsys.readouterr().err
        assert main([*command, "--remote-write", f"{server.url}/api/v1/write"]) == 3
        assert "out_of_order_time_window" in capsys.readouterr().err


@pytest.mark.server
def test_a_promtool_that_fails_adds_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_history(tmp_path)
    broken = tmp_path / "promtool"
    broken.write_text(BROKEN)
    broken.chmod(0o755)
    with Server(tmp_path, {}) as server:
        server.start()
        before = sorted(path.name for path in server.data.iterdir())
        words = ["--prometheus", server.url, "--data", str(server.data), "--promtool", str(broken)]
        assert main(["backfill", str(tmp_path / "spec.yaml"), *SPAN, *words]) == 3
        assert "promtool made no blocks, and nothing was added: no" in capsys.readouterr().err
        assert sorted(path.name for path in server.data.iterdir()) == before
