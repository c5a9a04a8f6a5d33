"""Policies on the past of one SLO: what counts, what is worth telling, what is not judged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sloctl.history.backtest import Backtest, KnownIncident, Limits, SloResult, Span
from sloctl.history.picture import picture_of
from sloctl.history.tiles import History, Tiles
from sloctl.model.alerting import Severity
from sloctl.model.quantities import DAY, HOUR, MINUTE
from testing.histories import BEGIN, outages, slo_of

SLO = slo_of(window="7d")
TILES = outages(10, (3 * 1440, 30, 0.5), (6 * 1440, 20, 0.2), (8 * 1440, 3, 0.05))
END = int(TILES.at[-1])
SPAN = Span(BEGIN + 2 * DAY.milliseconds, END)


def minute(number: int) -> int:
    return BEGIN + number * 60_000


def looked(tiles: Tiles = TILES, span: Span = SPAN, known: tuple[KnownIncident, ...] = ()) -> Backtest:
    return Backtest(SLO, History.of(SLO, tiles), span, known=known)


def result(**more: object) -> SloResult:
    return looked(**more).result({"": SLO})  # type: ignore[arg-type]


def test_what_spent_a_share_of_the_budget_is_worth_a_page() -> None:
    found = result()
    assert [(one.start - BEGIN) // 60_000 for one in found.significant] == [4319, 8639]
    assert [one.spent > 0.02 for one in found.significant] == [True, True]
    assert (len(found.written.pages.notifications), found.written.precision, found.written.recall) == (2, 1.0, 1.0)
    # 0.5 x 2 of 60 minutes are more than 1.44 %, and 0.2 x 5
    assert [told[Severity.P1] for told in found.written.told] == [2 * 60_000, 5 * 60_000]


def test_a_listed_incident_counts_however_small_and_gives_its_name() -> None:
    known = (
        KnownIncident(minute(4300), minute(4360), "INC-1", ("cart",)),
        KnownIncident(minute(8 * 1440 - 5), minute(8 * 1440 + 10), "INC-2"),
        KnownIncident(minute(4300), minute(4360), "of another service", ("catalog",)),
        KnownIncident(minute(5 * 1440), minute(5 * 1440 + 10), "INC-3", ("cart",)),
        KnownIncident(0, 1, "long ago"),
    )
    found = result(known=known)
    assert [one.name for one in found.significant] == ["INC-1", "", "INC-2"]
    assert [one.name for one in found.unseen] == ["INC-3"]
    assert found.written.recall == pytest.approx(2 / 3)


def test_what_happened_before_the_span_is_not_counted() -> None:
    found = result(span=Span(minute(5 * 1440), END))
    assert len(found.significant) == len(found.written.pages.notifications) == 1


def test_a_tier_that_the_past_does_not_fill_is_shown_and_not_counted() -> None:
    tiles = outages(2, (1440, 30, 0.5))
    found = result(tiles=tiles, span=Span(minute(0), int(tiles.at[-1])))
    judged = {tier.name: tier.judged for tier in found.written.tiers}
    assert judged == {"p1-1h": True, "p1-6h": True, "p3-1d": True, "p3-3d": False}
    assert len(found.written.tiers[-1].score.notifications) > 0
    alone = looked(tiles, Span(minute(0), int(tiles.at[-1]))).tried("", replace(SLO, tiers=SLO.tiers[-1:]), ())
    assert len(alone.tickets.notifications) == 0


def test_a_source_of_averages_leaves_short_tiers_out() -> None:
    tiers = slo_of("[{severity: P1, burn: 10, over: 30m}, {severity: P1, burn: 6, over: 6h}]", window="7d")
    found = replace(looked(), shortest=HOUR).result({"": tiers})
    assert [tier.judged for tier in found.written.tiers] == [False, True]


def test_seconds_of_evaluation_that_are_not_known_make_a_range() -> None:
    calm = History.of(SLO, outages(10))
    found = replace(looked(), phases=(calm,)).result({"": SLO})
    assert [(tier.least, tier.most) for tier in found.written.tiers[:1]] == [(0, 2)]


def test_policies_are_tried_with_their_own_objective() -> None:
    strict = slo_of("[{severity: P1, burn: 1, over: 1m, guard: none}]", objective="99.99%", window="7d")
    found = looked().result({"": SLO, "strict": strict})
    assert [len(policy.every) for policy in found.policies] == [4, 3]


def test_limits_are_measured_against_what_is_written() -> None:
    found = result()
    assert Limits().missed(found, SPAN) == []
    assert Limits((3, DAY * 8), 1.0, 1.0, MINUTE * 10).missed(found, SPAN) == []
    (pages,) = Limits(pages=(1, DAY * 8)).missed(found, SPAN)
    assert pages == "cart/availability: 2 pages in 8 days, at most 1 in 8d are wanted"
    (late,) = Limits(detect_within=MINUTE).missed(found, SPAN)
    assert late == "cart/availability: incidents are told after 3m30s, within 1m is wanted"


def test_the_picture_shows_incidents_tiers_and_no_markup_of_names() -> None:
    known = (KnownIncident(minute(4300), minute(4360), "<b>INC</b>"),)
    drawn = picture_of(looked(known=known), result(known=known))
    assert drawn.count('fill="#f2c0c6"') == 2
    assert "&lt;b&gt;INC&lt;/b&gt;: 148" in drawn
    assert "<b>" not in drawn
    assert all(name in drawn for name in ("p1-1h", "p1-6h", "p3-1d", "p3-3d"))
    assert picture_of(looked(Tiles.nothing()), result(tiles=Tiles.nothing())).startswith("<svg")
