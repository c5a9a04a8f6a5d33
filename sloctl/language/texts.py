"""Texts: names, labels, links and PromQL, with the limits that keep them harmless.

Each function takes a written value and returns a plain one, or raises a refusal. PromQL is parsed later.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeVar

from pydantic_core import PydanticCustomError

from sloctl.errors import PromqlError
from sloctl.language.refusals import refusal, shown
from sloctl.language.tree import Mapping, Sequence
from sloctl.promql.limits import check_limits, outside_strings

MAX_TEXT: Final = 4096
MAX_NAME: Final = 256
MAX_LABEL_VALUE: Final = 1024
MAX_SELECTORS: Final = 100

NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
TEMPLATE: Final = re.compile(rf"(?:std/)?{NAME.pattern}")
NAME_HELP: Final = "use at most 63 of a-z, 0-9 and `-`, such as `track-latency`"
SLO_NAME: Final = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.%]{0,61}[A-Za-z0-9%])?")
SLO_NAME_HELP: Final = (
    "use at most 63 of letters, digits, `-`, `_`, `.` and `%`, such as `track-latency`; words for people stand in "
    "`description`"
)
SLO_ID: Final = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.%]{0,125}[A-Za-z0-9%])?")
LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
PARAMETER: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")
METRIC: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
CLOCK: Final = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00")
ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")
EMAIL: Final = re.compile(r"[^\s@<>\x22',;{}]+@[^\s@<>\x22',;{}]+\.[^\s@<>\x22',;{}]+")
CHANNEL: Final = re.compile(r"[#@]?[^\s#@:/{}\x22'`<>,]+")
KUBERNETES_KEY: Final = re.compile(
    r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
CHAT: Final = re.compile(r"-?[0-9]{1,19}")
CHAT_HELP: Final = "write its number, such as -1001234567890"
RECEIVER: Final = re.compile(r"[^\x00-\x1f\"'`{}<>]{1,200}")
ADDRESS: Final = re.compile(r"[^\s{}\x22'`<>,]+")
ALERT_PLACEHOLDERS: Final = (
    "service",
    "slo",
    "platform",
    "team",
    "objective",
    "window",
    "burn",
    "over",
    "value",
    "budget_left",
    "time_to_exhaustion",
    "young",
    "credits_at_risk",
    "runbook",
    "dashboard",
)
"""What stands for a value in alert texts, besides the labels of `by`."""
_URL: Final = re.compile(
    r"https://(?:[a-zA-Z0-9](?:[-a-zA-Z0-9.]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?"
    r"(?:[/?#][^\s\x22'<>`\\]*)?"
)
_INSIDE: Final = re.compile(
    r"http://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:svc|local|internal)|[a-z0-9-]+|127\.[0-9.]+|10\.[0-9.]+"
    r"|192\.168\.[0-9.]+|\[::1\])(?::[0-9]{1,5})?(?:/.*)?"
)
"""Plain http where it stays within a cluster, a private network or this machine."""
_USER: Final = re.compile(r"[a-zA-Z]+://[^/?#]*@")
PLACEHOLDER: Final = re.compile(r"\$(?!labels\.)([a-zA-Z][a-zA-Z0-9_]*)")
LABEL_PLACEHOLDER: Final = re.compile(r"\$labels\.([a-zA-Z_][a-zA-Z0-9_]*)")
_OF_LABEL: Final = re.compile(r"\{\{-?\s*(\$labels\.[a-zA-Z_][a-zA-Z0-9_]*)\s*-?\}\}(?![a-zA-Z0-9_])")
_OF_VALUE: Final = re.compile(r"\{\{-?\s*\$value\s*(?:\|\s*humanize(?:Percentage)?\s*)?-?\}\}(?![a-zA-Z0-9_])")
_BRACE_BEFORE: Final = re.compile(r"\{\$[a-zA-Z]")  # the value may be a template action: `{` would join its braces
SEVERITY: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,61}[A-Za-z0-9])?")
CURRENCY: Final = re.compile(r"[A-Z]{3}")

T = TypeVar("T")


def placeholders(text: str) -> list[str]:
    """The names of the `$name` placeholders in a text, in order; a `$` before no letter stands for itself."""
    return PLACEHOLDER.findall(text)


def plain_text(value: object) -> str:
    """Text, and nothing that YAML reads as something else."""
    if isinstance(value, str):
        return value
    raise refusal("SLO026", f"text is needed, not {shown(value)}", _text_help(value))


def _text_help(value: object) -> str:
    match value:
        case Mapping() if _looks_like_matchers(value):
            return "YAML reads `{...}` as a mapping: put the whole text in single quotes"
        case bool() | int() | Decimal():
            return f'put it in quotes: "{str(value).lower() if isinstance(value, bool) else value}"'
        case _:
            return "write one text"


def _looks_like_matchers(value: Mapping) -> bool:
    return any("=" in key or "~" in key for key in value) or None in value.values()


def text(value: object) -> str:
    """Text for people: not empty, bounded, and without `{{`, which would open a template action."""
    checked = plain_text(value)
    if not checked.strip():
        raise refusal("SLO026", "the text is empty", "leave the key out, or write something")
    if len(checked) > MAX_TEXT:
        raise refusal("SLO026", f"the text is longer than {MAX_TEXT} characters", "shorten it")
    if "{{" in checked:
        help_ = "write a placeholder: `$service`, `$value`, or `$labels.tenant` for a label of `by`"
        raise refusal("SLO029", "`{{` would open a template action", help_)
    if _BRACE_BEFORE.search(checked):
        raise refusal("SLO029", "`{` directly before a placeholder would open a template action", "write `{ $name`")
    return checked


def alert_text(value: object) -> str:
    """Text of an alert; the two template actions that everybody writes are read as our placeholders."""
    checked = plain_text(value)
    return text(_OF_VALUE.sub("$value", _OF_LABEL.sub(r"\1", checked)))


def label_value(value: object) -> str:
    """The value of a label."""
    checked = text(value)
    if len(checked) > MAX_LABEL_VALUE:
        raise refusal("SLO026", f"a label value has at most {MAX_LABEL_VALUE} characters", "shorten it")
    return checked


def matched_value(value: object) -> str:
    """The value that a label must have; an empty one means that the label is absent."""
    return "" if value == "" else label_value(value)


def kubernetes_value(value: object) -> str:
    """The value of a label or annotation; Kubernetes takes texts only."""
    if isinstance(value, bool | int):
        raise refusal("SLO026", f"a text is needed, not {shown(value)}", f'put it in quotes: "{str(value).lower()}"')
    return matched_value(value)


def matching(pattern: re.Pattern[str], value: object, code: str, what: str, example: str) -> str:
    """A text that matches the pattern of `what`; `example` says what to write."""
    checked = plain_text(value)
    if len(checked) <= MAX_NAME and pattern.fullmatch(checked):
        return checked
    raise refusal(code, f"{shown(value)} is not {what}", example + _placeholder_help(checked))


def _placeholder_help(value: str) -> str:
    return "; parameters such as `$name` stand only in a Template" if value.startswith("$") else ""


def url(value: object) -> str:
    """A link that begins with https, without a user name or password."""
    checked = text(value)
    if _USER.match(checked):
        raise refusal("SLO027", "the link holds a user name or password", "write `https://host/path`")
    if len(checked) <= 2048 and _URL.fullmatch(checked):
        return checked
    raise refusal("SLO027", f"{shown(value)} is not an https link", "write `https://host/path`")


def webhook_url(value: object) -> str:
    """As `url`; within a cluster or on this machine plain http will do."""
    if isinstance(value, str) and _INSIDE.fullmatch(value):
        url(value.replace("http", "https", 1))
        return value
    return url(value)


def chat_id(value: object) -> str:
    """The number of a chat, in quotes or not."""
    return matching(CHAT, str(value) if isinstance(value, int) else value, "SLO021", "a chat's number", CHAT_HELP)


def runbook(value: object) -> str:
    """A link in which `$service` and `$slo` stand for their names."""
    checked = url(value)
    unknown = [name for name in placeholders(checked) if name not in {"service", "slo"}]
    if unknown:
        raise refusal("SLO048", f"unknown placeholder `${unknown[0]}`", "a runbook knows `$service` and `$slo`")
    return checked


def promql(value: object) -> str:
    """PromQL within the limits that the parser can stand; it is parsed later."""
    checked = plain_text(value)
    if not checked.strip():
        raise refusal("SLO028", "the expression is empty", "write a selector such as `http_requests_total`")
    try:
        check_limits(checked)
    except PromqlError as error:
        raise refusal("SLO028", str(error), error.help) from None
    return checked


def windowed(value: object) -> str:
    """PromQL that contains `$window`, the time that sloctl puts in."""
    checked = promql(value)
    if "window" not in placeholders(outside_strings(checked)):
        help_ = "write `$window` for the time, such as `sum(increase(x_total[$window]))`"
        raise refusal("SLO028", "the expression does not contain `$window`", help_)
    return checked


def selectors(value: object) -> tuple[str, ...]:
    """One selector or a list of them, which is summed."""
    if not isinstance(value, Sequence):
        return (promql(value),)
    if not 0 < len(value) <= MAX_SELECTORS:
        raise refusal("SLO028", f"a list of 1 to {MAX_SELECTORS} selectors is needed", "name at least one")
    return tuple(_item(promql, item, index) for index, item in enumerate(value))


def _item(validate: Callable[[object], T], item: object, index: int) -> T:
    try:
        return validate(item)
    except PydanticCustomError as problem:
        context = problem.context or {}
        raise PydanticCustomError(problem.type, "{message}", {**context, "at": (index,)}) from None
