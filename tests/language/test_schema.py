import json
from decimal import Decimal
from pathlib import Path

import jsonschema
import pytest

from sloctl.diagnostics import Diagnostics
from sloctl.language.document import parse_documents
from sloctl.language.reader import read_text
from sloctl.language.schema import DIALECT, json_schema
from sloctl.language.tree import YamlValue

ROOT = Path(__file__).parents[2]
EXAMPLES = [
    path
    for pattern in (
        "slo-specs/**/*.yaml",
        "examples/**/slo-specs/**/*.yaml",
        "tests/golden/*/spec/**/*.yaml",
        "tests/language/examples/*.yaml",
        "tests/language/demands/*.yaml",
    )
    for path in sorted(ROOT.glob(pattern))
]
CORPUS = sorted((Path(__file__).parents[1] / "diagnostics").glob("*.bad.yaml"))

VALIDATOR = jsonschema.Draft202012Validator(json_schema())

# What one value alone shows to be wrong; relations between values and rules of texts are beyond a schema.
OF_ONE_VALUE = {f"SLO0{number}" for number in range(14, 27)} | {"SLO031"}


def is_wrong_in_one_value(path: Path) -> bool:
    reading, found = Diagnostics(), Diagnostics()
    read_text(path.read_bytes(), path.name, reading)
    parse_documents(path.read_bytes(), path.name, found)
    return not reading.found and any(each.code in OF_ONE_VALUE for each in found)


BAD = [path for path in CORPUS if is_wrong_in_one_value(path)]


def as_json(value: YamlValue) -> object:
    """A value as a JSON Schema validator takes it."""
    return json.loads(json.dumps(value, default=lambda number: float(number) if isinstance(number, Decimal) else None))


def test_it_is_a_schema_of_its_dialect() -> None:
    schema = json_schema()
    assert schema["$schema"] == DIALECT
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_it_accepts_what_sloctl_accepts(path: Path) -> None:
    for tree in read_text(path.read_bytes(), path.name, Diagnostics()):
        VALIDATOR.validate(as_json(tree.value))


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name.removesuffix(".bad.yaml"))
def test_it_refuses_what_sloctl_refuses_for_one_value_alone(path: Path) -> None:
    trees = read_text(path.read_bytes(), path.name, Diagnostics())
    assert not all(VALIDATOR.is_valid(as_json(tree.value)) for tree in trees)


def test_every_key_is_described() -> None:
    schema = json_schema()
    for name, definition in schema["$defs"].items():
        assert definition.get("description"), name
        for key, described in definition.get("properties", {}).items():
            target = schema["$defs"][described["$ref"].removeprefix("#/$defs/")] if "$ref" in described else {}
            assert (described | target)["description"].endswith("."), f"{name}.{key}"


def test_nothing_has_a_default_because_the_layer_knows_none() -> None:
    assert '"default"' not in json.dumps(json_schema())


def test_unknown_keys_are_refused_everywhere() -> None:
    definitions = json_schema()["$defs"]
    assert {name for name, each in definitions.items() if each["additionalProperties"] is not False} == {"Team"}


def test_the_keys_of_a_template_are_known_and_their_values_are_free() -> None:
    head = {"apiVersion": "sloctl/v1", "kind": "Template", "name": "a"}
    assert VALIDATOR.is_valid({**head, "slos": [{"name": "a", "objective": "$objective"}]})
    assert not VALIDATOR.is_valid({**head, "slos": [{"name": "a", "objectve": "$objective"}]})


def test_it_is_the_same_each_time() -> None:
    assert json.dumps(json_schema()) == json.dumps(json_schema())
