from decimal import Decimal

import pytest

from sloctl.diagnostics import Diagnostics, Place
from sloctl.language.document import Service, Template, parse_documents
from sloctl.language.indicators import Ratio, Sli
from sloctl.language.template import Instance, instantiate
from sloctl.model.quantities import MINUTE

TEMPLATE = """apiVersion: sloctl/v1
kind: Template
name: http-service
parameters:
  job:                                        # required
  objective: 99.95%
slos:
  - name: availability
    objective: $objective
    sli: {ratio: {total: 'http_requests_total{job="$job"}', bad_if: 'code=~"5..$"'}}
"""
SERVICE = """apiVersion: sloctl/v1
kind: Service
service: cart
uses: [%s]
"""


def use(arguments: str, template: str = TEMPLATE) -> tuple[Instance | None, Diagnostics]:
    """What a use of the template brings, with the findings; both are in files of their own."""
    found = Diagnostics()
    (declared,) = parse_documents(template.encode(), "template.yaml", found)
    (user,) = parse_documents((SERVICE % arguments).encode(), "cart.yaml", found)
    assert isinstance(declared.spec, Template)
    assert isinstance(user.spec, Service)
    assert found.found == []
    return instantiate(declared, user, 0, found), found


def ratio(instance: Instance | None) -> Ratio:
    assert instance is not None
    (slo,) = instance.slos
    assert isinstance(slo.sli, Sli)
    indicator = slo.sli.indicator
    assert isinstance(indicator, Ratio)
    return indicator


def check(template: str) -> list[str]:
    """The findings about a template alone."""
    found = Diagnostics()
    parse_documents(template.encode(), "template.yaml", found)
    return [f"{each.place.line}:{each.place.column} {each.code} {each.message}" for each in found]


def test_arguments_and_defaults_are_put_in() -> None:
    instance, found = use("{template: http-service, with: {job: cart}}")
    assert list(found) == []
    assert instance is not None
    assert instance.slos[0].objective == Decimal("0.9995")
    assert ratio(instance).total == ('http_requests_total{job="cart"}',)


def test_a_dollar_before_no_letter_stands_for_itself() -> None:
    instance, _ = use("{template: http-service, with: {job: cart}}")
    assert ratio(instance).bad_if == 'code=~"5..$"'


@pytest.mark.parametrize(
    ("argument", "selector"),
    [
        ("'ca\"rt'", r'http_requests_total{job="ca\"rt"}'),
        ("'a\\b'", r'http_requests_total{job="a\\b"}'),
        ('"a\\nb"', r'http_requests_total{job="a\nb"}'),
        ("7", 'http_requests_total{job="7"}'),
        ("1.50", 'http_requests_total{job="1.50"}'),
        ("'$objective'", 'http_requests_total{job="$objective"}'),
        (
            "'a\"}[5m])) or vector(0) or sum(rate(up{x=\"'",
            r'http_requests_total{job="a\"}[5m])) or vector(0) or sum(rate(up{x=\""}',
        ),
    ],
)
def test_an_argument_inside_a_label_value_is_escaped(argument: str, selector: str) -> None:
    instance, found = use(f"{{template: http-service, with: {{job: {argument}}}}}")
    assert list(found) == []
    assert ratio(instance).total == (selector,)


def test_the_quotes_around_it_decide_what_is_escaped() -> None:
    template = TEMPLATE.replace('job="$job"', "job=''$job''")
    instance, _ = use('{template: http-service, with: {job: "it\'s"}}', template)
    assert ratio(instance).total == ("http_requests_total{job='it\\'s'}",)


@pytest.mark.parametrize("argument", ["[a]", "{a: b}", "true"])
def test_only_text_and_numbers_stand_inside_a_label_value(argument: str) -> None:
    instance, found = use(f"{{template: http-service, with: {{job: {argument}}}}}")
    assert instance is None
    (only,) = found
    assert (only.code, only.place) == ("SLO045", Place("cart.yaml", 4, 45))
    assert [each.place.path for each in only.related] == ["template.yaml", "cart.yaml"]


