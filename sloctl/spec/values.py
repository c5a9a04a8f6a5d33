"""Written values to plain ones, as types of the document's fields.

Each type is strict (a number is no text, a text is no number), exact, says in its own words what it
refuses, and carries the JSON Schema that editors use.

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
from decimal import Decimal
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias, TypeVar

from pydantic import AfterValidator, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from sloctl.spec.tree import Key, Mapping, Sequence

MAX_TEXT: Final = 4096
MAX_LABEL_VALUE: Final = 1024
MAX_PROMQL: Final = 2048
MAX_BRACKETS: Final = 16
MAX_OPERATORS: Final = 100
MAX_SELECTORS: Final = 100
MINUTE: Final = 60_000
DAY: Final = 86_400_000

RESERVED_LABELS: Final = frozenset(
    ("sloctl", "platform", "service", "slo", "team", "severity", "burn_tier", "le", "quantile", "period")
)

_UNITS: Final = {"w": 7 * DAY, "d": DAY, "h": 60 * MINUTE, "m": MINUTE, "s": 1000, "ms": 1}
_PER: Final = {"s": 1000, "min": MINUTE, "h": 60 * MINUTE, "d": DAY}
_POWERS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}

_DIGITS: Final = r"[0-9]+(?:\.[0-9]+)?"
NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
NAME_HELP: Final = "use at most 63 of a-z, 0-9 and `-`, such as `track-latency`"
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_PARAMETER: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")
_METRIC: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_PERCENTAGE: Final = re.compile(rf"({_DIGITS})%")
_DURATION: Final = re.compile("".join(f"(?:([0-9]+){unit})?" for unit in _UNITS))
_SINGLE_DURATION: Final = re.compile(r"([0-9]+)(ms|[smhdw])")
_DECIMAL_DURATION: Final = re.compile(r"([0-9]+\.[0-9]+)(ms|[smhdw])")
_RATE: Final = re.compile(rf"({_DIGITS})([KMG]?)/(s|min|h|d)")
_URL: Final = re.compile(
    r"https://(?:[a-zA-Z0-9](?:[-a-zA-Z0-9.]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?"
    r"(?:[/?#][^\s\"'<>`\\]*)?"
)
_CLOCK: Final = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00")
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")
_EMAIL: Final = re.compile(r"[^\s@<>\"',;]+@[^\s@<>\"',;]+\.[^\s@<>\"',;]+")
_CHANNEL: Final = re.compile(r"[#@]?[^\s#@:/{}\"'`<>,]+")
_ADDRESS: Final = re.compile(r"[^\s{}\"'`<>,]+")
_PLACEHOLDER: Final = re.compile(r"\$([a-zA-Z][a-zA-Z0-9_]*)")
# What a PromQL parser skips: comments and strings. A quote that is left over was never closed.
_SKIPPED: Final = re.compile(r"#[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`[^`]*`")
_OPERATOR: Final = re.compile(r"\b(?:and|or|unless|atan2)\b|[-+*/%^]|[=!<>]+~?")

T = TypeVar("T")
Related: TypeAlias = tuple[tuple[Key, ...], str]


class WrittenRate(NamedTuple):
    """So many events in so many milliseconds."""

    events: Decimal
    per_milliseconds: int


class WrittenBound(NamedTuple):
    """A limit and what it is written in: a plain number, a ratio, or milliseconds."""

    value: Decimal
    unit: Literal["number", "percentage", "duration"]


class WrittenCounts(NamedTuple):
    """What a sample holds; `milliseconds` is the length of `every`, else 0."""

    kind: Literal["counter", "per_second", "every"]
    milliseconds: int = 0


def refusal(
    code: str,
    message: str,
    help: str = "",  # noqa: A002 - the word users see
    *,
    at: tuple[Key, ...] = (),
    related: tuple[Related, ...] = (),
) -> PydanticCustomError:
    """The error that a validator raises.

    Args:
        code: the diagnostic's code.
        message: what is wrong, in the user's words.
        help: what to write instead.
        at: key path below the validated value where the mistake is.
        related: key paths below the validated value of other places involved, with what is there.
    """
    context = {"message": message, "help": help, "at": at, "related": related}
    return PydanticCustomError(code, "{message}", context)


def shown(value: object) -> str:
    """A value as its writer knows it, short enough for a message."""
    match value:
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case bool():
            return f"`{str(value).lower()}`"
        case str() if not value.strip():
            return "an empty text"
        case _:
            text = str(value)
            return f"`{text[:60]}…`" if len(text) > 60 else f"`{text}`"


def placeholders(text: str) -> list[str]:
    """The names of the `$name` placeholders in a text, in order; a `$` before no letter stands for itself."""
    return _PLACEHOLDER.findall(text)


# ---------------------------------------------------------------- numbers


def decimal(value: object) -> Decimal:
    """An exact number."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    help_ = "write it without quotes" if isinstance(value, str) and _is_number(value) else "write one such as `14.2`"
    raise refusal("SLO025", f"a number is needed, not {shown(value)}", help_)


