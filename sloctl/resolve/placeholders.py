"""Placeholders of alert texts: each stands for a value, or the person who is paged reads its name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sloctl.diagnostics import Diagnostics, Place
from sloctl.language import alerting, document
from sloctl.language.document import Document
from sloctl.language.problems import nearest
from sloctl.language.texts import ALERT_PLACEHOLDERS, LABEL_PLACEHOLDER, placeholders
from sloctl.resolve import codes
from sloctl.resolve.layers import Layer
from sloctl.resolve.platforms import PlatformScope


def check_placeholders(scope: PlatformScope, templates: Iterable[Document], found: Diagnostics) -> None:
    """Every placeholder in the texts of a Platform is known.

    Annotations may hold `$` for other readers, so that only a name close to a known one is noted there.
    """
    services = [
        (written.tree, written.spec) for written in scope.services if isinstance(written.spec, document.Service)
    ]
    labels = {*_split_labels(spec for _, spec in services), *_template_labels(templates)}
    known = sorted({*ALERT_PLACEHOLDERS, *labels})
    for place, name in _unknown(known, (text for layer in scope.layers.stack for text in _texts(layer))):
        help_ = _near(name, known) or f"write one of {', '.join(f'${word}' for word in known)}"
        found.error(codes.PLACEHOLDER, place, f"unknown placeholder `${name}`", help_)
    layers = (*scope.layers.stack, *(Layer(tree, spec=spec) for tree, spec in services))
    written = [*(text for layer in scope.layers.stack for text in _texts(layer))]
    written += [text for layer in layers for text in _annotations(layer)]
    for place, text in written:
        for name in LABEL_PLACEHOLDER.findall(text):
            if name not in labels:
                message, help_ = f"`{name}` is no label of `by`, so an alert does not have it", "name a label of `by`"
                found.error(codes.PLACEHOLDER, place, message, help_)
    for place, name in _unknown(known, (text for layer in layers for text in _annotations(layer))):
        if help_ := _near(name, known):
            message = f"`${name}` is no placeholder and is sent as it is"
            found.note(codes.PLACEHOLDER, place, message, help_)


def _unknown(known: list[str], texts: Iterable[tuple[Place, str]]) -> Iterator[tuple[Place, str]]:
    return ((place, name) for place, text in texts for name in placeholders(text) if name not in known)


def _near(name: str, known: list[str]) -> str:
    word = nearest(name, known)
    return "" if word is None else f"did you mean `${word}`?"


def _split_labels(services: Iterable[document.Service]) -> Iterator[str]:
    return (label for spec in services for slo in spec.slos or () for label in slo.by or ())


def _template_labels(templates: Iterable[Document]) -> Iterator[str]:
    """Labels that templates write themselves; a template is whole only where it is used."""
    for template in templates:
        slos = template.tree.find("slos")
        for slo in slos if isinstance(slos, list) else ():
            by = slo.get("by") if isinstance(slo, Mapping) else None
            yield from (label for label in by if isinstance(label, str)) if isinstance(by, list) else ()


def _texts(layer: Layer) -> Iterator[tuple[Place, str]]:
    """The texts that every alert of a Platform is made of, with their places."""
    texts = getattr(layer.spec, "texts", None)
    for key in ("summary", "description") if texts is not None else ():
        if getattr(texts, key) is not None:
            yield layer.place("texts", key), getattr(texts, key)


def _annotations(layer: Layer) -> Iterator[tuple[Place, str]]:
    """Annotations of SLOs and tiers, with their places."""
    for name, policy in (getattr(layer.spec, "policies", None) or {}).items():
        yield from _tier_texts(policy, layer, "policies", name)
    yield from _tier_texts(layer.spec.alerts or (), layer, "alerts")
    for index, slo in enumerate(getattr(layer.spec, "slos", None) or ()):
        for name, text in (slo.annotations or {}).items():
            yield layer.place("slos", index, "annotations", name), text
        yield from _tier_texts(slo.alerts or (), layer, "slos", index, "alerts")


def _tier_texts(
    rows: str | tuple[str | alerting.Tier, ...], layer: Layer, *keys: str | int
) -> Iterator[tuple[Place, str]]:
    for index, row in enumerate(() if isinstance(rows, str) else rows):
        for name, text in ({} if isinstance(row, str) else row.annotations or {}).items():
            yield layer.place(*keys, index, "annotations", name), text
