"""Windows, alert policies, forecasts, regressions and credits as written."""

from typing import Annotated, Final, Self, TypeAlias

from pydantic import AfterValidator, model_validator

from sloctl.language import values as v
from sloctl.language.fields import (
    Filled,
    Maybe,
    TextOrList,
    TextOrMapping,
    Written,
    apart,
    exactly_one,
    optional,
    required,
    unique,
)
from sloctl.language.refusals import refusal
from sloctl.model import alerting, window
from sloctl.model.quantities import DAY, ZERO, percent

Severity: TypeAlias = v.Word[alerting.Severity]
Labels: TypeAlias = dict[v.OwnLabel, v.LabelValue]
Annotations: TypeAlias = dict[v.LabelName, v.AlertText]


class Calendar(Written):
    """A calendar period in a named zone."""

    calendar: v.Word[window.Calendar] = required("The period; weeks begin on Monday.")
    time_zone: v.TimeZone = optional("IANA name of the zone whose midnight begins the period; UTC if absent.", "UTC")


Window: TypeAlias = TextOrMapping[v.WindowLength, Calendar]


class Tier(Written):
    """One row of an alert policy; it becomes one alert rule."""

    severity: Severity = required("P1 pages, P2 is urgent, P3 is a ticket.")
    burn: Maybe[v.BurnFactor] = optional("Burn rate: error ratio divided by the error budget.")
    error_rate: Maybe[v.Share] = optional("The error ratio itself.")
    budget_left: Maybe[v.PartLeft] = optional("The part of the window's budget that is left is at or below this.")
    over: Maybe[v.PositiveDuration] = optional("The average is taken over this long.")
    also_over: Maybe[v.PositiveDuration] = optional("And over this shorter window, so that the alert ends soon.")
    for_: v.Duration = optional("The condition must hold this long first.", ZERO, "for")
    keep_firing_for: Maybe[v.Duration] = optional(
        "The alert stays this long after its condition has ended.", otherwise="`5m` for P1, else `0s`"
    )
    min_events: v.Count = optional("Silent below so many events in `over`.", 0)
    min_bad: Maybe[v.Count] = optional(
        "Silent below so many bad events in `over`.", otherwise="`3` where slices are counted, else `0`"
    )
    guard: Maybe[v.Word[alerting.Guard]] = optional(
        "Whether a handful of errors at low traffic counts.",
        otherwise="`statistical` for ratio, latency and query, else `none`",
    )
    notify: tuple[v.Name, ...] = optional("Routes of the team besides the severity's.", ())
    labels: Maybe[Labels] = optional("Labels of this alert.")
    annotations: Maybe[Annotations] = optional("Annotations of this alert.")

    @model_validator(mode="after")
    def _one_trigger(self) -> Self:
        exactly_one(self, "SLO034", "the limit of the tier", "burn", "error_rate", "budget_left")
        apart(self, "SLO034", "budget_left", "over", "also_over")
        if self.budget_left is None and self.over is None:
            raise refusal("SLO034", "`over` is missing", "say how long the average is, such as `over: 1h`")
        if self.over is not None and self.also_over is not None and self.also_over >= self.over:
            raise refusal(
                "SLO034",
                "`also_over` is not shorter than `over`",
                "write a shorter time, such as a twelfth of `over`",
                at=("also_over",),
                related=((("over",), "here"),),
            )
        return self


def _not_none(name: str) -> str:
    if name == "none":
        raise refusal("SLO035", "`none` stands alone, not in a list", "write `alerts: none`, or remove it")
    return name


Policy: TypeAlias = Filled[Tier]
PolicyInList: TypeAlias = Annotated[v.Name, AfterValidator(_not_none)]
AlertList: TypeAlias = Filled[TextOrMapping[PolicyInList, Tier]]
Alerts: TypeAlias = TextOrList[v.Name, AlertList]


class Forecast(Written):
    """A straight line through the past reaches a limit soon."""

    within: v.PositiveDuration = required("How far ahead is looked.")
    from_: v.PositiveDuration = optional("How long a past the line goes through.", DAY * 14, "from")
    to: Maybe[v.Bound] = optional(
        "The value that is reached.", otherwise="`100%` for saturation, the bound of the SLI for threshold"
    )
    severity: Severity = optional("How urgent it is.", alerting.Severity.P3)


class Regression(Written):
    """A quantile is worse than it was some time earlier."""

    quantile: v.Share = required("Which quantile, such as `75%`.")
    over: v.PositiveDuration = required("The time that is looked at.")
    earlier: v.PositiveDuration = required("How long before the time lies that it is compared with.")
    worse_by: v.AboveZero = required("By how much it may be worse.")
    severity: Severity = required("How urgent it is.")
    min_events: v.Count = optional("Silent below so many events in `over`.", 1000)


class Credit(Written):
    """What is owed when less was attained."""

    below: v.PartOrWhole = required("Owed when the attained share is below this.")
    credit: v.PartOrWhole = required("The share of the contract's value that is owed.")


_MONTH: Final = Calendar.model_construct(calendar=window.Calendar.MONTH)


class Sla(Written):
    """What is owed to customers."""

    window: Window = optional("The period of the contract.", _MONTH)
    credits: Filled[Credit] = required("Which credit is owed below which share.")
    value: v.SelectorText = required("Selector of the contract's value a period, with the `by` labels.")
    currency: v.Currency = optional("Three letters.", "USD")

    @model_validator(mode="after")
    def _each_limit_once(self) -> Self:
        unique(tuple(percent(credit.below) for credit in self.credits), "SLO039", "the limit", "below", "credits")
        return self
