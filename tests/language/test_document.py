import io
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloctl.diagnostics import Diagnostics, Place
from sloctl.language.alerting import Calendar, Tier
from sloctl.language.document import Document, Platform, Service, Template, Use, parse_documents, read_documents
from sloctl.language.indicators import Freshness, Latency, Ratio, Sli
from sloctl.language.ownership import Route
from sloctl.language.quantities import WrittenBound
from sloctl.model.indicator import Every
from sloctl.model.quantities import DAY, MINUTE, SECOND, Rate
from sloctl.model.window import Calendar as Period

EXAMPLES = Path(__file__).parent / "examples"

HEAD = "apiVersion: sloctl/v1\nkind: Service\nservice: checkout\n"


def parse(text: str) -> tuple[list[Document], list[str]]:
    """The documents, and the findings as `line:column code message`."""
    found = Diagnostics()
    documents = parse_documents(text.encode(), "a.yaml", found)
    return documents, [f"{each.place.line}:{each.place.column} {each.code} {each.message}" for each in found]


def example(name: str) -> list[Document]:
    found = Diagnostics()
    documents = read_documents(str(EXAMPLES / f"{name}.yaml"), found)
    assert [str(each) for each in found] == []
    return documents


def service() -> Service:
    (document,) = example("service")
    assert isinstance(document.spec, Service)
    return document.spec


def platform() -> Platform:
    (document,) = example("platform")
    assert isinstance(document.spec, Platform)
    return document.spec


def findings(slo: str) -> list[str]:
    """The findings about one SLO, written as further lines of it."""
    lines = "".join(f"    {line}\n" for line in slo.splitlines())
    return parse(f"{HEAD}slos:\n  - name: a\n{lines}")[1]


def test_the_first_example_is_read_as_written() -> None:
    (document,) = example("first")
    assert isinstance(document.spec, Service)
    assert document.spec.slos is not None
    (slo,) = document.spec.slos
    assert slo.objective == Decimal("0.999")
    assert isinstance(slo.sli, Sli)
    assert slo.sli.indicator == Ratio.model_validate(
        {"total": 'http_requests_total{job="checkout"}', "bad_if": 'code=~"5.."'}
    )


def test_what_is_absent_has_its_default_and_is_known_to_be_absent() -> None:
    (document,) = example("first")
    assert isinstance(document.spec, Service)
    assert (document.spec.window, document.spec.team) == (DAY * 30, None)
    assert document.spec.model_fields_set == {"api_version", "kind", "service", "slos"}


def test_several_documents_of_a_file_keep_their_places() -> None:
    documents = example("template")
    assert [type(document.spec) for document in documents] == [Template, Service, Service]
    assert documents[1].place("service").line == 14
    assert documents[2].place("slos", 0, "enabled").line == 24


def test_a_platform_is_read_whole() -> None:
    read = platform()
    assert read.expect is not None
    assert read.expect.detect_within == SECOND * 90
    assert read.expect.false_pages == Decimal("0.05")
    assert read.buckets == {"http_request_duration_seconds": tuple(map(Decimal, ("0.05", "0.1", "0.25", "1", "2")))}
    assert read.policies is not None
    assert [tier.burn for tier in read.policies["tiers"]] == [Decimal("14.2"), 6, 3]
    assert read.policies["violated"][0].for_ == MINUTE * 2
    assert read.resolution == MINUTE
    assert read.matchers == {"environment": "prod", "tenant": ""}


def test_a_team_has_severities_and_routes_of_its_own_names() -> None:
    teams = platform().teams
    assert teams is not None
    assert Route(pagerduty="shop", slack="#shop-pages") == teams["shop"].P1
    assert teams["shop"].routes == {"incident": Route(webhook="https://incidents.example.com/open")}
    assert teams["shop"].office_hours is not None
    assert teams["shop"].office_hours.from_ == "09:00"
    assert teams["edge"].routes == {}