def count(value: object) -> int:
    """A whole number, zero or more."""
    number = decimal(value)
    if number != number.to_integral_value() or number < 0:
        raise refusal("SLO025", f"a whole number is needed, not {shown(value)}", "write one such as `1000`")
    return int(number)


def percentage(value: object) -> Decimal:
    """A ratio from a percentage with its sign, exact."""
    if isinstance(value, str) and len(value) <= 41 and (match := _PERCENTAGE.fullmatch(value)):
        return Decimal(f"{match[1]}e-2")
    if isinstance(value, int | Decimal) and not isinstance(value, bool) and value >= 0:
        message = f"a percentage is needed, and {shown(value)} has no percent sign"
        raise refusal("SLO022", message, _percentage_help(Decimal(value)))
    raise refusal("SLO022", f"a percentage is needed, not {shown(value)}", "write one such as `99.95%`")


def _percentage_help(number: Decimal) -> str:
    as_written, as_share = f"`{number:f}%`", f"`{_plain(Decimal(f'{number:f}e2'))}%`"
    if number >= 1 or number == 0:
        return f"write {as_written}"
    return f"write {as_share}" if number > Decimal("0.5") else f"write {as_share}, or {as_written} if that is meant"


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _is_number(text: str) -> bool:
    return re.fullmatch(rf"[-+]?{_DIGITS}", text) is not None


def duration(value: object) -> int:
    """Milliseconds from a duration such as `1h30m`."""
    if isinstance(value, str) and 0 < len(value) <= 40:
        milliseconds = _milliseconds(value)
        if milliseconds is not None:
            return milliseconds
    raise refusal("SLO023", *_duration_problem(value))


def _milliseconds(text: str) -> int | None:
    if match := _SINGLE_DURATION.fullmatch(text):
        return int(match[1]) * _UNITS[match[2]]
    if match := _DURATION.fullmatch(text):
        parts = zip(match.groups("0"), _UNITS.values(), strict=True)
        return sum(int(number) * unit for number, unit in parts)
    if match := _DECIMAL_DURATION.fullmatch(text):
        number, unit = match.groups()
        exact = _exact_product(number, _UNITS[unit])
        return int(exact) if exact == int(exact) else None
    return None


def _exact_product(number: str, factor: int) -> Decimal:
    """Decimal digits times a whole number, without the default context's rounding."""
    whole, _, digits = number.partition(".")
    return Decimal(f"{int(whole + digits) * factor}e-{len(digits)}")


def _duration_problem(value: object) -> tuple[str, str]:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return (
            f"a duration is needed, and {shown(value)} has no unit",
            f"write `{value}s`, `{value}m`, `{value}h` or `{value}d`",
        )
    if isinstance(value, str) and _DECIMAL_DURATION.fullmatch(value):
        return f"{shown(value)} is not a whole number of milliseconds", "write fewer digits"
    return (
        f"a duration is needed, not {shown(value)}",
        "write one such as `30s`, `5m`, `1h30m` or `30d` (units w d h m s ms, largest first)",
    )


def rate(value: object) -> WrittenRate:
    """Events in a time, from `800K/min`."""
    if isinstance(value, str) and len(value) <= 40 and (match := _RATE.fullmatch(value)):
        number, power, per = match.groups()
        return WrittenRate(_exact_product(number, _POWERS[power]), _PER[per])
    example = f"write `{value}/s` or `{value}/min`" if _is_number(str(value)) else "write one such as `800K/min`"
    raise refusal("SLO024", f"a rate is needed, not {shown(value)}", f"{example} (K, M, G; per s, min, h or d)")


