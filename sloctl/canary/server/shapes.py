"""The shapes of requests, answers and errors; the OpenAPI description is made of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, ValidationError

from sloctl.canary.source.arms import HASH

NAME: Final = r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/)?[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"

Shape = TypeVar("Shape", bound=BaseModel)
Verdict = Literal["promote", "rollback", "continue"]
Status = Literal["SUCCEEDED", "TERMINAL", "RUNNING"]
Evidence = Annotated[str, Field(description="Page with a picture of the evidence; absolute with `--public-url`.")]
Hash = Annotated[str, Field(pattern=f"^{HASH}$", description="Pod template hash or another name of a version.")]


class MalformedError(Exception):
    """A body that is no request; the message says what is wrong and never what was sent."""

    def __init__(self, message: str, problems: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.problems = problems or []


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _whole(value: object) -> object:
    """Argo sends arguments as text."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 6 else value


def _moment(value: object) -> object:
    """A time as RFC 3339 or Unix seconds; Argo sends both as text."""
    return float(value) if isinstance(value, str) and value.replace(".", "", 1).isdigit() else value


class EvaluateRequest(_Shape):
    """One look at one release."""

    service: Annotated[str, Field(pattern=NAME, description="`service` or `platform/service`.")]
    canary: Hash
    stable: Hash
    revision: (
        Annotated[str, Field(pattern=r"^[A-Za-z0-9]([-._A-Za-z0-9]{0,62})$", description="Revision of the Rollout.")]
        | None
    ) = None
    step: Annotated[
        Annotated[int, Field(strict=True, ge=0, le=99)] | None,
        BeforeValidator(_whole),
        Field(description="Index of the canary's step; without it the one that was asked about last."),
    ] = None
    started: Annotated[
        AwareDatetime | FiniteFloat | None,
        BeforeValidator(_moment),
        Field(description="When the canary got traffic; without it its first sample."),
    ] = None

    dry_run: Annotated[
        bool, Field(description="In a dry run Argo is told of a rollback when the step's shortest time has passed.")
    ] = False

    @property
    def started_seconds(self) -> float | None:
        """`started` as Unix seconds."""
        return self.started.timestamp() if isinstance(self.started, datetime) else self.started


def read_asked(body: bytes) -> EvaluateRequest | FlaggerRequest:
    """A request for a verdict as we describe it, or as Flagger posts it to any webhook.

    Raises:
        MalformedError: it is none.
    """
    value = _strict_json(body)
    is_flagger = isinstance(value, dict) and {"phase", "namespace"} <= value.keys()
    return read(FlaggerRequest, value) if is_flagger else read(EvaluateRequest, value)


