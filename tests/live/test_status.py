"""What `sloctl status` reads from recordings, and in which order it tells it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from io import StringIO

import pytest
from rich.console import Console

from sloctl.cli.status import table
from sloctl.live.status import read_status
from sloctl.prometheus import Sample


class Recorded:
    """Answers by the name in a query, or by its pattern."""

    def __init__(self, *samples: tuple[str, dict[str, str], float], kept: str = "") -> None:
        self.samples, self.kept = samples, kept

    def get(self, path: str, parameters: dict[str, str]) -> dict[str, str]:
        assert path == "status/runtimeinfo"
        return {"storageRetention": self.kept}

    def query(self, promql: str, at: float | None = None) -> Iterable[Sample]:
        names = promql.split('"')[1] if promql.startswith("{") else promql.split("{", maxsplit=1)[0]
        return [
            Sample({"__name__": name} | labels, value, 0)
            for name, labels, value in self.samples
            if re.fullmatch(names, name)
        ]


def labels(slo: str, **more: str) -> dict[str, str]:
    return {"platform": "shop", "slo": slo, "service": "cart"} | more


OBJECTIVE = "slo:objective:info"
CONSUMED = "slo:error_budget_consumed:ratio_increase30d"


def test_budget_left_is_told_in_percent_and_minutes_of_total_failure() -> None:
    info = (OBJECTIVE, labels("cart-ok", window="30d", team="web"), 0.999)
    [status] = read_status(Recorded(info, (CONSUMED, labels("cart-ok"), 0.25)))
    assert status.budget_left == pytest.approx(0.75)
    assert status.minutes_left == pytest.approx(0.75 * 43.2)
    assert status.sli == pytest.approx(0.99975)
    assert status.team == "web"


def test_what_is_attained_is_the_share_of_what_was_counted_however_little_that_is() -> None:
    info, covered = (OBJECTIVE, labels("cart-ok", window="30d"), 0.9), ("slo:window_covered:ratio", labels("cart-ok"))
    [status] = read_status(Recorded(info, (CONSUMED, labels("cart-ok"), 0.05), (*covered, 0.1)))
    assert (status.sli, status.budget_left) == (pytest.approx(0.95), pytest.approx(0.95))


def test_burn_rates_are_ratios_by_budget_shortest_window_first() -> None:
    info = (OBJECTIVE, labels("cart-ok", window="30d"), 0.999)
    ratios = [(f"slo:sli_error:ratio_increase{over}", labels("cart-ok"), 0.002) for over in ("1h", "3d", "5m", "1h30m")]
    [status] = read_status(Recorded(info, *ratios))
    assert list(status.burns) == ["5m", "1h", "1h30m", "3d"]
    assert status.burns["5m"] == pytest.approx(2)


def test_what_fires_comes_first_then_what_is_gone_soonest_and_what_has_no_data_is_shown() -> None:
    slos = [(OBJECTIVE, labels(slo, window="30d"), 0.99) for slo in ("fine", "soon", "page", "silent")]
    budgets = [(CONSUMED, labels(slo), 0.1) for slo in ("fine", "soon", "page")]
    exhaustion = ("slo:time_to_exhaustion:seconds", labels("soon"), 3600.0)
    alert = labels("page", sloctl="v1", burn_tier="p1-1h", alertstate="firing", alertname="X", severity="P1")
    found = read_status(Recorded(*slos, *budgets, exhaustion, ("ALERTS", alert, 1)))
    assert [status.slo for status in found] == ["page", "soon", "fine", "silent"]
    assert found[0].alerts == {"p1-1h": "firing"}
    assert found[-1].budget_left is None


def test_each_split_value_has_a_row_of_its_own() -> None:
    info = (OBJECTIVE, labels("cart-ok", window="month (Asia/Kolkata)", area="x"), 0.99)
    split = [(CONSUMED, labels("cart-ok", area="x", tenant=tenant), spent) for tenant, spent in (("a", 0.1), ("b", 2))]
    found = read_status(Recorded(info, *split))
    assert [(status.split, status.budget_left) for status in found] == [
        ({"tenant": "b"}, pytest.approx(-1)),
        ({"tenant": "a"}, pytest.approx(0.9)),
    ]


@pytest.mark.parametrize("more", [{"notify": "incident"}, {"mode": "observe"}, {"pager": "loud"}])
@pytest.mark.parametrize("split", [{}, {"tenant": "a"}], ids=["whole", "split"])
def test_what_a_tier_adds_to_its_alert_is_no_split_label(more: dict[str, str], split: dict[str, str]) -> None:
    info = (OBJECTIVE, labels("cart-ok", window="30d", area="x"), 0.99)
    consumed = (CONSUMED, labels("cart-ok", area="x", **split), 0.5)
    fires = {"sloctl": "v1", "burn_tier": "p1-1h", "alertstate": "firing", "alertname": "X", "severity": "P1"}
    alert = ("ALERTS", labels("cart-ok", area="x", **fires, **more, **split), 1)
    [status] = read_status(Recorded(info, consumed, alert))
    assert (status.split, status.alerts) == (split, {"p1-1h": "firing"})
    assert status.budget_left == pytest.approx(0.5)


def test_an_alert_about_all_values_of_a_split_has_a_row_of_its_own() -> None:
    info = (OBJECTIVE, labels("cart-ok", window="30d"), 0.99)
    blind = labels("cart-ok", sloctl="v1", burn_tier="blind", alertstate="firing", alertname="X", severity="P2")
    found = read_status(Recorded(info, (CONSUMED, labels("cart-ok", tenant="a"), 0.5), ("ALERTS", blind, 1)))
    assert [(status.split, status.alerts) for status in found] == [({"tenant": "a"}, {}), ({}, {"blind": "firing"})]


def test_values_of_a_split_by_window_keep_their_rows() -> None:
    info = (OBJECTIVE, labels("cart-ok", window="30d"), 0.99)
    split = [(CONSUMED, labels("cart-ok", window=window), spent) for window, spent in (("day", 0.1), ("night", 0.2))]
    found = read_status(Recorded(info, *split))
    assert [(status.split, status.window) for status in found] == [
        ({"window": "night"}, "30d"),
        ({"window": "day"}, "30d"),
    ]


def test_a_recording_of_an_slo_that_is_gone_is_not_shown() -> None:
    assert read_status(Recorded((CONSUMED, labels("gone"), 0.1))) == []


@pytest.mark.parametrize(
    ("window", "kept", "shown"),
    [
        ("30d", "15d", "1.5 d of 30d measured, the server keeps 15d"),
        ("30d", "45d", "1.5 d of 30d measured"),
        ("30d", "30d or 10GiB", "1.5 d of 30d measured"),
        ("30d", "10GiB", "1.5 d of 30d measured"),
        ("30d", "2w", "1.5 d of 30d measured, the server keeps 14d"),
        ("month (Asia/Kolkata)", "1y", "5% of month (Asia/Kolkata)"),
        ("year (UTC)", "1y", "5% of year (UTC), the server keeps 365d"),
    ],
)
def test_a_young_window_and_a_server_that_forgets_it_are_shown(window: str, kept: str, shown: str) -> None:
    info, covered = (OBJECTIVE, labels("cart-ok", window=window), 0.99), ("slo:window_covered:ratio", labels("cart-ok"))
    [status] = read_status(Recorded(info, (*covered, 0.05), kept=kept))
    console = Console(file=StringIO(), width=300)
    console.print(table([status]))
    assert f" {shown} " in console.file.getvalue()
    assert status.value()["window_covered"] == 0.05


def test_a_window_that_is_whole_is_shown_as_it_is_written() -> None:
    info, covered = (OBJECTIVE, labels("cart-ok", window="30d"), 0.99), ("slo:window_covered:ratio", labels("cart-ok"))
    console = Console(file=StringIO(), width=300)
    console.print(table(read_status(Recorded(info, (*covered, 1.0), kept="45d"))))
    assert " 30d " in console.file.getvalue()
    assert "measured" not in console.file.getvalue()


BURNS = ("slo:time_to_exhaustion:seconds", labels("cart-ok"), 86_400.0)
FIRES = labels("cart-ok", sloctl="v1", burn_tier="p1-1h", alertstate="firing", alertname="X", severity="P1")


@pytest.mark.parametrize(
    ("samples", "state"),
    [
        ([], "no data"),
        ([(CONSUMED, labels("cart-ok"), 0.5)], "fine"),
        ([(CONSUMED, labels("cart-ok"), 0.5), ("slo:window_covered:ratio", labels("cart-ok"), 0.01)], "young"),
        ([(CONSUMED, labels("cart-ok"), 0.5), ("slo:window_covered:ratio", labels("cart-ok"), 0.5)], "fine"),
        ([(CONSUMED, labels("cart-ok"), 0.8)], "at risk"),
        ([(CONSUMED, labels("cart-ok"), 0.1), BURNS], "at risk"),
        ([(CONSUMED, labels("cart-ok"), 0.1), ("ALERTS", FIRES, 1)], "at risk"),
        ([(CONSUMED, labels("cart-ok"), 1.0)], "exhausted"),
        ([(CONSUMED, labels("cart-ok"), 1.5), ("ALERTS", FIRES | {"burn_tier": "blind"}, 1)], "no data"),
    ],
)
def test_an_slo_is_in_one_state(samples: list[tuple[str, dict[str, str], float]], state: str) -> None:
    info = (OBJECTIVE, labels("cart-ok", window="30d"), 0.99)
    [status] = read_status(Recorded(info, *samples))
    assert status.state.word == state
    assert status.value()["state"] == state


def test_before_the_budget_is_recorded_nothing_is_said_of_how_long_it_lasts() -> None:
    info, burning = (
        (OBJECTIVE, labels("cart-ok", window="30d"), 0.99),
        ("slo:sli_error:ratio_increase1h", labels("cart-ok"), 0.05),
    )
    console = Console(file=StringIO(), width=300)
    console.print(table(read_status(Recorded(info, burning))))
    assert "nothing burns" not in console.file.getvalue()
    assert "1h:5.0" in console.file.getvalue()
