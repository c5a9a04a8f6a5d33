"""Specifications as text, as a person would write them."""

from __future__ import annotations

from decimal import Decimal

import yaml

from sloctl.model.quantities import number


class _Dumper(yaml.SafeDumper):
    """Block text for what has lines of its own, exact numbers, and no aliases."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the signature of PyYAML
        return True


_Dumper.add_representer(
    Decimal,
    lambda dumper, value: dumper.represent_scalar(
        f"tag:yaml.org,2002:{'int' if value == int(value) else 'float'}", number(value)
    ),
)
_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def yaml_text(value: object) -> str:
    """Mappings, lists, texts and exact numbers as YAML that the reader of specifications takes."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
