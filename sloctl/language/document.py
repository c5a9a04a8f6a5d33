"""The documents of the language as written, and how a file becomes a list of them.

Everything absent is None here; inheritance and defaults follow in `sloctl.resolve`, and so do the rules that
need more than one mapping of one document.
"""

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, model_validator

from sloctl.diagnostics import Diagnostics, Place
from sloctl.language import values as v
from sloctl.language.alerting import Alerts, Annotations, Forecast, Labels, Policy, Regression, Sla, Window
from sloctl.language.fields import Filled, Maybe, TextOrMapping, Written, optional, required, unique
from sloctl.language.files import read_file
from sloctl.language.header import checked_kind
from sloctl.language.indicators import Sli
from sloctl.language.ownership import Route, Team
from sloctl.language.parameters import check_parameters
from sloctl.language.problems import validated
from sloctl.language.reader import MAX_PROBLEMS, read_text
from sloctl.language.refusals import refusal, shown
from sloctl.language.rollout import Canary
from sloctl.language.tree import Key, Mapping, Sequence, Tree
from sloctl.model.alerting import Mode
from sloctl.model.catalogue import Inhibition, NewSeries, PagerDutyKeys
from sloctl.model.quantities import DAY, MINUTE, SECOND, ZERO


class Inheritable(Written):
    """What a Platform says for its services, a Service for its SLOs, and an SLO for itself."""

    description: Maybe[v.Text] = optional("One sentence in the user's words.")
    window: Window = optional("The time over which the objective holds.", DAY * 30)
    alerts: Alerts = optional("`none`, the name of a policy, or a list of tiers and policies.", "google")
    scrape_interval: v.PositiveDuration = optional("How often the metrics are scraped.", SECOND * 30)
    late_by: v.Duration = optional("How late samples come, or how old their own timestamps are.", ZERO)
    new_series: v.Word[NewSeries] = optional("What a new counter's first value means.", default=NewSeries.COUNT_IF_UP)
    blind: v.DurationOrNone = optional(
        "A metric that is gone for so long raises an alert; `none` raises none.", MINUTE * 15
    )
    down: v.DurationOrNone = optional(
        "Targets that are all dead for so long raise an alert; `none` raises none.", MINUTE * 2
    )
    mode: v.Word[Mode] = optional("`observe` evaluates every alert and routes it to nobody.", Mode.PAGE)
    team: Maybe[v.Name] = optional("Who is told.")
    runbook: Maybe[v.Runbook] = optional("An https link; `$service` and `$slo` stand for their names.")
    labels: Maybe[Labels] = optional("Labels on every series and alert.")


def _distinct(labels: tuple[str, ...]) -> tuple[str, ...]:
    for index, label in enumerate(labels):
        if label in labels[:index]:
            raise refusal("SLO039", f"the label `{label}` is written twice", "remove one", at=(index,))
    return labels


KubernetesPairs: TypeAlias = dict[v.KubernetesKey, v.KubernetesValue]
LabelNames: TypeAlias = Annotated[tuple[v.LabelName, ...], AfterValidator(_distinct)]
Matched: TypeAlias = dict[v.LabelName, v.MatchedValue]


class Timeslices(Written):
    """Slices of `resolution` are counted instead of events."""

    target: v.PartOrWhole = required("A slice is good when at least this share of its events are.")


def _at_least_one(number: int) -> int:
    if number < 1:
        raise refusal("SLO046", "`max_series` is at least 1", "write the most values of `by` that you expect")
    return number


