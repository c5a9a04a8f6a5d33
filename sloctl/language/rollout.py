"""A canary as written."""

from decimal import Decimal
from itertools import pairwise
from typing import Literal, Self

from pydantic import model_validator

from sloctl.language import values as v
from sloctl.language.fields import (
    Filled,
    Maybe,
    Written,
    apart,
    exactly_one,
    optional,
    required,
    together,
    unique,
    written,
)
from sloctl.language.refusals import refusal
from sloctl.model.canary import Needs, WhenMissing, WhenShared
from sloctl.model.quantities import SECOND, ZERO


class Arms(Written):
    """Matchers that tell the two versions apart: with `$canary` and `$stable` for their names, or by fixed labels."""

    canary: v.Matchers = required("Matchers of the new version.")
    baseline: v.Matchers = required("Matchers of the version it is compared with.")


class Step(Written):
    """A share of the traffic, and how long it is looked at."""

    weight: v.PartOrWhole = required("Share of the traffic.")
    hold: Maybe[v.PositiveDuration] = optional("The shortest time at this share; required except on the last step.")
    deadline: Maybe[v.PositiveDuration] = optional("The longest time at this share.", otherwise="twice `hold`")
    warm_up: Maybe[v.Duration] = optional(
        "How long each new pod is not judged at this share.", otherwise="`warm_up` of the canary"
    )

    @model_validator(mode="after")
    def _hold_fits(self) -> Self:
        together(self, "SLO037", "deadline", "hold")
        if self.hold is not None and self.deadline is not None and self.deadline < self.hold:
            related = ((("hold",), "here"),)
            raise refusal(
                "SLO037",
                "`deadline` is before `hold`",
                "write a longer time",
                at=("deadline",),
                related=related,
            )
        return self


class Check(Written):
    """A limit that the canary must keep: on an SLO, or on the mismatches of a shadow comparison."""

    name: v.Name = required("Name of the check.")
    slo: Maybe[v.SloName] = optional("The SLO whose SLI is judged.")
    by: tuple[v.LabelName, ...] = optional("Judge it for each value of these labels as well.", ())
    within: tuple[v.LabelName, ...] = optional("Compare the versions within each value of these labels.", ())
    error_rate: Maybe[v.Share] = optional("Absolute limit.")
    worse_by: Maybe[v.Percentage] = optional("Limit against the baseline; `0%` is not worse.")
    needs: v.Word[Needs] = optional("Which limits must be broken to roll back.", default=Needs.ANY)
    shared: v.Word[WhenShared] = optional("What happens when the baseline breaks the limit as well.", WhenShared.HOLD)
    quantile: Maybe[v.Share] = optional("Which quantile `worse_by` compares, such as `99%`.")
    mismatches: Maybe[v.Selectors] = optional("Counter of the results that differed.")
    compared: Maybe[v.Selectors] = optional("Counter of the results that were compared.")
    mismatch_rate: v.PartLeft = optional("The share of mismatches that is allowed.", Decimal(0))
    settle: v.Duration = optional("How long a mismatch may take to resolve itself.", SECOND * 30)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        exactly_one(self, "SLO038", "what the check judges", "slo", "mismatches")
        if self.slo is not None:
            self._check_slo()
        else:
            apart(self, "SLO038", "mismatches", "by", "within", "error_rate", "worse_by", "needs", "shared", "quantile")
            if self.compared is None:
                raise refusal("SLO038", "`compared` is missing", "name the counter of compared results")
        return self

    def _check_slo(self) -> None:
        apart(self, "SLO038", "slo", "compared", "mismatch_rate", "settle")
        limits = written(self, "error_rate", "worse_by")
        if not limits:
            raise refusal("SLO038", "the check has no limit", "write `error_rate` or `worse_by`")
        together(self, "SLO038", "quantile", "worse_by")
        together(self, "SLO038", "within", "worse_by")
        if self.quantile is not None:
            apart(self, "SLO038", "quantile", "within")
        together(self, "SLO038", "shared", "error_rate")
        if self.needs is Needs.BOTH and len(limits) < 2:
            raise refusal("SLO038", "`needs: both` has one limit only", "write both limits", at=("needs",))


class After(Written):
    """What must hold after promotion."""

    slo: v.SloName = required("The SLO whose SLI is judged.")
    by: tuple[v.LabelName, ...] = optional("Judge it for each value of these labels.", ())
    within: v.PositiveDuration = required("How long after promotion it is judged.")
    success: v.PartOrWhole = required("The share of good events that is needed.")


class Approval(Written):
    """When a person decides."""

    first_deployments: v.Count = required("So many first deployments of the service wait for a person.")


class Alpha(Written):
    """The chances of a wrong verdict over the whole analysis, divided among the checks."""

    rollback: v.Chance = optional("Chance of rolling back a good version.", Decimal("0.01"))
    promote: v.Chance = optional("Chance of promoting a bad version.", Decimal("0.01"))


class Parity(Written):
    """How closely the results of two versions must agree."""

    key: v.Text = required("The field that identifies a result.")
    numbers: v.Percentage = optional("Relative tolerance of numbers.", Decimal("0.001"))
    categories: Literal["exact"] = optional("Categories agree exactly.", "exact")


class Canary(Written):
    """How a new version is judged while it takes a share of the traffic."""

    arms: Maybe[Arms] = optional(
        "Matchers that tell the two versions apart.", otherwise="Argo's hash of the pod template"
    )
    steps: Filled[Step] = required("The shares of traffic, one after the other.")
    checks: Filled[Check] = required("What the canary must keep.")
    after: Maybe[After] = optional("What must hold after promotion.")
    approval: Maybe[Approval] = optional("When a person decides.")
    group: Maybe[v.Name] = optional("Services of one group roll back together.")
    when_missing: v.Word[WhenMissing] = optional("The answer at the deadline without evidence.", WhenMissing.HOLD)
    warm_up: v.Duration = optional("How long each new pod is not judged, for cold starts.", ZERO)
    alpha: Maybe[Alpha] = optional("Chances of a wrong verdict.")
    parity: Maybe[Parity] = optional("How closely results of two versions must agree.")

    @model_validator(mode="after")
    def _steps_rise(self) -> Self:
        for index, (before, step) in enumerate(pairwise(self.steps)):
            if step.weight <= before.weight:
                raise _step_refusal("the weight does not rise", "write a larger one", index + 1, "weight")
            if before.hold is None:
                raise _step_refusal("`hold` is missing", "only the last step may lack it", index)
        if self.steps[-1].weight != Decimal(1):
            raise _step_refusal("the last step is not 100%", "end with {weight: 100%}", len(self.steps) - 1, "weight")
        unique(tuple(check.name for check in self.checks), "SLO039", "the check", "name", "checks")
        return self


def _step_refusal(message: str, help_: str, index: int, *below: str) -> Exception:
    return refusal("SLO037", message, help_, at=("steps", index, *below))
