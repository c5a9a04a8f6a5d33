"""Teams and routes as written."""

from typing import ClassVar, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, model_validator

from sloctl.language import values as v
from sloctl.language.fields import Filled, Maybe, Written, optional, required, unique
from sloctl.language.refusals import refusal, shown
from sloctl.language.texts import NAME, NAME_HELP

Weekday: TypeAlias = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class Route(Written):
    """Where a message goes; credentials are read from files named after these."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    pagerduty: Maybe[v.Name] = optional("Name of the file that holds the integration key.")
    slack: Maybe[v.Channel] = optional("Channel, in quotes.")
    email: Maybe[v.Email] = optional("Address.")
    sns: Maybe[v.Address] = optional("Topic or telephone number.")
    webhook: Maybe[v.Url] = optional("An https link that holds no secret.")

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not self.model_fields_set:
            known = "`pagerduty`, `slack`, `email`, `sns` or `webhook`"
            raise refusal("SLO036", "the route leads nowhere", f"write {known}")
        return self


class OfficeHours(Written):
    """When P3 is delivered."""

    days: Filled[Weekday] = required("The days, such as `[monday, friday]`.")
    from_: v.ClockTime = required("When the day begins, such as `09:00`.", "from")
    to: v.ClockTime = required("When the day ends, up to `24:00`.")
    time_zone: v.TimeZone = optional("IANA name of the zone; UTC if absent.", "UTC")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        unique(self.days, "SLO039", "the day", None, "days")
        if self.from_ >= self.to:
            related = ((("from",), "here"),)
            raise refusal("SLO036", "`to` is not after `from`", "write a later time", at=("to",), related=related)
        return self


class Team(Written):
    """Where a team is told: one route a severity, further routes by name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Route]
    other_keys: ClassVar[type[BaseModel] | None] = Route

    P1: Maybe[Route] = optional("Where pages go; it needs `pagerduty` or `sns`.")
    P2: Maybe[Route] = optional("Where urgent messages go.")
    P3: Maybe[Route] = optional("Where tickets go, in office hours.")
    office_hours: Maybe[OfficeHours] = optional("When P3 is delivered.")

    @model_validator(mode="after")
    def _pages_reach_somebody(self) -> Self:
        for name in self.__pydantic_extra__:
            if not NAME.fullmatch(name):
                raise refusal("SLO021", f"{shown(name)} is no name of a route", NAME_HELP, at=(name,), on_key=True)
        if self.P1 is not None and self.P1.pagerduty is None and self.P1.sns is None:
            help_ = "add `pagerduty` or `sns`: a chat message wakes nobody"
            raise refusal("SLO036", "the P1 route pages nobody", help_, at=("P1",))
        return self

    @property
    def routes(self) -> dict[str, Route]:
        """The routes besides the severities', by name."""
        return dict(self.__pydantic_extra__)
