"""The value types of the language: strict, exact, each with the JSON Schema that editors use.

| type | as written | Python value |
|---|---|---|
| Percentage | `99.95%` | Decimal ratio, `0.9995` |
| Duration | `1h30m` | int milliseconds |
| Rate | `800K/min` | `WrittenRate(events, per_milliseconds)` |
| Number | `14.2` | Decimal |
| Count | `1000` | int |
| Bound | `2s`, `0.1`, `80%` | `WrittenBound(value, unit)` |
| Counts | `counter`, `per_5m` | `WrittenCounts(kind, milliseconds)` |
| Selectors | a text or a list of texts | tuple of str |
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Final

from pydantic import AfterValidator, PlainValidator, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from sloctl.language import quantities, texts
from sloctl.language.quantities import DAY, MINUTE, WrittenBound, WrittenCounts, WrittenRate
from sloctl.language.refusals import refusal

RESERVED_LABELS: Final = frozenset(
    (
        "sloctl",
        "platform",
        "service",
        "slo",
        "team",
        "severity",
        "burn_tier",
        "notify",
        "mode",
        "le",
        "quantile",
        "period",
    )
)


def positive(value: int) -> int:
    """More than no time at all."""
    if value <= 0:
        raise refusal("SLO046", "a time above zero is needed", "write one such as `5m`")
    return value


def between(
    low: str,
    high: str,
    words: str,
    *,
    include_high: bool = False,
    written: Callable[[Decimal], str] = quantities.percent,
) -> Callable[[Decimal], Decimal]:
    """A range without its lower end, and without its upper one unless `include_high`."""
    least, most = Decimal(low), Decimal(high)

    def check(value: Decimal) -> Decimal:
        if least < value < most or (include_high and value == most):
            return value
        raise refusal("SLO046", f"`{written(value)}` is out of range", words)

    return check


def objective(value: Decimal) -> Decimal:
    """A share that leaves an error budget."""
    if 0 < value < 1:
        return value
    why = "promises nothing" if value <= 0 else "leaves no error budget"
    message = f"an objective of `{quantities.percent(value)}` {why}"
    raise refusal("SLO040", message, "write a share between 0% and 100%, such as `99.9%`")


def at_most_minute(value: int) -> int:
    """The longest resolution; the shortest is that of PromQL's windows, which end a second before a tile begins."""
    if value > MINUTE:
        raise refusal("SLO046", "a resolution is at most `1m`", "write `1m`, or leave the key out")
    if value < 1000:
        raise refusal("SLO046", "a resolution is at least `1s`", "write `1s` or more")
    return value


def at_least_day(value: int) -> int:
    """The shortest window of an objective."""
    if value < DAY:
        raise refusal("SLO046", "a window is at least one day long", "write `1d` or more, such as `30d`")
    return value


def burn_factor(value: Decimal) -> Decimal:
    """A burn rate that can exhaust a budget within its window."""
    if value < 1:
        raise refusal("SLO046", f"a burn rate of {value} never exhausts the budget", "write `1` or more")
    return value


def not_reserved(label: str) -> str:
    """A label that sloctl does not set itself."""
    if label in RESERVED_LABELS:
        known = ", ".join(f"`{name}`" for name in sorted(RESERVED_LABELS))
        raise refusal("SLO030", f"the label `{label}` is reserved", f"choose another name than {known}")
    return label


def own_policy(name: str) -> str:
    """The name of a policy of the user's own."""
    if name in {"google", "none"}:
        raise refusal("SLO035", f"`{name}` has a meaning of its own", "choose another name for the policy")
    return name