class Slo(Inheritable):
    """One objective: what is counted, and which share of it is promised."""

    name: v.SloName = required("Name of the SLO, after which its alerts are called.")
    id: Maybe[v.SloId] = optional(
        "Label `slo` of its series and alerts; what it was before a new name keeps their history.",
        otherwise="`<service>-<name>`",
    )
    objective: Maybe[v.ObjectivePercentage] = optional("The share of good events that is promised.")
    sli: Maybe[TextOrMapping[v.SloName, Sli]] = optional("What is counted: one SLI kind, or the name of another SLO.")
    by: LabelNames = optional("One objective, budget and set of alerts for each value of these labels.", ())
    max_series: Annotated[v.Count, AfterValidator(_at_least_one)] = optional(
        "Above so many values of `by` an alert says so.", 1000
    )
    timeslices: Maybe[Timeslices] = optional("Count slices of time instead of events.")
    traffic: Maybe[v.Rate] = optional("The typical rate, for `explain` and checks.")
    exclude_when: tuple[v.PromQL, ...] = optional("While one of these returns a sample, nothing is counted.", ())
    forecast: Maybe[Forecast] = optional("Tell when a limit will be reached.")
    regression: Maybe[Regression] = optional("Tell when a quantile is worse than it was.")
    sla: Maybe[Sla] = optional("What is owed to customers.")
    annotations: Maybe[Annotations] = optional("Annotations of its alerts.")
    enabled: v.Boolean = optional("`false` drops an SLO that a template brings.", default=True)


class Severities(Written):
    """The values of the alert label `severity`."""

    P1: v.SeverityWord = optional("Value for P1.", "P1")
    P2: v.SeverityWord = optional("Value for P2.", "P2")
    P3: v.SeverityWord = optional("Value for P3.", "P3")


class Texts(Written):
    """The texts of alerts; `$service`, `$slo` and other placeholders stand for values."""

    summary: Maybe[v.AlertText] = optional("One line.", otherwise="built in")
    description: Maybe[v.AlertText] = optional("What happened, and what to do.", otherwise="built in")


class Dashboards(Written):
    """Links in alerts and dashboards."""

    base_url: Maybe[v.Url] = optional("Where Grafana is.")
    logs: Maybe[v.Url] = optional("Where logs are.")
    traces: Maybe[v.Url] = optional("Where traces are.")
    sloctl: Maybe[v.Url] = optional("Where sloctl's own pages are.")
    folder: Maybe[v.Text] = optional("Folder of the dashboards.")
    deploys: Maybe[v.PromQL] = optional("PromQL whose samples mark a deployment.")


class KubernetesDashboards(Written):
    """What Grafana's sidecar or operator looks for."""

    labels: Maybe[KubernetesPairs] = optional("Labels of each object.", otherwise='`grafana_dashboard: "1"`')
    annotations: Maybe[KubernetesPairs] = optional("Annotations of each object.")
    folder_annotation: Maybe[v.KubernetesKey] = optional(
        "The annotation that names the folder, such as `grafana_folder`."
    )
    instances: Maybe[KubernetesPairs] = optional(
        "Labels of the Grafana that the operator puts them into.", otherwise="`dashboards: grafana`"
    )


class Kubernetes(Written):
    """Where the objects go that `--emit kubernetes` writes, and what finds them."""

    namespace: Maybe[v.Name] = optional("Namespace of each object.", otherwise="that of the command that applies them")
    labels: Maybe[KubernetesPairs] = optional(
        "Labels of each PrometheusRule: what `ruleSelector` wants, such as `release: kube-prometheus-stack`."
    )
    annotations: Maybe[KubernetesPairs] = optional("Annotations of each PrometheusRule.")
    dashboards: Maybe[KubernetesDashboards] = optional("Labels and annotations of dashboards.")


class Expect(Written):
    """What `explain` must be able to show."""

    detect_within: Maybe[v.PositiveDuration] = optional("A full outage is pending or firing within this time.")
    false_pages: Maybe[v.Percentage] = optional(
        "How often chance alone may fire one tier in 30 days; 5% is once in 20 months."
    )


def _rising(bounds: tuple[Decimal, ...]) -> tuple[Decimal, ...]:
    for index, (before, after) in enumerate(pairwise(bounds), start=1):
        if after <= before:
            raise refusal("SLO033", "the bounds do not rise", "write them from the smallest", at=(index,))
    return bounds