def test_every_sli_kind_is_read() -> None:
    kinds = {slo.name: slo.sli.kind for slo in service().slos or () if isinstance(slo.sli, Sli)}
    assert kinds == {
        "availability": "ratio",
        "availability-by-tenant": "ratio",
        "track-latency": "latency",
        "layout-shift": "latency",
        "throughput": "throughput",
        "write-capacity": "saturation",
        "positions": "freshness",
        "oldest": "freshness",
        "journeys": "probe",
        "function-errors": "ratio",
        "good-only": "ratio",
        "query": "query",
        "averaged": "query",
        "cost": "threshold",
        "backlog-age": "threshold",
    }


def test_values_are_plain_and_exact() -> None:
    slos = {slo.name: slo for slo in service().slos or ()}
    assert slos["availability"].traffic == Rate(Decimal(8000), SECOND)
    assert slos["availability-by-region"].sli == "availability"
    assert isinstance(slos["track-latency"].window, Calendar)
    assert slos["track-latency"].window.calendar is Period.QUARTER
    assert isinstance(slos["function-errors"].sli, Sli)
    function_errors = slos["function-errors"].sli.indicator
    assert isinstance(function_errors, Ratio)
    assert function_errors.counts == Every(MINUTE * 5)
    assert isinstance(slos["layout-shift"].sli, Sli)
    shift = slos["layout-shift"].sli.indicator
    assert isinstance(shift, Latency)
    assert shift.at_most == WrittenBound(Decimal("0.1"), "number")
    assert isinstance(slos["positions"].sli, Sli)
    positions = slos["positions"].sli.indicator
    assert isinstance(positions, Freshness)
    assert positions.max_age == MINUTE * 15
    forecast = slos["write-capacity"].forecast
    assert forecast is not None
    assert (forecast.within, forecast.from_) == (DAY * 15, DAY * 14)


def test_alerts_are_a_word_or_a_list_of_tiers_and_policies() -> None:
    slos = {slo.name: slo for slo in service().slos or ()}
    assert slos["availability-by-tenant"].alerts == "none"
    policy, tier = slos["availability"].alerts or ()
    assert policy == "violated"
    assert isinstance(tier, Tier)
    assert (tier.error_rate, tier.over, tier.notify) == (Decimal("0.002"), MINUTE * 5, ("incident",))


def test_uses_are_names_or_have_arguments() -> None:
    _, cart, basket = (document.spec for document in example("template"))
    assert isinstance(cart, Service)
    assert isinstance(basket, Service)
    (use,) = cart.uses or ()
    assert isinstance(use, Use)
    assert (use.template, use.with_) == ("http-service", {"job": "cart"})
    assert basket.uses == ("http-service",)


def test_documents_do_not_change() -> None:
    with pytest.raises(Exception, match="frozen"):
        service().service = "other"


def test_all_problems_of_all_documents_are_found_at_once() -> None:
    _, found = parse(f"{HEAD}slos: [{{name: Ä, objective: 1}}]\n---\n{HEAD}slos: [{{name: b, windw: 30d}}]\n")
    assert found == [
        "4:15 SLO021 `Ä` is not a name of an SLO",
        "4:29 SLO022 a percentage is needed, and `1` has no percent sign",
        "9:18 SLO016 unknown key `windw`",
    ]


def test_good_documents_beside_bad_ones_are_returned() -> None:
    documents, found = parse(f"{HEAD}slos: [{{name: Ä}}]\n---\n{HEAD}slos: [{{name: b}}]\n")
    assert len(documents) == len(found) == 1


def test_an_empty_document_is_passed_over() -> None:
    documents, found = parse(f"---\n# nothing\n---\n{HEAD}slos: [{{name: a}}]\n---\n")
    assert (len(documents), found) == (1, [])


def test_an_empty_file_is_a_warning() -> None:
    found = Diagnostics()
    assert parse_documents(b"# later\n", "a.yaml", found) == []
    assert [each.code for each in found] == ["SLO013"]
    assert found.errors == []


def test_a_value_that_the_reader_refused_is_not_reported_twice() -> None:
    assert findings("objective: *x\nwindow: &y 30d\nby: [*z]\nsli: {ratio: {total: [*t, a], bad: b}}") == [
        "6:16 SLO008 `*x`: aliases are not read",
        "7:13 SLO008 `&y`: anchors are not read",
        "8:10 SLO008 `*z`: aliases are not read",
        "9:27 SLO008 `*t`: aliases are not read",
    ]


