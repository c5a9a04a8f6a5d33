"""Hostile text in every text field of the language changes no expression, opens no template and leaves no folder.

Each payload is written into each field in turn. Most are refused; what is accepted is compiled and compared with a
harmless twin, the same specification without the payload.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from sloctl.backends.table import BACKENDS
from sloctl.checks.table import run_checks
from sloctl.cli import main
from sloctl.cli.report import FORMS
from sloctl.diagnostics import Diagnostics
from sloctl.language.document import parse_documents
from sloctl.language.schema import json_schema
from sloctl.language.texts import ALERT_PLACEHOLDERS
from sloctl.model.artifact import Artifact
from sloctl.resolve import resolve
from testing.shapes import shape
from tests.payloads import ALL, PAYLOADS

Spec = list[dict[str, Any]]
Field = tuple[str | int, ...]

HEAD = {"apiVersion": "sloctl/v1"}
TOPIC = "arn:aws:sns:eu-west-1:123456789012:web"
TIER = {"severity": "P2", "burn": 2, "over": "5m"}
PLATFORM = HEAD | {
    "kind": "Platform",
    "name": "shop",
    "description": "Everything that sells",
    "alerts": "mine",
    "matchers": {"environment": "prod"},
    "labels": {"domain": "sales"},
    "severities": {"P1": "critical", "P2": "high", "P3": "low"},
    "runbook": "https://runbooks.example.com/$service",
    "texts": {"summary": "$slo burns", "description": "$value over $over"},
    "dashboards": {
        "base_url": "https://grafana.example.com",
        "logs": "https://logs.example.com",
        "traces": "https://traces.example.com",
        "sloctl": "https://slo.example.com",
        "folder": "SLOs",
        "deploys": "changes(deployments[5m])",
    },
    "kubernetes": {
        "namespace": "monitoring",
        "labels": {"release": "stack"},
        "annotations": {"owner": "web"},
        "dashboards": {
            "labels": {"grafana_dashboard": "here"},
            "annotations": {"shown": "here"},
            "folder_annotation": "grafana_folder",
            "instances": {"dashboards": "grafana"},
        },
    },
    "policies": {"mine": [TIER]},
    "buckets": {"other_seconds": [1]},
    "target_labels": ["job"],
    "team": "web",
    "teams": {
        "web": {
            "P1": {"pagerduty": "web", "slack": "#web", "email": "web@example.com", "sns": TOPIC},
            "P2": {"slack": "#web"},
            "extra": {"webhook": "https://hooks.example.com/a"},
            "others": {
                "opsgenie": "web",
                "victorops": "web",
                "pushover": "web",
                "msteams": "web",
                "telegram": "-1001",
                "discord": "web",
                "webex": "room",
            },
            "theirs": {"receiver": "On call"},
            "office_hours": {"days": ["monday"], "from": "09:00", "to": "17:00", "time_zone": "UTC"},
        }
    },
}
SLO = {
    "name": "ok",
    "description": "Requests succeed",
    "objective": "99.9%",
    "sli": {"ratio": {"total": 'a_total{job="x"}', "bad_if": 'code="5"'}},
    "alerts": [TIER | {"labels": {"area": "front"}, "annotations": {"hint": "look"}, "notify": ["extra"]}],
    "labels": {"owner": "me"},
    "annotations": {"note": "read $runbook"},
    "by": ["tenant"],
    "down": "none",  # its form depends on whether the selector names a target label
    "exclude_when": ["twin_exclude_when"],
}
SLA = {
    "name": "ok",
    "objective": "99.9%",
    "alerts": "none",
    "sli": {"ratio": {"total": "a_total", "bad": "b_total"}},
    "sla": {"credits": [{"below": "99%", "credit": "10%"}], "value": "contract_usd", "currency": "USD"},
    "window": {"calendar": "month", "time_zone": "UTC"},
}
SERVICE = HEAD | {
    "kind": "Service",
    "service": "web",
    "description": "A shop",
    "team": "web",
    "cost": "twin_cost",
    "runbook": "https://runbooks.example.com/x",
    "matchers": {"cluster": "eu"},
    "labels": {"kind": "front"},
    "slos": [SLO],
}
CANARY = {
    "arms": {"canary": 'version="new"', "baseline": 'version="old"'},
    "steps": [{"weight": "100%"}],
    "checks": [
        {"name": "errors", "slo": "ok", "by": ["route"], "within": ["pod"], "error_rate": "1%"},
        {"name": "same", "mismatches": "m_total", "compared": "c_total"},
    ],
    "after": {"slo": "ok", "by": ["route"], "within": "5m", "success": "100%"},
    "group": "shop",
    "parity": {"key": "id"},
}
INDICATORS = (
    {"ratio": {"bad": "b_total", "good": ["g_total", "h_total"]}},
    {"latency": {"histogram": 'h_seconds{a="b"}', "at_most": "1s", "bad_if": 'code="5"'}},
    {"query": {"total": "sum(increase(a[$window]))", "bad": "sum(increase(b[$window]))"}},
    {"query": {"total": "sum(increase(a[$window]))", "good": "sum(increase(b[$window]))"}},
    {"query": {"bad_ratio": "avg(avg_over_time(a[$window]))"}},
    {"probe": {"gauge": "up"}},
    {"freshness": {"timestamp": "t_seconds", "max_age": "5m"}},
    {"freshness": {"age": "t_seconds", "max_age": "5m"}},
    {"throughput": {"counter": "a_total", "at_least": "1/s"}},
    {"saturation": {"used": "u", "capacity": "c", "at_most": "80%"}},
    {"threshold": {"value": "twin_value", "at_most": 5}},
)
TEMPLATE = HEAD | {
    "kind": "Template",
    "name": "http",
    "parameters": {"job": "cart"},
    "slos": [{"name": "ok", "objective": "99%", "alerts": [TIER], "sli": {"ratio": {
        "total": 'a_total{job="$job"}', "bad_if": 'code="5"'}}}],
}  # fmt: skip


def _service(slo: dict[str, Any]) -> dict[str, Any]:
    return HEAD | {"kind": "Service", "service": "web", "slos": [slo]}


def _kind(sli: dict[str, Any]) -> dict[str, Any]:
    return _service({"name": "ok", "objective": "99%", "alerts": [TIER], "sli": sli})


CARRIERS: tuple[Spec, ...] = (
    [PLATFORM, _kind(INDICATORS[0])],
    [{key: PLATFORM[key] for key in ("apiVersion", "kind", "name", "teams", "team")}, SERVICE],
    [_service(SLA)],
    [_kind(INDICATORS[0]) | {"canary": CANARY}],
    *([_kind(sli)] for sli in INDICATORS),
    [TEMPLATE, HEAD | {"kind": "Service", "service": "web", "uses": [{"template": "http", "with": {"job": "x"}}]}],
    [TEMPLATE, HEAD | {"kind": "Service", "service": "web", "uses": ["http"]}],
)
# PromQL of the user's own is an expression by right: it must stay one operand of what sloctl writes around it.
EXPRESSIONS = {"twin_value", "twin_exclude_when", "twin_cost"}
WINDOWED = {"total", "bad", "good", "bad_ratio"}


def leaves(node: Any, path: Field = ()) -> Iterator[Field]:
    """The paths of all texts, keys that users name included as the last step `<key>`."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, (*path, key))
            if path and path[-1] in {"labels", "annotations", "matchers", "teams", "policies", "buckets", "web"}:
                yield (*path, key, "<key>")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from leaves(value, (*path, index))
    elif isinstance(node, str):
        yield path