def test_a_whole_value_can_be_a_list() -> None:
    template = TEMPLATE.replace("99.95%", "[tenant]").replace("objective: $objective", "by: $objective")
    instance, found = use("{template: http-service, with: {job: cart}}", template)
    assert list(found) == []
    assert instance is not None
    assert instance.slos[0].by == ("tenant",)


def test_a_wrong_argument_is_placed_where_it_is_written_with_its_field_and_its_use() -> None:
    instance, found = use("{template: http-service, with: {job: cart, objective: 0.999}}")
    assert instance is None
    (only,) = found
    assert (only.code, only.place) == ("SLO022", Place("cart.yaml", 4, 62))
    assert [each.place for each in only.related] == [Place("template.yaml", 9, 16), Place("cart.yaml", 4, 19)]


def test_a_mistake_of_the_template_shows_its_use() -> None:
    instance, found = use("{template: http-service, with: {job: cart}}", TEMPLATE.replace("bad_if", "bad_fi"))
    assert instance is None
    (only,) = found
    assert (only.code, only.place) == ("SLO016", Place("template.yaml", 10, 61))
    assert [each.place for each in only.related] == [Place("cart.yaml", 4, 19)]


def test_a_wrong_default_is_placed_in_the_template() -> None:
    _, found = use("{template: http-service, with: {job: cart}}", TEMPLATE.replace("99.95%", "99.95"))
    (only,) = found
    assert only.place == Place("template.yaml", 6, 14)


def test_missing_and_unknown_arguments_are_found_together() -> None:
    instance, found = use("{template: http-service, with: {jbo: cart}}")
    assert instance is None
    assert [(each.code, each.message, each.help) for each in found] == [
        ("SLO044", "the parameter `job` of the template has no value", "write `with: {job: ...}`"),
        ("SLO042", "the template has no parameter `jbo`", "did you mean `job`?"),
    ]


def test_a_use_without_arguments_takes_the_defaults() -> None:
    template = TEMPLATE.replace("job:   ", "job: cart")
    instance, found = use("http-service", template)
    assert list(found) == []
    assert ratio(instance).total == ('http_requests_total{job="cart"}',)


def test_places_of_an_instance_are_those_of_the_template_or_of_the_argument() -> None:
    instance, _ = use("{template: http-service, with: {job: cart, objective: 99%}}")
    assert instance is not None
    assert instance.use == Place("cart.yaml", 4, 19)
    assert instance.tree.place("slos", 0, "name") == Place("template.yaml", 8, 11)
    assert instance.tree.place("slos", 0, "objective") == Place("cart.yaml", 4, 62)
    assert instance.tree.key_place("slos", 0, "objective") == Place("template.yaml", 9, 5)


def test_a_template_can_bring_a_canary() -> None:
    template = """apiVersion: sloctl/v1
kind: Template
name: careful
parameters: {hold: 10m}
canary:
  arms: {canary: 'hash="$canary"', baseline: 'hash="$stable"'}
  steps: [{weight: 5%, hold: $hold}, {weight: 100%}]
  checks: [{name: errors, slo: availability, error_rate: 0.5%}]
"""
    instance, found = use("{template: careful, with: {hold: 5m}}", template)
    assert list(found) == []
    assert instance is not None
    assert instance.canary is not None
    assert instance.canary.steps[0].hold == MINUTE * 5
    assert instance.canary.arms is not None
    assert instance.canary.arms.canary == 'hash="$canary"'


def test_unused_unknown_and_misplaced_parameters_are_found_without_a_use() -> None:
    assert check(
        TEMPLATE.replace("99.95%", "99.95%\n  metric: up\n  spare: 1")
        .replace("http_requests_total{", "$metric{")
        .replace("$job", "$jobb")
    ) == [
        "5:3 SLO043 the parameter `job` is not used",
        "8:3 SLO043 the parameter `spare` is not used",
        "12:26 SLO042 unknown parameter `$jobb`",
        "12:26 SLO045 `$metric` cannot stand here",
    ]


def test_placeholders_with_a_meaning_of_their_own_are_no_parameters() -> None:
    assert (
        check(
            TEMPLATE
            + "    runbook: https://runbooks.example.com/$service/$slo\n"
            + "  - {name: b, sli: {query: {bad_ratio: 'avg_over_time(x{a=\"$window\"}[$window])'}}}\n"
        )
        == []
    )