BucketBounds: TypeAlias = Annotated[Filled[v.Number], AfterValidator(_rising)]


class Platform(Inheritable):
    """What holds for all services of a folder and everything below it."""

    api_version: Literal["sloctl/v1"] = required("Version of the language, `sloctl/v1`.", "apiVersion")
    kind: Literal["Platform"] = required("Kind of the document: `Platform`, `Service` or `Template`.")
    name: v.Name = required("Label `platform` on everything that is emitted.")
    policies: Maybe[dict[v.PolicyName, Policy]] = optional("Alert policies by name.")
    resolution: v.Resolution = optional("Length of the smallest counted piece of time.", MINUTE)
    target_labels: LabelNames = optional(
        "Labels that identify a scraped target; selectors' matchers on them narrow `up` too.", ("job", "instance")
    )
    matchers: Maybe[Matched] = optional("Added to every selector.")
    severities: Maybe[Severities] = optional("Values of the alert label `severity`.")
    texts: Maybe[Texts] = optional("Texts of the alerts.")
    dashboards: Maybe[Dashboards] = optional("Links in alerts and dashboards.")
    kubernetes: Maybe[Kubernetes] = optional("Namespace and labels of Kubernetes objects.")
    buckets: Maybe[dict[v.MetricName, BucketBounds]] = optional("Known bucket bounds of histograms.")
    teams: Maybe[dict[v.Name, Team]] = optional("Teams by name.")
    fallback: Maybe[Route] = optional("Where alerts without a route go.")
    watchdog: Maybe[Route] = optional("Where the watchdog's heartbeat goes.")
    pagerduty: v.Word[PagerDutyKeys] = optional("One key a team, or one for all.", PagerDutyKeys.PER_TEAM_KEY)
    inhibition: v.Word[Inhibition] = optional("Who mutes the lower tiers of one SLO.", Inhibition.ALERTMANAGER)
    scrape_timeout: Maybe[v.PositiveDuration] = optional(
        "How late a scrape may be; selectors are shifted by more.",
        otherwise="`10s`, or `scrape_interval` where that is shorter",
    )
    expect: Maybe[Expect] = optional("What `explain` must be able to show.")


class Use(Written):
    """SLOs from a template, with the values of its parameters."""

    template: v.TemplateName = required("Name of the template; those of `sloctl templates` begin with `std/`.")
    with_: Maybe[dict[v.ParameterName, object]] = optional("Values of its parameters.", alias="with")


class Service(Inheritable):
    """What one service promises."""

    api_version: Literal["sloctl/v1"] = required("Version of the language, `sloctl/v1`.", "apiVersion")
    kind: Literal["Service"] = required("Kind of the document: `Platform`, `Service` or `Template`.")
    service: v.Name = required("Name of the service; label `service`.")
    cost: Maybe[v.PromQL] = optional("Spend an hour, in currency.")
    matchers: Maybe[Matched] = optional("Added to every selector, beside the platform's.")
    uses: Maybe[tuple[TextOrMapping[v.TemplateName, Use], ...]] = optional("Templates whose SLOs this service has.")
    slos: Maybe[tuple[Slo, ...]] = optional("Its SLOs; one with a template's name overrides its keys.")
    canary: Maybe[Canary] = optional("How a new version is judged.")

    @model_validator(mode="after")
    def _has_slos(self) -> Self:
        if not self.uses and not self.slos:
            raise refusal("SLO041", "the service has no SLO", "add `slos`, or `uses` with a template")
        unique(tuple(slo.name for slo in self.slos or ()), "SLO039", "the SLO", "name", "slos")
        return self


def _raw_list(value: object) -> Sequence:
    if isinstance(value, Sequence):
        return value
    raise refusal("SLO019", f"a list is needed, not {shown(value)}", "begin each SLO with `- name:`")