def bound(value: object) -> WrittenBound:
    """A number, a percentage or a duration."""
    match value:
        case bool():
            pass
        case int() | Decimal():
            return WrittenBound(Decimal(value), "number")
        case str() if value.endswith("%"):
            return WrittenBound(percentage(value), "percentage")
        case str() if 0 < len(value) <= 40 and (milliseconds := _milliseconds(value)) is not None:
            return WrittenBound(Decimal(milliseconds), "duration")
    raise refusal(
        "SLO025",
        f"a number, percentage or duration is needed, not {shown(value)}",
        "write `0.1`, `80%` or `2s`",
    )


def latency_bound(value: object) -> WrittenBound:
    """A duration, or a number of the histogram's own unit."""
    written = None if isinstance(value, str) and value.endswith("%") else bound(value)
    if written is None:
        raise refusal("SLO023", f"a duration or number is needed, not {shown(value)}", "write `2s`, or `0.1`")
    if written.value <= 0:
        raise refusal("SLO046", f"{shown(value)} is no useful bound", "write a bound above zero")
    return written


def counts(value: object) -> WrittenCounts:
    """What a sample holds, from `counter`, `per_second` or `per_5m`."""
    if value == "counter":
        return WrittenCounts("counter")
    if value == "per_second":
        return WrittenCounts("per_second")
    if isinstance(value, str) and value.startswith("per_") and 4 < len(value) <= 40:
        milliseconds = _milliseconds(value[4:])
        if milliseconds:
            return WrittenCounts("every", milliseconds)
    message = f"`counts` must be `counter`, `per_second` or `per_<duration>`, not {shown(value)}"
    raise refusal("SLO020", message, "write `per_5m` when each sample holds the events of the last 5 minutes")


def boolean(value: object) -> bool:
    """True or false, and nothing that could mean them."""
    if isinstance(value, bool):
        return value
    raise refusal("SLO020", f"`true` or `false` is needed, not {shown(value)}", "write `true` or `false`")


# ---------------------------------------------------------------- texts


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
        raise refusal("SLO029", "`{{` would open a template action", "use a placeholder such as `$service`")
    return checked


def label_value(value: object) -> str:
    """The value of a label."""
    checked = text(value)
    if len(checked) > MAX_LABEL_VALUE:
        raise refusal("SLO026", f"a label value has at most {MAX_LABEL_VALUE} characters", "shorten it")
    return checked


def matched_value(value: object) -> str:
    """The value that a label must have; an empty one means that the label is absent."""
    return "" if value == "" else label_value(value)


