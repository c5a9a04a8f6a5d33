"""The script that `sloctl backfill` prints, run as it is with a real Prometheus and its promtool.

Only its `sleep` is replaced: instead of the minute in which Prometheus loads new blocks, it is restarted.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from bench.rules_server import Server, promtool
from sloctl.cli import main
from tests.conftest import program

START = 1704067200  # 2024-01-01
HOURS = 6
SPEC = """
apiVersion: sloctl/v1
kind: Service
service: api
runbook: https://runbooks.example.com/api
slos:
  - {name: ok, objective: 90%, window: 1d, sli: {ratio: {total: requests_total, bad_if: 'code="500"'}}}
"""
SLEEP = """\
#!/bin/sh
touch asleep-"$1"
mv asleep-"$1" "$ASLEEP"
while [ -e "$ASLEEP" ]; do /bin/sleep 0.1; done
"""


def history() -> str:
    """30 requests each 30 s; after three hours an error series is born with 4 errors, which grow by 6."""
    lines = []
    for scrape in range(HOURS * 120):
        moment = START + 30 * scrape + 7
        lines.append(f'up{{job="a",instance="i"}} 1 {moment}')
        lines.append(f'requests_total{{job="a",instance="i",code="200"}} {30 * scrape} {moment}')
        if scrape >= 360:
            lines.append(f'requests_total{{job="a",instance="i",code="500"}} {4 + 6 * (scrape - 360)} {moment}')
    return "\n".join([*lines, "# EOF", ""])


def run_script(script: str, server: Server, folder: Path) -> str:
    """Run it; while it sleeps, restart Prometheus instead. What it says."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin/sleep").write_text(SLEEP)
    (folder / "bin/sleep").chmod(0o755)
    asleep = folder / "asleep"
    path = f"{folder / 'bin'}:{program('promtool').parent}:{os.environ['PATH']}"
    running = subprocess.Popen(
        ["sh", "-s", str(server.data)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PATH": path, "ASLEEP": str(asleep)},
    )  # fmt: skip
    assert running.stdin
    assert running.stdout
    running.stdin.write(script)
    running.stdin.close()
    while running.poll() is None:
        if asleep.exists():
            server.restart()
            asleep.unlink()
        time.sleep(0.05)
    said = running.stdout.read()
    running.stdout.close()
    assert running.returncode == 0, said
    server.restart()
    return said


@pytest.mark.server
def test_the_past_is_recorded_to_the_event_and_a_second_run_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program("prometheus")
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "history.om").write_text(history())
    with Server(tmp_path, {}) as server:
        promtool("tsdb", "create-blocks-from", "openmetrics", tmp_path / "history.om", server.data)
        server.start()
        words = ["--prometheus", server.url, "--start", "2024-01-01", "--end", "2024-01-01T06:00:00Z"]
        assert main(["backfill", str(tmp_path / "spec.yaml"), *words]) == 0
        script = capsys.readouterr().out
        said = run_script(script, server, tmp_path)
        assert said.splitlines()[-1] == "done: Prometheus shows the last stage within a minute"
        end = START + HOURS * 3600
        counts = [
            f"{function}_over_time({name}[1d])"
            for name in ("slo:sli_errors:increase1m", "slo:sli_total:increase1m", "slo:sli_error:ratio_increase6h")
            for function in ("sum", "count")
        ]
        first = [server.value(count, end) for count in counts]
        assert first[0] == 4 + 6 * 359 - 6  # all but the last scrape, which no tile has reached
        assert first[1] == first[3] == HOURS * 60
        assert first[5] > 0
        rolled = server.value("sum_over_time(slo:sli_errors:increase4m[1d])", end)
        assert first[0] - 5 * 12 <= rolled <= first[0]  # all but the roll-up that is not complete
        at = server.value("timestamp(slo:sli_total:increase4m)", end)
        consumed = server.value("slo:error_budget_consumed:ratio_increase1d", end)
        total = server.value("sum_over_time(slo:sli_total:increase4m[1d])", at)
        assert consumed == pytest.approx(rolled / (0.1 * total) * HOURS / 24)
        run_script(script, server, tmp_path)
        assert [server.value(count, end) for count in counts] == first
