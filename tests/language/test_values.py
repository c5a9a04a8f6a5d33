from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sloctl.language import values
from sloctl.language.quantities import WrittenBound
from sloctl.language.tree import Mapping, Sequence
from sloctl.model.indicator import Every, PerSecond, RunningTotal
from sloctl.model.quantities import MINUTE, Duration, Rate


def accept(kind: object, value: object) -> object:
    return TypeAdapter(kind).validate_python(value)


def refuse(kind: object, value: object) -> tuple[str, str, str]:
    """Code, message and help of the only refusal."""
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(kind).validate_python(value)
    (error,) = raised.value.errors()
    return error["type"], error["ctx"]["message"], error["ctx"]["help"]


@pytest.mark.parametrize(
    ("written", "ratio"),
    [("99.95%", "0.9995"), ("0%", "0"), ("100%", "1"), ("150%", "1.5"), ("0.0001%", "0.000001")],
)
def test_a_percentage_is_an_exact_ratio(written: str, ratio: str) -> None:
    assert accept(values.Percentage, written) == Decimal(ratio)


def test_a_percentage_keeps_more_digits_than_a_float() -> None:
    assert accept(values.Percentage, "99.999999999999999999999999999999999%") == Decimal(
        "0.99999999999999999999999999999999999"
    )


@pytest.mark.parametrize(
    ("written", "help_"),
    [
        (Decimal("0.9995"), "write `99.95%`"),
        (Decimal("0.999"), "write `99.9%`"),
        (Decimal("99.95"), "write `99.95%`"),
        (99, "write `99%`"),
        (1, "write `1%`"),
        (Decimal("0.2"), "write `20%`, or `0.2%` if that is meant"),
        (0, "write `0%`"),
    ],
)
def test_a_percentage_without_its_sign_is_refused_and_shown_with_it(written: object, help_: str) -> None:
    code, message, shown = refuse(values.Percentage, written)
    assert code == "SLO022"
    assert message == f"a percentage is needed, and `{written}` has no percent sign"
    assert shown == help_


@pytest.mark.parametrize("written", ["99.95", "99,95%", "99.95 %", "-1%", "%", "1e2%", "٩٩%", True, None, Sequence()])
def test_what_is_no_percentage_is_refused(written: object) -> None:
    assert refuse(values.Percentage, written)[0] == "SLO022"


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        ("30s", 30_000),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("30d", 30 * 86_400_000),
        ("12w", 84 * 86_400_000),
        ("2.5s", 2_500),
        ("0.5ms", None),
        ("1.5h", 5_400_000),
        ("0s", 0),
        ("15ms", 15),
        ("1w2d3h4m5s6ms", 788_645_006),
    ],
)
def test_a_duration_is_whole_milliseconds(written: str, milliseconds: int | None) -> None:
    if milliseconds is None:
        assert refuse(values.Duration, written)[1] == f"`{written}` is not a whole number of milliseconds"
    else:
        assert accept(values.Duration, written) == Duration(milliseconds)


@pytest.mark.parametrize("written", ["", "m", "5", "30m1h", "1h 30m", "1.5h30m", "-5m", "5min", "1y", "5M", "1h1h"])
def test_what_is_no_duration_is_refused(written: str) -> None:
    code, _, help_ = refuse(values.Duration, written)
    assert code == "SLO023"
    assert "`1h30m`" in help_


def test_a_number_without_unit_is_shown_with_units() -> None:
    assert refuse(values.Duration, 5) == (
        "SLO023",
        "a duration is needed, and `5` has no unit",
        "write `5s`, `5m`, `5h` or `5d`",
    )


def test_a_duration_above_zero_is_needed_where_none_makes_no_sense() -> None:
    assert refuse(values.PositiveDuration, "0s")[0] == "SLO046"
    assert refuse(values.Resolution, "2m")[1] == "a resolution is at most `1m`"
    assert refuse(values.WindowLength, "23h")[1] == "a window is at least one day long"


@pytest.mark.parametrize(
    ("written", "rate"),
    [
        ("800K/min", Rate(Decimal(800_000), Duration(60_000))),
        ("6/min", Rate(Decimal(6), Duration(60_000))),
        ("8K/s", Rate(Decimal(8000), Duration(1000))),
        ("1.5M/h", Rate(Decimal(1_500_000), Duration(3_600_000))),
        ("0.5/d", Rate(Decimal("0.5"), Duration(86_400_000))),
    ],
)
def test_a_rate_keeps_its_events_and_its_time(written: str, rate: Rate) -> None:
    assert accept(values.Rate, written) == rate


@pytest.mark.parametrize("written", ["800k/min", "8K", "8 K/s", "8K/m", "1e3/s", "-1/s", 5, None])
def test_what_is_no_rate_is_refused(written: object) -> None:
    assert refuse(values.Rate, written)[0] == "SLO024"