def test_a_misspelt_key_is_not_reported_as_missing_as_well() -> None:
    assert findings("sli: {freshness: {age: a, maxage: 5m}}") == ["6:31 SLO016 unknown key `maxage`"]


def test_a_problem_in_a_list_is_placed_at_its_item() -> None:
    assert findings("exclude_when: [up, 7]") == ["6:24 SLO026 text is needed, not `7`"]
    assert findings("sli: {ratio: {total: [a, 7], bad: b}}") == ["6:30 SLO026 text is needed, not `7`"]


def test_a_problem_of_a_key_is_placed_at_the_key() -> None:
    assert findings("labels: {a-b: c}") == ["6:14 SLO021 `a-b` is not a label name"]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("sli: {ratio: {bad_if: a}}", "a ratio has exactly one of these pairs"),
        ("sli: {ratio: {good: a, bad_if: b}}", "a ratio has exactly one of these pairs"),
        ("sli: {query: {bad: 'a[$window]'}}", "`total` is missing"),
        ("sli: {query: {total: 'a[$window]'}}", "`bad` or `good` is missing"),
        ("sli: {freshness: {max_age: 5m}}", "`timestamp` or `age` is missing"),
        (
            "sli: {throughput: {counter: a, at_least: 60/min, at_most: 1/s}}",
            "`at_least` is not below `at_most`",
        ),
        ("sli: {threshold: {value: a}}", "a threshold needs a bound"),
        ("sli: {saturation: {used: a, capacity: b, at_most: 0%}}", "`0%` is out of range"),
        ("sli: {probe: {gauge: a, across: sum}}", "`sum` is not known here"),
        (
            "sla: {credits: [{below: 99%, credit: 1%}, {below: 99.0%, credit: 2%}], value: a}",
            "the limit `99%` is written",
        ),
        (
            "regression: {quantile: 100%, over: 1d, earlier: 7d, worse_by: 1%, severity: P1}",
            "`100%` is out of range",
        ),
        ("forecast: {from: 14d}", "`within` is missing"),
        ("window: {calendar: decade}", "`decade` is not known here"),
        ("timeslices: {target: 0%}", "`0%` is out of range"),
        ("alerts: [{severity: P1, budget_left: 100%}]", "`100%` is out of range"),
        ("alerts: [{severity: P1, burn: 1, also_over: 5m}]", "`over` is missing"),
        ("alerts: []", "a list without items"),
        ("alerts: {severity: P1}", "a list is needed, not a mapping"),
        ("sli: [ratio]", "a mapping is needed, not a list"),
        ("enabled: 'true'", "`true` or `false` is needed, not `true`"),
        ("annotations: {summary: '{{ range query }}'}", "`{{` would open a template action"),
        ("objective: $objective", "a percentage is needed, not `$objective`"),
    ],
)
def test_what_does_not_belong_together_is_refused(written: str, message: str) -> None:
    (only,) = findings(written)
    assert re.sub(r"^\S+ \S+ ", "", only).startswith(message)


@pytest.mark.parametrize(
    ("canary", "message"),
    [
        ("checks: [{name: a, slo: b, worse_by: 0%}]", "`steps` is missing"),
        ("steps: [{weight: 100%}]", "`checks` is missing"),
        (
            "steps: [{weight: 100%, deadline: 5m}]\nchecks: [{name: a, slo: b, worse_by: 0%}]",
            "`deadline` needs `hold`",
        ),
        ("steps: [{weight: 100%}]\nchecks: [{name: a}]", "what the check judges is missing"),
        (
            "steps: [{weight: 100%}]\nchecks: [{name: a, slo: b, error_rate: 1%, quantile: 99%}]",
            "`quantile` needs",
        ),
        (
            "steps: [{weight: 100%}]\nchecks: [{name: a, slo: b, worse_by: 1%, shared: hold}]",
            "`shared` needs",
        ),
        (
            "steps: [{weight: 100%}]\nchecks: [{name: a, slo: b, worse_by: 1%, settle: 1s}]",
            "`settle` has no meaning",
        ),
        (
            "steps: [{weight: 100%}]\nchecks: [{name: a, slo: b, worse_by: 1%}, {name: a, slo: b, worse_by: 1%}]",
            "the check `a` is written twice",
        ),
        (
            "steps: [{weight: 100%}]\nchecks: [{name: a, slo: b, worse_by: 1%}]\nalpha: {promote: 1}",
            "`1` is out of range",
        ),
    ],
)
def test_a_canary_that_cannot_work_is_refused(canary: str, message: str) -> None:
    lines = "".join(f"  {line}\n" for line in canary.splitlines())
    _, (only,) = parse(f"{HEAD}slos: [{{name: b}}]\ncanary:\n{lines}")
    assert re.sub(r"^\S+ \S+ ", "", only).startswith(message)


