"""Codes of what can be wrong between documents, with the page of each."""

from __future__ import annotations

from typing import Final

TWO_PLATFORMS: Final = "SLO050"
TWO_SERVICES: Final = "SLO051"
TWO_IDS: Final = "SLO052"
PROMQL: Final = "SLO053"
UNKNOWN_POLICY: Final = "SLO054"
UNKNOWN_TEAM: Final = "SLO055"
MISSING_KEY: Final = "SLO056"
UNKNOWN_ZONE: Final = "SLO057"
UNKNOWN_SLI: Final = "SLO058"
SAMPLING: Final = "SLO059"
TIER_LENGTH: Final = "SLO060"
MATCHER_CONFLICT: Final = "SLO062"
WRONG_KIND: Final = "SLO063"
SPLIT_LABEL: Final = "SLO064"
UNKNOWN_ROUTE: Final = "SLO065"
UNIT: Final = "SLO066"
UNKNOWN_TEMPLATE: Final = "SLO067"
TWO_TEMPLATES: Final = "SLO068"
SLA_WINDOW: Final = "SLO069"
UNKNOWN_SLO: Final = "SLO070"
CANARY: Final = "SLO071"
TWO_CANARIES: Final = "SLO072"

PAGES: Final = {
    TWO_PLATFORMS: "A folder has at most one Platform, and no two Platforms share a name.",
    TWO_SERVICES: "One document owns a service of a platform; write all of its SLOs there.",
    TWO_IDS: "The id of an SLO is `<service>-<name>` and is unique within the platform.",
    PROMQL: "Selectors and expressions are parsed before anything is written.",
    UNKNOWN_POLICY: "`alerts` names a policy of the Platform, `google` or `none`.",
    UNKNOWN_TEAM: "`team` is one of the Platform's `teams`.",
    MISSING_KEY: "An SLO needs an `objective` and an `sli`, of its own or inherited.",
    UNKNOWN_ZONE: "Zones are IANA names such as `Europe/Berlin`.",
    UNKNOWN_SLI: "`sli: NAME` reuses what another SLO of the same service counts.",
    SAMPLING: "A tile holds at least one scrape, and a scrape ends before the next one begins.",
    TIER_LENGTH: "The lengths of a tier are multiples of `resolution` and fit into the window.",
    MATCHER_CONFLICT: "`matchers` are added to every selector; one that says otherwise would match nothing.",
    WRONG_KIND: "The key has a meaning for other SLI kinds only.",
    SPLIT_LABEL: "A label of `by` comes from the data: nothing else may fix it.",
    UNKNOWN_ROUTE: "`notify` names further routes of the SLO's team.",
    UNIT: "A histogram is named by its base name, and a bound is one of its own bounds, in its own unit.",
    UNKNOWN_TEMPLATE: "`uses` names a document of kind Template of this run.",
    TWO_TEMPLATES: "The name of a Template is unique in a run.",
    UNKNOWN_SLO: "A check of a canary names an SLO of the same service.",
    CANARY: "A canary compares raw counters of two versions, which its arms tell apart.",
    TWO_CANARIES: "A service has one canary, of its own or from one template.",
    SLA_WINDOW: "Events are counted by one calendar only: that of the window or that of the contract.",
}
