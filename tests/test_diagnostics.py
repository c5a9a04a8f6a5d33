"""The one list of findings: each once, with every place that it involves."""

from sloctl.diagnostics import Diagnostics, Place, Related

HERE = Place("a.yaml", 3, 1)


def test_findings_come_by_place_then_by_severity() -> None:
    found = Diagnostics()
    found.note("SLO113", Place("b.yaml"), "third")
    found.warning("SLO102", HERE, "second")
    found.error("SLO101", HERE, "first")
    assert [finding.message for finding in found] == ["first", "second", "third"]


def test_what_several_inherit_is_said_once_with_the_places_of_all() -> None:
    found = Diagnostics()
    for line in (1, 2, 1):
        found.error("SLO054", HERE, "there is no policy `x`", "", Related(Place("b.yaml", line), "used here"))
    (finding,) = found
    assert [note.place.line for note in finding.related] == [1, 2]


def test_more_than_three_places_are_counted() -> None:
    found = Diagnostics()
    for line in range(1, 101):
        found.error("SLO054", HERE, "there is no policy `x`", "", Related(Place("b.yaml", line), "used here"))
    (finding,) = found
    assert [note.message for note in finding.related] == ["used here", "used here", "used here, as in 97 more places"]


def test_another_message_at_the_same_place_is_another_finding() -> None:
    found = Diagnostics()
    found.error("SLO060", HERE, "`over` is longer than the window 1d")
    found.error("SLO060", HERE, "`over` is longer than the window 2d")
    assert len(list(found)) == 2