def test_numbers_are_exact_and_are_not_converted_from_other_things() -> None:
    assert accept(values.Number, Decimal("14.4")) == Decimal("14.4")
    assert accept(values.Number, 14) == Decimal(14)
    assert refuse(values.Number, "14.4") == (
        "SLO025",
        "a number is needed, not `14.4`",
        "write it without quotes",
    )
    assert refuse(values.Number, True)[1] == "a number is needed, not `true`"
    assert refuse(values.Count, Decimal("1.5"))[0] == "SLO025"
    assert refuse(values.Count, -1)[0] == "SLO025"
    assert accept(values.Count, Decimal("1e3")) == 1000


def test_a_bound_remembers_what_it_is_written_in() -> None:
    assert accept(values.Bound, Decimal("0.1")) == WrittenBound(Decimal("0.1"), "number")
    assert accept(values.Bound, "80%") == WrittenBound(Decimal("0.8"), "percentage")
    assert accept(values.Bound, "2s") == WrittenBound(Decimal(2), "duration")
    assert refuse(values.Bound, "fast")[0] == "SLO025"
    assert refuse(values.Bound, True)[0] == "SLO025"


def test_a_latency_bound_is_no_percentage_and_above_zero() -> None:
    assert refuse(values.LatencyBound, "80%")[0] == "SLO023"
    assert refuse(values.LatencyBound, 0)[0] == "SLO046"
    assert accept(values.LatencyBound, "780ms") == WrittenBound(Decimal("0.78"), "duration")


def test_what_a_sample_holds_is_a_kind_and_a_length() -> None:
    assert accept(values.Counts, "counter") == RunningTotal()
    assert accept(values.Counts, "per_second") == PerSecond()
    assert accept(values.Counts, "per_5m") == Every(MINUTE * 5)
    for wrong in ("per_", "per_0s", "per_minute", "5m", 5):
        assert refuse(values.Counts, wrong)[0] == "SLO020"


@pytest.mark.parametrize("written", ["checkout", "a", "0", "track-latency", "a" * 63])
def test_names_are_short_lower_case_words(written: str) -> None:
    assert accept(values.Name, written) == written


@pytest.mark.parametrize("written", ["", "-a", "a-", "A", "a_b", "a.b", "a/b", "..", "a b", "a\n", "é", "a" * 64])
def test_what_is_no_name_is_refused(written: str) -> None:
    assert refuse(values.Name, written)[0] == "SLO021"


def test_a_number_given_for_text_is_shown_in_quotes() -> None:
    assert refuse(values.Text, 123) == ("SLO026", "text is needed, not `123`", 'put it in quotes: "123"')
    assert refuse(values.Text, True) == ("SLO026", "text is needed, not `true`", 'put it in quotes: "true"')


def test_a_selector_that_yaml_turned_into_a_mapping_is_recognised() -> None:
    mapping = Mapping({'job="x"': None})
    assert refuse(values.SelectorText, mapping) == (
        "SLO026",
        "text is needed, not a mapping",
        "YAML reads `{...}` as a mapping: put the whole text in single quotes",
    )


def test_a_placeholder_outside_a_template_is_explained() -> None:
    assert "only in a Template" in refuse(values.Name, "$team")[2]


@pytest.mark.parametrize("written", ["https://a.example", "https://a.example:8443/x?y=z#$service", "https://[::1]/x"])
def test_https_links_are_accepted(written: str) -> None:
    assert accept(values.Url, written) == written


@pytest.mark.parametrize(
    "written",
    [
        "http://a.example",
        "javascript:alert(1)",
        "https://",
        "https:///x",
        "https://user:secret@a.example",
        "https://a.example/<x>",
        'https://a.example/"x',
        "https://a.example/a b",
        "https://a.example/\n",
        "HTTPS://a.example",
        "https://a.example/" + "x" * 2048,
    ],
)
def test_links_that_are_not_https_are_refused(written: str) -> None:
    assert refuse(values.Url, written)[0] == "SLO027"


def test_a_runbook_knows_two_placeholders() -> None:
    assert accept(values.Runbook, "https://a.example/$service/$slo") == "https://a.example/$service/$slo"
    assert refuse(values.Runbook, "https://a.example/$team")[1] == "unknown placeholder `$team`"


def test_a_template_action_in_a_text_is_refused() -> None:
    assert refuse(values.Text, "{{ $labels.x }}")[0] == "SLO029"
    assert refuse(values.LabelValue, "a {{b")[0] == "SLO029"
    assert refuse(values.Text, "burns {$value}")[0] == "SLO029"  # would become {{{ $value }}}
    assert refuse(values.Email, "{{.Labels.x}}@example.com")[0] == "SLO021"


def test_texts_are_bounded() -> None:
    assert accept(values.Text, "x" * 4096)
    assert refuse(values.Text, "x" * 4097)[0] == "SLO026"
    assert refuse(values.LabelValue, "x" * 1025)[0] == "SLO026"
    assert refuse(values.Text, " \n ")[1] == "the text is empty"


