"""What an indicator reads."""

from __future__ import annotations

from decimal import Decimal

from sloctl.model.indicator import Latency, PerSecond, Ratio, Reads, Unit
from sloctl.model.selector import Matcher, MatchOperator, Selector

ALL, BAD, GOOD = Selector("requests_total"), Selector("failures_total"), Selector("successes_total")


def test_errors_need_not_have_happened_yet() -> None:
    assert Ratio(total=(ALL,), bad=(BAD,)).reads() == Reads(((ALL,),), (BAD,), counters=True)
    assert Ratio(bad=(BAD,), good=(GOOD,), counts=PerSecond()).reads() == Reads(((BAD, GOOD),), (BAD,))


def test_a_total_that_is_all_bad_must_still_exist() -> None:
    assert Ratio(total=(ALL,), bad=(ALL,)).reads() == Reads(((ALL,),), counters=True)


def test_a_classic_histogram_is_read_by_its_parts() -> None:
    reads = Latency((Selector("seconds"),), Decimal("0.3"), Unit.SECONDS).reads()
    bucket = Selector("seconds_bucket", (Matcher("le", MatchOperator.EQUAL, "0.3"),))
    assert reads == Reads(((Selector("seconds_count"),),), buckets=(bucket,), counters=True)
    assert reads.groups == ((Selector("seconds_count"),), (bucket,))
    assert reads.selectors == (Selector("seconds_count"),)


def test_a_native_histogram_is_read_as_it_is() -> None:
    histogram = (Selector("seconds"),)
    assert Latency(histogram, Decimal("0.3"), Unit.SECONDS, native=True).reads() == Reads((histogram,), counters=True)