@dataclass(frozen=True, slots=True)
class Called:
    """What the reference calls a type; it validates nothing."""

    name: str


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A text that matches a regular expression: its validator and its JSON Schema."""

    regex: re.Pattern[str]
    code: str
    what: str
    help: str
    example: str

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, schema: object, handler: object) -> JsonSchemaValue:
        return _pattern_schema(self.regex, self.example)

    def _check(self, value: object) -> str:
        return texts.matching(self.regex, value, self.code, self.what, self.help)


def _pattern_schema(regex: re.Pattern[str], *examples: str) -> JsonSchemaValue:
    return {"type": "string", "pattern": f"^(?:{regex.pattern})$", "examples": list(examples)}


def _pattern(regex: re.Pattern[str], *examples: str) -> WithJsonSchema:
    return WithJsonSchema(_pattern_schema(regex, *examples))


_TEXT_SCHEMA: Final = WithJsonSchema({"type": "string", "minLength": 1, "maxLength": texts.MAX_TEXT})
_PROMQL_SCHEMA: Final = WithJsonSchema({"type": "string", "minLength": 1, "maxLength": texts.MAX_PROMQL})
_SELECTORS_SCHEMA: Final = WithJsonSchema(
    {
        "oneOf": [
            {"type": "string", "minLength": 1, "maxLength": texts.MAX_PROMQL},
            {"type": "array", "minItems": 1, "maxItems": texts.MAX_SELECTORS, "items": {"type": "string"}},
        ]
    }
)
_DURATION_PATTERN: Final = r"(?=.)(?:[0-9]+w)?(?:[0-9]+d)?(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?(?:[0-9]+ms)?"
_DURATION_SCHEMA_PATTERN: Final = re.compile(rf"{_DURATION_PATTERN}|[0-9]+\.[0-9]+(?:ms|[smhdw])")
_BOUND_PATTERN: Final = rf"^(?:{_DURATION_SCHEMA_PATTERN.pattern}|{quantities.PERCENTAGE.pattern})$"

Name = Annotated[str, _Pattern(texts.NAME, "SLO021", "a name", texts.NAME_HELP, "checkout")]
LabelName = Annotated[str, _Pattern(texts.LABEL, "SLO021", "a label name", "use letters, digits and `_`", "tenant")]
ParameterName = Annotated[
    str, _Pattern(texts.PARAMETER, "SLO021", "a parameter name", "use letters, digits and `_`", "job")
]
MetricName = Annotated[
    str, _Pattern(texts.METRIC, "SLO021", "a metric name", "write it without labels", "http_duration_seconds")
]
ClockTime = Annotated[
    str, _Pattern(texts.CLOCK, "SLO026", "a time of day", "write hours and minutes: '09:00'", "09:00")
]
TimeZone = Annotated[
    str, _Pattern(texts.ZONE, "SLO021", "a time zone", "write an IANA name such as `Europe/Berlin`", "UTC")
]
Currency = Annotated[
    str, _Pattern(texts.CURRENCY, "SLO021", "a currency", "write its three letters, such as `USD`", "USD")
]
SeverityWord = Annotated[
    str,
    _Pattern(
        texts.SEVERITY,
        "SLO021",
        "a word for a severity",
        "use letters, digits, spaces, `.`, `_` and `-`, because routes and dashboards match it",
        "critical",
    ),
]
Channel = Annotated[
    str, _Pattern(texts.CHANNEL, "SLO021", "a channel", "write its name in quotes: '#alerts'", "#alerts")
]
Email = Annotated[
    str,
    _Pattern(texts.EMAIL, "SLO021", "an e-mail address", "write `team@example.com`", "team@example.com"),
]
Address = Annotated[
    str,
    _Pattern(
        texts.ADDRESS,
        "SLO021",
        "a topic or telephone number",
        "write a topic's ARN, or a number such as '+4912345'",
        "arn:aws:sns:eu-west-1:123456789012:on-call",
    ),
]
OwnLabel = Annotated[LabelName, AfterValidator(not_reserved)]
PolicyName = Annotated[Name, AfterValidator(own_policy)]

Text = Annotated[str, PlainValidator(texts.text), _TEXT_SCHEMA, Called("text")]
LabelValue = Annotated[
    str,
    PlainValidator(texts.label_value),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": texts.MAX_LABEL_VALUE}),
    Called("text"),
]
MatchedValue = Annotated[
    str,
    PlainValidator(texts.matched_value),
    WithJsonSchema({"type": "string", "maxLength": texts.MAX_LABEL_VALUE}),
    Called("text"),
]
Url = Annotated[
    str, PlainValidator(texts.url), WithJsonSchema({"type": "string", "pattern": "^https://"}), Called("https link")
]
Runbook = Annotated[
    str, PlainValidator(texts.runbook), WithJsonSchema({"type": "string", "pattern": "^https://"}), Called("https link")
]

PromQL = Annotated[str, PlainValidator(texts.promql), _PROMQL_SCHEMA, Called("PromQL")]
WindowedPromQL = Annotated[str, PlainValidator(texts.windowed), _PROMQL_SCHEMA, Called("PromQL with `$window`")]
SelectorText = Annotated[str, PlainValidator(texts.promql), _PROMQL_SCHEMA, Called("selector")]
Matchers = Annotated[str, PlainValidator(texts.promql), _PROMQL_SCHEMA, Called("matchers")]
Selectors = Annotated[tuple[str, ...], PlainValidator(texts.selectors), _SELECTORS_SCHEMA, Called("selectors")]

Boolean = Annotated[bool, PlainValidator(quantities.boolean), WithJsonSchema({"type": "boolean"}), Called("boolean")]
Number = Annotated[Decimal, PlainValidator(quantities.decimal), WithJsonSchema({"type": "number"}), Called("number")]
Count = Annotated[
    int, PlainValidator(quantities.count), WithJsonSchema({"type": "integer", "minimum": 0}), Called("whole number")
]
Percentage = Annotated[
    Decimal, PlainValidator(quantities.percentage), _pattern(quantities.PERCENTAGE, "99.95%"), Called("percentage")
]
Duration = Annotated[
    int,
    PlainValidator(quantities.duration),
    _pattern(_DURATION_SCHEMA_PATTERN, "5m", "1h30m", "30d"),
    Called("duration"),
]
Rate = Annotated[
    WrittenRate, PlainValidator(quantities.rate), _pattern(quantities.RATE, "800K/min", "8K/s"), Called("rate")
]
Counts = Annotated[
    WrittenCounts,
    PlainValidator(quantities.counts),
    _pattern(re.compile(rf"counter|per_second|per_(?:{_DURATION_PATTERN})"), "counter", "per_second", "per_5m"),
    Called("`counter`, `per_second` or `per_<duration>`"),
]
_BOUND_SCHEMA: Final = WithJsonSchema({"oneOf": [{"type": "number"}, {"type": "string", "pattern": _BOUND_PATTERN}]})
Bound = Annotated[
    WrittenBound, PlainValidator(quantities.bound), _BOUND_SCHEMA, Called("number, percentage or duration")
]
LatencyBound = Annotated[
    WrittenBound, PlainValidator(quantities.latency_bound), _BOUND_SCHEMA, Called("duration or number")
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
AboveZero = Annotated[Percentage, AfterValidator(between("0", "1000000", "write more than `0%`"))]
Chance = Annotated[
    Number,
    AfterValidator(between("0", "0.5", "write a chance below 0.5, such as `0.01`", written=str)),
]
