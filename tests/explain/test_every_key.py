"""Every key of the language is shown, and another value of it is a difference; what is exempt has a reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from sloctl.diagnostics import Diagnostics
from sloctl.explain.diff import compared
from sloctl.explain.entries import Owner, entries
from sloctl.language.document import Document, parse_documents
from sloctl.language.fields import Written
from sloctl.language.tree import Key, Tree
from sloctl.model.catalogue import Catalogue
from sloctl.resolve import resolve
from tools.reference import MODELS

FILE: Final = Path(__file__).with_name("every-key.yaml")
LINES: Final = FILE.read_text(encoding="utf-8").splitlines()
OTHER: Final = re.compile(r"(?P<before> *(?:- )?(?:[\w-]+: )?)(?P<value>\S.*)  # (?P<other>.+)")
CHANGES: Final = {number: found for number, text in enumerate(LINES, start=1) if (found := OTHER.fullmatch(text))}

NOT_COMPARED: Final = {
    **dict.fromkeys(
        ("Platform.apiVersion", "Service.apiVersion", "Template.apiVersion"), "it has one value, the language's version"
    ),
    **dict.fromkeys(("Platform.kind", "Service.kind", "Template.kind"), "it says what the other keys are"),
    "Template.name": "only files know it: what a template brings is compared where it arrives",
    "Parity.categories": "it has one value",
}
"""Keys whose change is no difference, and why."""


def documents(lines: list[str]) -> list[Document]:
    found = Diagnostics()
    read = parse_documents("\n".join(lines).encode(), "every-key.yaml", found)
    assert found.errors == []
    return read


def catalogue(lines: list[str]) -> Catalogue:
    found = Diagnostics()
    resolved = resolve(documents(lines), found)
    assert [f"{finding.place}: {finding.message}" for finding in found.errors] == []
    return resolved


@pytest.fixture(scope="module")
def before() -> Catalogue:
    return catalogue(LINES)


def changed(number: int) -> list[str]:
    """The file with the other value of one line."""
    line = CHANGES[number]
    return [*LINES[: number - 1], line["before"] + line["other"], *LINES[number:]]


def shown(resolved: Catalogue) -> set[tuple[str, str, str]]:
    """What `show` prints: whose value it is, key and text."""
    owners: list[tuple[str, Owner]] = [(slo.id, slo) for slo in resolved.slos]
    for platform in resolved.platforms:
        owners += [("platform", platform), *((service.name, service) for service in platform.services)]
    return {(name, entry.key, entry.text) for name, owner in owners for entry in entries(owner)}


@pytest.mark.parametrize("number", CHANGES, ids=lambda number: f"{number}-{LINES[number - 1].split('#')[0].strip()}")
def test_another_value_is_shown_and_is_a_difference(number: int, before: Catalogue) -> None:
    after = catalogue(changed(number))
    assert shown(after) - shown(before), "nothing of it is shown"
    changes = compared(before, after)
    assert changes
    assert [found.path for found in changes if not found.sentences] == [], "a value differs, and nothing is said"


OTHERWISE: Final = {
    "careful": "alerts.p3-6h.error_rate 5%",
    "google": "alerts.p1-6h.burn 6",
    "changes(deployments[5m]) > 0": 'changes(deployments{environment="prod"}[5m]) > 0',
    "sum(cart_cost_usd)": 'sum(cart_cost_usd{environment="prod",namespace="cart"})',
    "maintenance > 0": 'maintenance{environment="prod",namespace="cart"} > 0',
    "sum(increase(jobs_total[$window]))": 'sum(increase(jobs_total{environment="prod",namespace="cart"}[$window]))',
    "sum(increase(jobs_failed_total[$window]))": "sum(increase(jobs_failed_total{",
    "sum(increase(jobs_done_total[$window]))": "sum(increase(jobs_done_total{",
    "avg_over_time(failing_share[$window])": "avg_over_time(failing_share{",
    "max(lag_seconds)": 'max(lag_seconds{environment="prod",namespace="cart"})',
    "300ms": "sli.latency.at_most 0.3s",
    "800K/min": "800000/min",
    "2M/min": "2000000/min",
    "95%": "forecast.to 0.95",
}
"""What is shown otherwise than it is written: with the matchers in force, in the histogram's unit, as the sum it is."""


def test_a_value_is_shown_as_it_is_in_force(before: Catalogue) -> None:
    texts = "\n".join(f"{key} {text}" for _, key, text in shown(before))
    written = [line["value"].strip("'") for line in CHANGES.values()]
    assert [value for value in written if OTHERWISE.get(value, value) not in texts] == []
    assert OTHERWISE.keys() <= set(written)


def test_every_key_has_another_value_or_is_exempt() -> None:
    keys = {
        f"{name}.{field.alias or own}"
        for name, model in MODELS.items()
        for own, field in model.model_fields.items()
        if name not in {"Inheritable", "TemplateBody"}
    }
    with_another = {
        key
        for document in documents(LINES)
        for key, path in written_keys(document.spec)
        if any(line in CHANGES for line in lines_of(document.tree, path))
    }
    assert with_another | NOT_COMPARED.keys() == keys
    assert with_another & NOT_COMPARED.keys() == set()


def written_keys(value: object, path: tuple[Key, ...] = ()) -> Iterator[tuple[str, tuple[Key, ...]]]:
    """Each `Model.key` that is written, with its path; templates are raw, and whole where they are used."""
    if isinstance(value, Written):
        for name, field in type(value).model_fields.items():
            if name in value.model_fields_set:
                key = field.alias or name
                yield f"{type(value).__name__}.{key}", (*path, key)
                yield from written_keys(getattr(value, name), (*path, key))
        for name, part in (value.__pydantic_extra__ or {}).items():
            yield from written_keys(part, (*path, name))
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from written_keys(part, (*path, name))
    elif isinstance(value, tuple):
        for index, part in enumerate(value):
            yield from written_keys(part, (*path, index))


def lines_of(tree: Tree, path: tuple[Key, ...]) -> Iterator[int]:
    """The lines of a key and of everything below it."""
    yield tree.key_place(*path).line
    value = tree.find(*path)
    below = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in below:
        yield from lines_of(tree, (*path, key))