def put(spec: Spec, field: Field, text: str) -> Spec:
    """The specification with a text at this place."""
    changed = copy.deepcopy(spec)
    node: Any = changed
    *above, last = field
    if last == "<key>":
        *above, last = above
        for step in above:
            node = node[step]
        node[text] = node.pop(last)
    else:
        for step in above:
            node = node[step]
        node[last] = text
    return changed


# Words of closed lists and quantities: what is not one of them is refused by patterns of their own.
NO_TEXT = {"apiVersion", "kind", "severity", "over", "objective", "at_most", "at_least", "max_age", "weight"}
NO_TEXT |= {"success", "error_rate", "below", "credit", "calendar", "days"}
FIELDS = [
    (number, field)
    for number, carrier in enumerate(CARRIERS)
    for field in leaves(carrier)
    if not NO_TEXT & set(field) and (number < 3 or {"canary", "sli", "uses", "parameters"} & set(field))
]


def written(spec: Spec) -> bytes:
    documents = (json.dumps(document, ensure_ascii=False) for document in spec)
    return "\n---\n".join(documents).encode("utf-8", "surrogatepass")


def compiled(spec: Spec, *backends: str) -> tuple[list[Artifact], Diagnostics]:
    """What a specification in memory compiles to (rules, or what is named); nothing where it is refused."""
    found = Diagnostics()
    documents = parse_documents(written(spec), "specs/a.yaml", found)
    catalogue = resolve(documents, found)
    if found.errors:
        return [], found
    run_checks(catalogue, found)
    if found.errors:
        return [], found
    chosen = [BACKENDS[name] for name in backends or ("prometheus",)]
    return [artifact for backend in chosen for artifact in backend.compile(catalogue)], found


@cache
def twin(number: int, *backends: str) -> list[Artifact]:
    files, found = compiled(CARRIERS[number], *backends)
    assert not found.errors
    return files


