"""The JSON Schema for editors, generated from the models that validate."""

import json
from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from sloctl.language.document import KINDS, Slo
from sloctl.language.rollout import Canary

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class _Generator(GenerateJsonSchema):
    """pydantic's generator, for a reader of the language: absent keys have no default, keys need no title."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the base class's signature
        return False

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Keys that do not match the pattern of their type are wrong."""
        mapping = super().dict_schema(schema)
        mapping.pop("propertyNames", None)
        return {**mapping, "additionalProperties": False} if "patternProperties" in mapping else mapping


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a file with one document.

    What needs more than one value, such as the order of weights, is left to `sloctl validate`.
    """
    _, schema = models_json_schema([(model, "validation") for model in KINDS.values()], schema_generator=_Generator)
    definitions = schema["$defs"]
    template = definitions["Template"]["properties"]
    template["slos"]["items"] = _keys_of(Slo)
    template["canary"] |= _keys_of(Canary)
    return {
        "$schema": DIALECT,
        "title": "sloctl specification",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in KINDS],
        "$defs": _used(definitions),
    }


def schema_text() -> str:
    """The JSON Schema as JSON, the same each time."""
    return json.dumps(json_schema(), indent=2) + "\n"


def _used(definitions: dict[str, Any]) -> dict[str, Any]:
    """The definitions that the document kinds or each other refer to."""
    text = json.dumps(definitions)
    return {name: each for name, each in definitions.items() if name in KINDS or f'/{name}"' in text}


def _keys_of(model: type[Slo] | type[Canary]) -> dict[str, Any]:
    """The keys of a mapping whose values may be parameters of a template."""
    fields = model.model_fields.items()
    properties = {field.alias or name: {"description": _described(field)} for name, field in fields}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _described(field: FieldInfo) -> str:
    return field.description or ""