def test_both_places_of_a_name_that_is_written_twice_are_shown() -> None:
    found = Diagnostics()
    parse_documents(f"{HEAD}slos:\n  - name: a\n  - {{window: 1d, name: a}}\n".encode(), "a.yaml", found)
    (only,) = found
    assert only.place == Place("a.yaml", 6, 24)
    assert [each.place for each in only.related] == [Place("a.yaml", 5, 11)]


def test_a_route_name_must_be_a_name() -> None:
    _, (only,) = parse("apiVersion: sloctl/v1\nkind: Platform\nname: a\nteams: {shop: {On Call: {slack: x}}}\n")
    assert only == "4:16 SLO021 `On Call` is no name of a route"


def test_more_problems_than_anybody_reads_are_counted() -> None:
    keys = "".join(f"  k{number}: 1\n" for number in range(150))
    _, found = parse(f"{HEAD}slos:\n- name: a\n{keys}")
    assert len(found) == 101
    assert found[0] == "1:1 SLO049 50 more problems in this document"


def test_checking_stops_after_a_thousand_problems_in_a_file() -> None:
    _, found = parse("---\n".join([f"{HEAD}a: 1\nb: 1\n"] * 2000))
    assert 1000 < len(found) <= 1103
    assert sum("SLO049" in each for each in found) == 1


def test_standard_input_is_read_for_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((EXAMPLES / "first.yaml").read_bytes())))
    (document,) = read_documents("-", Diagnostics())
    assert document.place("service") == Place("-", 3, 10)


WHOLE = "---\n".join((EXAMPLES / f"{name}.yaml").read_text() for name in ("platform", "service", "template"))
LINES = WHOLE.split("\n")
REPLACEMENTS = [
    "",
    "~",
    "[]",
    "{}",
    "7",
    "99%",
    "5m",
    "'$x'",
    "x",
    "[a, {b: c}]",
    "{a: b}",
    "true",
    "*x",
    '"\\0"',
]


@settings(max_examples=150)
@given(st.integers(0, len(LINES) - 1), st.sampled_from(REPLACEMENTS), st.integers(0, 5))
def test_no_value_in_any_place_raises(line: int, value: str, nth: int) -> None:
    """Every value of every example, replaced by every kind of value."""
    pieces = re.split(r"(: |- |, |\[|\{)", LINES[line])
    at = min(2 * nth + 2, len(pieces) - 1)
    pieces[at] = re.sub(r"^[^\]\}]*", lambda _: value, pieces[at], count=1)
    text = "\n".join([*LINES[:line], "".join(pieces), *LINES[line + 1 :]])
    found = Diagnostics()
    parse_documents(text.encode(), "a.yaml", found)
    for each in found:
        assert re.fullmatch(r"SLO0[0-4][0-9]", each.code)
        assert "cannot stand here" not in each.message or each.code == "SLO045"
        assert not re.search(r"\b(str|dict|tuple|NoneType|Refused|object at|valid)\b", each.message)


@settings(max_examples=150)
@given(
    st.integers(0, len(WHOLE) - 1),
    st.integers(0, 12),
    st.sampled_from(["", " ", "\n", "{", "]", "'", "#", ":"]),
)
def test_no_cut_and_no_stray_character_raises(start: int, length: int, stray: str) -> None:
    found = Diagnostics()
    parse_documents((WHOLE[:start] + stray + WHOLE[start + length :]).encode(), "a.yaml", found)
    assert all(each.place.line <= WHOLE.count("\n") + 3 for each in found)
