"""Codes of what can be wrong between documents, with the page of each.

A code keeps its meaning for ever; SLO050 to SLO099 belong to resolving.
"""

from __future__ import annotations

from typing import Final

from sloctl.language.codes import Page

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
PLACEHOLDER: Final = "SLO061"
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

PAGES: Final[dict[str, Page]] = {
    TWO_PLATFORMS: Page(
        "Two Platforms where one is meant",
        "A Platform applies to its folder and everything below it, so that a folder has at most one, and no two "
        "Platforms of a run share a name: the label `platform` must tell them apart.",
    ),
    TWO_SERVICES: Page(
        "Two documents own one service",
        "All SLOs of a service stand in one document, so that its team, labels and rule file have one owner. Move "
        "them together, or give one of the services another name.",
    ),
    TWO_IDS: Page(
        "Two SLOs with one id",
        "The id of an SLO is `<service>-<name>`, and every series and alert carries it as the label `slo`. Service "
        "`a` with SLO `b-c` and service `a-b` with SLO `c` have the same one: rename one of them.",
    ),
    PROMQL: Page(
        "Not PromQL, or not what can stand here",
        "Selectors and expressions are parsed before anything is written. A selector is a metric name with matchers: "
        "ranges, functions, `offset`, `@` and `or` are added by sloctl or not at all. For anything else there is "
        "the `query` SLI.",
    ),
    UNKNOWN_POLICY: Page(
        "An unknown alert policy",
        "`alerts` names a policy of the Platform's `policies`, `google` (the four tiers of the SRE workbook) or "
        "`none`; or it is a list of tiers and policies.",
        "policies:\n  fast: [{severity: P1, burn: 14.4, over: 1h, also_over: 5m}]\nalerts: [fast, google]",
    ),
    UNKNOWN_TEAM: Page(
        "An unknown team",
        "`team` is one of the Platform's `teams`: without its routes, alerts reach nobody.",
    ),
    MISSING_KEY: Page(
        "An SLO without objective or SLI",
        "An SLO needs an `objective` and an `sli`, of its own or from a Template.",
    ),
    UNKNOWN_ZONE: Page(
        "An unknown time zone",
        "Zones are IANA names such as `Europe/Berlin`. They come from the `tzdata` package and never from the "
        "system, so that all machines know the same ones. Abbreviations such as `IST` mean several zones.",
    ),
    UNKNOWN_SLI: Page(
        "A reference to an SLI that is not there",
        "`sli: NAME` reuses what another SLO of the same service counts. That SLO has an SLI of its own, not a "
        "reference again.",
        "slos:\n"
        "  - {name: by-tenant, objective: 99.9%, by: [tenant], sli: {ratio: {total: a_total, bad: b_total}}}\n"
        "  - {name: overall, objective: 99.95%, sli: by-tenant}",
    ),
    SAMPLING: Page(
        "Scrapes and tiles that do not fit together",
        "A tile of `resolution` holds at least one scrape, a scrape ends before the next one begins, and "
        "`count_if_up` needs `target_labels`.",
    ),
    TIER_LENGTH: Page(
        "A length that cannot be counted",
        "`over`, `also_over` and `for` of a tier are multiples of `resolution`, because nothing shorter is recorded, "
        "and `over` is no longer than the SLO's window. Trends read roll-ups of four `resolution`: `over` of a "
        "`regression` holds at least four, and `earlier` is no shorter than `over`; `within` of a "
        "`forecast` holds four as well, and a quarter of `from` does.",
    ),
    PLACEHOLDER: Page(
        "An unknown placeholder in an alert text",
        "In the Platform's `texts` the names of the specification's page stand for values, such as `$service` or "
        "`$budget_left`, and so does each label of `by`. Any other would be sent as it is, to somebody who is woken "
        "by it. In annotations, which other programs read as well, names close to one of these are noted. A `$` that "
        "no letter follows stands for itself.",
    ),
    MATCHER_CONFLICT: Page(
        "Matchers that contradict each other",
        "`matchers` of the Platform and of the service are added to every selector; one that says otherwise of the "
        "same label would match nothing.",
    ),
    WRONG_KIND: Page(
        "A key for other SLI kinds",
        "`forecast` is for saturation and threshold, `regression` for latency, and `timeslices` for SLIs that count "
        "events.",
    ),
    SPLIT_LABEL: Page(
        "A label of `by` that something else fixes",
        "The values of a `by` label come from the data. A matcher or a label that fixes one would leave a single "
        "value, or write a wrong one on every series; expressions are grouped by exactly the labels of `by`.",
    ),
    UNKNOWN_ROUTE: Page(
        "An unknown route",
        "`notify` names further routes of the SLO's team, beside those of the severities.",
    ),
    UNIT: Page(
        "A histogram or bound that does not exist",
        "A histogram is named by its base name, without `_bucket`, `_count` or `_sum`. `at_most` is one of its own "
        "bounds, in its own unit: events between two bounds cannot be told apart.",
    ),
    UNKNOWN_SLO: Page(
        "A canary's check on an SLO that is not there",
        "A check of a canary, and `after`, name an SLO of the same service, of its own or from a Template.",
    ),
    CANARY: Page(
        "A canary that cannot be judged",
        "A canary compares raw counters of two versions. Its arms hold `$canary` and `$stable`, so that each selects "
        "one version; the SLI is a `ratio` on counters, a `latency` or a `probe`, and leaves the labels of the arms "
        "free; `quantile` needs a `latency`.",
    ),
    TWO_CANARIES: Page(
        "Two canaries for one service",
        "A service has one canary: its own, or else the one that a Template of its `uses` brings.",
    ),
    UNKNOWN_TEMPLATE: Page(
        "An unknown template",
        "`uses` names a document of kind Template of this run, in any file of it or of the folders above.",
        "uses: [{template: http-service, with: {job: cart}}]",
    ),
    TWO_TEMPLATES: Page(
        "Two templates with one name",
        "The name of a Template is unique in a run.",
    ),
    SLA_WINDOW: Page(
        "Two calendars in one SLO",
        "Events are counted by one calendar only: that of the window or that of the contract. Write the same in "
        "both, or a rolling `window`.",
    ),
}
