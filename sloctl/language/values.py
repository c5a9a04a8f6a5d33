"""The value types of the language: strict, exact, each with the JSON Schema that editors use.

| type | as written | Python value |
|---|---|---|
| Percentage | `99.95%` | Decimal ratio, `0.9995` |
| Duration | `1h30m` | `model.quantities.Duration` |
| Rate | `800K/min` | `model.quantities.Rate` |
| Number | `14.2` | Decimal |
| Count | `1000` | int |
| Bound | `2s`, `0.1`, `80%` | `WrittenBound(value, unit)` |
| Counts | `counter`, `per_5m` | `model.indicator.Counts` |
| Selectors | a text or a list of texts | tuple of str |
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Annotated, Final, TypeVar

from pydantic import AfterValidator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from sloctl.language import quantities, texts
from sloctl.language.quantities import WrittenBound
from sloctl.language.refusals import refusal
from sloctl.model import indicator
from sloctl.model import quantities as meant
from sloctl.model.labels import RESERVED_LABELS
from sloctl.model.quantities import DAY, MINUTE, SECOND, ZERO, percent
from sloctl.promql.limits import MAX_LENGTH


def positive(value: meant.Duration) -> meant.Duration:
    """More than no time at all."""
    if value == ZERO:
        raise refusal("SLO046", "a time above zero is needed", "write one such as `5m`")
    return value


def between(
    low: str,
    high: str,
    words: str,
    *,
    include_high: bool = False,
    written: Callable[[Decimal], str] = percent,
) -> Callable[[Decimal], Decimal]:
    """A range without its lower end, and without its upper one unless `include_high`."""
    least, most = Decimal(low), Decimal(high)

    def check(value: Decimal) -> Decimal:
        if least < value < most or (include_high and value == most):
            return value
        raise refusal("SLO046", f"`{written(value)}` is out of range", words)

    return check


_EVERY_EVENT: Final = "`alerts: [{severity: P1, burn: 1, over: 5m, guard: none}]`"


def objective(value: Decimal) -> Decimal:
    """A share that leaves an error budget."""
    if 0 < value < 1:
        return value
    why = "promises nothing" if value <= 0 else "leaves no error budget"
    message = f"an objective of `{percent(value)}` {why}"
    help_ = "write a share between 0% and 100%, such as `99.9%`"
    if value == 1:
        help_ += (
            "; to be told of every bad event write `99.999%` and a tier with `guard: none`, such as " + _EVERY_EVENT
        )
    raise refusal("SLO040", message, help_)


def at_most_minute(value: meant.Duration) -> meant.Duration:
    """The longest resolution; the shortest is that of PromQL's windows, which end a second before a tile begins."""
    if value > MINUTE:
        raise refusal("SLO046", "a resolution is at most `1m`", "write `1m`, or leave the key out")
    if value < SECOND:
        raise refusal("SLO046", "a resolution is at least `1s`", "write `1s` or more")
    return value


def at_least_day(value: meant.Duration) -> meant.Duration:
    """The shortest window of an objective."""
    if value < DAY:
        raise refusal("SLO046", "a window is at least one day long", "write `1d` or more, such as `30d`")
    return value


_LEAST_BURN: Final = Decimal("0.1")


def burn_factor(value: Decimal) -> Decimal:
    """A burn rate that tells something; below 1 it does not exhaust the budget, but it may be a trend."""
    if value < _LEAST_BURN:
        message = f"a burn rate of {value} is what every service has"
        raise refusal("SLO046", message, f"write `{_LEAST_BURN}` or more; at `1` the budget is just spent")
    return value


def not_reserved(label: str) -> str:
    """A label that sloctl does not set itself."""
    if label in RESERVED_LABELS:
        known = ", ".join(f"`{name}`" for name in sorted(RESERVED_LABELS))
        help_ = f"choose another name than {known}"
        if label == "severity":
            help_ = "a tier's `severity` sets it; words of your own stand in `severities` of the Platform of its folder"
        raise refusal("SLO030", f"the label `{label}` is reserved", help_)
    return label


def own_policy(name: str) -> str:
    """The name of a policy of the user's own."""
    if name in {"google", "none"}:
        raise refusal("SLO035", f"`{name}` has a meaning of its own", "choose another name for the policy")
    return name


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """A value that `function` checks and turns into one of Python.

    Attributes:
        called: its name in the reference.
        schema: its JSON Schema.
    """

    function: Callable[[object], object]
    called: str
    schema: JsonSchemaValue

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.function)

    def __get_pydantic_json_schema__(self, schema: object, handler: object) -> JsonSchemaValue:
        return dict(self.schema)