def test_selectors_are_one_or_a_list() -> None:
    assert accept(values.Selectors, "a") == ("a",)
    assert accept(values.Selectors, Sequence(["a", "b"])) == ("a", "b")
    assert refuse(values.Selectors, Sequence())[0] == "SLO028"
    with pytest.raises(ValidationError) as raised:
        accept(values.Selectors, Sequence(["a", 7]))
    assert raised.value.errors()[0]["ctx"]["at"] == (1,)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("x" * 2049, "PromQL longer than 2 kB"),
        ("(" * 17 + ")" * 17, "brackets nested deeper than 16"),
        ("+".join("a" * 102), "more than 100 operators"),
        (" and ".join(["a"] * 102), "more than 100 operators"),
        ('a{b="' + "x" * 100, "a quote in the expression is not closed"),
        ('x # "\n' + "(" * 17 + '\n# "', "brackets nested deeper than 16"),
        ("`a\n" + "(" * 17, "a quote in the expression is not closed"),
        ("", "the expression is empty"),
    ],
)
def test_promql_that_could_kill_the_parser_is_refused_before(expression: str, message: str) -> None:
    assert refuse(values.PromQL, expression)[:2] == ("SLO028", message)


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 16 + ")" * 16,
        "() " * 40,
        "+".join("a" * 101),
        'a{b="' + "(" * 200 + '"}',
        "a{b='" + "+" * 200 + "'}",
        "a{b=`" + "[" * 200 + "\\`}",
        'a{b="\\"' + "(" * 200 + '"}',
        "+".join(['a{b="c", d!="e"}'] * 41),
    ],
)
def test_brackets_and_operators_inside_strings_and_matchers_do_not_count(expression: str) -> None:
    assert accept(values.PromQL, expression) == expression


def test_a_query_contains_its_window_outside_strings() -> None:
    assert accept(values.WindowedPromQL, "sum(increase(a[$window]))")
    for wrong in ("sum(increase(a[5m]))", 'a{b="$window"}', "a # $window"):
        assert "`$window`" in refuse(values.WindowedPromQL, wrong)[1]


def test_ranges_have_codes_of_their_own() -> None:
    assert refuse(values.ObjectivePercentage, "100%")[0] == "SLO040"
    assert refuse(values.ObjectivePercentage, "0%")[0] == "SLO040"
    assert refuse(values.Share, "100%")[0] == "SLO046"
    assert accept(values.PartOrWhole, "100%") == 1
    assert accept(values.PartLeft, "0%") == 0
    assert refuse(values.BurnFactor, Decimal("0.09"))[0] == "SLO046"
    assert refuse(values.Chance, Decimal("0.5"))[0] == "SLO046"


def test_reserved_names_are_refused() -> None:
    assert refuse(values.OwnLabel, "severity")[0] == "SLO030"
    assert refuse(values.PolicyName, "google")[0] == "SLO035"


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (values.ClockTime, ["09:00", "24:00"], ["9:00", "24:01", "25:00"]),
        (
            values.TimeZone,
            ["UTC", "Asia/Kolkata", "America/Argentina/Ushuaia"],
            ["../etc", "/etc/passwd", ""],
        ),
        (values.Currency, ["USD"], ["usd", "US"]),
        (values.Channel, ["#alerts", "alerts", "@me"], ["a b", "https://hooks.example/x", "#"]),
        (values.Email, ["a@b.example"], ["a", "a@b", "a@b.c, d@e.f"]),
        (values.Address, ["arn:aws:sns:eu-west-1:1:t", "+4912345"], ["a b", "{x}"]),
        (values.MetricName, ["a:b_total"], ["a{}", "1a"]),
        (values.LabelName, ["http_route"], ["a-b", "é", ""]),
    ],
)
def test_patterns_accept_and_refuse(kind: object, good: list[str], bad: list[str]) -> None:
    for written in good:
        assert accept(kind, written) == written
    for written in bad:
        assert refuse(kind, written)[0].startswith("SLO02")


@settings(max_examples=300)
@given(st.decimals(min_value=0, max_value=10**6, places=6))
def test_any_percentage_is_exactly_a_hundredth_of_its_number(number: Decimal) -> None:
    assert accept(values.Percentage, f"{number:f}%") == number / 100


KINDS = [
    *(
        values.Percentage,
        values.Duration,
        values.Rate,
        values.Number,
        values.Count,
        values.Bound,
        values.Counts,
    ),
    *(
        values.Name,
        values.Text,
        values.Url,
        values.Email,
        values.PromQL,
        values.WindowedPromQL,
        values.Selectors,
    ),
    values.Boolean,
]


@settings(max_examples=300)
@given(
    st.text(max_size=60)
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.none(),
    st.sampled_from(KINDS),
)
def test_any_value_is_accepted_or_refused_with_a_message_of_ours(value: object, kind: object) -> None:
    try:
        accept(kind, value)
    except ValidationError as error:
        for each in error.errors():
            assert each["type"].startswith("SLO0")
            assert each["ctx"]["message"]