def _patterned(pattern: re.Pattern[str], code: str, what: str, example: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        checked = plain_text(value)
        if pattern.fullmatch(checked):
            return checked
        raise refusal(code, f"{shown(value)} is not {what}", example + _placeholder_help(checked))

    return check


def _placeholder_help(value: str) -> str:
    return "; parameters such as `$name` stand only in a Template" if value.startswith("$") else ""


def url(value: object) -> str:
    """A link that begins with https, without a user name or password."""
    checked = text(value)
    if len(checked) <= 2048 and _URL.fullmatch(checked):
        return checked
    raise refusal("SLO027", f"{shown(value)} is not an https link", "write `https://host/path`")


def runbook(value: object) -> str:
    """A link in which `$service` and `$slo` stand for their names."""
    checked = url(value)
    unknown = [name for name in placeholders(checked) if name not in {"service", "slo"}]
    if unknown:
        raise refusal("SLO048", f"unknown placeholder `${unknown[0]}`", "a runbook knows `$service` and `$slo`")
    return checked


# ---------------------------------------------------------------- PromQL


def promql(value: object) -> str:
    """PromQL within the limits that the parser can stand; it is parsed later."""
    checked = plain_text(value)
    if not checked.strip():
        raise refusal("SLO028", "the expression is empty", "write a selector such as `http_requests_total`")
    if len(checked) > MAX_PROMQL or len(checked.encode()) > MAX_PROMQL:
        raise refusal("SLO028", "PromQL longer than 2 kB", "put the expression in a recording rule")
    if len(checked) > MAX_OPERATORS or sum(map(checked.count, "([{")) > MAX_BRACKETS:
        _check_shape(checked)
    return checked


def _check_shape(expression: str) -> None:
    code = _SKIPPED.sub("", expression)
    if any(quote in code for quote in "\"'`"):
        raise refusal("SLO028", "a quote in the expression is not closed", "close it on the same line")
    depth = 0
    for bracket in re.findall(r"[()\[\]{}]", code):
        depth += 1 if bracket in "([{" else -1
        if depth > MAX_BRACKETS:
            raise refusal("SLO028", f"brackets nested deeper than {MAX_BRACKETS}", "use a recording rule")
    if sum(1 for _ in _OPERATOR.finditer(code)) > MAX_OPERATORS:
        raise refusal("SLO028", f"more than {MAX_OPERATORS} operators", "use a recording rule")


def windowed(value: object) -> str:
    """PromQL that contains `$window`, the time that sloctl puts in."""
    checked = promql(value)
    if "window" not in placeholders(_SKIPPED.sub("", checked)):
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


# ---------------------------------------------------------------- ranges


def positive(value: int) -> int:
    """More than no time at all."""
    if value <= 0:
        raise refusal("SLO046", "a time above zero is needed", "write one such as `5m`")
    return value


def between(
    low: str, high: str, words: str, *, code: str = "SLO046", include_high: bool = False
) -> Callable[[Decimal], Decimal]:
    """A range without its lower end, and without its upper one unless `include_high`."""
    least, most = Decimal(low), Decimal(high)

    def check(value: Decimal) -> Decimal:
        if least < value < most or (include_high and value == most):
            return value
        raise refusal(code, "the value is out of range", words)

    return check


def at_most_minute(value: int) -> int:
    """The longest resolution."""
    if value > MINUTE:
        raise refusal("SLO046", "a resolution is at most `1m`", "write `1m`, or leave the key out")
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


# ---------------------------------------------------------------- types of fields


def _pattern(regex: re.Pattern[str], *examples: str) -> WithJsonSchema:
    schema = {"type": "string", "pattern": f"^(?:{regex.pattern})$", "examples": list(examples)}
    return WithJsonSchema(schema)


_TEXT_SCHEMA: Final = WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_TEXT})
_PROMQL_SCHEMA: Final = WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_PROMQL})
_SELECTORS_SCHEMA: Final = WithJsonSchema(
    {
        "oneOf": [
            {"type": "string", "minLength": 1, "maxLength": MAX_PROMQL},
            {"type": "array", "minItems": 1, "maxItems": MAX_SELECTORS, "items": {"type": "string"}},
        ]
    }
)
_DURATION_PATTERN: Final = r"(?=.)(?:[0-9]+w)?(?:[0-9]+d)?(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?(?:[0-9]+ms)?"
_DURATION_SCHEMA_PATTERN: Final = re.compile(rf"{_DURATION_PATTERN}|[0-9]+\.[0-9]+(?:ms|[smhdw])")
_BOUND_PATTERN: Final = rf"^(?:{_DURATION_SCHEMA_PATTERN.pattern}|{_PERCENTAGE.pattern})$"

Name = Annotated[
    str,
    PlainValidator(_patterned(NAME, "SLO021", "a name", NAME_HELP)),
    _pattern(NAME, "checkout"),
]
LabelName = Annotated[
    str,
    PlainValidator(_patterned(_LABEL, "SLO021", "a label name", "use letters, digits and `_`, such as `http_route`")),
    _pattern(_LABEL, "tenant"),
]
OwnLabel = Annotated[LabelName, AfterValidator(not_reserved)]
ParameterName = Annotated[
    str,
    PlainValidator(_patterned(_PARAMETER, "SLO021", "a parameter name", "use letters, digits and `_`")),
    _pattern(_PARAMETER, "job"),
]
MetricName = Annotated[
    str,
    PlainValidator(_patterned(_METRIC, "SLO021", "a metric name", "write it without labels and suffix")),
    _pattern(_METRIC, "http_request_duration_seconds"),
]
PolicyName = Annotated[Name, AfterValidator(own_policy)]
ClockTime = Annotated[
    str,
    PlainValidator(_patterned(_CLOCK, "SLO026", "a time of day", 'write hours and minutes, such as "09:00"')),
    _pattern(_CLOCK, "09:00"),
]
TimeZone = Annotated[
    str,
    PlainValidator(_patterned(_ZONE, "SLO021", "a time zone", "write an IANA name such as `Europe/Berlin` or `UTC`")),
    _pattern(_ZONE, "UTC", "Asia/Kolkata"),
]
Currency = Annotated[
    str,
    PlainValidator(
        _patterned(re.compile("[A-Z]{3}"), "SLO021", "a currency", "write its three letters, such as `USD`")
    ),
    _pattern(re.compile("[A-Z]{3}"), "USD"),
]
Channel = Annotated[
    str,
    PlainValidator(_patterned(_CHANNEL, "SLO021", "a channel", "write its name in quotes, such as '#alerts'")),
    _pattern(_CHANNEL, "#alerts"),
]
Email = Annotated[
    str,
    PlainValidator(_patterned(_EMAIL, "SLO021", "an e-mail address", "write one such as `team@example.com`")),
    _pattern(_EMAIL, "team@example.com"),
]
Address = Annotated[
    str,
    PlainValidator(
        _patterned(
            _ADDRESS,
            "SLO021",
            "a topic or telephone number",
            "write a topic ARN or a number such as '+4912345'",
        )
    ),
    _pattern(_ADDRESS, "arn:aws:sns:eu-west-1:123456789012:on-call"),
]