def _raw_mapping(value: object) -> Mapping:
    if isinstance(value, Mapping):
        return value
    raise refusal("SLO019", f"a mapping is needed, not {shown(value)}", "write `key: value` lines below it")


RawList = Annotated[Sequence, v.Read(_raw_list, "list of SLOs", {"type": "array", "items": {"type": "object"}})]
RawMapping = Annotated[Mapping, v.Read(_raw_mapping, "canary", {"type": "object"})]
RawValue = Annotated[object, v.Read(lambda value: value, "any value", {})]


class Template(Written):
    """SLOs and a canary with parameters; they are checked at each use."""

    api_version: Literal["sloctl/v1"] = required("Version of the language, `sloctl/v1`.", "apiVersion")
    kind: Literal["Template"] = required("Kind of the document: `Platform`, `Service` or `Template`.")
    name: v.Name = required("Name of the template, unique in the run.")
    parameters: Maybe[dict[v.ParameterName, RawValue]] = optional("Default of each parameter; empty when required.")
    slos: Maybe[RawList] = optional("SLOs, as in a Service.")
    canary: Maybe[RawMapping] = optional("A canary, as in a Service.")

    @model_validator(mode="after")
    def _brings_something(self) -> Self:
        if not self.slos and self.canary is None:
            raise refusal("SLO041", "the template brings nothing", "add `slos` or `canary`")
        return self


class TemplateBody(Written):
    """What a template brings, after its parameters were put in."""

    slos: Maybe[tuple[Slo, ...]] = optional("SLOs.")
    canary: Maybe[Canary] = optional("A canary.")

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        unique(tuple(slo.name for slo in self.slos or ()), "SLO039", "the SLO", "name", "slos")
        return self


Specification: TypeAlias = Platform | Service | Template

KINDS: Final[dict[str, type[Platform] | type[Service] | type[Template]]] = {
    "Platform": Platform,
    "Service": Service,
    "Template": Template,
}


@dataclass(frozen=True, slots=True)
class Document:
    """One valid document and where each part of it stands.

    Attributes:
        spec: the document as written.
        tree: the same as plain values with their places.
    """

    spec: Specification
    tree: Tree

    @property
    def path(self) -> str:
        """The file, as named by the user."""
        return self.tree.path

    def place(self, *keys: Key) -> Place:
        """Where the value at this path of YAML keys stands, or else the nearest value around it."""
        return self.tree.place(*keys)

    def key_place(self, *keys: Key) -> Place:
        """Where the last key of this path is written, or else the nearest value around it."""
        return self.tree.key_place(*keys)


def read_documents(path: str, found: Diagnostics, top: str = "/") -> list[Document]:
    """The valid documents of a file (`-` is stdin); what is wrong with the others is added to `found`.

    Args:
        top: a real folder; nothing outside of it is read.
    """
    text = read_file(path, found, top)
    return [] if text is None else parse_documents(text, path, found)


def parse_documents(text: bytes, path: str, found: Diagnostics) -> list[Document]:
    """As `read_documents`, of a text that is already in memory; `path` is only shown."""
    before = len(found.found)
    trees = [tree for tree in read_text(text, path, found) if tree.value is not None]
    if not trees and len(found.found) == before:
        found.warning("SLO013", Place(path), "the file holds no document", "write one, or remove the file")
    documents = []
    for tree in trees:
        if len(found.found) - before > MAX_PROBLEMS:
            message = "too many problems; the rest of the file was not checked"
            found.error("SLO049", tree.place(), message, "repair those that are shown first")
            break
        documents.append(_document(tree, found))
    return [document for document in documents if document is not None]


def _document(tree: Tree, found: Diagnostics) -> Document | None:
    kind = checked_kind(tree, found)
    if kind is None:
        return None
    if kind == "Template":
        check_parameters(tree, found)
    spec = validated(KINDS[kind], tree, found)
    return None if spec is None else Document(spec, tree)