@cache
def twin_on(number: int, field: Field, labels: frozenset[str]) -> list[Artifact]:
    """The twin whose selector is on these labels: which targets a rule asks for follows from them."""
    matchers = ", ".join(f'{label}="x"' for label in sorted(labels))
    files, found = compiled(put(CARRIERS[number], field, f"twin{{{matchers}}}"))
    assert not found.errors
    return files


def twin_of(number: int, field: Field, payload: str) -> list[Artifact]:
    if "query" in field or not WINDOWED & set(map(str, field)):
        return twin(number)
    selector = promql_parser.parse(payload)
    assert isinstance(selector, promql_parser.VectorSelector)
    return twin_on(number, field, frozenset(matcher.name for matcher in selector.matchers.matchers))


def rules(files: Sequence[Artifact]) -> list[dict[str, Any]]:
    groups = [group for file in files for group in file.value.get("groups", ())]
    return [rule for group in groups for rule in group["rules"]]


@cache
def shape_of(expression: str) -> tuple[str, ...]:
    return shape(promql_parser.parse(expression))


def expected_shape(expression: str, payload: str, field: Field) -> tuple[str, ...]:
    """The twin's shape; where an expression of the user's own stands, that expression's shape instead."""
    names = {f"twin_{step}" for step in field} & EXPRESSIONS
    if not any(name in expression for name in names):
        return shape_of(expression)
    own, kinds = shape_of(payload), list[str]()

    def visit(node: promql_parser.Expr) -> None:
        is_twin = isinstance(node, promql_parser.VectorSelector) and node.name in names
        kinds.extend(own if is_twin else shape(node)[:1])

    promql_parser.walk(promql_parser.parse(expression), visit)
    return tuple(kinds)


def actions(rule: dict[str, Any]) -> list[str]:
    """The template actions of a rule, without what is quoted in them and without the names of labels."""
    texts = [*rule.get("labels", {}).values(), *rule.get("annotations", {}).values()]
    found = (match for text in texts for match in re.findall(r"\{\{.*?\}\}", text))
    return [
        re.sub(r"(?<=\$labels\.)[a-zA-Z_]\w*", "tenant", re.sub(r'"[^"]*"|`[^`]*`', '""', finding)) for finding in found
    ]


@cache
def own_actions() -> frozenset[str]:
    """Every template action that sloctl writes itself: those of a text with all placeholders."""
    every = " ".join(f"${name}" for name in ALERT_PLACEHOLDERS)
    of_platform = compiled(put(CARRIERS[0], (0, "texts", "description"), every))
    of_slo = compiled(put(CARRIERS[1], (1, "slos", 0, "annotations", "note"), f"{every} $tenant"))
    assert not of_platform[1].errors + of_slo[1].errors
    return frozenset(action for rule in rules(of_platform[0] + of_slo[0]) for action in actions(rule))


def check_same(number: int, field: Field, payload: str, files: list[Artifact]) -> None:
    mine, theirs = rules(files), rules(twin_of(number, field, payload))
    assert len(mine) == len(theirs)
    windowed = "query" in field and bool(WINDOWED & set(map(str, field)))
    for rule, harmless in zip(mine, theirs, strict=True):
        if not windowed:
            assert shape_of(rule["expr"]) == expected_shape(harmless["expr"], payload, field), rule["expr"]
        assert set(actions(rule)) <= own_actions(), rule
        texts = [*rule.get("labels", {}).values(), *rule.get("annotations", {}).values()]
        assert "{{" not in re.sub(r"\{\{.*?\}\}", "", " ".join(texts))


PATH = re.compile(
    r"rules/[a-z]+/(?:[a-z0-9][-a-z0-9]*/)?[a-z0-9_][-a-z0-9]*\.yaml|dashboards/[a-z0-9][-a-z0-9]*/[a-z][-a-z]*\.json"
)


def check_paths(files: list[Artifact]) -> None:
    for file in files:
        assert PATH.fullmatch(file.path), file.path


def check_printed(found: Diagnostics, seen: set[str]) -> None:
    new = Diagnostics([finding for finding in found if f"{finding.code} {finding.message}" not in seen], found.sources)
    seen.update(f"{finding.code} {finding.message}" for finding in new)
    for name, form in FORMS.items() if new.found else ():
        lines = list(form(new))
        for line in "\n".join(lines).split("\n"):
            plain = re.sub(r"\x1b\[[0-9;]*m", "", line)  # click's own colours
            assert plain.isprintable(), line
            assert not plain.lstrip().startswith(("::", "##[", "##vso")) or name == "github"
        if name == "github":
            assert all(
                re.match(r"::(error|warning|notice) file=specs/a\.yaml,line=\d+,col=\d+,", line) for line in lines
            )


