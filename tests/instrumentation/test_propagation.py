"""What is read from headers and messages, and what is not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import TraceFlags

from sloctl.instrumentation import RequestContext, RequestIdPropagator, counters
from sloctl.instrumentation.context import entered, valid_id
from sloctl.instrumentation.propagation import (
    MAX_BAGGAGE_MEMBERS,
    format_baggage,
    format_traceparent,
    parse_baggage,
    parse_traceparent,
    read_fields,
    with_tracestate,
)
from tests.instrumentation.conftest import Configure

GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ALL = frozenset({"a", "b", "plan"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        GOOD.upper(),
        GOOD[:-1],
        GOOD + "-more",
        GOOD + "\n",
        " " + GOOD,
        "ff" + GOOD[2:],
        "0g" + GOOD[2:],
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        GOOD.replace("0af7", "０af7"),
    ],
)
def test_malformed_traceparents_are_none(text: str) -> None:
    assert parse_traceparent(text) is None


def test_a_traceparent_of_a_later_version_is_read_like_ours() -> None:
    span = parse_traceparent("42" + GOOD[2:] + "-what-comes-later")
    assert span is not None
    assert span.trace_flags == TraceFlags.SAMPLED


@pytest.mark.property
@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 255))
def test_a_traceparent_is_read_back_as_written(trace_id: int, span_id: int, flags: int) -> None:
    span = parse_traceparent(f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}")
    assert span is not None
    assert (span.trace_id, span.span_id) == (trace_id, span_id)
    assert format_traceparent(span)[:-2] == f"00-{trace_id:032x}-{span_id:016x}-"


@pytest.mark.property
@given(st.one_of(st.text(), st.binary(), st.none(), st.integers()))
def test_an_id_is_what_the_pattern_says_and_nothing_else(value: object) -> None:
    found = valid_id(value)
    if found is not None:
        assert 8 <= len(found) <= 128
        assert all(sign.isascii() and (sign.isalnum() or sign in "._-") for sign in found)


def test_only_allowed_members_of_baggage_come_in() -> None:
    assert parse_baggage(["a=1,secret=2;property=x", "b=two%20words"], ALL) == {"a": "1", "b": "two words"}
    assert parse_baggage(["a=1"], frozenset()) == {}


@pytest.mark.parametrize(
    "value", ["a=1%0d%0aSet-Cookie:x", "a=%1b[31mred", "a=%00", "a=%ff%fe", "a=%E2%80%A8", "a=\x1b[2J", "a=%C2%85"]
)
def test_control_characters_in_baggage_are_dropped_and_counted(value: str) -> None:
    before = counters.REJECTED.labels("baggage member")._value.get()
    assert parse_baggage([value, "b=good"], ALL) == {"b": "good"}
    assert counters.REJECTED.labels("baggage member")._value.get() == before + 1


def test_the_limits_of_baggage_hold_over_all_header_lines() -> None:
    assert len(parse_baggage([f"a={number}" for number in range(MAX_BAGGAGE_MEMBERS)], ALL)) == 1
    assert parse_baggage([f"a={number}" for number in range(MAX_BAGGAGE_MEMBERS + 1)], ALL) == {}
    assert parse_baggage([",".join(f"k{number}=v" for number in range(300))], ALL) == {}
    assert parse_baggage(["a=" + "x" * 4096, "b=" + "x" * 4096], ALL) == {}


@pytest.mark.property
@given(st.dictionaries(st.sampled_from(sorted(ALL)), st.text()))
def test_baggage_that_goes_out_comes_in_again_unless_it_has_control_characters(members: dict[str, str]) -> None:
    members = {key: value.encode("utf-8", "replace").decode() for key, value in members.items()}
    read = parse_baggage([format_baggage(members, ALL)], ALL)
    assert read.items() <= members.items()
    assert all(key in read for key, value in members.items() if value.isascii() and value.isprintable())


@pytest.mark.property
@given(
    st.dictionaries(
        st.sampled_from(["x-request-id", "traceparent", "tracestate", "baggage", "x-tenant-id"]),
        st.one_of(st.text(), st.none(), st.integers(), st.binary(), st.lists(st.text())),
    )
)
def test_fields_of_any_kind_never_raise(fields: dict[str, str]) -> None:
    remote = read_fields(fields, ALL)
    assert remote.request_id is None or valid_id(remote.request_id) == remote.request_id


def test_only_what_is_ignored_is_counted(observed: Configure) -> None:
    counters.REJECTED.clear()
    read_fields({"x-request-id": "request-0001"}, ALL)
    assert observed().value("sloctl_instrumentation_rejected_total") is None
    odd: dict[str, Any] = {"x-request-id": 7, "baggage": None}
    read_fields(odd, ALL)
    assert observed().value("sloctl_instrumentation_rejected_total", input="field type") == 2


def test_the_propagator_takes_the_id_along_with_any_instrumentation() -> None:
    carrier: dict[str, str] = {}
    RequestIdPropagator().inject(carrier)
    assert carrier == {}
    with entered(RequestContext("request-0001")):
        RequestIdPropagator().inject(carrier)
    assert carrier == {"x-request-id": "request-0001"}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["vendor=1"], "vendor=1"),
        (["a=1, b=2", "tenant@c=3"], "a=1,b=2,tenant@c=3"),
        (["a=1,,b=2"], "a=1,b=2"),
        (["A=1"], ""),
        (["a=1,a=2"], ""),
        (["a"], ""),
        (["a=1=2"], ""),
        (["a=\x1b[31m"], ""),
        (["a=\xff"], ""),
        (["a=" + "x" * 600], ""),
    ],
)
def test_the_state_of_vendors_is_kept_whole_or_dropped_and_never_logged(
    lines: list[str], expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    span = parse_traceparent(GOOD)
    assert span is not None
    assert with_tracestate(span, lines).trace_state.to_header() == expected
    assert caplog.records == []
