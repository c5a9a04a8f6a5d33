"""`sloctl backtest` on the past of examples/history, in a real Prometheus; its page shows what it prints."""

from __future__ import annotations

import csv
import io
import json
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from examples.history.run import PICTURE
from examples.history.world import past
from sloctl.cli import main
from sloctl.cli.incidents import read_incidents
from testing.histories import past_server
from testing.servers import ROOT
from tests.conftest import program
from tests.console import Command, blocks, matches

pytestmark = pytest.mark.xdist_group("backtest")  # one Prometheus serves all

PAGE = ROOT / "docs" / "backtest.md"
COMMANDS = [
    command
    for block in blocks(PAGE.read_text(encoding="utf-8"))
    for command in block.commands
    if command.text.startswith("sloctl backtest")
]
SPECS = str(ROOT / "examples/history/slo-specs")
SPAN = ("--start", "2026-09-08", "--end", "2026-09-22", "--cache", "none")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    program("prometheus")
    with past_server(past()) as server:
        yield server.url


def backtest(url: str, *words: str, specs: str = SPECS) -> int:
    return main(["backtest", specs, "--prometheus", url, *SPAN, *words])


@pytest.mark.server
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command.line))
def test_the_page_shows_what_it_prints(
    command: Command, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], update_golden: bool
) -> None:
    monkeypatch.chdir(ROOT)
    words = shlex.split(command.text.replace("\\\n", " ").replace("http://prometheus:9090", url))
    assert main([*words[1:], "--cache", "none"]) == 0
    said = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    if update_golden:
        text, shown = PAGE.read_text(encoding="utf-8"), "".join(f"{line}\n" for line in command.expected)
        typed = "$ " + command.text.replace("\n", "\n> ") + "\n"
        PAGE.write_text(text.replace(typed + shown, typed + "".join(f"{line}\n" for line in said)), encoding="utf-8")
    else:
        assert matches(command.expected, said), "\n".join(said)


@pytest.mark.server
def test_the_picture_of_the_page_is_what_is_drawn(url: str, tmp_path: Path) -> None:
    assert backtest(url, "--picture", str(tmp_path / "past.svg")) == 0
    assert (tmp_path / "past.svg").read_text() == PICTURE.read_text(encoding="utf-8")