@pytest.mark.parametrize("family", PAYLOADS)
def test_a_payload_in_any_text_field_stays_text(family: str) -> None:
    accepted, printed = 0, set[str]()
    for payload in PAYLOADS[family]:
        for number, field in FIELDS:
            files, found = compiled(put(CARRIERS[number], field, payload))
            check_printed(found, printed)
            check_paths(files)
            if files:
                accepted += 1
                check_same(number, field, payload, files)
    assert accepted or family == "terminal"  # or nothing was compared


# What the texts of routes and dashboards are made of, and the payloads that their readers would run.
SHOWN = {"description", "folder", "base_url", "logs", "traces", "runbook", "summary", "slack", "email", "sns"}
SHOWN |= {"webhook", "pagerduty", "P1", "P2", "P3", "deploys", "cost", "domain", "note", "environment", "currency"}
ACTION = re.compile(r"\{\{.*?\}\}")
VARIABLE = re.compile(r"\$\{?[a-zA-Z_]\w*|\[\[.*?\]\]|\{\{.*?\}\}")  # of Grafana


@pytest.mark.parametrize("family", ["Go template", "Jinja", "HTML"])
def test_a_payload_in_what_people_read_is_run_by_no_receiver_and_no_dashboard(family: str) -> None:
    accepted = 0
    fields = [(number, field) for number, field in FIELDS if number < 2 and {str(field[-1]), str(field[-2])} & SHOWN]
    for payload in PAYLOADS[family]:
        for number, field in fields:
            files, _ = compiled(put(CARRIERS[number], field, payload), "alertmanager", "grafana")
            check_paths(files)
            accepted += bool(files)
            theirs = {file.path: file for file in twin(number, "alertmanager", "grafana")}
            for file in files:
                harmless, mine = dict(texts_of(theirs[file.path].value)), dict(texts_of(file.value))
                run = VARIABLE if file.path.startswith("dashboards/") else ACTION
                own = {match for text in harmless.values() for match in run.findall(text)} | {"${dollar"}
                assert {match for text in mine.values() for match in run.findall(text)} <= own, payload
                assert not [text for where, text in mine.items() if where[-1] == "content" and "<script" in text]
                links = [text for where, text in mine.items() if where[-1] in {"url", "href", "link", "webhook_url"}]
                assert all(re.match(r"https://|/d/|\$|\{\{", link) for link in links), links
    assert accepted


def texts_of(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every text with its path, except PromQL, whose `$1` and label values are no variables."""
    match value:
        case str():
            yield path, value
        case Mapping():
            for key, each in value.items():
                if key not in {"expr", "query"} and path[-1:] != ("options",):  # value mappings run nothing
                    yield from texts_of(each, (*path, str(key)))
        case list() | tuple():
            for index, each in enumerate(value):
                yield from texts_of(each, (*path, index))


def test_there_are_a_hundred_payloads_and_every_text_of_the_language_is_a_field() -> None:
    assert len(ALL) >= 100
    schema = json_schema()
    texts = {
        key
        for definition in [*schema["$defs"].values(), *schema.get("oneOf", ())]
        for key, described in definition.get("properties", {}).items()
        if allows_text(described, schema) and not described.get("const")
    }
    steps = {str(step) for _, field in FIELDS for step in field}
    assert texts - steps == set()


def allows_text(described: dict[str, Any], schema: dict[str, Any]) -> bool:
    """Whether a value may be a free text, or holds one: no closed list of words and no quantity."""
    if "enum" in described or "const" in described:
        return False
    if described.get("type") == "string":
        return re.search(r"%|\[smhdw\]|KMG|per_second", described.get("pattern", "")) is None
    inner = [described.get("items"), described.get("additionalProperties")]
    inner += [*described.get("oneOf", ()), *described.get("anyOf", ())]
    return any(allows_text(each, schema) for each in inner if isinstance(each, dict) and "$ref" not in each)


def test_what_is_accepted_is_written_below_the_output_folder_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "beside" / "out"
    output.mkdir(parents=True)
    (tmp_path / "specs").mkdir()
    monkeypatch.chdir(tmp_path / "beside")
    written_once = False
    for payload in PAYLOADS["path"]:
        for number, field in FIELDS:
            if number < 2 and str(field[-1]) in {"name", "service", "<key>", "team", "folder", "pagerduty"}:
                (tmp_path / "specs" / "a.yaml").write_bytes(written(put(CARRIERS[number], field, payload)))
                code = main(["generate", "../specs", "-o", "out", "--prune"])
                assert code in {0, 1}, capsys.readouterr().err
                written_once = written_once or code == 0
    assert written_once
    assert {path.name for path in tmp_path.iterdir()} == {"beside", "specs"}
    assert [path.name for path in (tmp_path / "beside").iterdir()] == ["out"]
    assert {path.name for path in output.iterdir()} <= {"rules", "dashboards"}