@dataclass(frozen=True, slots=True)
class Words:
    """An enum is written as one of the values of its members, or as one of `only`."""

    only: tuple[str, ...] = ()

    def of(self, enum: type[Enum]) -> list[str]:
        """The words that may stand there."""
        return list(self.only or (member.value for member in enum))

    def __get_pydantic_core_schema__(self, source: type[Enum], handler: object) -> CoreSchema:
        return core_schema.no_info_after_validator_function(source, core_schema.literal_schema(self.of(source)))


Member = TypeVar("Member", bound=Enum)
Word = Annotated[Member, Words()]


def _matching(pattern: re.Pattern[str], what: str, help_: str, example: str, code: str = "SLO021") -> Read:
    """A text that matches a regular expression."""
    called = what.removeprefix("a ").removeprefix("an ")
    return Read(lambda value: texts.matching(pattern, value, code, what, help_), called, _pattern(pattern, example))


def _pattern(regex: re.Pattern[str], *examples: str) -> JsonSchemaValue:
    return {"type": "string", "pattern": f"^(?:{regex.pattern})$", "examples": list(examples)}


def _text(most: int, *, least: int = 1) -> JsonSchemaValue:
    return {"type": "string", "minLength": least, "maxLength": most} if least else {"type": "string", "maxLength": most}


_LINK: Final = {"type": "string", "pattern": "^https://"}
_PROMQL: Final = _text(MAX_LENGTH)
_SELECTORS: Final = {
    "oneOf": [
        _PROMQL,
        {"type": "array", "minItems": 1, "maxItems": texts.MAX_SELECTORS, "items": {"type": "string"}},
    ]
}
_LENGTH: Final = r"(?=.)(?:[0-9]+w)?(?:[0-9]+d)?(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?(?:[0-9]+ms)?"
_DURATION: Final = re.compile(rf"{_LENGTH}|[0-9]+\.[0-9]+(?:ms|[smhdw])")
_COUNTS: Final = re.compile(rf"counter|per_second|per_(?:{_LENGTH})")
_BOUND: Final = {
    "oneOf": [
        {"type": "number"},
        {"type": "string", "pattern": f"^(?:{_DURATION.pattern}|{quantities.PERCENTAGE.pattern})$"},
    ]
}
_LATENCY_BOUND: Final = {
    "oneOf": [
        {"type": "number"},
        {"type": "string", "pattern": f"^(?:{_DURATION.pattern}|{quantities.SHORT.pattern})$"},
    ]
}

Name = Annotated[str, _matching(texts.NAME, "a name", texts.NAME_HELP, "checkout")]
TemplateName = Annotated[str, _matching(texts.TEMPLATE, "a template's name", texts.NAME_HELP, "std/istio")]
SloName = Annotated[str, _matching(texts.SLO_NAME, "a name of an SLO", texts.SLO_NAME_HELP, "availability")]
SloId = Annotated[str, _matching(texts.SLO_ID, "an id", texts.SLO_NAME_HELP, "checkout-availability")]
LabelName = Annotated[
    str,
    _matching(
        texts.LABEL,
        "a label name",
        "use letters, digits and `_`; of a name with dots write the underscores to which Prometheus translates OTLP, "
        "`http_route`",
        "tenant",
    ),
]
ParameterName = Annotated[str, _matching(texts.PARAMETER, "a parameter name", "use letters, digits and `_`", "job")]
MetricName = Annotated[
    str, _matching(texts.METRIC, "a metric name", "write it without labels", "http_duration_seconds")
]
ClockTime = Annotated[
    str, _matching(texts.CLOCK, "a time of day", "write hours and minutes: '09:00'", "09:00", "SLO026")
]
TimeZone = Annotated[str, _matching(texts.ZONE, "a time zone", "write an IANA name such as `Europe/Berlin`", "UTC")]
Currency = Annotated[str, _matching(texts.CURRENCY, "a currency", "write its three letters, such as `USD`", "USD")]
SeverityWord = Annotated[
    str,
    _matching(
        texts.SEVERITY,
        "a word for a severity",
        "use letters, digits, spaces, `.`, `_` and `-`, because routes and dashboards match it",
        "critical",
    ),
]
Channel = Annotated[str, _matching(texts.CHANNEL, "a channel", "write its name in quotes: '#alerts'", "#alerts")]
Email = Annotated[str, _matching(texts.EMAIL, "an e-mail address", "write `team@example.com`", "team@example.com")]
Address = Annotated[
    str,
    _matching(
        texts.ADDRESS,
        "a topic or telephone number",
        "write a topic's ARN, or a number such as '+4912345'",
        "arn:aws:sns:eu-west-1:123456789012:on-call",
    ),
]
ChatId = Annotated[
    str,
    Read(texts.chat_id, "number of a chat", {"anyOf": [{"type": "integer"}, _pattern(texts.CHAT, "-1001234567890")]}),
]
ReceiverName = Annotated[
    str, _matching(texts.RECEIVER, "a receiver's name", "write it as in `alertmanager.yml`", "on-call")
]
KubernetesKey = Annotated[
    str,
    _matching(
        texts.KUBERNETES_KEY,
        "a label's name",
        "write it as Kubernetes has it: `release` or `example.com/team`",
        "release",
    ),
]
KubernetesValue = Annotated[str, Read(texts.kubernetes_value, "text", _text(texts.MAX_LABEL_VALUE, least=0))]
OwnLabel = Annotated[LabelName, AfterValidator(not_reserved)]
PolicyName = Annotated[Name, AfterValidator(own_policy)]

