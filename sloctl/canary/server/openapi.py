"""The OpenAPI 3.1 description of the webhook, made of the same shapes that read its requests."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from typing import Any, Final

from pydantic.json_schema import JsonSchemaMode, models_json_schema

from sloctl.canary.server.shapes import (
    Answer,
    ApprovalRequest,
    Decisions,
    DecisionsQuery,
    ErrorAnswer,
    EvaluateRequest,
    FlaggerRequest,
    Recorded,
)

_SHAPES: Final = (EvaluateRequest, FlaggerRequest, ApprovalRequest, Answer, Decisions, Recorded, ErrorAnswer)
_REFERENCE: Final = "#/components/schemas/{model}"
_ERRORS: Final = {
    "400": "the body is no JSON",
    "401": "no valid token",
    "403": "the token may not do this",
    "404": "no such service, deployment or decision",
    "409": "no, to a hook of Flagger's",
    "408": "the body came too slowly",
    "413": "the body is larger than 64 kB",
    "422": "the request is not as it should be",
    "429": "64 analyses are under way",
    "503": "shutting down, or the audit store does not work; never a verdict",
}


@lru_cache(maxsize=1)
def description() -> dict[str, Any]:
    """The whole document."""
    mode: JsonSchemaMode = "validation"
    _, shapes = models_json_schema([(shape, mode) for shape in _SHAPES], ref_template=_REFERENCE)
    return {
        "openapi": "3.1.0",
        "info": {"title": "sloctl canary analysis", "version": version("sloctl")},
        "paths": _paths(),
        "components": {
            "schemas": shapes["$defs"],
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"bearer": []}],
    }


def _paths() -> dict[str, Any]:
    shown = EvaluateRequest.model_json_schema(ref_template=_REFERENCE)
    asked = [
        {"name": name, "in": "query", "required": name in shown["required"], "schema": schema}
        for name, schema in shown["properties"].items()
    ]
    types = {"type": "string", "enum": ["rollout", "rollback", "confirm-promotion"]}
    hook = [{"name": "hook", "in": "path", "required": True, "schema": types}]
    query = DecisionsQuery.model_json_schema()["properties"]
    parameters = [{"name": name, "in": "query", "schema": schema} for name, schema in query.items()]
    by_id = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
    by_service = [{"name": "service", "in": "path", "required": True, "schema": {"type": "string"}}]
    return {
        "/v1/canary/evaluate": {
            "post": _operation("evaluate", "Judge a release", "200", "Answer", "Evaluate"),
            "get": _operation("poll", "Judge a release, asked in the query", "200", "Answer") | {"parameters": asked},
        },
        "/v1/flagger/{hook}": {
            "post": _operation("flagger", "A hook of Flagger's: the status is the answer", "200", "Answer", "Flagger")
            | {"parameters": hook}
        },
        "/v1/canary/approvals": {"post": _operation("approve", "Approve a deployment", "201", "Recorded", "Approval")},
        "/v1/canary/decisions": {
            "get": _operation("decisions", "What was decided", "200", "Decisions") | {"parameters": parameters}
        },
        "/v1/canary/decisions/{id}": {
            "get": _operation("decision", "One decision", "200", "Recorded") | {"parameters": by_id}
        },
        "/canary/decisions/{id}": {"get": _page("decision_page", "Evidence of a decision") | {"parameters": by_id}},
        "/canary/services/{service}": {
            "get": _page("service_page", "Evidence of the last decisions") | {"parameters": by_service}
        },
        "/healthz": {"get": _open("health", "The process runs")},
        "/readyz": {"get": _open("ready", "Verdicts can be given") | {"responses": _ready()}},
        "/metrics": {"get": _open("metrics", "Metrics for Prometheus")},
        "/openapi.json": {"get": _open("openapi", "This description")},
    }


def _operation(name: str, summary: str, status: str, answer: str, request: str | None = None) -> dict[str, Any]:
    good = {status: {"description": summary, "content": _json(answer)}}
    errors = {code: {"description": text, "content": _json("ErrorAnswer")} for code, text in _ERRORS.items()}
    found: dict[str, Any] = {"operationId": name, "summary": summary, "responses": good | errors}
    if request is not None:
        found["requestBody"] = {"required": True, "content": _json(f"{request}Request")}
    return found


def _page(name: str, summary: str) -> dict[str, Any]:
    """An HTML page for people."""
    found = _operation(name, summary, "200", "ErrorAnswer")
    found["responses"]["200"] = {"description": summary, "content": {"text/html": {"schema": {"type": "string"}}}}
    return found


def _open(name: str, summary: str) -> dict[str, Any]:
    """An operation that needs no token."""
    return {"operationId": name, "summary": summary, "security": [], "responses": {"200": {"description": summary}}}


def _ready() -> dict[str, Any]:
    bad = {"description": _ERRORS["503"], "content": _json("ErrorAnswer")}
    return {"200": {"description": "Verdicts can be given"}, "503": bad}


def _json(shape: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{shape}"}}}
