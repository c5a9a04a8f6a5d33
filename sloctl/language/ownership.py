"""Teams and routes as written."""

from typing import ClassVar, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, model_validator

from sloctl.language import values as v
from sloctl.language.fields import Filled, Maybe, Written, apart, listed, optional, required, unique
from sloctl.language.refusals import refusal, shown
from sloctl.language.texts import NAME, NAME_HELP
from sloctl.model.ownership import WAKING

Weekday: TypeAlias = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class Route(Written):
    """Where a message goes; credentials are read from files named after these."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    pagerduty: Maybe[v.Name] = optional("Name of the file that holds the integration key.")
    opsgenie: Maybe[v.Name] = optional("Name of the file that holds the API key.")
    victorops: Maybe[v.Name] = optional("Routing key of Splunk On-Call.")
    pushover: Maybe[v.Name] = optional("Name of the files that hold the keys of user and application.")
    sns: Maybe[v.Address] = optional("Topic or telephone number.")
    slack: Maybe[v.Channel] = optional("Channel, in quotes.")
    msteams: Maybe[v.Name] = optional("Name of the file that holds the webhook of a channel.")
    telegram: Maybe[v.ChatId] = optional("Number of the chat.")
    discord: Maybe[v.Name] = optional("Name of the file that holds the webhook of a channel.")
    webex: Maybe[v.Address] = optional("Identifier of the room.")
    email: Maybe[v.Email] = optional("Address.")
    webhook: Maybe[v.WebhookUrl] = optional("A link that holds no secret: https, or http within the cluster.")
    receiver: Maybe[v.ReceiverName] = optional("A receiver that your Alertmanager configuration has, as it is.")
    wakes: v.Boolean = optional(
        "Whether it wakes somebody although it is a chat, a webhook or `receiver`.", default=False
    )

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        others = [name for name in type(self).model_fields if name not in {"receiver", "wakes"}]
        if not self.model_fields_set - {"wakes"}:
            raise refusal("SLO036", "the route leads nowhere", f"write {listed([*others, 'receiver'], 'or')}")
        apart(self, "SLO036", "receiver", *others)
        return self

    @property
    def pages(self) -> bool:
        """Whether it wakes somebody."""
        return self.wakes or any(getattr(self, name) is not None for name in WAKING)


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

    P1: Maybe[Route] = optional("Where pages go; it must wake somebody.")
    P2: Maybe[Route] = optional("Where urgent messages go.")
    P3: Maybe[Route] = optional("Where tickets go, in office hours.")
    office_hours: Maybe[OfficeHours] = optional("When P3 is delivered.")

    @model_validator(mode="after")
    def _pages_reach_somebody(self) -> Self:
        for name in self.__pydantic_extra__:
            if not NAME.fullmatch(name):
                raise refusal("SLO021", f"{shown(name)} is no name of a route", NAME_HELP, at=(name,), on_key=True)
        if self.P1 is not None and not self.P1.pages:
            help_ = f"add {listed(WAKING, 'or')}, or `wakes: true` where this wakes somebody all the same"
            raise refusal("SLO036", "the P1 route pages nobody", help_, at=("P1",))
        return self

    @property
    def routes(self) -> dict[str, Route]:
        """The routes besides the severities', by name."""
        return dict(self.__pydantic_extra__)