Text = Annotated[str, Read(texts.text, "text", _text(texts.MAX_TEXT))]
AlertText = Annotated[str, Read(texts.alert_text, "text", _text(texts.MAX_TEXT))]
LabelValue = Annotated[str, Read(texts.label_value, "text", _text(texts.MAX_LABEL_VALUE))]
MatchedValue = Annotated[str, Read(texts.matched_value, "text", _text(texts.MAX_LABEL_VALUE, least=0))]
Url = Annotated[str, Read(texts.url, "https link", _LINK)]
WebhookUrl = Annotated[str, Read(texts.webhook_url, "link", {"type": "string", "pattern": "^https?://"})]
Runbook = Annotated[str, Read(texts.runbook, "https link", _LINK)]

PromQL = Annotated[str, Read(texts.promql, "PromQL", _PROMQL)]
WindowedPromQL = Annotated[str, Read(texts.windowed, "PromQL with `$window`", _PROMQL)]
SelectorText = Annotated[str, Read(texts.promql, "selector", _PROMQL)]
Matchers = Annotated[str, Read(texts.promql, "matchers", _PROMQL)]
Selectors = Annotated[tuple[str, ...], Read(texts.selectors, "selectors", _SELECTORS)]

Boolean = Annotated[bool, Read(quantities.boolean, "boolean", {"type": "boolean"})]
Number = Annotated[Decimal, Read(quantities.decimal, "number", {"type": "number"})]
Count = Annotated[int, Read(quantities.count, "whole number", {"type": "integer", "minimum": 0})]
Percentage = Annotated[Decimal, Read(quantities.percentage, "percentage", _pattern(quantities.PERCENTAGE, "99.95%"))]
Duration = Annotated[meant.Duration, Read(quantities.duration, "duration", _pattern(_DURATION, "5m", "1h30m", "30d"))]
Rate = Annotated[meant.Rate, Read(quantities.rate, "rate", _pattern(quantities.RATE, "800K/min", "8K/s"))]
Counts = Annotated[
    indicator.Counts,
    Read(
        quantities.counts,
        "`counter`, `per_second` or `per_<duration>`",
        _pattern(_COUNTS, "counter", "per_second", "per_5m"),
    ),
]
Bound = Annotated[WrittenBound, Read(quantities.bound, "number, percentage or duration", _BOUND)]
LatencyBound = Annotated[WrittenBound, Read(quantities.latency_bound, "duration or number", _LATENCY_BOUND)]

DurationOrNone = Annotated[
    meant.Duration | None,
    Read(
        quantities.duration_or_none,
        "duration or `none`",
        {"anyOf": [{"const": "none"}, _pattern(_DURATION, "5m", "1h30m", "30d")]},
    ),
]

PositiveDuration = Annotated[Duration, AfterValidator(positive)]
Resolution = Annotated[PositiveDuration, AfterValidator(at_most_minute)]
WindowLength = Annotated[Duration, AfterValidator(at_least_day)]
BurnFactor = Annotated[Number, AfterValidator(burn_factor)]
ObjectivePercentage = Annotated[Percentage, AfterValidator(objective)]
Share = Annotated[Percentage, AfterValidator(between("0", "1", "write a share above 0% and below 100%"))]
PartOrWhole = Annotated[
    Percentage, AfterValidator(between("0", "1", "write a share above 0% and up to 100%", include_high=True))
]
PartLeft = Annotated[Percentage, AfterValidator(between("-1", "1", "write a part below 100%"))]
AboveZero = Annotated[
    Percentage,
    AfterValidator(
        between(
            "0", "1000000", "write more than `0%`; where nothing may be used, `threshold: {value: ..., at_most: 0}`"
        )
    ),
]
Chance = Annotated[
    Number,
    AfterValidator(between("0", "0.5", "write a chance below 0.5, such as `0.01`", written=str)),
]
