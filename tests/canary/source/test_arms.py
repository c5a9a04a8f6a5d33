"""What names a version, and which series are the canary's."""

from __future__ import annotations

import pytest

from sloctl.canary.server.shapes import EvaluateRequest
from sloctl.canary.source.arms import HASH, Arm, Release, both_arms
from sloctl.errors import SloctlError
from sloctl.model.selector import Matcher, MatchOperator

APP = Matcher("app", MatchOperator.EQUAL, "pay")
EQUAL, REGEX = MatchOperator.EQUAL, MatchOperator.REGEX


def test_two_values_of_one_label_are_asked_for_together() -> None:
    canary, baseline = both_arms((APP, Matcher("v", EQUAL, "a.1")), (APP, Matcher("v", EQUAL, "b")))
    assert canary.asked == baseline.asked == (APP, Matcher("v", REGEX, r"a\.1|b"))
    assert [arm.shows({"app": "pay", "v": "b"}) for arm in (canary, baseline)] == [False, True]
    assert not canary.shows({"app": "pay"}), "a series without the label is nobody's"


@pytest.mark.parametrize(
    ("canary", "baseline"),
    [
        ((Matcher("v", EQUAL, "a"),), (Matcher("track", EQUAL, "b"),)),
        ((Matcher("v", REGEX, "a.*"),), (Matcher("v", EQUAL, "b"),)),
        ((Matcher("v", EQUAL, "a"),), (Matcher("v", EQUAL, "b"), APP)),
        ((Matcher("v", EQUAL, "a"), APP), (Matcher("v", EQUAL, "b"), Matcher("app", EQUAL, "old"))),
    ],
)
def test_other_differences_are_asked_for_one_by_one(canary: tuple[Matcher, ...], baseline: tuple[Matcher, ...]) -> None:
    assert both_arms(canary, baseline) == (Arm.alone(canary), Arm.alone(baseline))


def test_a_hash_is_quoted_in_a_regular_expression_and_nowhere_else() -> None:
    release = Release("a.1", "b")
    matchers = (Matcher("v", EQUAL, "x-$canary"), Matcher("v", REGEX, "x-$canary|$stable"))
    assert [matcher.value for matcher in release.matchers(matchers)] == ["x-a.1", r"x-a\.1|b"]


@pytest.mark.parametrize("name", ["", "-a", "a b", 'a"}', "x" * 64])
def test_what_is_no_name_of_a_version_is_refused(name: str) -> None:
    with pytest.raises(SloctlError, match="is no hash of the stable"):
        Release("a", name)


def test_the_webhook_refuses_what_the_command_refuses() -> None:
    properties = EvaluateRequest.model_json_schema()["properties"]
    assert {properties[name]["pattern"] for name in ("canary", "stable")} == {f"^{HASH}$"}
