"""The page in a real browser: nothing logged, nothing loaded, every panel drawn, no overflow; words shown literally."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from examples.pictures.browser import look
from sloctl.backends.grafana.preview.page import preview
from sloctl.prometheus import Sample, Series
from tests.backends.grafana.conftest import Dashboards
from tests.conftest import program

NOW = 1_770_000_000.0
NASTY = '<img src=x onerror="alert(1)"> $slo ${x} \\ "q" & a-very-long-name-without-any-space-' + "x" * 60
NAMES = ("slo", "service", "team", "severity", "alertname", "tenant", "region", "whom", "promise", "runbook")


@dataclass(frozen=True, slots=True)
class Answers:
    """Two series for every query, with labels that try to break out of the page."""

    empty: bool = False

    def query(self, promql: str, at: float | None = None) -> Sequence[Sample]:
        if self.empty:
            return ()
        return [
            Sample({**dict.fromkeys(NAMES, f"{index} {NASTY}")}, value, NOW) for index, value in enumerate((0.97, 12.5))
        ]

    def query_range(self, promql: str, start: float, end: float, step: float) -> Sequence[Series]:
        if self.empty or promql.startswith("max by (alertname, slo)"):
            return ()
        times = tuple(start + index * step for index in range(int((end - start) / step) + 1))
        wave = tuple(1 + math.sin(index / 9) for index, _ in enumerate(times))
        gap = tuple(2.0 if index % 40 < 20 else math.nan for index, _ in enumerate(times))
        labels = dict.fromkeys(NAMES, NASTY)
        return [Series(labels, times, wave), Series({**labels, "slo": "other"}, times, gap)]


def written(folder: Path, dashboards: Dashboards, path: str, *, empty: bool = False) -> Path:
    page = folder / f"{Path(path).stem}.html"
    page.write_text(preview(dashboards[path], Answers(empty=empty), NOW, {}), encoding="utf-8")
    return page


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("name", ["overview", "detail", "canary", "tenant", "scorecard", "user-experience", "capacity"])
def test_a_page_is_whole_and_quiet_in_a_browser(name: str, width: int, dashboards: Dashboards, tmp_path: Path) -> None:
    program("chromium")
    path = f"dashboards/routemesh/{name}.json"
    seen = look(written(tmp_path, dashboards, path), width)
    assert seen.console == ()
    assert seen.requests == ()
    assert seen.width <= width
    titles = [panel["title"] for panel in dashboards[path]["panels"] if panel["type"] != "row"]
    assert [title for title, _ in seen.panels] == titles
    assert [title for title, height in seen.panels if height < 15] == []


def test_a_page_that_breaks_its_policy_is_noticed(dashboards: Dashboards, tmp_path: Path) -> None:
    program("chromium")
    page = written(tmp_path, dashboards, "dashboards/routemesh/canary.json")
    text = page.read_text().replace("</main>", '<p style="width: 3000px">x</p><script>1</script></main>')
    page.write_text(text)
    assert len(look(page, 400).console) == 2


def test_a_page_that_loads_something_is_noticed(tmp_path: Path) -> None:
    program("chromium")
    page = tmp_path / "page.html"
    page.write_text('<section><h3>x</h3><img src="http://127.0.0.1:9/x.png"></section>')
    assert look(page, 400).requests == ("http://127.0.0.1:9/x.png",)


def test_labels_and_descriptions_are_text_and_nothing_else(dashboards: Dashboards, tmp_path: Path) -> None:
    text = written(tmp_path, dashboards, "dashboards/routemesh/overview.json").read_text()
    assert "<img" not in text
    assert "&lt;img src=x onerror=&#34;alert(1)&#34;&gt; $slo ${x} \\" in text
    assert "<script" not in text


def test_panels_without_data_say_so(dashboards: Dashboards, tmp_path: Path) -> None:
    for path in dashboards:
        text = written(tmp_path, dashboards, path, empty=True).read_text()
        assert "nan" not in text.lower().replace("finance", "").replace("tenant", "")
        assert "no data" in text or "note" in path
