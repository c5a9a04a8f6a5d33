"""Who would have been told of what, and after how long."""

from __future__ import annotations

from sloctl.history.incidents import Incident
from sloctl.history.replay import Episode
from sloctl.history.score import notifications, scored

MINUTE = 60_000


def episode(firing: int | None, until: int) -> Episode:
    """In minutes; it is pending for one."""
    since = until if firing is None else firing - 1
    return Episode(since * MINUTE, None if firing is None else firing * MINUTE, until * MINUTE)


def incident(start: int, end: int) -> Incident:
    return Incident(start * MINUTE, end * MINUTE, 0.1, 10.0, 100.0, 10.0)


def test_episodes_of_two_tiers_that_overlap_are_one_notification() -> None:
    told = notifications([[episode(10, 20), episode(60, 70)], [episode(15, 40), episode(None, 50)]])
    assert [(one.start // MINUTE, one.end // MINUTE, one.tiers) for one in told] == [(10, 40, (0, 1)), (60, 70, (0,))]


def test_what_fires_again_within_five_minutes_was_told_once() -> None:
    assert len(notifications([[episode(10, 20), episode(25, 30)]])) == 1
    assert len(notifications([[episode(10, 20), episode(26, 30)]])) == 2


def test_only_what_began_to_fire_in_the_span_counts() -> None:
    fired = [[episode(10, 20), episode(30, 40), episode(50, 60)]]
    (told,) = notifications(fired, 10 * MINUTE, 49 * MINUTE)
    assert told.start == 30 * MINUTE


def test_precision_recall_detection_and_reset() -> None:
    told = notifications([[episode(10, 25), episode(100, 110), episode(205, 230)]])
    score = scored(told, [incident(5, 20), incident(200, 235), incident(300, 310)])
    assert score.precision == 2 / 3
    assert score.recall == 2 / 3
    assert score.detection == 5 * MINUTE
    assert [one.reset for one in score.told] == [5 * MINUTE, 0, None]


def test_an_alert_half_an_hour_after_an_incident_still_told_of_it() -> None:
    assert scored(notifications([[episode(49, 60)]]), [incident(10, 20)]).recall == 1
    assert scored(notifications([[episode(50, 60)]]), [incident(10, 20)]).recall == 0


def test_nothing_is_no_share() -> None:
    score = scored((), ())
    assert (score.precision, score.recall, score.detection, score.reset) == (None, None, None, None)