Text = Annotated[str, PlainValidator(text), _TEXT_SCHEMA]
LabelValue = Annotated[
    str,
    PlainValidator(label_value),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_LABEL_VALUE}),
]
MatchedValue = Annotated[
    str, PlainValidator(matched_value), WithJsonSchema({"type": "string", "maxLength": MAX_LABEL_VALUE})
]
Url = Annotated[str, PlainValidator(url), WithJsonSchema({"type": "string", "pattern": "^https://"})]
Runbook = Annotated[str, PlainValidator(runbook), WithJsonSchema({"type": "string", "pattern": "^https://"})]

PromQL = Annotated[str, PlainValidator(promql), _PROMQL_SCHEMA]
WindowedPromQL = Annotated[str, PlainValidator(windowed), _PROMQL_SCHEMA]
SelectorText = Annotated[str, PlainValidator(promql), _PROMQL_SCHEMA]
Matchers = Annotated[str, PlainValidator(promql), _PROMQL_SCHEMA]
Selectors = Annotated[tuple[str, ...], PlainValidator(selectors), _SELECTORS_SCHEMA]

Boolean = Annotated[bool, PlainValidator(boolean), WithJsonSchema({"type": "boolean"})]
Number = Annotated[Decimal, PlainValidator(decimal), WithJsonSchema({"type": "number"})]
Count = Annotated[int, PlainValidator(count), WithJsonSchema({"type": "integer", "minimum": 0})]
Percentage = Annotated[Decimal, PlainValidator(percentage), _pattern(_PERCENTAGE, "99.95%")]
Duration = Annotated[int, PlainValidator(duration), _pattern(_DURATION_SCHEMA_PATTERN, "5m", "1h30m", "30d")]
Rate = Annotated[WrittenRate, PlainValidator(rate), _pattern(_RATE, "800K/min", "8K/s")]
Counts = Annotated[
    WrittenCounts,
    PlainValidator(counts),
    _pattern(re.compile(rf"counter|per_second|per_(?:{_DURATION_PATTERN})"), "counter", "per_second", "per_5m"),
]
_BOUND_SCHEMA: Final = WithJsonSchema({"oneOf": [{"type": "number"}, {"type": "string", "pattern": _BOUND_PATTERN}]})
Bound = Annotated[WrittenBound, PlainValidator(bound), _BOUND_SCHEMA]
LatencyBound = Annotated[WrittenBound, PlainValidator(latency_bound), _BOUND_SCHEMA]

PositiveDuration = Annotated[Duration, AfterValidator(positive)]
Resolution = Annotated[PositiveDuration, AfterValidator(at_most_minute)]
WindowLength = Annotated[Duration, AfterValidator(at_least_day)]
BurnFactor = Annotated[Number, AfterValidator(burn_factor)]
ObjectivePercentage = Annotated[
    Percentage,
    AfterValidator(between("0", "1", "write a share between 0% and 100%, such as `99.9%`", code="SLO040")),
]
Share = Annotated[Percentage, AfterValidator(between("0", "1", "write a share above 0% and below 100%"))]
PartOrWhole = Annotated[
    Percentage, AfterValidator(between("0", "1", "write a share above 0% and up to 100%", include_high=True))
]
PartLeft = Annotated[Percentage, AfterValidator(between("-1", "1", "write a part below 100%"))]
AboveZero = Annotated[Percentage, AfterValidator(between("0", "1000000", "write more than `0%`"))]
Chance = Annotated[Number, AfterValidator(between("0", "0.5", "write a chance above 0 and below 0.5, such as `0.01`"))]
