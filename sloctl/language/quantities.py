"""Numbers with units, exact: percentages, durations, rates and bounds.

Each function takes a written value and returns one of the model, or raises a refusal.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from sloctl.language.refusals import refusal, shown
from sloctl.model.indicator import Counts, Every, PerSecond, RunningTotal
from sloctl.model.quantities import DAY, HOUR, MINUTE, SECOND, Duration, Rate, percent

LONGEST: Final = DAY * 3650
"""Prometheus refuses rules with a duration of 292 years, and rules add a few of those that are written."""
_UNITS: Final = {"w": DAY * 7, "d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND, "ms": Duration(1)}
_PER: Final = {"s": SECOND, "min": MINUTE, "h": HOUR, "d": DAY}
_POWERS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
_DIGITS: Final = r"[0-9]+(?:\.[0-9]+)?"
PERCENTAGE: Final = re.compile(rf"({_DIGITS})%")
_DURATION: Final = re.compile("".join(f"(?:([0-9]+){unit})?" for unit in _UNITS))
_SINGLE_DURATION: Final = re.compile(r"([0-9]+)(ms|[smhdw])")
_DECIMAL_DURATION: Final = re.compile(r"([0-9]+\.[0-9]+)(ms|[smhdw])")
SHORT: Final = re.compile(rf"({_DIGITS})(ms|us|ns)")
_SHORT_UNITS: Final = {"ms": "1e-3", "us": "1e-6", "ns": "1e-9"}
RATE: Final = re.compile(rf"({_DIGITS})([KMG]?)/(s|min|h|d)")


class WrittenBound(NamedTuple):
    """A limit and what it is written in: a plain number, a ratio, or seconds."""

    value: Decimal
    unit: Literal["number", "percentage", "duration"]


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
    if isinstance(value, str) and len(value) <= 41 and (match := PERCENTAGE.fullmatch(value)):
        return Decimal(f"{match[1]}e-2")
    if isinstance(value, int | Decimal) and not isinstance(value, bool) and value >= 0:
        message = f"a percentage is needed, and {shown(value)} has no percent sign"
        raise refusal("SLO022", message, _percentage_help(Decimal(value)))
    number = value.removesuffix("%").strip() if isinstance(value, str) else ""
    help_ = f"write `{number}%`" if _is_number(number) else "write one such as `99.95%`"
    raise refusal("SLO022", f"a percentage is needed, not {shown(value)}", help_)


def _percentage_help(value: Decimal) -> str:
    as_written, as_share = f"`{value:f}%`", f"`{percent(value)}`"
    if value >= 1 or value == 0:
        return f"write {as_written}"
    return f"write {as_share}" if value > Decimal("0.5") else f"write {as_share}, or {as_written} if that is meant"


def _is_number(text: str) -> bool:
    return re.fullmatch(rf"[-+]?{_DIGITS}", text) is not None


def duration(value: object) -> Duration:
    """A length of time such as `1h30m`."""
    if isinstance(value, str) and 0 < len(value) <= 40:
        length = _length(value)
        if length is not None:
            return length
    raise refusal("SLO023", *_duration_problem(value))


def duration_or_none(value: object) -> Duration | None:
    """A length of time above zero, or the word `none`."""
    if value == "none":
        return None
    length = duration(value)
    if length.milliseconds == 0:
        raise refusal("SLO046", "a time above zero is needed", "write one such as `5m`, or `none`")
    return length


def _length(text: str) -> Duration | None:
    """A text that is a duration.

    Raises:
        PydanticCustomError: it is longer than any that is useful.
    """
    found = _read(text)
    if found is not None and found > LONGEST:
        raise refusal("SLO046", f"{shown(text)} is longer than ten years", "write at most `3650d`")
    return found


@lru_cache(maxsize=1024)  # few different ones are written many times
def _read(text: str) -> Duration | None:
    if match := _SINGLE_DURATION.fullmatch(text):
        return _UNITS[match[2]] * int(match[1])
    if match := _DURATION.fullmatch(text):
        parts = zip(match.groups("0"), _UNITS.values(), strict=True)
        return Duration(sum(int(number) * unit.milliseconds for number, unit in parts))
    if match := _DECIMAL_DURATION.fullmatch(text):
        number, unit = match.groups()
        exact = _exact_product(number, _UNITS[unit].milliseconds)
        return Duration(int(exact)) if exact == int(exact) else None
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


def rate(value: object) -> Rate:
    """Events in a time, from `800K/min`."""
    if isinstance(value, str) and len(value) <= 40 and (match := RATE.fullmatch(value)):
        number, power, per = match.groups()
        return Rate(_exact_product(number, _POWERS[power]), _PER[per])
    raise refusal("SLO024", f"a rate is needed, not {shown(value)}", _rate_help(value))


def _rate_help(value: object) -> str:
    written = str(value).replace(" ", "").replace("k", "K").replace("g", "G")
    if len(written) <= 40 and RATE.fullmatch(written):
        return f"write `{written}`"
    if len(written) <= 40 and RATE.fullmatch(f"{written}/s"):
        return f"write `{written}/s` or `{written}/min`"
    return "write one such as `800K/min` (K, M or G; per s, min, h or d)"


def bound(value: object) -> WrittenBound:
    """A number, a percentage or a duration."""
    match value:
        case bool():
            pass
        case int() | Decimal():
            return WrittenBound(Decimal(value), "number")
        case str() if value.endswith("%"):
            return WrittenBound(percentage(value), "percentage")
        case str() if 0 < len(value) <= 40 and (length := _length(value)) is not None:
            return WrittenBound(length.seconds, "duration")
    raise refusal(
        "SLO025",
        f"a number, percentage or duration is needed, not {shown(value)}",
        "write `0.1`, `80%` or `2s`",
    )


def latency_bound(value: object) -> WrittenBound:
    """A duration down to nanoseconds, or a number of the histogram's own unit."""
    if isinstance(value, str) and len(value) <= 40 and (match := SHORT.fullmatch(value)):
        return WrittenBound(_above_zero(Decimal(match[1]) * Decimal(_SHORT_UNITS[match[2]]), value), "duration")
    written = None if isinstance(value, str) and value.endswith("%") else bound(value)
    if written is None:
        raise refusal("SLO023", f"a duration or number is needed, not {shown(value)}", "write `2s`, `500us` or `0.1`")
    _above_zero(written.value, value)
    return written


def _above_zero(bound: Decimal, value: object) -> Decimal:
    if bound <= 0:
        raise refusal("SLO046", f"{shown(value)} is no useful bound", "write a bound above zero")
    return bound


def counts(value: object) -> Counts:
    """What a sample holds, from `counter`, `per_second` or `per_5m`."""
    if value == "counter":
        return RunningTotal()
    if value == "per_second":
        return PerSecond()
    if isinstance(value, str) and value.startswith("per_") and 4 < len(value) <= 40:
        length = _length(value[4:])
        if length:
            return Every(length)
    message = f"`counts` must be `counter`, `per_second` or `per_<duration>`, not {shown(value)}"
    raise refusal("SLO020", message, "write `per_5m` when each sample holds the events of the last 5 minutes")


def boolean(value: object) -> bool:
    """True or false, and nothing that could mean them."""
    if isinstance(value, bool):
        return value
    raise refusal("SLO020", f"`true` or `false` is needed, not {shown(value)}", "write `true` or `false`")