@pytest.mark.server
@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (("--most-pages", "1/14d"), "2 pages in 14 days, at most 1 in 14d are wanted"),
        (("--least-recall", "90%"), "recall 67%, at least 90% is wanted"),
        (("--detect-within", "1m"), "incidents are told after 2m30s, within 1m is wanted"),
        (("--most-pages", "5/30d", "--least-precision", "80%", "--detect-within", "10m"), ""),
    ],
)
def test_a_limit_that_is_missed_fails(
    limit: tuple[str, ...], said: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backtest(url, *limit) == (1 if said else 0)
    assert said in capsys.readouterr().err


@pytest.mark.server
def test_a_limit_of_precision_counts_what_was_not_worth_it(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    specs = Path(SPECS, "shop.yaml").read_text().replace("    objective:", "    alerts: violated\n    objective:")
    (tmp_path / "shop.yaml").write_text(specs)
    assert backtest(url, "--least-precision", "80%", specs=str(tmp_path)) == 1
    assert "precision 4%, at least 80% is wanted" in capsys.readouterr().err


@pytest.mark.server
def test_what_another_folder_says_is_compared_on_the_same_counts(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    specs = Path(SPECS, "shop.yaml").read_text().replace("    objective:", "    alerts: fast\n    objective:")
    (tmp_path / "shop.yaml").write_text(specs)
    assert backtest(url, "--against", str(tmp_path), "--format", "markdown") == 0
    out = capsys.readouterr().out
    assert f"Compared with {tmp_path}: 2 tickets fewer" in out
    assert "incident of 2026-09-09 16:30 (130% of the budget) is told 2m later" in out
    assert "incident of 2026-09-15 11:40 (15% of the budget) is told to nobody any more" in out
    assert "| before | p1-15m | 2 pages | 100% | 2 of 3 | 1m30s |" in out


@pytest.mark.server
def test_what_another_revision_counts_otherwise_is_said(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    specs = Path(SPECS, "shop.yaml").read_text()
    (tmp_path / "shop.yaml").write_text(specs.replace("5..", "50."))
    assert backtest(url, "--against", str(tmp_path)) == 0
    assert "it counts something else than before: both are replayed over what it counts now" in capsys.readouterr().out
    (tmp_path / "shop.yaml").write_text(specs.replace("name: availability", "name: success"))
    assert backtest(url, "--against", str(tmp_path)) == 0
    assert "it is new, or counted in other tiles: there is nothing to compare it with" in capsys.readouterr().out


@pytest.mark.server
def test_programs_get_seconds_ratios_and_moments(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest(url, "--format", "json", "--policy", "violated") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["start"], found["end"]) == ("2026-09-08T00:00:00.000Z", "2026-09-22T00:00:00.000Z")
    (slo,) = found["slos"]
    written, violated = slo["policies"]
    assert (written["pages"], written["pages_worth_it"], written["detection_seconds"]) == (2, 2, 150)
    assert (violated["policy"], violated["pages"], violated["pages_worth_it"]) == ("violated", 57, 2)
    provider = slo["incidents"][0]
    assert (provider["start"], provider["end"]) == ("2026-09-09T16:30:00.000Z", "2026-09-09T17:10:00.000Z")
    assert provider["told_after_seconds"] == {"": {"P1": 240.0, "P3": 840.0}, "violated": {"P1": 120.0}}
    assert slo["measured"] == pytest.approx(1, abs=0.001)
    assert slo["sources"] == ["samples"]
    assert len(written["tiers"][0]["notifications"]) == written["tiers"][0]["sent"] == 2

    assert backtest(url, "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["tier"], row["sent"], row["detection_seconds"]) for row in rows[:2]] == [
        ("p1-1h", "2", "150.0"),
        ("p1-6h", "1", "540.0"),
    ]


@pytest.mark.server
def test_status_shows_one_row_with_what_would_have_paged(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--would-page", "--since", "14d", "--at", "2026-09-22", "--specs", SPECS)
    assert main(["status", "--prometheus", url, *words]) == 0
    said = " ".join(capsys.readouterr().out.split())
    row = "2 pages, 2 of them worth it; 1 ticket, 1 of them worth it; 116% of the budget; without the guard 2"
    assert f"{row}; 1 incident told to nobody" in said
    assert main(["status", "--prometheus", url, *words, "--format", "json"]) == 0
    (value,) = json.loads(capsys.readouterr().out)
    assert (value["slo"], value["pages"], value["pages_worth_it"], value["incidents"]) == (
        "checkout-availability",
        2,
        2,
        3,
    )


@pytest.mark.server
def test_a_window_longer_than_the_past_is_not_judged(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backtest", SPECS, "--prometheus", url, "--start", "2026-09-01", "--end", "2026-09-03"]) == 0
    out = capsys.readouterr().out
    assert "not judged, as the past does not fill their windows: p3-3d" in out


@pytest.mark.server
def test_what_is_suggested_is_a_specification(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest(url, "--suggest", "--format", "json") == 0
    suggested = json.loads(capsys.readouterr().out)["slos"][0]["suggested"]
    indented = "".join(f"    {line}\n" for line in suggested.splitlines())
    written = Path(SPECS, "shop.yaml").read_text().replace("    objective: 99.9%\n", indented)
    (tmp_path / "shop.yaml").write_text(written)
    assert main(["validate", str(tmp_path)]) == 0, capsys.readouterr().err
    assert backtest(url, "--least-recall", "100%", specs=str(tmp_path)) == 0


@pytest.mark.server
def test_no_series_in_the_span_is_said_with_selector_and_span(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backtest", SPECS, "--prometheus", url, "--start", "2025-01-01", "--end", "2025-02-01"]) == 3
    err = capsys.readouterr().err
    assert (
        'no series in 2025-01-01 00:00 to 2025-02-01 00:00 of checkout/availability (http_requests_total{job="' in err
    )


class Silent(BaseHTTPRequestHandler):
    """Takes a question and never answers."""

    asked = threading.Event()
    over = threading.Event()

    def do_POST(self) -> None:
        self.asked.set()
        self.over.wait(120)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        address, cache = f"http://127.0.0.1:{server.server_port}", tmp_path / "cache"
        command = [sys.executable, "-m", "sloctl", "backtest", SPECS, "--prometheus", address, "--cache", str(cache)]
        try:
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                assert Silent.asked.wait(120)
                process.send_signal(signal.SIGINT)
                assert "".join(process.communicate(timeout=120)).strip() == ""
                assert process.returncode == 130
        finally:
            Silent.over.set()
            server.shutdown()
            thread.join()
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_away_is_no_half_result(capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest("http://127.0.0.1:1") == 3
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--policy", "nightly"), "no Platform has a policy `nightly`"),
        (("--only", "cart"), "there is no SLO 'cart'; there are checkout/availability"),
        (("--most-pages", "many"), "'many' is no count in a time; write 5/30d"),
        (("--least-recall", "0.9"), "'0.9' is no percentage; write 80%"),
        (("--start", "2026-09-23"), "--start must be before --end"),
        (("--end", "2999-01-01"), "--end is in the future"),
        (("--against", "-x"), "neither a folder nor a git revision"),
    ],
)
def test_usage_that_is_wrong_ends_with_2(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest("http://127.0.0.1:1", *words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("start,end\n2026-09-01T10:00:00,2026-09-01T11:00:00Z\n", "2:1: `start` 2026-09-01T10:00:00 has no zone"),
        ("start,end\n2026-09-01T10:00Z,2026-09-01T09:00Z\n", "2:19: it ends before it begins"),
        ("start,end,name\n\n2026-09-01T10:00Z,soon,x\n", "3:19: `end` is 'soon'; write a time such as"),
        (
            '[{"start": "2026-09-01T10:00:00Z",\n  "end": "2026-09-01T11:00:00"}]',
            "2:10: `end` 2026-09-01T11:00:00 has no",
        ),
        ('{"incidents": [{"created_at": 5}]}', "1:31: `start` is '5'; write a time"),
        ('{"list": []}', "1:1: a list of incidents is needed"),
        ("[1, 2", "1:6: no JSON"),
    ],
)
def test_an_incident_that_is_wrong_is_refused_where_it_stands(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "incidents").write_text(text)
    assert backtest("http://127.0.0.1:1", "--incidents", str(tmp_path / "incidents")) == 2
    assert f"{tmp_path}/incidents:{said}" in capsys.readouterr().err


def test_services_of_incidents_that_no_specification_has_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "incidents").write_text("start,end,services\n2026-09-01T10:00Z,2026-09-01T11:00Z,Check Out;checkout\n")
    assert backtest("http://127.0.0.1:1", "--incidents", str(tmp_path / "incidents")) == 3
    assert "no specification has these services of the incidents: check-out\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "start,end,services,name\n2026-09-01T10:00:00Z,2026-09-01T11:00:00Z,checkout-api;web,INC-1\n",
        "created_on,resolved_on,service_name,description\n"
        "2026-09-01T12:00:00+02:00,2026-09-01T13:00:00+02:00,Checkout API | web,INC-1\n",
        '{"incidents": [{"created_at": "2026-09-01T10:00:00Z", "resolved_at": "2026-09-01T11:00:00Z",'
        ' "services": [{"summary": "Checkout API"}, {"summary": "web"}], "title": "INC-1"}]}',
    ],
)
def test_incidents_are_read_from_what_people_have(text: str, tmp_path: Path) -> None:
    (tmp_path / "incidents").write_text(text)
    (found,) = read_incidents(tmp_path / "incidents")
    assert (found.start, found.end) == (1_788_256_800_000, 1_788_260_400_000)
    assert (found.services, found.name) == (("checkout-api", "web"), "INC-1")
