"""What SLOs would have counted, and conditions that nothing or everything fulfils, on a real Prometheus."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from sloctl.cli import main
from testing import servers
from testing.exposition import Exposition
from tests.conftest import program

HEAD = """apiVersion: sloctl/v1
kind: Platform
name: shop
scrape_interval: 1s
resolution: 5s
runbook: https://runbooks.example.com/$slo
target_labels: [job, instance]
---
apiVersion: sloctl/v1
kind: Service
service: api
alerts: none
slos:
  - name: ok
    objective: 99%
    sli: """
REQUESTS = 'requests_total{{reporter="destination"{}}}'
TOTAL = REQUESTS.format("")
RATIO = "{{ratio: {{total: '{}', {}}}}}"
SOUND = RATIO.format(TOTAL, "bad_if: 'code=~\"5..\"'")
BEGAN = time.time()


pytestmark = pytest.mark.xdist_group("trial")  # one Prometheus serves all


class Page(Exposition):
    """Ten requests a second, one of them failed, as both ends of a mesh report them."""

    def do_GET(self) -> None:
        seconds = time.time() - BEGAN
        lines = ["# TYPE requests_total counter", "# TYPE failures_total counter", f"failures_total {int(seconds)}"]
        for reporter in ("source", "destination"):
            for code, rate in (("200", 9), ("503", 1)):
                lines.append(f'requests_total{{reporter="{reporter}",code="{code}"}} {int(seconds * rate)}')
        lines += ["# TYPE latency_milliseconds histogram", f"latency_milliseconds_count {int(seconds * 10)}"]
        for bound, share in (("0.5", 0), ("500", 9), ("+Inf", 10)):
            lines.append(f'latency_milliseconds_bucket{{le="{bound}"}} {int(seconds * share)}')
        self.answer("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def scraped() -> Iterator[str]:
    program("prometheus")
    with ExitStack() as stack:
        page = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Page))
        thread = threading.Thread(target=page.serve_forever, args=(0.05,))
        thread.start()
        stack.callback(thread.join)
        stack.callback(page.shutdown)
        config = {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [{"job_name": "api", "static_configs": [{"targets": [f"127.0.0.1:{page.server_port}"]}]}],
        }
        server = stack.enter_context(servers.prometheus(config, flags=("--storage.tsdb.retention.time=45d",)))
        server.wait_for(lambda: (server.value("min(count_over_time(failures_total[1m]))") or 0) > 10, "scrapes")
        yield server.url


def run(folder: Path, capsys: pytest.CaptureFixture[str], sli: str, *words: str) -> tuple[int, str, str]:
    (folder / "spec.yaml").write_text(HEAD + sli + "\n")
    code = main([words[0], *(("--specs",) if words[0] == "try" else ()), str(folder / "spec.yaml"), *words[1:]])
    said = capsys.readouterr()
    return code, said.out, said.err.replace(str(folder), "")


@pytest.mark.server
@pytest.mark.parametrize(
    ("sli", "share"),
    [
        (SOUND, 0.1),
        (RATIO.format(TOTAL, 'good: \'requests_total{reporter="destination", code="200"}\''), 0.1),
        (RATIO.format(TOTAL, "bad: failures_total"), 0.1),
        ("{latency: {histogram: latency_milliseconds, at_most: 500ms}}", 0.1),
    ],
)
def test_the_share_of_bad_events_is_read_from_raw_series(
    sli: str, share: float, scraped: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(tmp_path, capsys, sli, "try", "--prometheus", scraped, "--format", "json")
    assert code == 0
    [trial] = json.loads(out)
    hour = trial["spans"]["1h"]
    assert hour["bad_share"] == pytest.approx(share, abs=0.05)
    assert hour["spent"] == pytest.approx(hour["bad"] / (hour["total"] * 24 * 30 * 0.01))
    assert set(trial["spans"]) == {"1h", "1d", "7d"}


@pytest.mark.server
@pytest.mark.parametrize(
    ("sli", "said"),
    [
        (
            RATIO.format(TOTAL, "bad_if: 'cod=~\"5..\"'"),
            'error[SLO221]: no series of requests_total{reporter="destination"} has the label `cod`',
        ),
        (RATIO.format(TOTAL, "bad_if: 'code=~\"5*\"'"), 'error[SLO222]: no status fulfils `code=~"5*"`'),
        (RATIO.format(TOTAL, "bad_if: 'code=\"5..\"'"), 'error[SLO222]: no status fulfils `code="5.."`'),
        (RATIO.format(TOTAL, "bad_if: 'code!~\"5..\"'"), "% of the events of api-ok were bad in the last hour"),
        (
            RATIO.format(TOTAL, "bad: '" + REQUESTS.format(', code=~"2.."') + "'"),
            "% of the events of api-ok were bad in the last hour",
        ),
        ("{latency: {histogram: latency_milliseconds, at_most: 0.5}}", "error[SLO220]: 100.0% of the events"),
        (
            RATIO.format("requests_total", "bad_if: 'code=~\"5..\"'"),
            "warning[SLO223]: requests_total is reported by destination and source",
        ),
        (RATIO.format(TOTAL, "bad: failure_total"), "warning[SLO224]: no series of failure_total in the last day"),
    ],
)
def test_a_condition_that_nothing_or_everything_fulfils_is_told_with_its_place(
    sli: str, said: str, scraped: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (("validate", "--prometheus", scraped), ("try", "--prometheus", scraped)):
        code, _, err = run(tmp_path, capsys, sli, *words)
        assert said in err
        assert "/spec.yaml:16:" in err
        assert code == (1 if "error[" in err else 0)


@pytest.mark.server
def test_what_is_sound_is_shown_and_nothing_is_found(
    scraped: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(tmp_path, capsys, SOUND, "try", "--prometheus", scraped)
    assert (code, err) == (0, "")
    assert "api/ok" in out
    code, _, err = run(tmp_path, capsys, SOUND, "try", "api/other", "--prometheus", scraped)
    assert code == 2
    assert "there is no SLO 'api/other'; there are api/ok" in err