class FlaggerRequest(BaseModel):
    """What Flagger posts to a webhook; what it says beyond that is not looked at."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: Annotated[str, Field(description="Name of the Canary.")]
    namespace: str
    phase: Annotated[str, Field(description="Phase of the Canary.")]
    checksum: Annotated[str, Field(description="What is released, with its configuration.")] = ""
    weight: Annotated[int, Field(alias="canaryWeight", ge=0, description="Share of traffic now, in percent.")] = 0
    metadata: Annotated[
        dict[str, str],
        Field(
            description="`service` (default: the Canary's name), `canary`, `stable` and `step`, where they are needed."
        ),
    ] = {}

    def asked(self, steps: Sequence[Decimal]) -> EvaluateRequest:
        """The look that is asked for.

        Args:
            steps: weights of the service's steps, ratios in rising order.
        """
        reached = [index for index, weight in enumerate(steps) if weight * 100 <= self.weight]
        told: dict[str, object] = {"step": max(reached)} if reached else {}
        names: dict[str, object] = {"service": self.name, "canary": self.checksum or self.name, "stable": "primary"}
        names |= {
            name: value for name, value in self.metadata.items() if name in {"service", "canary", "stable", "step"}
        }
        return read(EvaluateRequest, told | names | {"revision": self.checksum or None})

    @property
    def service(self) -> str:
        """The service that it is about."""
        return self.metadata.get("service", self.name)


class ApprovalRequest(_Shape):
    """A person lets a deployment go on."""

    service: Annotated[str, Field(pattern=NAME)]
    revision: Annotated[str, Field(pattern=f"^{HASH}$", description="Revision of the Rollout, or hash of the canary.")]
    by: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,200}$", description="Who approves.")]


class DecisionsQuery(_Shape):
    """Which decisions are asked for; an empty value matches all."""

    service: Annotated[str, Field(pattern=f"{NAME}|^$", description="`service` or `platform/service`.")] = ""
    canary: Annotated[str, Field(pattern=f"^{HASH}$|^$")] = ""
    revision: Annotated[str, Field(pattern=f"^{HASH}$|^$")] = ""
    before: Annotated[int | None, Field(ge=1, description="`before` of the answer before.")] = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50


class TallyShape(_Shape):
    """Requests and errors of one arm."""

    n: float | None
    x: float | None
    rate: float | None


class CheckShape(_Shape):
    """What one check found; see `docs/canary.md`."""

    name: str
    verdict: Verdict
    reason: str
    sentence: str
    series: dict[str, str] | None
    canary: TallyShape | None
    baseline: TallyShape | None
    e_rollback: float | None
    e_promote: float | None
    threshold: float | None
    promote_threshold: float | None
    interval: list[float | None] | None
    phi: float | None
    needs_requests: int | None
    eta_s: int | None
    quantiles: list[float | None] | None
    crossed_at: Annotated[float | None, Field(description="Unix seconds of the look that showed harm first.")]
    processes: Annotated[list[int] | None, Field(description="Pods of both versions that were counted.")]


class WindowShape(_Shape):
    """What was looked at."""

    start: AwareDatetime
    end: AwareDatetime
    grid_s: float


class ArgoPart(_Shape):
    """The part that Argo keeps in its AnalysisRun: small."""

    verdict: Verdict
    reason: Annotated[str, Field(max_length=200)]
    look: int | None
    decision_id: str
    evidence: Evidence


class Answer(_Shape):
    """A verdict; it was on disk before it was sent."""

    verdict: Verdict
    reason: str
    sentence: str
    advice: Annotated[str, Field(description="What to do now.")]
    decision_id: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    evidence: Evidence
    platform: str
    service: str
    canary: str
    stable: str
    revision: str | None
    step: int | None
    window: WindowShape | None
    look: int | None
    config_digest: str
    checks: list[CheckShape]
    warnings: list[str]
    status: Annotated[
        Literal["SUCCEEDED", "TERMINAL", "RUNNING"], Field(description="The verdict in Spinnaker's words.")
    ]
    argo: ArgoPart


class Recorded(_Shape):
    """One entry of the audit store."""

    kind: Literal["decision", "approval"]
    id: str
    sequence: int
    at: AwareDatetime
    platform: str
    service: str
    canary: str
    stable: str
    revision: str
    verdict: str
    reason: str
    caller: str
    digest: str
    details: dict[str, Any]


class Decisions(_Shape):
    """Entries, newest first; `before` asks for the next ones."""

    decisions: list[Recorded]
    before: int | None


class Problem(_Shape):
    """One thing that is wrong with a request."""

    field: str
    problem: str


class ErrorAnswer(_Shape):
    """Why there is no verdict."""

    error: str
    message: str
    problems: list[Problem] | None = None


def read_body(shape: type[Shape], body: bytes) -> Shape:
    """The request of a body.

    Raises:
        MalformedError: it is none.
    """
    return read(shape, _strict_json(body))


def read(shape: type[Shape], value: object) -> Shape:
    """The request that plain values make, such as the query of a URL.

    Raises:
        MalformedError: they make none.
    """
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        problems = [
            {"field": ".".join(map(str, problem["loc"]))[:64], "problem": problem["msg"]}
            for problem in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise MalformedError("the request is not as it should be; /openapi.json describes it", problems) from error


def _strict_json(body: bytes) -> object:
    """JSON as RFC 8259 has it: no key twice, no NaN, no endless nesting."""
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise MalformedError("the body is not UTF-8") from error
    except RecursionError as error:
        raise MalformedError("the body is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise MalformedError(f"the body is not JSON: line {error.lineno}, column {error.colno}") from error
    except ValueError as error:  # of a number with thousands of digits
        raise MalformedError("the body holds a number that is too long") from error


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise MalformedError("the body has a key twice")
    return dict(pairs)


def _no_constant(name: str) -> object:
    raise MalformedError(f"{name} is no JSON")
