"""`sloctl preview` on what it cannot draw: a sentence, the right exit code, and the page of before."""

from __future__ import annotations

from pathlib import Path

import pytest

from sloctl.cli import main

DASHBOARD = Path(__file__).parents[2] / "dashboards/finflow/overview.json"
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page of an earlier run, in the working folder."""
    monkeypatch.chdir(tmp_path)
    earlier = tmp_path / "page.html"
    earlier.write_text("earlier")
    return earlier


def preview(dashboard: Path | str, *more: str, url: str = NOBODY) -> int:
    return main(["preview", str(dashboard), "--prometheus", url, "-o", "page.html", *more])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "a.json:1:2: this is no JSON: "),
        ("[]", "a.json:1:1: this is no dashboard of sloctl's: choose a file that `sloctl generate` wrote"),
        ('{"uid": "other", "panels": []}', "a.json:1:1: this is no dashboard of sloctl's"),
        ('\n{"uid": "slo-\xff"}', "a.json:"),
    ],
)
def test_what_is_no_dashboard_is_told_at_its_place(
    content: str, said: str, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.json").write_text(content, encoding="latin-1")
    assert preview("a.json") == 1
    assert said in capsys.readouterr().err
    assert page.read_text() == "earlier"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--var", "team"), "write NAME=VALUE, not 'team'"),
        (("--var", "nobody=x"), "there is no variable 'nobody'; there is datasource, "),
        (("--since", "soon"), "write a length such as 30m, 6h or 7d"),
        (("--rate-interval", "0"), "--rate-interval"),
    ],
)
def test_wrong_words_are_a_usage_error(
    words: tuple[str, ...], said: str, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert preview(DASHBOARD, *words) == 2
    assert said in capsys.readouterr().err
    assert page.read_text() == "earlier"


def test_a_prometheus_that_does_not_answer_is_named(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert preview(DASHBOARD) == 3
    assert NOBODY in capsys.readouterr().err
    assert page.read_text() == "earlier"


def test_a_dashboard_that_is_not_there_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert preview("nothing.json") == 2
    assert "nothing.json" in capsys.readouterr().err
