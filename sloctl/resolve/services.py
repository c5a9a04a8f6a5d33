"""Services: which SLOs they have, of their own and from templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sloctl.diagnostics import Diagnostics, Related
from sloctl.language import document
from sloctl.language.document import Document
from sloctl.language.problems import did_you_mean
from sloctl.language.std import PREFIX, std_names, std_template, std_text
from sloctl.language.template import Instance, instantiate
from sloctl.model.canary import Canary
from sloctl.model.catalogue import Service, Slo
from sloctl.model.selector import Expression
from sloctl.resolve import codes
from sloctl.resolve.canary import resolve_canary
from sloctl.resolve.layers import Layer, Layers, Part, Places
from sloctl.resolve.platforms import PlatformScope
from sloctl.resolve.reading import PromqlReading
from sloctl.resolve.slos import Draft, resolve_slo


@dataclass(frozen=True, slots=True)
class _Owner:
    """A service while it is resolved."""

    scope: PlatformScope
    spec: document.Service
    layer: Layer
    found: Diagnostics

    @property
    def layers(self) -> Layers:
        return Layers((self.layer, *self.scope.layers.stack))

    def draft(self, name: str, own: Layer | None, template: Layer | None) -> Draft:
        """An SLO with its layers: its own, the service's, the template's, the platforms'."""
        near = () if own is None else (own,)
        far = () if template is None else (template,)
        layers = Layers((*near, self.layer, *far, *self.scope.layers.stack))
        return Draft(self.spec.service, name, near + far, layers, self.scope, self.found)

    def reading(self, part: Part) -> PromqlReading:
        """How PromQL in `part` is read that belongs to no SLO."""
        return PromqlReading(part, self.found, self.layers.matchers)


def service(scope: PlatformScope, written: Document, templates: Mapping[str, Document], found: Diagnostics) -> Service:
    """One service with its SLOs; what is wrong is in `found`."""
    spec = written.spec
    assert isinstance(spec, document.Service)
    owner = _Owner(scope, spec, Layer(written.tree, spec=spec), found)
    instances = _instances(owner, written, templates)
    drafts = _drafts(owner, instances)
    slos = {name: resolve_slo(draft, drafts) for name, draft in drafts.items() if draft.enabled}
    brought = (Part(instance.tree) for instance in instances)
    used = (templates[name].path for name in _names(spec) if name in templates)  # those of sloctl are no input
    return Service(
        name=spec.service,
        team=owner.layers.value("team"),
        slos=tuple(slo for slo in slos.values() if slo is not None),
        place=written.place("service"),
        path=written.path,
        description=spec.description or "",
        runbook=owner.layers.value("runbook"),
        cost=_cost(owner),
        canary=_canary(owner, instances, slos),
        sources=tuple(sorted({written.path, *scope.sources, *used})),
        matchers={label: value for label, (value, _) in owner.layers.matchers.items()},
        places=Places.of((owner.layer, *brought, *scope.layers.stack)),
    )


def _names(spec: document.Service) -> list[str]:
    return [use if isinstance(use, str) else use.template for use in spec.uses or ()]


def _instances(owner: _Owner, written: Document, templates: Mapping[str, Document]) -> list[Instance]:
    instances = []
    for index, name in enumerate(_names(owner.spec)):
        template = std_template(name) if name in std_names() else templates.get(name)
        if template is None:
            known = std_names() if name.startswith(PREFIX) else (*templates, *std_names())
            help_ = did_you_mean(name, list(known)) or "write a document of kind Template with this name"
            place = written.place("uses", index)
            owner.found.error(codes.UNKNOWN_TEMPLATE, place, f"there is no template `{name}`", help_)
            continue
        instance = instantiate(template, written, index, owner.found)
        if instance is not None:
            instances.append(instance)
        elif name in std_names():
            owner.found.sources[template.path] = std_text(name)
    return instances


def _drafts(owner: _Owner, instances: list[Instance]) -> dict[str, Draft]:
    """Every SLO by name: those of templates, overridden key by key by the service's own of the same name."""
    brought = _brought(owner, instances)
    own = {
        slo.name: Layer(owner.layer.tree, ("slos", index), spec=slo) for index, slo in enumerate(owner.spec.slos or ())
    }
    names = dict.fromkeys([*brought, *own])
    return {name: owner.draft(name, own.get(name), brought.get(name)) for name in names}


def _brought(owner: _Owner, instances: list[Instance]) -> dict[str, Layer]:
    brought: dict[str, Layer] = {}
    for instance in instances:
        for index, slo in enumerate(instance.slos):
            layer = Layer(instance.tree, ("slos", index), instance.use, spec=slo)
            first = brought.setdefault(slo.name, layer)
            if first is not layer and first.use is not None:
                message = f"two templates bring the SLO `{slo.name}`"
                related = Related(first.use, "the other one")
                owner.found.error(codes.TWO_IDS, instance.use, message, "rename it in one of them", related)
    return brought


def _canary(owner: _Owner, instances: list[Instance], slos: Mapping[str, Slo | None]) -> Canary | None:
    """The service's own canary, or the one that a template brings."""
    if owner.spec.canary is not None:
        return resolve_canary(owner.spec.canary, slos, owner.reading(owner.layer.below("canary")))
    brought = [(instance.canary, instance) for instance in instances if instance.canary is not None]
    if not brought:
        return None
    if len(brought) > 1:
        related = Related(brought[0][1].use, "the other one")
        help_ = "write a canary of the service's own"
        owner.found.error(codes.TWO_CANARIES, brought[1][1].use, "two templates bring a canary", help_, related)
    canary, instance = brought[0]
    return resolve_canary(canary, slos, owner.reading(Part(instance.tree, ("canary",), instance.use)))


def _cost(owner: _Owner) -> Expression | None:
    cost = owner.spec.cost
    return None if cost is None else owner.reading(owner.layer).expression(cost, "cost")
